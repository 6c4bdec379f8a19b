#include "tests/conformance/watch_receiver.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace gavel::conformance {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchResponse;

void WatchReceiver::Ask(const WatchCreateRequest& request, int64_t revision,
                        const WatchHistory& history) {
  Watch watch;
  watch.request = request;
  watch.start = request.start_revision() == 0 ? revision + 1 : request.start_revision();
  watch.doomed = watch.start < history.compacted();
  watch.counted = history.First(watch.start);
  if (drops_ && watch.start == history.compacted()) {
    for (size_t i = watch.counted; i < history.events().size(); ++i) {
      if (history.events()[i].kv().mod_revision() != watch.start) break;
      if (!history.IsDropped(i) && Matches(request, history.events()[i])) ++watch.expected;
      watch.counted = i + 1;
    }
  }
  asked_.push_back(std::move(watch));
}

void WatchReceiver::Receive(WatchResponse response) {
  const int64_t id = response.watch_id();
  events_ += response.events_size();
  if (response.created()) {
    ++created_;
    last_created_ = response;
    if (!asked_.empty()) {
      if (!response.canceled()) watches_[id] = std::move(asked_.front());
      asked_.pop_front();
    }
  } else if (response.canceled()) {
    watches_.erase(id);
  } else if (response.events_size() == 0 && id == -1) {
    ++progressed_;
  }
  const auto watch = watches_.find(id);
  if (watch != watches_.end()) watch->second.seen += response.events_size();
  received_.push_back(std::move(response));
}

bool WatchReceiver::has_future(int64_t revision) const {
  for (const auto& [id, watch] : watches_) {
    if (watch.request.start_revision() > revision) return true;
  }
  return false;
}

void WatchReceiver::Count(Watch& watch, const WatchHistory& history) const {
  // A watch of the future was asked for when its first event was not in the history yet.
  for (; watch.counted < history.events().size(); ++watch.counted) {
    const mvccpb::Event& event = history.events()[watch.counted];
    if (event.kv().mod_revision() >= watch.start && Matches(watch.request, event)) {
      ++watch.expected;
    }
  }
}

bool WatchReceiver::AtRest(int64_t id, const WatchHistory& history) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return true;
  Watch& watch = found->second;
  if (watch.doomed) return false;
  Count(watch, history);
  return watch.seen >= watch.expected;
}

bool WatchReceiver::AtRest(const WatchHistory& history) {
  if (!asked_.empty()) return false;
  for (const auto& [id, watch] : watches_) {
    if (!AtRest(id, history)) return false;
  }
  return true;
}

std::string WatchReceiver::Unrest(const WatchHistory& history) {
  std::string text;
  if (!asked_.empty()) absl::StrAppend(&text, asked_.size(), " create requests are not answered; ");
  for (const auto& [id, watch] : watches_) {
    if (AtRest(id, history)) continue;
    absl::StrAppend(&text, "watch ", id, " (", watch.request.ShortDebugString(), ") from revision ",
                    watch.start);
    if (watch.doomed) {
      absl::StrAppend(&text, ", which is compacted, is not canceled; ");
    } else {
      absl::StrAppend(&text, " has ", watch.seen, " of ", watch.expected, " events; ");
    }
  }
  return text;
}

bool WatchReceiver::IsDoomed(int64_t id) const {
  const auto found = watches_.find(id);
  return found != watches_.end() && found->second.doomed;
}

void WatchReceiver::ForgetEvents(int64_t id) {
  std::erase_if(received_, [&](const WatchResponse& response) {
    return response.watch_id() == id && !response.created() && !response.canceled();
  });
}

std::vector<WatchResponse> WatchReceiver::Take() { return std::exchange(received_, {}); }

}  // namespace gavel::conformance
