#include "tests/support/powercut/interpose.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <optional>

#include "tests/support/powercut/image.h"
#include "tests/support/powercut/site.h"

namespace gavel::powercut {
namespace {

std::string Variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::string RealPath(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) == nullptr ? "" : resolved;
}

std::string PathOf(int fd) {
  char path[PATH_MAX];
  const ssize_t count =
      readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path - 1);
  return count < 0 ? "" : std::string(path, static_cast<size_t>(count));
}

bool Below(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0 &&
         path[directory.size()] == '/';
}

// Calls that come before the loader has initialised this library are those of a sanitizer that sets
// itself up: nothing may be used yet of what it replaces, not even a thread-local variable.
bool started = false;
__attribute__((constructor)) void Start() { started = true; }

}  // namespace

thread_local int Inside::depth_ = 0;

Interposer* Interposer::Get() {
  if (!started || Inside::now()) return nullptr;
  const Inside inside;
  // Never destroyed: threads still write while the process exits.
  static Interposer* const only = Variable("POWERCUT_DIR").empty()
                                      ? nullptr
                                      : std::unique_ptr<Interposer>(new Interposer).release();
  return only;
}

Interposer::Interposer() {
  directory_ = RealPath(Variable("POWERCUT_DIR"));
  if (directory_.empty()) Die("POWERCUT_DIR=" + Variable("POWERCUT_DIR") + " is no directory");
  const std::string shadow = Variable("POWERCUT_SHADOW");
  if (!shadow.empty()) shadow_ = std::make_unique<Shadow>(directory_, shadow);
  control_ = Variable("POWERCUT_CONTROL");
  log_ = Variable("POWERCUT_LOG");
  sites_ = Variable("POWERCUT_SITES") == "1";
  const std::string error = rules_.Parse(Variable("POWERCUT_RULES"));
  if (!error.empty()) Die("POWERCUT_RULES: " + error);
}

void Interposer::ReadControl() {
  if (control_.empty()) return;
  struct stat info = {};
  const bool there = stat(control_.c_str(), &info) == 0;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (info.st_ino == control_inode_ && info.st_mtim.tv_sec == control_changed_.tv_sec &&
      info.st_mtim.tv_nsec == control_changed_.tv_nsec) {
    return;
  }
  control_inode_ = info.st_ino;
  control_changed_ = info.st_mtim;
  const std::string error = rules_.Parse(there ? ReadFile(control_).value_or("") : "");
  if (!error.empty()) Die(control_ + ": " + error);
}

bool Interposer::quiet() {
  ReadControl();
  return rules_.empty() && !sites_;
}

bool Interposer::wants_reads() {
  ReadControl();
  return rules_.wants_reads();
}

bool Interposer::Concerns(int fd, struct stat* info) {
  if (shadow_ == nullptr && quiet()) return false;
  if (fstat(fd, info) != 0) return false;
  if (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode)) return false;
  if (shadow_ != nullptr) return shadow_->Follows(*info);
  const std::string path = PathOf(fd);
  return path == directory_ || Below(path, directory_);
}

std::string Interposer::Locate(int directory_fd, const char* path) const {
  std::string full = path;
  if (full.empty()) return "";
  if (full[0] != '/') full = (directory_fd == AT_FDCWD ? "." : PathOf(directory_fd)) + "/" + full;
  while (full.size() > 1 && full.back() == '/') full.pop_back();
  const size_t slash = full.rfind('/');
  const std::string parent = RealPath(slash == 0 ? "/" : full.substr(0, slash));
  full = parent + full.substr(slash);
  return Below(full, directory_) ? full : "";
}

Verdict Interposer::Judge(Call call, int fd, uint64_t bytes) {
  if (quiet()) return {};
  return Judge(call, PathOf(fd), bytes);
}

Verdict Interposer::Judge(Call call, const std::string& full_path, uint64_t bytes) {
  if (quiet()) return {};
  const std::string path =
      Below(full_path, directory_) ? full_path.substr(directory_.size() + 1) : ".";
  const bool sync = call == Call::kSync || call == Call::kDirectorySync;
  std::string site;
  if (sites_ && sync) {
    std::string frames;
    site = CallSite(&frames);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (sites_seen_.insert(site).second) {
      Log("site " + site + " " + NameOf(call) + " " + path + frames);
    }
  } else if (rules_.wants_sites()) {
    site = CallSite(nullptr);
  }
  Verdict verdict = rules_.Decide(call, path, site, bytes);
  if (verdict.action != Action::kNone) {
    Log("struck " + verdict.rule + ": " + NameOf(call) + " " + path);
  }
  return verdict;
}

void Interposer::Log(const std::string& line) {
  if (log_.empty()) return;
  const int fd = open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) Die("cannot open " + log_);
  const std::string text = line + "\n";
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    Die("cannot write " + log_);
  }
  close(fd);
}

void StallOrCut(const Verdict& verdict, bool after) {
  if (verdict.action == Action::kStall && !after) {
    const timespec wait = {static_cast<time_t>(verdict.number / 1000),
                           static_cast<long>(verdict.number % 1000 * 1000000)};
    nanosleep(&wait, nullptr);
  }
  if (verdict.action != (after ? Action::kCutAfter : Action::kCut)) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

}  // namespace gavel::powercut
