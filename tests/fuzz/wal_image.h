// A directory of the write-ahead log as one run of bytes, for mutation.
//
//   input = index to keep entries from (1) | file...
//   file  = 0 for the high-water mark or the number of a segment (1) | pieces (1) | piece...
//   piece = zeros (2) | length (2) | bytes
//
// Files are mostly zeros; left out, an input is small, and a mutation hits what matters.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "raft/random.h"

namespace gavel::fuzz {

struct WalImage {
  uint8_t keep_from = 0;
  std::map<uint8_t, std::string> files;  // By segment; 0: the high-water mark.
};

inline constexpr uint8_t kSegmentsMax = 6;

WalImage ParseWalImage(std::string_view input);
std::string EncodeWalImage(const WalImage& image);

// Mends all checksums, and with `chains` also the chains, sequences and lengths that tie records
// and segments together, so that only what the records say is wrong.
void MendWalImage(WalImage& image, bool chains);

}  // namespace gavel::fuzz
