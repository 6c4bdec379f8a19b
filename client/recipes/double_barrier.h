// A double barrier: so many processes begin together, and end together.
//
// Keys as in etcd's recipe: "name/waiters/..." for everybody who is in, "name/ready" once all were.
// Who dies before all were in is not counted any more when its session ends; who dies inside does
// not hold the others back longer than that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/client.h"
#include "client/recipes/fence.h"
#include "client/recipes/wait_options.h"

namespace gavel::client::recipes {

class Waiting;
struct OwnKey;

// One session's part in it. Not thread-safe. The Client must outlive it.
class DoubleBarrier {
 public:
  // Requires: count > 0; otherwise Enter answers kInvalidOptions. All must name the same count.
  DoubleBarrier(const Client& client, Session session, std::string name, int64_t count);

  // Waits until `count` sessions have entered. kHeld if so many have without this one, and while
  // some of them are in; kLeaseLost, kDeadline or kCancelled as of a mutex. Nothing is left behind
  // by a failure. kInvalidOptions if it has entered already.
  Status Enter(WaitOptions wait = {});
  // Waits until all that entered together have left, or their sessions have ended. kNotHeld without
  // Enter. After another failure this one has left; asking again waits for the others.
  Status Leave(WaitOptions wait = {});

 private:
  Result<int64_t> UntilAllAreIn(const Waiting& waiting, const OwnKey& own) const;

  const Kv kv_;
  const Watch watch_;
  const Session session_;
  const std::string name_;
  const std::string waiters_;
  const int64_t count_;
  std::optional<Fence> own_;
  int64_t newest_ = 0;  // Create revision of the last that entered with this one.
};

}  // namespace gavel::client::recipes
