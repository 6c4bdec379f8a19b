// Another program, with its input and output in hand, that can be killed.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gavel::client::testing {

// Ends with the test at the latest. Not thread-safe.
class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& arguments);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of its output, without its end; empty at the end of the output.
  std::string ReadLine();
  // Ends its input.
  void CloseInput();
  void Signal(int signal) const;
  // SIGKILL, and waits until it is gone.
  void Kill();
  // Ends its input, and returns its exit status when it has ended; -1 after a signal.
  int Finish();

 private:
  pid_t pid_ = 0;
  int input_ = -1;
  int output_ = -1;
  std::string buffer_;
};

}  // namespace gavel::client::testing
