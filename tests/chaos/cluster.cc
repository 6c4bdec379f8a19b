#include "tests/chaos/cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "raft/check.h"
#include "tests/support/port_block.h"

namespace gavel::chaos {
namespace {

int FreePort() {
  static testing::PortBlock ports;
  return ports.Next();
}

}  // namespace

ClusterOptions WithLittleLog(ClusterOptions options) {
  options.flags = {"--snapshot-count=50", "--snapshot-lag-entries=50",
                   "--snapshot-catchup-entries=10", "--snapshot-send-rate=20000000"};
  return options;
}

ProcessCluster::ProcessCluster(ClusterOptions options)
    : options_(std::move(options)),
      builds_(options_.size, Build{options_.server, {}}),
      pids_(options_.size, 0),
      disk_log_read_(options_.size, 0),
      joins_(options_.size, false) {
  for (int member = 0; member < size(); ++member) {
    targets_.push_back("127.0.0.1:" + std::to_string(FreePort()));
    peer_ports_.push_back(FreePort());
    if (options_.metrics) metrics_targets_.push_back("127.0.0.1:" + std::to_string(FreePort()));
    // The simulated disk begins with a directory.
    if (!options_.powercut.empty()) std::filesystem::create_directory(Path(member, ""));
  }
}

ProcessCluster::~ProcessCluster() {
  for (int member = 0; member < size(); ++member) Kill(member);
}

std::string ProcessCluster::Path(int member, const char* suffix) const {
  return options_.directory + "/m" + std::to_string(member) + suffix;
}

std::string ProcessCluster::PeerUrl(int member) const {
  return "http://127.0.0.1:" + std::to_string(peer_ports_[member]);
}

std::string ProcessCluster::LogPath(int member) const { return Path(member, ".log"); }

std::vector<std::string> ProcessCluster::Environment(int member) const {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  if (options_.powercut.empty()) return variables;
  const auto& listers = options_.site_lister;
  const bool lists = std::find(listers.begin(), listers.end(), member) != listers.end();
  variables.push_back("LD_PRELOAD=" + options_.powercut);
  variables.push_back("POWERCUT_DIR=" + Path(member, ""));
  if (options_.power_cuts) variables.push_back("POWERCUT_SHADOW=" + Path(member, ".shadow"));
  variables.push_back("POWERCUT_CONTROL=" + Path(member, ".rules"));
  variables.push_back("POWERCUT_LOG=" + Path(member, ".disk"));
  variables.push_back(std::string("POWERCUT_SITES=") + (lists ? "1" : "0"));
  return variables;
}

std::vector<std::string> ProcessCluster::Arguments(int member) const {
  std::string cluster;
  for (int other = 0; other < size(); ++other) {
    cluster += (other ? ",m" : "m") + std::to_string(other) + "=" + PeerUrl(other);
  }
  const std::string name = "m" + std::to_string(member);
  const std::string client_url = "http://" + targets_[member];
  const Build& build = builds_[member];
  std::vector<std::string> arguments = {build.server,
                                        "--name=" + name,
                                        "--data-dir=" + Path(member, ""),
                                        "--listen-client-urls=" + client_url,
                                        "--advertise-client-urls=" + client_url,
                                        "--listen-peer-urls=" + PeerUrl(member),
                                        "--initial-advertise-peer-urls=" + PeerUrl(member),
                                        "--initial-cluster=" + cluster};
  if (joins_[member]) arguments.push_back("--initial-cluster-state=existing");
  if (options_.metrics) {
    arguments.push_back("--listen-metrics-urls=http://" + metrics_targets_[member]);
  }
  arguments.insert(arguments.end(), options_.flags.begin(), options_.flags.end());
  arguments.insert(arguments.end(), build.flags.begin(), build.flags.end());
  return arguments;
}

void ProcessCluster::SetBuild(int member, const std::string& server,
                              const std::vector<std::string>& flags) {
  builds_[member] = {server, flags};
}

void ProcessCluster::Start(int member) {
  GAVEL_CHECK(pids_[member] == 0) << "member " << member << " runs already";
  const std::vector<std::string> arguments = Arguments(member);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::vector<std::string> environment = Environment(member);
  std::vector<char*> envp;
  for (const std::string& variable : environment) {
    envp.push_back(const_cast<char*>(variable.c_str()));
  }
  envp.push_back(nullptr);
  const std::string log = LogPath(member);
  const pid_t pid = fork();
  GAVEL_CHECK(pid >= 0) << "fork failed";
  if (pid == 0) {
    // A member must not outlive the test, however that ends.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  pids_[member] = pid;
}

void ProcessCluster::Kill(int member) { Kill(std::vector<int>{member}); }

void ProcessCluster::Kill(const std::vector<int>& members) {
  for (const int member : members) {
    if (pids_[member] != 0) kill(pids_[member], SIGKILL);
  }
  for (const int member : members) {
    if (pids_[member] != 0) waitpid(pids_[member], nullptr, 0);
    pids_[member] = 0;
  }
}

std::string ProcessCluster::CutPower(int member, powercut::Cut cut, uint64_t seed) {
  GAVEL_CHECK(pids_[member] == 0) << "member " << member << " still runs";
  GAVEL_CHECK(options_.power_cuts) << "nobody knows what is durable";
  const powercut::RestoreResult result =
      powercut::Restore(Path(member, ""), Path(member, ".shadow"), cut, seed);
  return std::to_string(result.files_changed) + " of " + std::to_string(result.files) +
         " files changed, " + std::to_string(result.bytes_lost) + " bytes lost";
}

void ProcessCluster::SetRules(int member, const std::string& rules) {
  const std::string path = Path(member, ".rules");
  std::ofstream(path + ".new") << rules;
  std::filesystem::rename(path + ".new", path);
}

std::string ProcessCluster::TakeDiskLog(int member) {
  std::stringstream text;
  text << std::ifstream(Path(member, ".disk")).rdbuf();
  std::string all = text.str();
  // A line may be half written.
  all.resize(all.rfind('\n') + 1);
  const size_t from = std::exchange(disk_log_read_[member], all.size());
  return all.substr(from);
}

void ProcessCluster::Ask(int member, int signal) {
  if (pids_[member] != 0) kill(pids_[member], signal);
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

std::optional<int> ProcessCluster::Died(int member) {
  int status = 0;
  if (pids_[member] == 0 || waitpid(pids_[member], &status, WNOHANG) != pids_[member]) {
    return std::nullopt;
  }
  pids_[member] = 0;
  return status;
}

bool ProcessCluster::HasEnded(int member) const {
  if (pids_[member] == 0) return true;
  siginfo_t info = {};
  const int how = WEXITED | WNOHANG | WNOWAIT;
  return waitid(P_PID, static_cast<id_t>(pids_[member]), &info, how) == 0 &&
         info.si_pid == pids_[member];
}

void ProcessCluster::Wipe(int member) {
  GAVEL_CHECK(pids_[member] == 0) << "member " << member << " still runs";
  std::filesystem::remove_all(Path(member, ""));
  std::filesystem::remove_all(Path(member, ".shadow"));
  if (!options_.powercut.empty()) std::filesystem::create_directory(Path(member, ""));
  joins_[member] = true;
}

}  // namespace gavel::chaos
