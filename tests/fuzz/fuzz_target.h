// What every fuzz target defines; one target to a program.
//
// A finding ends the process: a failed check, a sanitizer's report, a hang. OneInput keeps
// nothing from one call to the next, so that an input alone repeats what it found.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "raft/random.h"

namespace gavel::fuzz {

// Does to `input` what the world could do with it, and checks what must hold whatever it is.
void OneInput(std::string_view input);

// Inputs that are good, or nearly, and reach every part: where mutation begins. Always the same.
std::vector<std::string> Seeds();

// Makes a mutated input plausible again, such as by mending its checksums: without that nothing
// behind a checksum is ever reached. May do nothing.
void Mend(std::string& input, raft::Random& random);

// Takes decisions off the front of an input; when it is used up, all of them are 0.
class Choices {
 public:
  explicit Choices(std::string_view input) : left_(input) {}

  bool empty() const { return left_.empty(); }
  std::string_view left() const { return left_; }
  uint8_t Byte() {
    if (left_.empty()) return 0;
    const uint8_t byte = static_cast<uint8_t>(left_[0]);
    left_.remove_prefix(1);
    return byte;
  }
  uint64_t Below(uint64_t bound) { return Byte() % bound; }
  uint64_t Number(int bytes) {
    uint64_t number = 0;
    for (int i = 0; i < bytes; ++i) number |= uint64_t{Byte()} << (8 * i);
    return number;
  }
  std::string_view Bytes(size_t count) {
    const std::string_view bytes = left_.substr(0, count);
    left_.remove_prefix(bytes.size());
    return bytes;
  }

 private:
  std::string_view left_;
};

}  // namespace gavel::fuzz
