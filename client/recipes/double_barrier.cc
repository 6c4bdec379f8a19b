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
  Waiters(const RangeResponse& listed, std::string ready) : ready_(std::move(ready)) {
    for (const KeyValue& row : listed.kvs) in_[row.key] = row.create_revision;
  }

  void Add(const WatchEvent& event, const std::string& prefix) {
    if (event.kv.key == ready_) {
      told_ready_ |= event.type == EventType::kPut;
    } else if (event.kv.key.starts_with(prefix)) {
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
  int64_t newest() const {
    int64_t newest = 0;
    for (const auto& [key, revision] : in_) newest = std::max(newest, revision);
    return newest;
  }

 private:
  const std::string ready_;
  std::map<std::string, int64_t> in_;
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
  const Waiting waiting(wait, &session_);
  const Result<OwnKey> own =
      PutOwnKey(kv_, waiting, KeyOfSession(waiters_, session_), "", session_);
  if (!own.ok()) return own.status();
  const Result<int64_t> newest = UntilAllAreIn(own->fence(), own->revision, std::move(wait));
  if (!newest.ok()) {
    static_cast<void>(DeleteOwnKey(kv_, own->fence()));
    return newest.status();
  }
  own_ = own->fence();
  newest_ = *newest;
  return Status();
}

Result<int64_t> DoubleBarrier::UntilAllAreIn(const Fence& own, int64_t revision,
                                             WaitOptions wait) const {
  const Waiting waiting(std::move(wait), &session_);
  const std::string ready = name_ + "/ready";
  while (true) {
    const Result<RangeResponse> listed = waiting.Range(
        kv_, {.range = KeyRange::Prefix(waiters_), .revision = revision, .keys_only = true});
    if (!listed.ok() && listed.status().reason() != Reason::kCompacted) return listed.status();
    if (!listed.ok()) {
      revision = 0;
      continue;
    }
    Waiters waiters(*listed, ready);
    const int64_t older =
        std::count_if(listed->kvs.begin(), listed->kvs.end(),
                      [&](const KeyValue& row) { return row.create_revision < own.token; });
    if (older >= count_) {
      return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kHeld,
                    std::to_string(count_) + " others are in the double barrier");
    }
    // The last one tells etcd's clients, who wait for that alone.
    if (older == count_ - 1) {
      Txn tell;
      tell.Then(PutRequest{.key = ready});
      const Result<TxnResponse> told = waiting.Commit(kv_, tell);
      if (!told.ok()) return told.status();
    }
    if (revision == 0) revision = listed->header.revision;
    Watcher watcher =
        watch_.Start({.range = KeyRange::Prefix(name_ + "/"), .start_revision = revision + 1});
    Status status;
    while (!waiters.Complete(count_) && status.ok()) {
      const Result<WatchBatch> batch = waiting.Await(watcher.NextAsync());
      status = batch.status();
      if (!batch.ok()) break;
      for (const WatchEvent& event : batch->events) {
        if (!waiters.Complete(count_)) waiters.Add(event, waiters_);
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
