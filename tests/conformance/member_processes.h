// The members of one cluster as processes on loopback, started with flags that etcd and Gavel
// both have.
//
// Ends only processes that it started, by pid.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gavel::conformance {

class MemberProcesses {
 public:
  // Starts `members` of `program`, with data and logs in `directory`, which must exist.
  MemberProcesses(std::string program, std::string directory, int members);
  // Ends what still runs, and waits until it is gone.
  ~MemberProcesses();
  MemberProcesses(const MemberProcesses&) = delete;
  MemberProcesses& operator=(const MemberProcesses&) = delete;

  // host:port of each member's client port.
  const std::vector<std::string>& targets() const { return targets_; }
  // Names the members that have ended by themselves, and their logs; empty if none has.
  std::string Ended();

 private:
  std::vector<std::string> Arguments(size_t member) const;
  std::string LogPath(size_t member) const;
  pid_t Start(size_t member) const;

  std::string program_;
  std::string directory_;
  std::vector<std::string> targets_;
  std::vector<std::string> peer_urls_;
  std::vector<pid_t> pids_;  // 0: has ended.
};

}  // namespace gavel::conformance
