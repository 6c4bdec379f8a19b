#include "client/recipes/semaphore.h"

#include <set>
#include <utility>

#include "client/recipes/waiting.h"

namespace gavel::client::recipes {
namespace {

// Waits until fewer than `limit` keys are older than the own one.
Status UntilAmongFirst(const Kv& kv, const Watch& watch, const Waiting& waiting,
                       const KeyRange& range, int64_t limit, int64_t create_revision) {
  while (true) {
    const Result<RangeResponse> older = waiting.Range(
        kv, {.range = range, .keys_only = true, .max_create_revision = create_revision - 1});
    if (!older.ok()) return older.status();
    // Nobody can join those who are older, so it is enough to see them leave.
    std::set<std::string> ahead;
    for (const KeyValue& kv_ahead : older->kvs) ahead.insert(kv_ahead.key);
    if (static_cast<int64_t>(ahead.size()) < limit) return Status();
    Watcher watcher =
        watch.Start({.range = range, .start_revision = older->header.revision + 1, .no_put = true});
    Status status;
    while (static_cast<int64_t>(ahead.size()) >= limit && status.ok()) {
      const Result<WatchBatch> batch = waiting.Await(watcher.NextAsync());
      status = batch.status();
      if (!batch.ok()) break;
      for (const WatchEvent& event : batch->events) ahead.erase(event.kv.key);
    }
    // After a gap it is looked at anew.
    if (status.ok() || status.reason() != Reason::kCompacted) return status;
  }
}

}  // namespace

Semaphore::Semaphore(const Client& client, Session session, std::string name, int64_t limit)
    : kv_(client.kv()),
      watch_(client.watch()),
      session_(std::move(session)),
      prefix_(std::move(name) + "/"),
      limit_(limit) {}

Result<Fence> Semaphore::Acquire(WaitOptions wait) {
  if (limit_ < 1) {
    return Status(Code::kInvalidArgument, ErrorClass::kRejected, Reason::kInvalidOptions,
                  "the limit of a semaphore is at least 1");
  }
  const Waiting waiting(std::move(wait), &session_);
  if (auto already = HeldAlready(kv_, waiting, &held_)) return *std::move(already);
  Result<Fence> held =
      HoldInTurn(kv_, waiting, KeyOfSession(prefix_, session_), "", [&](const OwnKey& own) {
        return UntilAmongFirst(kv_, watch_, waiting, KeyRange::Prefix(prefix_), limit_,
                               own.create_revision);
      });
  if (held.ok()) held_ = *held;
  return held;
}

Status Semaphore::Release(CallOptions options) {
  return ReleaseHeld(kv_, &held_, std::move(options));
}

}  // namespace gavel::client::recipes
