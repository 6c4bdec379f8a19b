// Real members in processes of their own, on loopback, that can be killed.
//
// Ends only processes that it started, by pid. Not thread-safe, but pids never change hands:
// clients only use targets(), which are fixed.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gavel::chaos {

class ProcessCluster {
 public:
  // Members keep data and logs in `directory`, which must exist.
  ProcessCluster(std::string server, std::string directory, int size);
  // Ends every member that still runs.
  ~ProcessCluster();
  ProcessCluster(const ProcessCluster&) = delete;
  ProcessCluster& operator=(const ProcessCluster&) = delete;

  void Start(int member);
  // SIGKILL, and waits until the process is gone.
  void Kill(int member);
  // SIGTERM; true if the member left with status 0 within a minute.
  bool Stop(int member);
  // True if the process has ended without being asked to.
  bool Died(int member);

  int size() const { return static_cast<int>(pids_.size()); }
  // host:port of each member's client port.
  const std::vector<std::string>& targets() const { return targets_; }
  std::string LogPath(int member) const;

 private:
  std::vector<std::string> Arguments(int member) const;

  std::string server_;
  std::string directory_;
  std::vector<pid_t> pids_;  // 0: not running.
  std::vector<std::string> targets_;
  std::vector<int> peer_ports_;
};

}  // namespace gavel::chaos
