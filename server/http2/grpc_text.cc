#include "server/http2/grpc_text.h"

#include <array>
#include <cstdint>
#include <limits>

namespace gavel::server {
namespace {

constexpr size_t kTimeoutDigitsMax = 8;
constexpr char kHexDigits[] = "0123456789ABCDEF";

std::optional<MonotonicNs> UnitOf(char letter) {
  switch (letter) {
    case 'H':
      return 3600 * kNsPerSecond;
    case 'M':
      return 60 * kNsPerSecond;
    case 'S':
      return kNsPerSecond;
    case 'm':
      return kNsPerMs;
    case 'u':
      return 1000;
    case 'n':
      return 1;
    default:
      return std::nullopt;
  }
}

constexpr int8_t kNoDigit = -1;

constexpr std::array<int8_t, 256> Base64Digits() {
  std::array<int8_t, 256> digits{};
  for (int8_t& digit : digits) digit = kNoDigit;
  const std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < alphabet.size(); ++i) {
    digits[static_cast<unsigned char>(alphabet[i])] = static_cast<int8_t>(i);
  }
  return digits;
}

}  // namespace

std::optional<MonotonicNs> ParseGrpcTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > kTimeoutDigitsMax + 1) return std::nullopt;
  const std::optional<MonotonicNs> unit = UnitOf(text.back());
  if (!unit) return std::nullopt;
  MonotonicNs value = 0;
  for (const char digit : text.substr(0, text.size() - 1)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + (digit - '0');
  }
  // Eight digits of hours are more than the clock holds.
  const MonotonicNs longest = std::numeric_limits<MonotonicNs>::max() / 4;
  return value > longest / *unit ? longest : value * *unit;
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  encoded.reserve(text.size());
  for (const char letter : text) {
    if (letter >= ' ' && letter <= '~' && letter != '%') {
      encoded += letter;
      continue;
    }
    const auto byte = static_cast<unsigned char>(letter);
    encoded += '%';
    encoded += kHexDigits[byte >> 4];
    encoded += kHexDigits[byte & 15];
  }
  return encoded;
}

std::optional<std::string> DecodeBinaryMetadata(std::string_view text) {
  static constexpr std::array<int8_t, 256> kDigits = Base64Digits();
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string decoded;
  decoded.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char letter : text) {
    const int8_t digit = kDigits[static_cast<unsigned char>(letter)];
    if (digit == kNoDigit) return std::nullopt;
    bits = (bits << 6) | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    decoded += static_cast<char>(bits >> count);
  }
  return decoded;
}

bool IsGrpcContentType(std::string_view text) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (!text.starts_with(kGrpc)) return false;
  return text.size() == kGrpc.size() || text[kGrpc.size()] == '+' || text[kGrpc.size()] == ';';
}

}  // namespace gavel::server
