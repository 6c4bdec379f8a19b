// Watches: changes of keys as they happen, in order and without gaps.
//
//   Watcher watcher = client.watch().Start({.range = KeyRange::Prefix("config/")});
//   while (true) {
//     Result<WatchBatch> batch = watcher.Next();
//     if (!batch.ok()) break;   // Reason::kCompacted: list again, then watch on (client/follow.h).
//     for (const WatchEvent& event : batch->events) ...
//   }
//
// Promised over any number of members that fail and leaders that change: every change of the range
// from the first revision on comes exactly once, in the order of revisions, and all changes of one
// revision come in one batch. If history was given up before it was delivered, the watcher ends and
// says so; it never leaves something out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "client/pending.h"
#include "client/status.h"
#include "client/types.h"

namespace gavel::client {
namespace internal {
class Core;
struct WatcherHandle;
}  // namespace internal
class Follower;
struct FollowOptions;

enum class EventType : int { kPut = 0, kDelete = 1 };

// One change of one key.
struct WatchEvent {
  EventType type = EventType::kPut;
  KeyValue kv = {};  // Of a deletion: key and mod revision only.
  // What was there before; only if asked for, and if it is still in the history.
  std::optional<KeyValue> prev_kv = {};

  bool created() const { return type == EventType::kPut && kv.create_revision == kv.mod_revision; }
  friend bool operator==(const WatchEvent&, const WatchEvent&) = default;
};

// What one Next() gives: all matching changes of one revision or of several, or, with no events, a
// sign of progress: everything up to header.revision was delivered.
struct WatchBatch {
  ResponseHeader header = {};  // Of the member that told; its revision is at or above the events'.
  std::vector<WatchEvent> events = {};

  bool progress() const { return events.empty(); }
};

struct WatchOptions {
  KeyRange range = {};
  // The first revision of interest, in the past or in the future; 0: what comes after the watch was
  // created.
  int64_t start_revision = 0;
  bool prev_kv = false;
  bool no_put = false;
  bool no_delete = false;
  // Asks the server to tell of progress when nothing has changed for a while (etcd: 10 min). That
  // also moves a quiet watcher's next_revision() out of the way of compactions.
  bool progress_notify = false;

  // Leaves a member that has lost the leader for another. Without it, such a member is listened to
  // as long as the connection lives, while changes go on elsewhere.
  bool require_leader = true;
  // Only this endpoint; empty: any.
  std::string endpoint = {};
  // Without any connection for this long, the watcher ends with the reason why; 0: it never gives
  // up. Looked at each time that a connection fails.
  std::chrono::milliseconds unreachable_timeout{0};

  // What was received and not taken by Next() is bounded by this and one message more. Beyond it
  // the watcher gets a stream of its own, and that is not read on until half was taken.
  size_t buffer_bytes_max = 4 << 20;

  // Ends the watcher when stop is requested, like Cancel.
  std::stop_token stop = {};
};

// A watch under way. Letting go of it ends it. Thread-safe, but for moving it.
class Watcher {
 public:
  explicit Watcher(std::unique_ptr<internal::WatcherHandle> handle);
  Watcher(Watcher&&) noexcept;
  Watcher& operator=(Watcher&&) noexcept;
  ~Watcher();

  // Waits for the next batch. After an error, which is the end, each call gives it again:
  //   kCompacted     status().compact_revision() tells where history begins;
  //   kCancelled     by Cancel, the stop token or the end of the Client;
  //   anything else  what the server refused, or unreachable_timeout.
  // The pull form only: a watcher that was given a callback answers kInvalidOptions.
  Result<WatchBatch> Next();
  // One at a time; a second one before the first has ended gets kInvalidOptions. Cancelling it
  // loses nothing: the next one gets what comes.
  Pending<WatchBatch> NextAsync();

  // Waits until the server has taken the watch on. Gives the first revision of interest: whatever
  // changes from there on will be delivered.
  Result<int64_t> Created();
  Pending<int64_t> CreatedAsync();

  // Asks for a sign of progress, which comes as a batch without events, once the server has sent
  // everything to all watchers of the stream. Goes on asking, also elsewhere, until one came. etcd
  // before 3.4.31 (3.5.13) may answer ahead of events that are still to come.
  void RequestProgress();

  // The first revision that was not received in full: where another watcher would go on. What was
  // received and is still to be taken counts as received. 0 before the watch was created, if it
  // starts "now".
  int64_t next_revision() const;

  // Ends it with Reason::kCancelled. What was received before can still be taken.
  void Cancel();

 private:
  std::unique_ptr<internal::WatcherHandle> handle_;
};

// Thread-safe; a copy costs a pointer. Usable while its Client lives.
class Watch {
 public:
  // Called with each batch, and last with the error that ends the watcher, one call at a time, on
  // the Client's thread. While it runs nothing else of that Client does, so it must not block.
  using Callback = std::function<void(const Result<WatchBatch>&)>;

  explicit Watch(std::shared_ptr<internal::Core> core) : core_(std::move(core)) {}

  // Begins at once and never fails here: what is wrong with the options, or with the way to the
  // servers, is told by Next().
  Watcher Start(WatchOptions options) const;
  // The push form. The callback also runs for a watcher that was let go of, with kCancelled, so it
  // must own what it uses.
  Watcher Start(WatchOptions options, Callback callback) const;

  // The whole range first, and then its changes: client/follow.h.
  Follower Follow(FollowOptions options) const;

 private:
  std::shared_ptr<internal::Core> core_;
};

}  // namespace gavel::client
