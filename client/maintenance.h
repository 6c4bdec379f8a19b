// The maintenance service: looking at single members and keeping them well.
//
// What concerns one member takes its endpoint (host:port, which need not be one of the client's);
// an empty one means any. Such a call goes to no other endpoint.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/options.h"
#include "client/pending.h"
#include "client/snapshot_stream.h"
#include "client/status.h"
#include "client/types.h"

namespace gavel::client {
namespace internal {
class Core;
}

// Servers may know more of them.
enum class AlarmType : int { kNone = 0, kNoSpace = 1, kCorrupt = 2 };
// As etcd writes it: NOSPACE, CORRUPT; another one as its number.
std::string AlarmName(AlarmType type);

struct Alarm {
  uint64_t member_id = 0;
  AlarmType type = AlarmType::kNone;
  friend bool operator==(const Alarm&, const Alarm&) = default;
};

struct AlarmResponse {
  ResponseHeader header = {};
  std::vector<Alarm> alarms = {};
};

struct StatusResponse {
  ResponseHeader header = {};
  std::string version = {};
  int64_t db_size = 0;
  uint64_t leader = 0;  // 0: none known.
  uint64_t raft_index = 0;
  uint64_t raft_term = 0;
  uint64_t raft_applied_index = 0;
  std::vector<std::string> errors = {};
  int64_t db_size_in_use = 0;
  bool is_learner = false;
  std::string storage_version = {};
  int64_t db_size_quota = 0;
  bool downgrade_enabled = false;
  std::string downgrade_target_version = {};
};

struct HashResponse {
  ResponseHeader header = {};
  uint32_t hash = 0;
};

struct HashKvResponse {
  ResponseHeader header = {};
  uint32_t hash = 0;
  int64_t compact_revision = 0;
  int64_t hash_revision = 0;  // The revision that was hashed; 0 from servers before 3.6.
};

struct DefragmentResponse {
  ResponseHeader header = {};
};

struct MoveLeaderResponse {
  ResponseHeader header = {};
};

// A member is healthy if a linearizable read through it succeeds and no alarm is raised.
struct HealthResponse {
  bool healthy = false;
  std::chrono::microseconds took{0};
  std::string error = {};          // Why not.
  std::vector<Alarm> alarms = {};  // Of the whole cluster.
};

// Thread-safe; a copy costs a pointer.
class Maintenance {
 public:
  explicit Maintenance(std::shared_ptr<internal::Core> core) : core_(std::move(core)) {}

  Result<StatusResponse> Status(std::string endpoint = {}, CallOptions options = {}) const;
  Pending<StatusResponse> StatusAsync(std::string endpoint = {}, CallOptions options = {}) const;

  // The hash of all keys and their history up to `revision` (0: the newest); equal on members
  // that hold the same.
  Result<HashKvResponse> HashKv(std::string endpoint = {}, int64_t revision = 0,
                                CallOptions options = {}) const;
  Pending<HashKvResponse> HashKvAsync(std::string endpoint = {}, int64_t revision = 0,
                                      CallOptions options = {}) const;

  // The hash of all that a member stores.
  Result<HashResponse> Hash(std::string endpoint = {}, CallOptions options = {}) const;
  Pending<HashResponse> HashAsync(std::string endpoint = {}, CallOptions options = {}) const;

  // Has a member give the space of what was deleted back to its disk. etcd's members serve nobody
  // meanwhile; Gavel's answer at once, and do it beside their other work.
  Result<DefragmentResponse> Defragment(std::string endpoint = {}, CallOptions options = {}) const;
  Pending<DefragmentResponse> DefragmentAsync(std::string endpoint = {},
                                              CallOptions options = {}) const;

  // Has the leader hand over to the member `target`, and waits until that one leads. `endpoint`
  // must be the leader's.
  Result<MoveLeaderResponse> MoveLeader(uint64_t target, std::string endpoint = {},
                                        CallOptions options = {}) const;
  Pending<MoveLeaderResponse> MoveLeaderAsync(uint64_t target, std::string endpoint = {},
                                              CallOptions options = {}) const;

  // All that a member holds, for a backup. An empty endpoint means any member.
  SnapshotStream Snapshot(std::string endpoint = {}, CallOptions options = {}) const;

  // All alarms of the cluster.
  Result<AlarmResponse> Alarms(CallOptions options = {}) const;
  Pending<AlarmResponse> AlarmsAsync(CallOptions options = {}) const;
  // Raises an alarm for a member, or ends it; the answer has the alarm. Member id 0 with kNone ends
  // all, one after the other; if one fails, those before have ended.
  Result<AlarmResponse> ActivateAlarm(Alarm alarm, CallOptions options = {}) const;
  Result<AlarmResponse> DeactivateAlarm(Alarm alarm, CallOptions options = {}) const;
  Pending<AlarmResponse> ActivateAlarmAsync(Alarm alarm, CallOptions options = {}) const;
  Pending<AlarmResponse> DeactivateAlarmAsync(Alarm alarm, CallOptions options = {}) const;

  // Asks one endpoint whether it can serve. Never fails: what went wrong is in the response. A
  // permission that is denied counts as healthy, since the member answered.
  HealthResponse Health(std::string endpoint, CallOptions options = {}) const;
  // The same; the Result is always a response.
  Pending<HealthResponse> HealthAsync(std::string endpoint, CallOptions options = {}) const;

 private:
  std::shared_ptr<internal::Core> core_;
};

}  // namespace gavel::client
