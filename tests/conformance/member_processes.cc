#include "tests/conformance/member_processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/check.h"

namespace gavel::conformance {
namespace {

// Returns a port of loopback that is free now, below those that clients get for themselves.
int FreePort() {
  static int next = 20000 + static_cast<int>(getpid() % 10000);
  for (int tries = 0; tries < 10000; ++tries) {
    const int port = next++;
    if (next >= 32000) next = 20000;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (is_free) return port;
  }
  GAVEL_CHECK(false) << "no free port on 127.0.0.1";
  return 0;
}

}  // namespace

MemberProcesses::MemberProcesses(std::string program, std::string directory, int members)
    : program_(std::move(program)), directory_(std::move(directory)) {
  for (int member = 0; member < members; ++member) {
    targets_.push_back(absl::StrCat("127.0.0.1:", FreePort()));
    peer_urls_.push_back(absl::StrCat("http://127.0.0.1:", FreePort()));
  }
  for (size_t member = 0; member < targets_.size(); ++member) pids_.push_back(Start(member));
}

MemberProcesses::~MemberProcesses() {
  for (const pid_t pid : pids_) {
    if (pid != 0) kill(pid, SIGKILL);
  }
  for (const pid_t pid : pids_) {
    if (pid != 0) waitpid(pid, nullptr, 0);
  }
}

std::string MemberProcesses::LogPath(size_t member) const {
  return absl::StrCat(directory_, "/m", member, ".log");
}

std::vector<std::string> MemberProcesses::Arguments(size_t member) const {
  std::string cluster;
  for (size_t other = 0; other < peer_urls_.size(); ++other) {
    absl::StrAppend(&cluster, other == 0 ? "m" : ",m", other, "=", peer_urls_[other]);
  }
  const std::string client_url = absl::StrCat("http://", targets_[member]);
  return {program_,
          absl::StrCat("--name=m", member),
          absl::StrCat("--data-dir=", directory_, "/m", member),
          absl::StrCat("--listen-client-urls=", client_url),
          absl::StrCat("--advertise-client-urls=", client_url),
          absl::StrCat("--listen-peer-urls=", peer_urls_[member]),
          absl::StrCat("--initial-advertise-peer-urls=", peer_urls_[member]),
          absl::StrCat("--initial-cluster=", cluster)};
}

pid_t MemberProcesses::Start(size_t member) const {
  const std::vector<std::string> arguments = Arguments(member);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string log = LogPath(member);
  const pid_t pid = fork();
  GAVEL_CHECK(pid >= 0) << "fork failed";
  if (pid == 0) {
    // A member must not outlive the test, however that ends.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  return pid;
}

std::string MemberProcesses::Ended() {
  std::string text;
  for (size_t member = 0; member < pids_.size(); ++member) {
    if (pids_[member] == 0 || waitpid(pids_[member], nullptr, WNOHANG) != pids_[member]) continue;
    pids_[member] = 0;
    absl::StrAppend(&text, program_, " ended by itself; its log is ", LogPath(member), "\n");
  }
  return text;
}

}  // namespace gavel::conformance
