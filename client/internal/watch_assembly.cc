#include "client/internal/watch_assembly.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "client/internal/convert.h"

namespace gavel::client::internal {

WatchAssembly::WatchAssembly(int64_t start_revision)
    : next_revision_(start_revision), floor_(start_revision) {}

void WatchAssembly::OnCreated(int64_t server_revision) {
  if (next_revision_ != 0) return;
  next_revision_ = server_revision + 1;
  floor_ = next_revision_;
}

std::vector<WatchEvent> WatchAssembly::TakeEvents(etcdserverpb::WatchResponse* response) {
  for (mvccpb::Event& message : *response->mutable_events()) {
    if (message.kv().mod_revision() < floor_) continue;
    partial_.push_back(FromProto(&message));
  }
  if (partial_.empty()) return {};
  // Revisions come in order, so only the last one of a fragment can be incomplete.
  auto complete = partial_.end();
  if (response->fragment()) {
    const int64_t last = partial_.back().kv.mod_revision;
    complete = std::find_if(partial_.begin(), partial_.end(),
                            [&](const WatchEvent& event) { return event.kv.mod_revision == last; });
    if (complete == partial_.begin()) return {};
  }
  std::vector<WatchEvent> events(std::make_move_iterator(partial_.begin()),
                                 std::make_move_iterator(complete));
  partial_.erase(partial_.begin(), complete);
  floor_ = events.back().kv.mod_revision + 1;
  next_revision_ = std::max(next_revision_, floor_);
  return events;
}

void WatchAssembly::OnProgress(int64_t revision) {
  next_revision_ = std::max(next_revision_, revision + 1);
}

size_t BytesOf(const WatchEvent& event) {
  size_t bytes = sizeof event + event.kv.key.size() + event.kv.value.size();
  if (event.prev_kv) bytes += event.prev_kv->key.size() + event.prev_kv->value.size();
  return bytes;
}

}  // namespace gavel::client::internal
