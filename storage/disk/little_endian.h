// Fixed-width little-endian numbers in byte buffers.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace gavel::storage {

// Writes `value` to the sizeof(T) bytes at `out`. Compilers make one store of the loop.
template <std::unsigned_integral T>
void StoreLittleEndian(char* out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out[i] = static_cast<char>(value >> (8 * i));
}

// Returns the number in the sizeof(T) bytes at `in`.
template <std::unsigned_integral T>
T LoadLittleEndian(const char* in) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(in[i])) << (8 * i));
  }
  return value;
}

template <std::unsigned_integral T>
void AppendLittleEndian(std::string& out, T value) {
  char bytes[sizeof(T)];
  StoreLittleEndian(bytes, value);
  out.append(bytes, sizeof(T));
}

}  // namespace gavel::storage
