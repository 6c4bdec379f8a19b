#include "client/ctl/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr size_t kBufferMax = 256 << 10;

// Returns the error number, or 0.
int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

std::string_view Code(Colour colour) {
  switch (colour) {
    case Colour::kRed:
      return "\x1b[31m";
    case Colour::kGreen:
      return "\x1b[32m";
    case Colour::kYellow:
      return "\x1b[33m";
    case Colour::kCyan:
      return "\x1b[36m";
    case Colour::kBold:
      return "\x1b[1m";
    case Colour::kPlain:
      break;
  }
  return {};
}

std::string Coloured(Colour colour, std::string_view text) {
  if (colour == Colour::kPlain || text.empty()) return std::string(text);
  return std::string(Code(colour)) + std::string(text) + "\x1b[0m";
}

}  // namespace

Output::Options Output::FromProcess() {
  const char* const no_colour = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
  return {.out_is_terminal = isatty(STDOUT_FILENO) == 1,
          .err_is_terminal = isatty(STDERR_FILENO) == 1,
          .coloured = !dumb && (no_colour == nullptr || *no_colour == 0)};
}

void Output::Write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kBufferMax) Flush();
}

std::string Output::Paint(Colour colour, std::string_view text) const {
  const bool wanted = options_.coloured && options_.out_is_terminal;
  return wanted ? Coloured(colour, text) : std::string(text);
}

std::string Output::Shown(std::string_view bytes, bool multi_line) const {
  return options_.out_is_terminal ? SafeText(bytes, multi_line) : std::string(bytes);
}

void Output::Complain(std::string_view text) {
  Flush();
  // Nobody is left to tell if this fails.
  WriteAll(err_fd_, std::string(text) + "\n");
}

void Output::Transient(std::string_view text) {
  if (!options_.err_is_terminal) return;
  Flush();
  // To the line's beginning, and all that stood there away.
  WriteAll(err_fd_, "\r\033[K" + std::string(text));
}

void Output::Report(const Failure& failure) {
  if (failure.message.empty()) return;
  const bool paint = options_.coloured && options_.err_is_terminal;
  const std::string message =
      options_.err_is_terminal ? SafeText(failure.message, /*multi_line=*/true) : failure.message;
  Complain((paint ? Coloured(Colour::kRed, "Error:") : "Error:") + (" " + message));
  if (!failure.hint.empty()) Complain(failure.hint);
}

void Output::Flush() {
  if (buffer_.empty()) return;
  if (!failed_) {
    // A reader that went away ends this process by SIGPIPE, without a word.
    if (const int error = WriteAll(out_fd_, buffer_)) {
      failed_ = Failure{ExitCode::kIo, std::string("cannot write the output: ") + strerror(error),
                        "What the command did is done; only its answer was not written."};
    }
  }
  buffer_.clear();
}

}  // namespace gavel::client::ctl
