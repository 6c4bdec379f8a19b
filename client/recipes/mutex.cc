#include "client/recipes/mutex.h"

#include <utility>

#include "client/recipes/waiting.h"

namespace gavel::client::recipes {

Mutex::Mutex(const Client& client, Session session, std::string name)
    : kv_(client.kv()),
      watch_(client.watch()),
      session_(std::move(session)),
      prefix_(std::move(name) + "/") {}

Result<Fence> Mutex::Lock(WaitOptions wait) {
  const Waiting waiting(std::move(wait), &session_);
  if (auto already = HeldAlready(kv_, waiting, &held_)) return *std::move(already);
  Result<Fence> held =
      HoldInTurn(kv_, waiting, KeyOfSession(prefix_, session_), "", [&](const OwnKey& own) {
        return UntilFirst(kv_, watch_, waiting, KeyRange::Prefix(prefix_), own.create_revision);
      });
  if (held.ok()) held_ = *held;
  return held;
}

Result<Fence> Mutex::TryLock(WaitOptions wait) {
  const Waiting waiting(std::move(wait), &session_);
  if (auto already = HeldAlready(kv_, waiting, &held_)) return *std::move(already);
  const std::string key = KeyOfSession(prefix_, session_);
  const RangeRequest oldest{.range = KeyRange::Prefix(prefix_),
                            .limit = 1,
                            .sort_order = SortOrder::kAscend,
                            .sort_target = SortTarget::kCreate,
                            .keys_only = true};
  // Only if there is no key at all, so that a failure leaves nothing behind.
  Txn txn;
  txn.If(Compare::CreateRevision(KeyRange::Prefix(prefix_)).Equal(0))
      .Then(PutRequest{.key = key, .lease = session_.lease()})
      .Else(oldest);
  const Result<TxnResponse> response = waiting.Create(kv_, txn, key);
  if (!response.ok()) return response.status();
  Fence own{.key = key, .token = response->header.revision};
  if (!response->succeeded) {
    const RangeResponse* found =
        response->responses.empty() ? nullptr : response->responses[0].range();
    if (!found || found->kvs.empty() || found->kvs[0].key != key) {
      return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kHeld,
                    "the lock is held by another");
    }
    own.token = found->kvs[0].create_revision;
  }
  if (Status over = waiting.Check(); !over.ok()) {
    waiting.GiveUp(kv_, key);
    return over;
  }
  held_ = own;
  return own;
}

Status Mutex::Unlock(CallOptions options) { return ReleaseHeld(kv_, &held_, std::move(options)); }

}  // namespace gavel::client::recipes
