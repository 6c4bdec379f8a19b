#include "client/types.h"

namespace gavel::client {
namespace {

constexpr std::string_view kZeroByte("\0", 1);

}  // namespace

KeyRange KeyRange::Prefix(std::string_view prefix) {
  if (prefix.empty()) return All();
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return From(prefix);
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return Between(prefix, end);
}

KeyRange KeyRange::From(std::string_view first) {
  // The empty key, which is before all others, is asked for by the first one that can exist.
  return Between(first.empty() ? kZeroByte : first, kZeroByte);
}

KeyRange KeyRange::Between(std::string_view first, std::string_view past_the_last) {
  return KeyRange(std::string(first), std::string(past_the_last));
}

KeyRange KeyRange::All() { return Between(kZeroByte, kZeroByte); }

}  // namespace gavel::client
