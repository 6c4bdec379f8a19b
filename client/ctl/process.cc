#include "client/ctl/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

// Ends Interrupt's own thread.
constexpr int kEnough = SIGUSR1;

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

std::string Lowered(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// This process's variables but for those that `variables` replaces, and these.
std::vector<std::string> Environment(const Variables& variables) {
  std::vector<std::string> all;
  for (const char* const* entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    bool replaced = false;
    for (const auto& [name, value] : variables) {
      replaced |= text.substr(0, text.find('=')) == name;
    }
    if (!replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : variables) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> Pointers(std::vector<std::string>* texts) {
  std::vector<char*> pointers;
  for (std::string& text : *texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::string WhyNotStarted(const std::string& program, int error) {
  if (error == ENOENT && program.find('/') == std::string::npos) {
    return "exec: " + Quote(program) + ": executable file not found in $PATH";
  }
  return "fork/exec " + program + ": " + Lowered(strerror(error));
}

}  // namespace

int CommandEnd::code() const {
  if (!error.empty()) return 1;
  return signal != 0 ? 128 + signal : exit_code;
}

std::string CommandEnd::Describe() const {
  if (!error.empty()) return error;
  if (signal != 0) return "signal: " + Lowered(strsignal(signal));
  return "exit status " + std::to_string(exit_code);
}

std::string CommandEnd::Hint() const {
  if (error.empty()) return {};
  return "Behind -- stand a program and its arguments, a word each. A line for a shell is: "
         "-- sh -c 'line'.";
}

StartedCommand::StartedCommand(const std::vector<std::string>& words, const Variables& variables) {
  std::vector<std::string> arguments = words;
  std::vector<std::string> environment = Environment(variables);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // What Interrupt blocks must be able to end the command.
  const sigset_t none = SetOf({});
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int error = posix_spawnp(&pid_, words[0].c_str(), &actions, &attributes,
                                 Pointers(&arguments).data(), Pointers(&environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return;
  pid_ = 0;
  end_.error = WhyNotStarted(words[0], error);
}

CommandEnd StartedCommand::Wait() {
  internal::LocalLock lock(mutex_);
  const pid_t pid = pid_;
  if (pid == 0) return end_;
  lock.Unlock();
  // Leaves the id taken, so that Send cannot reach another process.
  siginfo_t ended = {};
  while (waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  lock.Lock();
  if (pid_ == 0) return end_;  // Another thread that waited has seen to it.
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) {
    end_.error = std::string("waitpid: ") + strerror(errno);
  } else if (WIFSIGNALED(status)) {
    end_.signal = WTERMSIG(status);
  } else {
    end_.exit_code = WEXITSTATUS(status);
  }
  pid_ = 0;
  return end_;
}

void StartedCommand::Send(int signal) {
  const internal::LocalLock lock(mutex_);
  if (pid_ != 0) kill(pid_, signal);
}

Interrupt::Interrupt() {
  const sigset_t blocked = SetOf({SIGINT, SIGTERM, kEnough});
  pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  thread_ = std::thread([this] { Wait(); });
}

Interrupt::~Interrupt() {
  pthread_kill(thread_.native_handle(), kEnough);
  thread_.join();
  // One that came at the very end must not end the process when it is let through.
  const sigset_t endings = SetOf({SIGINT, SIGTERM});
  const timespec at_once = {};
  while (sigtimedwait(&endings, nullptr, &at_once) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Interrupt::PassOnTo(StartedCommand* command) {
  const internal::LocalLock lock(mutex_);
  command_ = command;
  if (command_ != nullptr && first_ != 0) command_->Send(first_);
}

void Interrupt::Wait() {
  const sigset_t awaited = SetOf({SIGINT, SIGTERM, kEnough});
  while (true) {
    siginfo_t info = {};
    if (sigwaitinfo(&awaited, &info) < 0) continue;
    if (info.si_signo == kEnough) return;
    Take(info);
    source_.request_stop();
  }
}

void Interrupt::Take(const siginfo_t& info) {
  const internal::LocalLock lock(mutex_);
  if (command_ != nullptr) {
    const bool from_terminal = info.si_code == SI_KERNEL;
    if (!from_terminal) command_->Send(info.si_signo);
  } else if (first_ != 0) {
    const sigset_t endings = SetOf({SIGINT, SIGTERM});
    pthread_sigmask(SIG_UNBLOCK, &endings, nullptr);
    raise(info.si_signo);
  }
  if (first_ == 0) first_ = info.si_signo;
}

}  // namespace gavel::client::ctl
