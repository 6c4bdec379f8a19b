#include "client/recipes/rw_lock.h"

#include <utility>

#include "client/recipes/waiting.h"

namespace gavel::client::recipes {

RwLock::RwLock(const Client& client, Session session, std::string name)
    : kv_(client.kv()),
      watch_(client.watch()),
      session_(std::move(session)),
      prefix_(std::move(name) + "/") {}

Result<Fence> RwLock::LockForReading(WaitOptions wait) {
  return Lock(prefix_ + "read/", prefix_ + "write/", std::move(wait));
}

Result<Fence> RwLock::LockForWriting(WaitOptions wait) {
  return Lock(prefix_ + "write/", prefix_, std::move(wait));
}

Result<Fence> RwLock::Lock(const std::string& own_prefix, const std::string& wait_for,
                           WaitOptions wait) {
  if (held_) {
    return Status(Code::kInvalidArgument, ErrorClass::kRejected, Reason::kInvalidOptions,
                  "this lock is held already; unlock it first");
  }
  const Waiting waiting(std::move(wait), &session_);
  Result<Fence> held =
      HoldInTurn(kv_, waiting, KeyOfSession(own_prefix, session_), "", [&](const OwnKey& own) {
        return UntilFirst(kv_, watch_, waiting, KeyRange::Prefix(wait_for), own.create_revision);
      });
  if (held.ok()) held_ = *held;
  return held;
}

Status RwLock::Unlock(CallOptions options) { return ReleaseHeld(kv_, &held_, std::move(options)); }

}  // namespace gavel::client::recipes
