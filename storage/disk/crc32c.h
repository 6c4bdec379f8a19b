// CRC-32C (Castagnoli), the checksum of every format in storage/.
#pragma once

#include <cstdint>
#include <string_view>

namespace gavel::storage {

// Returns the checksum of `bytes`; with `seed` the checksum of what comes before them, that of
// the whole: Crc32c(b, Crc32c(a)) == Crc32c(a + b).
uint32_t Crc32c(std::string_view bytes, uint32_t seed = 0);

}  // namespace gavel::storage
