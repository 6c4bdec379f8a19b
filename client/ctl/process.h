// Commands that gavelctl starts, and signals that end its own waiting.
#pragma once

#include <signal.h>

#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace gavel::client::ctl {

// How a command ended.
struct CommandEnd {
  int exit_code = 0;
  int signal = 0;          // The signal that ended it; 0: none.
  std::string error = {};  // Why it could not be started; empty: it ran.

  bool ok() const { return exit_code == 0 && signal == 0 && error.empty(); }
  // As a shell counts: 128 and the signal for one that was killed; 1 for one that did not start.
  int code() const;
  // As Go says it: "exit status 3", "signal: killed".
  std::string Describe() const;
};

using Variables = std::vector<std::pair<std::string, std::string>>;

// Runs a program, found by PATH, and waits for its end. It has this process's output and variables,
// besides `variables`, which win, and nothing to read. Requires: `words` is not empty.
CommandEnd RunToEnd(const std::vector<std::string>& words, const Variables& variables);

// From here on SIGINT and SIGTERM ask for a stop instead of ending the process; the second of them
// ends it. One at a time, made before threads are started, since they inherit what is blocked.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return source_.get_token(); }

 private:
  void Wait();

  std::stop_source source_;
  sigset_t before_ = {};
  std::thread thread_;
};

}  // namespace gavel::client::ctl
