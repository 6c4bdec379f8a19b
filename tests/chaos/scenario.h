// What one run of gavel_chaos is asked to do. Each returns what went wrong, in words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/chaos/cluster.h"

namespace gavel::chaos {

struct ScenarioOptions {
  ClusterOptions cluster;
  uint64_t seed = 0;
  int64_t count = 0;  // What was said with the scenario's own option: cycles, contenders, ...
  // Only where a scenario says so.
  std::string unsynced_server;  // A server that was built to skip its syncs.
  std::string previous_server;  // One that knows one semantics version less.
  int seconds = 20;
  int clients = 20;
  int kills = 1;        // Of leaders.
  bool strict = false;  // Judges times and memory too, which needs a machine of its own.
};

// Kills one member, a quorum or all at once with SIGKILL under load, `count` times; of three times
// or more each comes once at least.
std::vector<std::string> RunKills(const ScenarioOptions& options);

// Cuts the power of one member, of a quorum or of all under load, `count` times, in the same way:
// at any moment, at a chosen call on a file, or during the start after the cut before.
std::vector<std::string> RunPowerCuts(const ScenarioOptions& options);

// Lets members miss so much that they need a snapshot, and kills them `count` times while they get
// it: each must come back whole, and nothing be lost.
std::vector<std::string> RunSnapshots(const ScenarioOptions& options);

// Upgrades a cluster of `previous_server`s one by one, to a build that holds back, and takes it
// back, `count` times; then for good. Members agree on the newer version only then, and the older
// build says why it does not open what they have.
std::vector<std::string> RunUpgrades(const ScenarioOptions& options);

// Lets every sync of every disk lie, or takes a server that was built to skip its syncs, and cuts
// the power of all. Something is wrong if no acknowledged write is found to be lost within three
// cuts: then nothing that the power cuts find, or do not find, means anything.
std::vector<std::string> RunLyingSyncs(const ScenarioOptions& options);

// Lets a sync of one member fail at `count` of its call sites, or at all of them if that is 0,
// those where it receives a snapshot, cuts its log and joins a cluster among them: the member ends
// with a message, the others go on, and it comes back without loss.
std::vector<std::string> RunFailingSyncs(const ScenarioOptions& options);

// Lets `count` processes contend for one lock for `seconds`, kills and stops them, most of all the
// one that holds it, and members too. No write that is guarded by a stale token may succeed
// (fencing.h).
std::vector<std::string> RunLocks(const ScenarioOptions& options);
// The same over the lock service of any member, and over its election service: there observers are
// told who leads besides (leaders.h).
std::vector<std::string> RunServiceLocks(const ScenarioOptions& options);
std::vector<std::string> RunElections(const ScenarioOptions& options);

// Keeps `count` leases alive, each with a key, by `clients` clients for `seconds`, while leaders
// are killed `kills` times. None may be lost. Then renewals end, another leader is killed, and each
// lease must end neither before its TTL nor long after TTL and failover (lease_times.h): 1 s, and
// unless strict three times the longest that a put takes meanwhile.
std::vector<std::string> RunLeases(const ScenarioOptions& options);

// Lets `count` leases with a key each, granted by `clients` clients, expire in the same second. All
// must be gone in time (10 s if strict, else 60 s) without an election; strictly, the 99th
// percentile of the latency of puts may be 3 times as high as just before at most.
std::vector<std::string> RunLeaseStorm(const ScenarioOptions& options);

// Lets watchers of every kind be told of what writers do until `count` events were checked, while
// members are killed and stopped and history is compacted: in order, once, without gaps, all of a
// revision at once, resumable, no progress ahead of events (watch_check.h).
std::vector<std::string> RunWatches(const ScenarioOptions& options);

// Opens `count` watches on one stream. Each is told of its key, and nothing of them is left once
// the stream has ended.
std::vector<std::string> RunOneStream(const ScenarioOptions& options);

// Kills `count` clients without a word, or stops them, each with streams of watches, some that it
// does not read, and of renewals, and then as many again. After each round every member holds as
// little for clients as before (leftovers.h). Strictly, the second round raises resident memory by
// less than 5%.
std::vector<std::string> RunKilledClients(const ScenarioOptions& options);

}  // namespace gavel::chaos
