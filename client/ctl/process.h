// Commands that gavelctl starts, and signals that end its own waiting.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/internal/local_mutex.h"

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
  // What to try if it could not be started; else empty.
  std::string Hint() const;
};

using Variables = std::vector<std::pair<std::string, std::string>>;

// A program that was started, found by PATH. It has this process's output and variables, besides
// `variables`, which win, and nothing to read. Thread-safe.
class StartedCommand {
 public:
  // Requires: `words` is not empty.
  StartedCommand(const std::vector<std::string>& words, const Variables& variables);
  // Waits for its end.
  ~StartedCommand() { Wait(); }
  StartedCommand(const StartedCommand&) = delete;
  StartedCommand& operator=(const StartedCommand&) = delete;

  // Waits for its end; the same again afterwards.
  CommandEnd Wait();
  // Nothing happens if it has ended, or was not started.
  void Send(int signal);

 private:
  internal::LocalMutex mutex_;
  pid_t pid_ GAVEL_GUARDED_BY(mutex_) = 0;  // 0 once it has ended.
  CommandEnd end_ GAVEL_GUARDED_BY(mutex_);
};

// From here on SIGINT and SIGTERM ask for a stop instead of ending the process; the second of them
// ends it. One at a time, made before threads are started, since they inherit what is blocked.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return source_.get_token(); }

  // While `command` is set, it gets each signal, also one that came before, and none ends this
  // process. Those of the terminal reach it anyhow. Null: it is not to be used any more.
  void PassOnTo(StartedCommand* command);

 private:
  void Wait();
  void Take(const siginfo_t& info);

  std::stop_source source_;
  sigset_t before_ = {};
  internal::LocalMutex mutex_;
  StartedCommand* command_ GAVEL_GUARDED_BY(mutex_) = nullptr;
  int first_ GAVEL_GUARDED_BY(mutex_) = 0;  // The first signal that came; 0: none.
  std::thread thread_;
};

}  // namespace gavel::client::ctl
