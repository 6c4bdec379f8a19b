#include "tests/conformance/watch_history.h"

#include <algorithm>
#include <string>

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchCreateRequest;
using mvccpb::Event;

// An empty key stands for the first of all keys.
std::string KeyOf(const WatchCreateRequest& request) {
  return request.key().empty() ? std::string(1, '\0') : request.key();
}

bool InRange(const WatchCreateRequest& request, const std::string& key) {
  const std::string& end = request.range_end();
  if (end.empty()) return key == KeyOf(request);
  return key >= KeyOf(request) && (end == std::string(1, '\0') || key < end);
}

}  // namespace

bool Matches(const WatchCreateRequest& request, const Event& event) {
  if (!InRange(request, event.kv().key())) return false;
  const int filter =
      event.type() == Event::PUT ? WatchCreateRequest::NOPUT : WatchCreateRequest::NODELETE;
  return std::find(request.filters().begin(), request.filters().end(), filter) ==
         request.filters().end();
}

void WatchHistory::Compact(int64_t revision, bool physical) {
  compacted_ = revision;
  physical_ = physical;
}

int64_t WatchHistory::newest() const {
  return events_.empty() ? 0 : events_.back().kv().mod_revision();
}

size_t WatchHistory::First(int64_t revision) const {
  const auto found = std::lower_bound(
      events_.begin(), events_.end(), revision,
      [](const Event& event, int64_t wanted) { return event.kv().mod_revision() < wanted; });
  return static_cast<size_t>(found - events_.begin());
}

bool WatchHistory::IsDropped(size_t index) const {
  const Event& event = events_[index];
  if (event.kv().mod_revision() != compacted_) return false;
  if (event.type() == Event::DELETE) return true;
  for (size_t later = index + 1; later < events_.size(); ++later) {
    if (events_[later].kv().mod_revision() != compacted_) break;
    if (events_[later].kv().key() == event.kv().key()) return true;
  }
  return false;
}

bool WatchHistory::MayDropAtCompacted() const {
  for (size_t i = First(compacted_); i < events_.size(); ++i) {
    if (events_[i].kv().mod_revision() != compacted_) break;
    if (IsDropped(i)) return true;
  }
  return false;
}

}  // namespace gavel::conformance
