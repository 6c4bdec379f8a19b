#include "tests/chaos/cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <utility>

#include "raft/check.h"

namespace gavel::chaos {
namespace {

// Returns a port that is free now, below the ephemeral ones, so that no client's own port is in
// the way when a member comes back.
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
    const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (free) return port;
  }
  GAVEL_CHECK(false) << "no free port on 127.0.0.1";
  return 0;
}

}  // namespace

ProcessCluster::ProcessCluster(std::string server, std::string directory, int size)
    : server_(std::move(server)), directory_(std::move(directory)), pids_(size, 0) {
  for (int member = 0; member < size; ++member) {
    targets_.push_back("127.0.0.1:" + std::to_string(FreePort()));
    peer_ports_.push_back(FreePort());
  }
}

ProcessCluster::~ProcessCluster() {
  for (int member = 0; member < size(); ++member) Kill(member);
}

std::string ProcessCluster::LogPath(int member) const {
  return directory_ + "/m" + std::to_string(member) + ".log";
}

std::vector<std::string> ProcessCluster::Arguments(int member) const {
  const auto peer_url = [&](int of) {
    return "http://127.0.0.1:" + std::to_string(peer_ports_[of]);
  };
  std::string cluster;
  for (int other = 0; other < size(); ++other) {
    cluster += (other ? ",m" : "m") + std::to_string(other) + "=" + peer_url(other);
  }
  const std::string name = "m" + std::to_string(member);
  const std::string client_url = "http://" + targets_[member];
  return {server_,
          "--name=" + name,
          "--data-dir=" + directory_ + "/" + name,
          "--listen-client-urls=" + client_url,
          "--advertise-client-urls=" + client_url,
          "--listen-peer-urls=" + peer_url(member),
          "--initial-advertise-peer-urls=" + peer_url(member),
          "--initial-cluster=" + cluster};
}

void ProcessCluster::Start(int member) {
  GAVEL_CHECK(pids_[member] == 0) << "member " << member << " runs already";
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
  pids_[member] = pid;
}

void ProcessCluster::Kill(int member) {
  if (pids_[member] == 0) return;
  kill(pids_[member], SIGKILL);
  waitpid(pids_[member], nullptr, 0);
  pids_[member] = 0;
}

bool ProcessCluster::Stop(int member) {
  GAVEL_CHECK(pids_[member] != 0) << "member " << member << " does not run";
  kill(pids_[member], SIGTERM);
  for (int tenths = 0; tenths < 600; ++tenths) {
    int status = 0;
    if (waitpid(pids_[member], &status, WNOHANG) == pids_[member]) {
      pids_[member] = 0;
      return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  Kill(member);
  return false;
}

bool ProcessCluster::Died(int member) {
  if (pids_[member] == 0) return false;
  if (waitpid(pids_[member], nullptr, WNOHANG) != pids_[member]) return false;
  pids_[member] = 0;
  return true;
}

}  // namespace gavel::chaos
