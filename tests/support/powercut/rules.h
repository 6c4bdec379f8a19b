// Which calls of a process on its files go wrong, and how.
//
// A rule is one line (or part of a line, up to a ';'):
//
//   ACTION CALL FILES WHICH [NUMBER]
//
//   ACTION  eio       the call fails with EIO; a failed sync drops what it should have written
//           enospc    the call fails with ENOSPC once NUMBER bytes (0) more have been written
//           stall     the call waits NUMBER milliseconds, then goes on
//           lie       a sync returns 0 and does nothing
//           cut       the process ends here with SIGKILL; a write is carried out to its half first
//           cut-after the same, after the call was carried out
//   CALL    sync (of a file), dirsync, read, write, create, rename, remove, any
//   FILES   a pattern for the path below the data directory ('*' also matches '/'); or @SITE,
//           a call site as the log names it
//   WHICH   3 the third call, 3+ from the third on, * every call
//
// Calls are counted from when the rules were read. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace gavel::powercut {

enum class Call { kSync, kDirectorySync, kRead, kWrite, kCreate, kRename, kRemove };
enum class Action { kNone, kEio, kEnospc, kStall, kLie, kCut, kCutAfter };

const char* NameOf(Call call);

struct Verdict {
  Action action = Action::kNone;
  uint64_t number = 0;
  std::string rule;  // As it was written.
};

class Rules {
 public:
  // Replaces all rules. Returns an empty string, or what is wrong with `text`.
  std::string Parse(const std::string& text);

  bool empty() const;
  bool wants_reads() const;
  bool wants_sites() const;

  // What becomes of a call on the file at `path` (below the data directory) from `site`, which
  // may be empty. `bytes`: what it would write. The first rule that applies decides.
  Verdict Decide(Call call, const std::string& path, const std::string& site, uint64_t bytes);

 private:
  struct Rule {
    std::string text;
    Action action;
    bool any_call;
    Call call;
    std::string files;
    uint64_t from;
    uint64_t to;
    uint64_t number;
    uint64_t seen = 0;   // Calls that matched so far.
    uint64_t bytes = 0;  // Written by them.
  };

  static std::string ParseRule(const std::string& text, Rule* rule);

  mutable std::mutex mutex_;
  std::vector<Rule> rules_;
};

}  // namespace gavel::powercut
