#include "server/peer/wire.h"

namespace gavel::server {
namespace {

constexpr uint64_t kVarintType = 0;
constexpr uint64_t kLengthDelimitedType = 2;

uint64_t Tag(int field, uint64_t type) { return (static_cast<uint64_t>(field) << 3) | type; }

}  // namespace

size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

size_t LengthDelimitedBytes(int field, size_t bytes) {
  return VarintBytes(Tag(field, kLengthDelimitedType)) + VarintBytes(bytes) + bytes;
}

void WireWriter::Raw(uint64_t value) {
  for (; value >= 0x80; value >>= 7) out_->push_back(static_cast<char>(value | 0x80));
  out_->push_back(static_cast<char>(value));
}

void WireWriter::Varint(int field, uint64_t value) {
  Raw(Tag(field, kVarintType));
  Raw(value);
}

void WireWriter::LengthDelimited(int field, size_t bytes) {
  Raw(Tag(field, kLengthDelimitedType));
  Raw(bytes);
}

void WireWriter::Bytes(int field, std::string_view bytes) {
  LengthDelimited(field, bytes.size());
  out_->append(bytes);
}

}  // namespace gavel::server
