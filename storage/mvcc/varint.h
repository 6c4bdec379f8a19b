// Numbers in as few bytes as they need: seven bits each, lowest first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gavel::storage {

void AppendVarint(uint64_t value, std::string* out);
// Takes a number off the front of `*in`; false if there is none.
bool TakeVarint(std::string_view* in, uint64_t* value);
// The same for numbers that are hardly ever negative.
bool TakeVarint(std::string_view* in, int64_t* value);

// Bytes with their length before them.
void AppendBytes(std::string_view bytes, std::string* out);
bool TakeBytes(std::string_view* in, std::string_view* bytes);

}  // namespace gavel::storage
