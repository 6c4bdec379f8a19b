// Leader election: one of the candidates leads, the next one when it is gone.
//
//   Election election(client, *session, "schedulers");
//   Result<Fence> led = election.Campaign("10.0.0.7:9000");
//   client.kv().Commit(Txn().If(led->guard()).Then(...));   // only as long as it leads
//   election.Resign();
//
// Keys as etcd's: "name/" + lease in hexadecimal with the candidate's value; the oldest leads. So
// candidates and observers may be etcd's clients or use the servers' Election service. What is
// promised, and what not, is as of a mutex (mutex.h): who leads may be paused and not know that
// another does by now; the guard does.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "client/client.h"
#include "client/recipes/fence.h"
#include "client/recipes/wait_options.h"

namespace gavel::client::recipes {

// Who leads.
struct Leader {
  std::string key = {};
  std::string value = {};
  int64_t token = 0;         // Grows from leader to leader.
  int64_t mod_revision = 0;  // Grows when the same leader proclaims another value.
  int64_t lease = 0;

  Fence fence() const { return {.key = key, .token = token}; }
  friend bool operator==(const Leader&, const Leader&) = default;
};

// One session's candidacy. Not thread-safe. The Client must outlive it.
class Election {
 public:
  Election(const Client& client, Session session, std::string name);

  // Waits until it leads. Fails as Mutex::Lock does. Who leads already proclaims the value.
  Result<Fence> Campaign(std::string_view value, WaitOptions wait = {});
  // Another value for the same leadership. Reason::kNotHeld if it does not lead any more.
  Status Proclaim(std::string_view value, CallOptions options = {});
  // Lets the next one lead. Not leading is no error.
  Status Resign(CallOptions options = {});

  // What is led; none before Campaign and after Resign.
  const std::optional<Fence>& led() const { return led_; }

 private:
  const Kv kv_;
  const Watch watch_;
  const Session session_;
  const std::string prefix_;
  std::optional<Fence> led_;
};

// Who leads now, if anybody does.
Result<std::optional<Leader>> CurrentLeader(const Client& client, const std::string& name,
                                            CallOptions options = {});

// Tells of each leader, and of each value that one proclaims. Not thread-safe.
class ElectionObserver {
 public:
  ElectionObserver(const Client& client, const std::string& name);

  // Waits for the next one; the first is who leads already. What is followed by something newer
  // before it is asked for may be left out. Fails with kDeadline or kCancelled by the options,
  // after which it can be asked again, or with what the servers refuse.
  Result<Leader> Next(WaitOptions wait = {});

 private:
  Follower follower_;
  std::map<int64_t, Leader> candidates_;  // By token.
  std::map<std::string, int64_t> tokens_;
  bool listed_ = false;
  std::optional<Leader> told_;
};

}  // namespace gavel::client::recipes
