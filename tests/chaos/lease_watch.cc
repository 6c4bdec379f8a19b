#include "tests/chaos/lease_watch.h"

#include <utility>

namespace gavel::chaos {
namespace {

constexpr char kLeasePrefix[] = "leased/";

}  // namespace

std::string LeaseKey(size_t lease) { return kLeasePrefix + std::to_string(lease); }

int64_t MonotonicNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

LeaseWatch::LeaseWatch(const client::Client& client, int64_t leases)
    : state_(std::make_shared<State>()) {
  state_->gone_at.resize(static_cast<size_t>(leases));
  watcher_ = client.watch().Start(
      {.range = client::KeyRange::Prefix(kLeasePrefix), .no_put = true},
      [state = state_](const client::Result<client::WatchBatch>& batch) {
        const int64_t now = MonotonicNs();
        std::lock_guard lock(state->mutex);
        if (!batch.ok()) {
          state->error = batch.status().ToString();
        } else {
          for (const client::WatchEvent& event : batch->events) {
            const std::string number = event.kv.key.substr(sizeof kLeasePrefix - 1);
            int64_t& at = state->gone_at.at(std::stoul(number));
            state->gone += at == 0;
            at = now;
          }
        }
        state->changed.notify_all();
      });
  static_cast<void>(watcher_->Created());
}

bool LeaseWatch::AwaitGone(int64_t count, std::chrono::milliseconds limit) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, limit, [&] { return state_->gone >= count; });
}

int64_t LeaseWatch::gone() const {
  std::lock_guard lock(state_->mutex);
  return state_->gone;
}

int64_t LeaseWatch::gone_at(size_t lease) const {
  std::lock_guard lock(state_->mutex);
  return state_->gone_at.at(lease);
}

std::string LeaseWatch::error() const {
  std::lock_guard lock(state_->mutex);
  return state_->error;
}

}  // namespace gavel::chaos
