// A lock: at most one session holds it, first come, first served.
//
//   Result<Session> session = client.lease().Open({.ttl = std::chrono::seconds(10)});
//   Mutex mutex(client, *session, "locks/report");
//   Result<Fence> held = mutex.Lock();
//   client.kv().Commit(Txn().If(held->guard()).Then(PutRequest{.key = "report", ...}));
//   mutex.Unlock();
//
// The keys are etcd's: "name/" + lease in hexadecimal, the oldest holds. So it excludes, and waits
// for, locks of etcd's clients and of the servers' Lock service too.
//
// What it promises: of all sessions that the cluster knows of, one holds the lock at a time; tokens
// of successive holders grow. What it cannot promise: that a holder knows at once that it has lost
// the lock. See fence.h for what helps.
#pragma once

#include <optional>
#include <string>

#include "client/client.h"
#include "client/recipes/fence.h"
#include "client/recipes/wait_options.h"

namespace gavel::client::recipes {

// One session's hold on one lock. Not thread-safe; two of the same session and name are one holder.
// The Client must outlive it.
class Mutex {
 public:
  Mutex(const Client& client, Session session, std::string name);

  // Waits until the lock is held. Fails with kLeaseLost if the session ends, with kDeadline or
  // kCancelled by the options; the place in the queue is then given up. Holding it already is a
  // success.
  Result<Fence> Lock(WaitOptions wait = {});
  // Takes the lock if nobody has it; otherwise Reason::kHeld, and nothing is left behind.
  Result<Fence> TryLock(WaitOptions wait = {});
  // Gives it up. If that cannot be done, the lock is held until the session ends. Not holding it is
  // no error.
  Status Unlock(CallOptions options = {});

  // What is held; none before Lock and after Unlock. That it was lost since is not known here: ask
  // the session, or use the guard.
  const std::optional<Fence>& held() const { return held_; }

 private:
  const Kv kv_;
  const Watch watch_;
  const Session session_;
  const std::string prefix_;
  std::optional<Fence> held_;
};

}  // namespace gavel::client::recipes
