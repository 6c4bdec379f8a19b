#include "client/ctl/input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <utility>

namespace gavel::client::ctl {
namespace {

constexpr char kStandardInput[] = "standard input";

Failure TooLarge(const std::string& name, size_t bytes_max) {
  return {ExitCode::kInvalidInput,
          name + " has more than " + std::to_string(bytes_max) +
              " bytes, the limit of --max-input-bytes",
          "Check that it is the one that was meant, or allow more with --max-input-bytes. Servers "
          "have a limit of their own for a request, --max-request-bytes."};
}

// Reads `fd` to its end.
Expected<std::string> ReadAll(int fd, const std::string& name, size_t bytes_max) {
  std::string content;
  char chunk[64 << 10];
  while (true) {
    const ssize_t count = read(fd, chunk, sizeof chunk);
    if (count == 0) return content;
    if (count < 0) {
      if (errno == EINTR) continue;
      return IoFailure("cannot read " + name, errno);
    }
    if (static_cast<size_t>(count) > bytes_max - content.size()) return TooLarge(name, bytes_max);
    content.append(chunk, static_cast<size_t>(count));
  }
}

}  // namespace

Expected<std::string> ReadStandardInput(size_t bytes_max) {
  return ReadAll(STDIN_FILENO, kStandardInput, bytes_max);
}

Expected<std::string> ReadFile(const std::string& path, size_t bytes_max) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return IoFailure("cannot open " + path, errno);
  }
  Expected<std::string> content = ReadAll(fd, path, bytes_max);
  close(fd);
  return content;
}

Expected<std::optional<std::string>> InputLines::Next() {
  using Traits = std::char_traits<char>;
  std::string line;
  std::streambuf& input = *std::cin.rdbuf();
  while (true) {
    const Traits::int_type next = input.sbumpc();
    if (Traits::eq_int_type(next, Traits::eof())) {
      rest_ = std::move(line);
      return std::optional<std::string>();
    }
    if (left_ == 0) return TooLarge(kStandardInput, bytes_max_);
    --left_;
    if (next == '\n') return std::optional<std::string>(std::move(line));
    line.push_back(Traits::to_char_type(next));
  }
}

}  // namespace gavel::client::ctl
