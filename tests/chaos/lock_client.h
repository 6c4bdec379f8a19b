// The ways in which contenders take their lock: the client library, or one of the two services.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "client/client.h"
#include "client/recipes/fence.h"

namespace gavel::chaos {

enum class LockWay {
  kMutex,     // client::recipes::Mutex.
  kLock,      // v3lockpb.Lock.
  kElection,  // v3electionpb.Election: who is elected holds the lock.
};

// What a command line calls it; nullopt if nothing is called so.
std::optional<LockWay> LockWayOf(const std::string& name);
const char* NameOf(LockWay way);

// One session's place among the contenders. Used by one thread.
class LockClient {
 public:
  virtual ~LockClient() = default;

  // Waits for the lock. nullopt: it is not held, or nobody knows.
  virtual std::optional<client::recipes::Fence> Take() = 0;
  // Says something as its holder, if that can be said in this way: false if it was not taken, or
  // nobody knows.
  virtual bool Proclaim(const std::string& what) = 0;
  // False if it may not have been given up.
  virtual bool GiveUp() = 0;
};

// Calls of services go to `member`, host:port. `client` and `session` must outlive it.
std::unique_ptr<LockClient> MakeLockClient(LockWay way, const client::Client& client,
                                           const client::Session& session,
                                           const std::string& member);

}  // namespace gavel::chaos
