#include "storage/mvcc/varint.h"

namespace gavel::storage {

void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

bool TakeVarint(std::string_view* in, uint64_t* value) {
  *value = 0;
  size_t size = 0;
  for (int shift = 0; shift < 64 && size < in->size(); shift += 7) {
    const auto byte = static_cast<unsigned char>((*in)[size++]);
    // The tenth byte has room for one bit.
    if (shift == 63 && byte > 1) return false;
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      in->remove_prefix(size);
      return true;
    }
  }
  return false;
}

bool TakeVarint(std::string_view* in, int64_t* value) {
  uint64_t bits = 0;
  if (!TakeVarint(in, &bits)) return false;
  *value = static_cast<int64_t>(bits);
  return true;
}

void AppendBytes(std::string_view bytes, std::string* out) {
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

bool TakeBytes(std::string_view* in, std::string_view* bytes) {
  uint64_t size = 0;
  if (!TakeVarint(in, &size) || size > in->size()) return false;
  *bytes = in->substr(0, size);
  in->remove_prefix(size);
  return true;
}

}  // namespace gavel::storage
