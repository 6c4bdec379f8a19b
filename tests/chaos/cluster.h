// Real members in processes of their own, on loopback, that can be killed.
//
// With a library to preload (tests/support/powercut) each member's disk is a simulated one: its
// power can be cut, and its calls fail by rules.
//
// Ends only processes that it started, by pid. Not thread-safe, but pids never change hands:
// clients only use targets(), which are fixed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/powercut/restore.h"

namespace gavel::chaos {

struct ClusterOptions {
  std::string server;     // The program.
  std::string directory;  // Members keep data and logs there; must exist.
  int size = 3;
  std::string powercut;  // The library to preload; empty for the real disk.
  // Power can be cut: the library follows what is durable. It cannot follow a store that is moved
  // to another directory, as a received snapshot is.
  bool power_cuts = true;
  std::vector<int> site_lister;         // Members that log the call sites of their syncs.
  bool metrics = false;                 // They answer on metrics_target() too.
  std::vector<std::string> flags = {};  // Further ones of each member.
};

// The same cluster with a log that keeps so little that a member which was away for a hundred
// writes needs a snapshot.
ClusterOptions WithLittleLog(ClusterOptions options);

class ProcessCluster {
 public:
  explicit ProcessCluster(ClusterOptions options);
  // Ends every member that still runs.
  ~ProcessCluster();
  ProcessCluster(const ProcessCluster&) = delete;
  ProcessCluster& operator=(const ProcessCluster&) = delete;

  void Start(int member);
  // What the member runs from its next start on, and its own flags beside those of all.
  void SetBuild(int member, const std::string& server, const std::vector<std::string>& flags);
  // SIGKILL, and waits until the process is gone.
  void Kill(int member);
  // SIGKILL to all of them before it waits for the first.
  void Kill(const std::vector<int>& members);
  // Takes away from the disk of a member that does not run what a power cut may take, by `cut`
  // and `seed`. Returns in words what went. Requires: a library to preload, and
  // ClusterOptions::power_cuts.
  std::string CutPower(int member, powercut::Cut cut, uint64_t seed);
  // What becomes of the member's calls on its files (tests/support/powercut/rules.h), from now
  // on and in its next lives.
  void SetRules(int member, const std::string& rules);
  // What the preloaded library has logged for the member since the last call.
  std::string TakeDiskLog(int member);
  // Sends a signal, and does not wait.
  void Ask(int member, int signal);
  // SIGTERM; true if the member left with status 0 within a minute.
  bool Stop(int member);
  // How the process ended, as waitpid tells it, if it has ended without being asked to.
  std::optional<int> Died(int member);
  // Whether Died would say so, or the member does not run.
  bool HasEnded(int member) const;
  // Throws away the disk of a member that does not run. It joins the cluster that is there from now
  // on, and has to be added first.
  void Wipe(int member);
  bool Runs(int member) const { return pids_[member] != 0; }
  // 0: it does not run.
  pid_t pid(int member) const { return pids_[member]; }
  // host:port of the member's metrics. Requires: ClusterOptions::metrics.
  const std::string& metrics_target(int member) const { return metrics_targets_.at(member); }

  int size() const { return static_cast<int>(pids_.size()); }
  // host:port of each member's client port.
  const std::vector<std::string>& targets() const { return targets_; }
  std::string PeerUrl(int member) const;
  std::string LogPath(int member) const;

 private:
  std::string Path(int member, const char* suffix) const;
  std::vector<std::string> Arguments(int member) const;
  std::vector<std::string> Environment(int member) const;

  struct Build {
    std::string server;
    std::vector<std::string> flags;
  };

  ClusterOptions options_;
  std::vector<Build> builds_;
  std::vector<pid_t> pids_;            // 0: not running.
  std::vector<size_t> disk_log_read_;  // Bytes of each disk log that were taken.
  std::vector<std::string> targets_;
  std::vector<std::string> metrics_targets_;
  std::vector<int> peer_ports_;
  std::vector<bool> joins_;  // Not one of those that found the cluster.
};

}  // namespace gavel::chaos
