// Where gavelctl writes: standard output, buffered, and standard error.
//
// Knows whether a person reads along. On a terminal, text from the store is made safe and words
// may be coloured; elsewhere bytes leave as they are. Not thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "client/ctl/failure.h"

namespace gavel::client::ctl {

enum class Colour { kPlain, kRed, kGreen, kYellow, kCyan, kBold };

class Output {
 public:
  // `coloured` counts on terminals only.
  struct Options {
    bool out_is_terminal = false;
    bool err_is_terminal = false;
    bool coloured = true;
  };

  // Of this process.
  static Options FromProcess();

  Output(int out_fd, int err_fd, Options options)
      : out_fd_(out_fd), err_fd_(err_fd), options_(options) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool terminal() const { return options_.out_is_terminal; }
  bool error_terminal() const { return options_.err_is_terminal; }

  void Write(std::string_view text);
  void Line(std::string_view text) {
    Write(text);
    Write("\n");
  }
  // For people only: plain text where colours are not wanted.
  std::string Paint(Colour colour, std::string_view text) const;
  // A key or a value as it may be shown here.
  std::string Shown(std::string_view bytes, bool multi_line) const;

  // One line on standard error, after all that was written before.
  void Complain(std::string_view text);
  // A line on standard error that takes the place of the last such line, for how far something is.
  // Nothing unless that is a terminal; an empty one takes it away.
  void Transient(std::string_view text);
  // "Error: ...", and the hint below it.
  void Report(const Failure& failure);

  // Hands over what is buffered. After a failure nothing more is written.
  void Flush();
  // Set once writing failed: the disk that the output goes to is full, say.
  const MaybeFailure& failed() const { return failed_; }

 private:
  const int out_fd_;
  const int err_fd_;
  const Options options_;
  std::string buffer_;
  MaybeFailure failed_;
};

}  // namespace gavel::client::ctl
