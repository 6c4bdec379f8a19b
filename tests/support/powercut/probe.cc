// A small program to be run under the preloaded library: does what its arguments say, in the
// directory POWERCUT_DIR, and prints the error of each call that fails.
//
//   create F | write F OFFSET TEXT | fill F OFFSET COUNT CHARACTER | append F TEXT | read F
//   truncate F SIZE | allocate F SIZE | sync F | fsync F | syncdir D
//   rename A B | link A B | remove F | mkdir D | rmdir D | threads F COUNT | die
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

// The next arguments, in the order in which they were given.
class Words {
 public:
  Words(int argc, char** argv) : words_(argv + 1, argv + argc) {}
  bool empty() const { return at_ == words_.size(); }
  std::string Next() {
    if (empty()) {
      std::fprintf(stderr, "probe: an argument is missing\n");
      std::exit(2);
    }
    return words_[at_++];
  }
  long NextNumber() { return std::atol(Next().c_str()); }

 private:
  std::vector<std::string> words_;
  size_t at_ = 0;
};

// An open file or directory, closed at the end.
class Open {
 public:
  Open(const std::string& path, int flags) : fd_(open(path.c_str(), flags, 0600)) {}
  ~Open() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

bool WriteAt(const std::string& path, long offset, const std::string& text) {
  const Open file(path, O_WRONLY);
  return pwrite(file.fd(), text.data(), text.size(), offset) == static_cast<ssize_t>(text.size());
}

bool Append(const std::string& path, const std::string& text) {
  const Open file(path, O_WRONLY | O_APPEND);
  return write(file.fd(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool Read(const std::string& path) {
  const Open file(path, O_RDONLY);
  char bytes[64];
  return pread(file.fd(), bytes, sizeof bytes, 0) >= 0;
}

// Four threads, each with its own part of the file and a sync after each write.
bool Threads(const std::string& path, long count) {
  std::vector<std::thread> threads;
  for (long number = 0; number < 4; ++number) {
    threads.emplace_back([&path, number, count] {
      const Open file(path, O_RDWR);
      const std::string text(100, static_cast<char>('a' + number));
      for (long i = 0; i < count; ++i) {
        if (pwrite(file.fd(), text.data(), text.size(), (i * 4 + number) * 100) != 100) return;
        if (fdatasync(file.fd()) != 0) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return true;
}

bool Do(const std::string& what, Words& words) {
  const std::string path = words.Next();
  if (what == "create") return Open(path, O_RDWR | O_CREAT).fd() >= 0;
  if (what == "write") {
    const long offset = words.NextNumber();
    return WriteAt(path, offset, words.Next());
  }
  if (what == "fill") {
    const long offset = words.NextNumber();
    const long count = words.NextNumber();
    return WriteAt(path, offset, std::string(static_cast<size_t>(count), words.Next()[0]));
  }
  if (what == "append") return Append(path, words.Next());
  if (what == "read") return Read(path);
  if (what == "truncate") {
    return ftruncate(Open(path, O_RDWR).fd(), words.NextNumber()) == 0;
  }
  if (what == "allocate") {
    return fallocate(Open(path, O_RDWR).fd(), 0, 0, words.NextNumber()) == 0;
  }
  if (what == "sync") return fdatasync(Open(path, O_WRONLY).fd()) == 0;
  if (what == "fsync") return fsync(Open(path, O_RDONLY).fd()) == 0;
  if (what == "syncdir") return fsync(Open(path, O_RDONLY | O_DIRECTORY).fd()) == 0;
  if (what == "rename") return rename(path.c_str(), words.Next().c_str()) == 0;
  if (what == "link") return link(path.c_str(), words.Next().c_str()) == 0;
  if (what == "remove") return unlink(path.c_str()) == 0;
  if (what == "mkdir") return mkdir(path.c_str(), 0700) == 0;
  if (what == "rmdir") return rmdir(path.c_str()) == 0;
  if (what == "threads") return Threads(path, words.NextNumber());
  std::fprintf(stderr, "probe: '%s' is nothing it can do\n", what.c_str());
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  const char* directory = std::getenv("POWERCUT_DIR");
  if (directory == nullptr || chdir(directory) != 0) return 2;
  Words words(argc, argv);
  while (!words.empty()) {
    const std::string what = words.Next();
    if (what == "die") {
      std::fflush(stdout);
      kill(getpid(), SIGKILL);
    }
    errno = 0;
    if (!Do(what, words)) std::printf("%s: %s\n", what.c_str(), std::strerror(errno));
    std::fflush(stdout);
  }
  return 0;
}
