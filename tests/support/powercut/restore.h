// Turns a data directory into one that a power cut could have left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace gavel::powercut {

// What becomes of changes that were not synced.
enum class Cut {
  kLose,      // All are lost.
  kKeep,      // All are kept: the process died, the machine did not.
  kTear512,   // Each sector, size and directory has any of its two states.
  kTear4096,  // The same with pages.
  kAny,       // One of these, by the seed.
};

// Reads "lose", "keep", "tear512", "tear4096" or "any".
std::optional<Cut> ParseCut(const std::string& text);

struct RestoreResult {
  bool followed = false;    // False: the process ended before it did anything to the directory.
  Cut cut = Cut::kLose;     // The one that was chosen.
  int files = 0;            // In the directory that is left.
  int files_changed = 0;    // Of these, other than the process saw them, or gone.
  uint64_t bytes_lost = 0;  // Sectors that fell back to what was durable, and cut tails.
};

// Replaces `directory`, which no process uses any more, by what a cut leaves of it, and ends the
// shadow. What was there before stays as `<directory>.before-cut` until the next time.
RestoreResult Restore(const std::string& directory, const std::string& shadow, Cut cut,
                      uint64_t seed);

}  // namespace gavel::powercut
