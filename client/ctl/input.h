// What a command reads: files, standard input and its lines. Each has a limit, --max-input-bytes,
// so that an endless one ends with a message instead of with the memory.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "client/ctl/failure.h"

namespace gavel::client::ctl {

// All of standard input; refused if it has more than `bytes_max` bytes.
Expected<std::string> ReadStandardInput(size_t bytes_max);
// All of a file, or of anything else that has a path; refused likewise.
Expected<std::string> ReadFile(const std::string& path, size_t bytes_max);

// Lines of standard input. Whoever uses it reads standard input in no other way.
class InputLines {
 public:
  explicit InputLines(size_t bytes_max) : bytes_max_(bytes_max), left_(bytes_max) {}

  // The next line, without its line feed; nothing at the end of the input. Fails if the lines since
  // Restart() have more than `bytes_max` bytes.
  Expected<std::optional<std::string>> Next();
  // What stood at the end of the input without a line feed.
  const std::string& rest() const { return rest_; }
  // What was read so far counts no more.
  void Restart() { left_ = bytes_max_; }

 private:
  const size_t bytes_max_;
  size_t left_;
  std::string rest_;
};

}  // namespace gavel::client::ctl
