// How the values of flags are written.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

#include "server/clock.h"

namespace gavel::server {

// "1h2m3.5s" as Go writes it, never negative; a bare "0" needs no unit.
absl::StatusOr<MonotonicNs> ParseGoDuration(std::string_view text);

// Go's spellings of truth values.
absl::StatusOr<bool> ParseGoBool(std::string_view text);

// A whole number in [lowest, highest]; hexadecimal with 0x.
absl::StatusOr<int64_t> ParseInteger(std::string_view text, int64_t lowest, int64_t highest);

// Whether the value of the flag `name` has a URL that asks for encryption.
bool AsksForEncryption(std::string_view name, std::string_view value);

}  // namespace gavel::server
