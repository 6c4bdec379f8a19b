// A lock that many may read under, or one may write under; first come, first served.
//
// The keys are those of etcd's recipe: "name/read/..." and "name/write/...", here with the lease in
// hexadecimal at the end. A reader waits for the writers that came before it, a writer for
// everybody that did, so neither starves. What is promised, and what not, is as of a mutex
// (mutex.h).
#pragma once

#include <optional>
#include <string>

#include "client/client.h"
#include "client/recipes/fence.h"
#include "client/recipes/wait_options.h"

namespace gavel::client::recipes {

// One session's hold on one lock, for reading or for writing. Not thread-safe. The Client must
// outlive it.
class RwLock {
 public:
  RwLock(const Client& client, Session session, std::string name);

  // Fail as Mutex::Lock does. Whoever holds it already, either way, gets kInvalidOptions: a reader
  // that becomes a writer would wait for itself.
  Result<Fence> LockForReading(WaitOptions wait = {});
  Result<Fence> LockForWriting(WaitOptions wait = {});
  // As Mutex::Unlock.
  Status Unlock(CallOptions options = {});

  const std::optional<Fence>& held() const { return held_; }

 private:
  Result<Fence> Lock(const std::string& own_prefix, const std::string& wait_for, WaitOptions wait);

  const Kv kv_;
  const Watch watch_;
  const Session session_;
  const std::string prefix_;
  std::optional<Fence> held_;
};

}  // namespace gavel::client::recipes
