// A range as it is and as it changes: the whole list first, then every change after it.
//
//   Follower follower = client.watch().Follow({.range = KeyRange::Prefix("services/")});
//   std::map<std::string, std::string> known;
//   while (true) {
//     Result<FollowBatch> batch = follower.Next();
//     if (!batch.ok()) break;
//     if (batch->restarted) known.clear();
//     for (KeyValue& kv : batch->rows) known[kv.key] = kv.value;
//     for (WatchEvent& event : batch->events) ...
//   }
//
// What was listed and what changed fit together without a gap and without overlap. If history is
// given up before it was followed, the list begins anew, and says so.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "client/pending.h"
#include "client/status.h"
#include "client/types.h"
#include "client/watch.h"

namespace gavel::client {
namespace internal {
class FollowState;
}

struct FollowOptions {
  KeyRange range = {};
  bool prev_kv = false;  // Of changes.
  // As of a watcher.
  bool require_leader = true;
  std::string endpoint = {};
  // For the list, counted from its last chunk or its beginning; for what follows, as of a watcher.
  std::chrono::milliseconds unreachable_timeout{0};
  size_t buffer_bytes_max = 4 << 20;
  std::stop_token stop = {};
};

// Rows of the list, or changes; never both.
struct FollowBatch {
  // The list begins: what was known before counts no more. True for the first batch.
  bool restarted = false;
  // The list is complete with this batch: what was received is the range at `revision`.
  bool complete = false;
  int64_t revision = 0;  // Of the list, or of the last change.
  std::vector<KeyValue> rows = {};
  std::vector<WatchEvent> events = {};
};

// Letting go of it ends it. Thread-safe, but for moving it.
class Follower {
 public:
  explicit Follower(std::shared_ptr<internal::FollowState> state);
  Follower(Follower&&) noexcept;
  Follower& operator=(Follower&&) noexcept;
  ~Follower();

  // Waits for the next batch. Ends as a watcher does, but never with kCompacted: kCancelled, or
  // what the server refused, or unreachable_timeout.
  Result<FollowBatch> Next();
  // One at a time. Cancelling it loses nothing: the next one gets what comes.
  Pending<FollowBatch> NextAsync();

  // Ends it with Reason::kCancelled.
  void Cancel();

 private:
  std::shared_ptr<internal::FollowState> state_;
};

}  // namespace gavel::client
