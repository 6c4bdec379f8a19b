#include "storage/disk/crc32c.h"

#include <algorithm>

#include <isa-l/crc.h>

namespace gavel::storage {

uint32_t Crc32c(std::string_view bytes, uint32_t seed) {
  // The library takes its length as an int and leaves the usual inversion to the caller.
  constexpr size_t kStep = size_t{1} << 30;
  uint32_t crc = ~seed;
  while (!bytes.empty()) {
    const std::string_view step = bytes.substr(0, kStep);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(step.data()));
    crc = crc32_iscsi(data, static_cast<int>(step.size()), crc);
    bytes.remove_prefix(step.size());
  }
  return ~crc;
}

}  // namespace gavel::storage
