// gavelctl: the command line of Gavel.
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "client/ctl/output.h"
#include "client/ctl/run.h"

int main(int argc, char** argv) {
  // Whoever started us may have it ignored; a reader that goes away ends us quietly.
  std::signal(SIGPIPE, SIG_DFL);
  gavel::client::ctl::Output output(STDOUT_FILENO, STDERR_FILENO,
                                    gavel::client::ctl::Output::FromProcess());
  return gavel::client::ctl::Run(std::vector<std::string>(argv + 1, argv + argc), environ, &output);
}
