// Writes protobuf's wire format by hand where encoding through a generated class would copy the
// bytes of a large field once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gavel::server {

// Bytes of `value` as a varint.
size_t VarintBytes(uint64_t value);
// Bytes of field `field` holding `bytes` bytes: tag, length and content.
size_t LengthDelimitedBytes(int field, size_t bytes);

// Appends fields to a string. Unlike proto3's own encoder it also writes zeros.
class WireWriter {
 public:
  explicit WireWriter(std::string* out) : out_(out) {}

  void Varint(int field, uint64_t value);
  void Bytes(int field, std::string_view bytes);
  // Begins a field whose `bytes` bytes the caller appends next.
  void LengthDelimited(int field, size_t bytes);

 private:
  void Raw(uint64_t value);

  std::string* out_;
};

}  // namespace gavel::server
