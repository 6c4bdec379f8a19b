// What the wrapped calls share: whose files are concerned, and what is to happen to a call.
//
// Configured by the environment, read at the first call:
//
//   POWERCUT_DIR      the data directory; must exist. Without it every call is left alone
//   POWERCUT_SHADOW   folder of the durable image; without it syncs go to the real disk
//   POWERCUT_RULES    faults (rules.h)
//   POWERCUT_CONTROL  a file of faults; read again whenever it changes, in place of the rules
//   POWERCUT_LOG      file to which each fault that struck is appended: "struck RULE: CALL PATH",
//                     and with POWERCUT_SITES=1 each new call site of a sync: "site SITE CALL
//                     PATH FRAMES"
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "tests/support/powercut/rules.h"
#include "tests/support/powercut/shadow.h"

namespace gavel::powercut {

// While one lives, calls of this thread are the library's own and go straight through.
class Inside {
 public:
  Inside() : errno_(errno) { ++depth_; }
  ~Inside() {
    --depth_;
    errno = errno_;
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  // The error the caller is to see.
  void set_error(int error) { errno_ = error; }
  static bool now() { return depth_ > 0; }

 private:
  static thread_local int depth_;
  int errno_;
};

// Thread-safe.
class Interposer {
 public:
  // Null if this process is not concerned, or the call is the library's own.
  static Interposer* Get();

  // True if the open file is one of the data directory.
  bool Concerns(int fd, struct stat* info);
  // The full path of `path` as seen from `directory_fd`, if it lies below the data directory;
  // else an empty string.
  std::string Locate(int directory_fd, const char* path) const;

  Verdict Judge(Call call, int fd, uint64_t bytes = 0);
  Verdict Judge(Call call, const std::string& full_path, uint64_t bytes = 0);

  bool wants_reads();
  Shadow* shadow() { return shadow_.get(); }

 private:
  Interposer();
  bool quiet();
  void ReadControl();
  void Log(const std::string& line);

  std::string directory_;
  std::unique_ptr<Shadow> shadow_;
  Rules rules_;
  std::string control_;
  std::string log_;
  bool sites_ = false;

  std::mutex mutex_;  // Guards what follows.
  struct timespec control_changed_ = {};
  ino_t control_inode_ = 0;
  std::set<std::string> sites_seen_;
};

// Carries out a verdict that does not depend on the call: waits, or ends the process.
void StallOrCut(const Verdict& verdict, bool after);

}  // namespace gavel::powercut
