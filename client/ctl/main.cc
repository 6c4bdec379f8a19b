// gavelctl: the command line of Gavel.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"

#include "client/ctl/output.h"
#include "client/ctl/run.h"

namespace {

// Standard descriptors that whoever started us has closed would be given to the first sockets, and
// be read and written as such. Before the initializers of libraries, since gRPC's opens some; so
// nothing may be used that a sanitizer has not set up yet.
__attribute__((no_sanitize("address", "thread", "undefined"))) void OpenClosedDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (syscall(SYS_fcntl, fd, F_GETFD) >= 0) continue;
    // The lowest one that is free, which is this one. Nobody is left to tell if it fails.
    syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
  }
}

__attribute__((section(".preinit_array"),
               used)) void (*const kBeforeAll)() = &OpenClosedDescriptors;

}  // namespace

int main(int argc, char** argv) {
  // Debian's Abseil looks for deadlocks at each lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // Whoever started us may have it ignored; a reader that goes away ends us quietly.
  std::signal(SIGPIPE, SIG_DFL);
  gavel::client::ctl::Output output(STDOUT_FILENO, STDERR_FILENO,
                                    gavel::client::ctl::Output::FromProcess());
  return gavel::client::ctl::Run(std::vector<std::string>(argv + 1, argv + argc), environ, &output);
}
