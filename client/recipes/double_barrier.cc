#include "client/recipes/double_barrier.h"

#include <algorithm>
#include <map>
#include <utility>

#include "client/recipes/waiting.h"

namespace gavel::client::recipes {
namespace {

// Who is in, by key, and whether "ready" was told. All processes see the same history, so that all
// agree on the moment at which everybody was in.
class Waiters {
 public:
  // As it looked at a revision at or after `own`, the one at which this one came.
  Waiters(const RangeResponse& listed, std::string prefix, std::string ready, int64_t own)
      : prefix_(std::move(prefix)), ready_(std::move(ready)) {
    for (const KeyValue& row : listed.kvs) {
      if (row.key.starts_with(prefix_)) in_[row.key] = row.create_revision;
      if (row.key == ready_) last_ready_ = row.mod_revision;
    }
    told_ready_ = last_ready_ > own;
  }

  void Add(const WatchEvent& event) {
    if (event.kv.key == ready_) {
      told_ready_ |= event.type == EventType::kPut;
    } else if (event.kv.key.starts_with(prefix_)) {
      if (event.type == EventType::kPut) {
        in_[event.kv.key] = event.kv.create_revision;
      } else {
        in_.erase(event.kv.key);
      }
    }
  }

  bool Complete(int64_t count) const {
    return told_ready_ || static_cast<int64_t>(in_.size()) >= count;
  }
  bool told_ready() const { return told_ready_; }
  // Somebody who was in when all were has not left yet.
  bool under_way() const {
    return std::any_of(in_.begin(), in_.end(),
                       [&](const auto& waiter) { return waiter.second < last_ready_; });
  }
  int64_t older_than(int64_t revision) const {
    return std::count_if(in_.begin(), in_.end(),
                         [&](const auto& waiter) { return waiter.second < revision; });
  }
  int64_t newest() const {
    int64_t newest = 0;
    for (const auto& [key, revision] : in_) newest = std::max(newest, revision);
    return newest;
  }

 private:
  const std::string prefix_;
  const std::string ready_;
  std::map<std::string, int64_t> in_;
  int64_t last_ready_ = 0;
  bool told_ready_ = false;
};

}  // namespace

DoubleBarrier::DoubleBarrier(const Client& client, Session session, std::string name, int64_t count)
    : kv_(client.kv()),
      watch_(client.watch()),
      session_(std::move(session)),
      name_(std::move(name)),
      waiters_(name_ + "/waiters/"),
      count_(count) {}

Status DoubleBarrier::Enter(WaitOptions wait) {
  if (count_ < 1) {
    return Status(Code::kInvalidArgument, ErrorClass::kRejected, Reason::kInvalidOptions,
                  "the count of a double barrier is at least 1");
  }
  if (own_) {
    return Status(Code::kInvalidArgument, ErrorClass::kRejected, Reason::kInvalidOptions,
                  "this double barrier was entered already; leave it first");
  }
  const Waiting waiting(std::move(wait), &session_);
  const std::string key = KeyOfSession(waiters_, session_);
  Result<Fence> in = HoldInTurn(kv_, waiting, key, "", [&](const OwnKey& own) {
    const Result<int64_t> newest = UntilAllAreIn(waiting, own);
    if (newest.ok()) newest_ = *newest;
    return newest.status();
  });
  if (!in.ok()) return in.status();
  own_ = *std::move(in);
  return Status();
}

Result<int64_t> DoubleBarrier::UntilAllAreIn(const Waiting& waiting, const OwnKey& own) const {
  const std::string ready = name_ + "/ready";
  const KeyRange all = KeyRange::Prefix(name_ + "/");
  // Looked at from the moment on at which this one came; after a gap, as it is now.
  int64_t revision = own.create_revision;
  while (true) {
    const Result<RangeResponse> listed =
        waiting.Range(kv_, {.range = all, .revision = revision, .keys_only = true});
    if (!listed.ok() && listed.status().reason() != Reason::kCompacted) return listed.status();
    if (!listed.ok()) {
      revision = 0;
      continue;
    }
    if (revision == 0) revision = listed->header.revision;
    Waiters waiters(*listed, waiters_, ready, own.create_revision);
    if (waiters.told_ready()) return waiters.newest();
    const int64_t older = waiters.older_than(own.create_revision);
    if (older >= count_ || waiters.under_way()) {
      return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kHeld,
                    "others are in the double barrier; it begins anew when they have left");
    }
    // The last one tells etcd's clients, who wait for that alone.
    if (older == count_ - 1) {
      Txn tell;
      tell.Then(PutRequest{.key = ready});
      const Result<TxnResponse> told = waiting.Commit(kv_, tell);
      if (!told.ok()) return told.status();
    }
    Watcher watcher = watch_.Start({.range = all, .start_revision = revision + 1});
    Status status;
    while (!waiters.Complete(count_) && status.ok()) {
      const Result<WatchBatch> batch = waiting.Await(watcher.NextAsync());
      status = batch.status();
      if (!batch.ok()) break;
      for (const WatchEvent& event : batch->events) {
        if (!waiters.Complete(count_)) waiters.Add(event);
      }
    }
    if (status.ok()) return waiters.newest();
    if (status.reason() != Reason::kCompacted) return status;
    revision = 0;
  }
}

Status DoubleBarrier::Leave(WaitOptions wait) {
  if (!own_) return NotHeld("nobody leaves a double barrier who has not entered");
  const Waiting waiting(std::move(wait), nullptr);
  Txn leave;
  leave.If(own_->guard()).Then(DeleteRequest{.range = own_->key});
  const Result<TxnResponse> left = waiting.Commit(kv_, leave);
  if (!left.ok()) return left.status();
  Status status = UntilFirst(kv_, watch_, waiting, KeyRange::Prefix(waiters_), newest_ + 1);
  if (!status.ok()) return status;
  own_.reset();
  // For the next time; if somebody is in already, "ready" is theirs.
  Txn clear;
  clear.If(Compare::CreateRevision(KeyRange::Prefix(waiters_)).Equal(0))
      .Then(DeleteRequest{.range = name_ + "/ready"});
  return waiting.Commit(kv_, clear).status();
}

}  // namespace gavel::client::recipes
