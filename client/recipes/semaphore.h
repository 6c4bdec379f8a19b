// A counting semaphore: at most so many sessions hold it, first come, first served.
//
// Keys are "name/" + lease in hexadecimal; the oldest `limit` of them hold. Everybody must name the
// same limit: with different ones, each is right by its own. A mutex is the same with a limit of 1.
// What is promised, and what not, is as of a mutex (mutex.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/client.h"
#include "client/recipes/fence.h"
#include "client/recipes/wait_options.h"

namespace gavel::client::recipes {

// One session's hold on one semaphore. Not thread-safe. The Client must outlive it.
class Semaphore {
 public:
  // Requires: limit > 0; otherwise Acquire answers kInvalidOptions.
  Semaphore(const Client& client, Session session, std::string name, int64_t limit);

  // Fails as Mutex::Lock does. Holding it already is a success.
  Result<Fence> Acquire(WaitOptions wait = {});
  // As Mutex::Unlock.
  Status Release(CallOptions options = {});

  const std::optional<Fence>& held() const { return held_; }

 private:
  const Kv kv_;
  const Watch watch_;
  const Session session_;
  const std::string prefix_;
  const int64_t limit_;
  std::optional<Fence> held_;
};

}  // namespace gavel::client::recipes
