// Seeds and stored findings of a target as files.
#pragma once

#include <string>
#include <vector>

namespace gavel::fuzz {

// Writes Seeds() to `directory`, which must exist; returns how many.
int WriteSeeds(const std::string& directory);

// The findings in `directory`, if it exists: files "*.hex" whose lines are pairs of hexadecimal
// digits; what follows a '#' is a comment.
std::vector<std::string> ReadFindings(const std::string& directory);

}  // namespace gavel::fuzz
