#include "client/ctl/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace gavel::client::ctl {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

struct Rune {
  char32_t code = 0;
  size_t bytes = 1;
  bool valid = false;
};

// The character that begins at `at`.
Rune ReadRune(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {first, 1, true};
  size_t length = 0;
  char32_t code = 0;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
    code = first & 0x1f;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    code = first & 0x0f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    code = first & 0x07;
  } else {
    return {first, 1, false};
  }
  if (at + length > text.size()) return {first, 1, false};
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {first, 1, false};
    code = (code << 6) | (byte(at + i) & 0x3f);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {first, 1, false};
  return {code, length, true};
}

// Controls, separators, marks that turn the writing direction, private use.
bool IsPrintable(char32_t code) {
  struct Span {
    char32_t first, last;
  };
  constexpr Span kNot[] = {{0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},
                           {0x61c, 0x61c},     {0x180e, 0x180e},   {0x1680, 0x1680},
                           {0x2000, 0x200f},   {0x2028, 0x202f},   {0x205f, 0x206f},
                           {0x3000, 0x3000},   {0xd800, 0xf8ff},   {0xfeff, 0xfeff},
                           {0xfff9, 0xfffb},   {0xfffe, 0xffff},   {0x1fffe, 0x1ffff},
                           {0x2fffe, 0x2ffff}, {0x3fffe, 0x3ffff}, {0xe0000, 0x10ffff}};
  return std::none_of(std::begin(kNot), std::end(kNot),
                      [&](const Span& span) { return code >= span.first && code <= span.last; });
}

void AppendByteEscape(unsigned char byte, std::string* out) {
  *out += "\\x";
  *out += kHexDigits[byte >> 4];
  *out += kHexDigits[byte & 15];
}

void AppendRuneEscape(char32_t code, std::string* out) {
  char escape[16];
  std::snprintf(escape, sizeof escape, code < 0x10000 ? "\\u%04x" : "\\U%08x",
                static_cast<unsigned>(code));
  *out += escape;
}

void AppendUtf8(char32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else if (code < 0x800) {
    *out += static_cast<char>(0xc0 | (code >> 6));
    *out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    *out += static_cast<char>(0xe0 | (code >> 12));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    *out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    *out += static_cast<char>(0xf0 | (code >> 18));
    *out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    *out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

constexpr std::string_view kEscaped = "\a\b\f\n\r\t\v";
constexpr std::string_view kEscapes = "abfnrtv";

// `digits` digits of `base` at `position`, as a number.
std::optional<uint32_t> ReadDigits(std::string_view text, size_t* position, size_t digits,
                                   int base) {
  if (*position + digits > text.size()) return std::nullopt;
  uint32_t number = 0;
  const char* const begin = text.data() + *position;
  const auto [end, error] = std::from_chars(begin, begin + digits, number, base);
  if (error != std::errc() || end != begin + digits) return std::nullopt;
  *position += digits;
  return number;
}

// What stands behind a backslash.
bool ReadEscape(std::string_view text, size_t* position, std::string* out) {
  if (*position >= text.size()) return false;
  const char kind = text[(*position)++];
  if (const size_t at = kEscapes.find(kind); at != std::string_view::npos) {
    *out += kEscaped[at];
    return true;
  }
  if (kind == '\\' || kind == '"') {
    *out += kind;
    return true;
  }
  if (kind == 'x') {
    const std::optional<uint32_t> byte = ReadDigits(text, position, 2, 16);
    if (byte) *out += static_cast<char>(*byte);
    return byte.has_value();
  }
  if (kind == 'u' || kind == 'U') {
    const std::optional<uint32_t> code = ReadDigits(text, position, kind == 'u' ? 4 : 8, 16);
    if (!code || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff)) return false;
    AppendUtf8(*code, out);
    return true;
  }
  if (kind >= '0' && kind <= '7') {
    --*position;
    const std::optional<uint32_t> byte = ReadDigits(text, position, 3, 8);
    if (!byte || *byte > 255) return false;
    *out += static_cast<char>(*byte);
    return true;
  }
  return false;
}

}  // namespace

std::string Quote(std::string_view bytes) {
  std::string out = "\"";
  for (size_t at = 0; at < bytes.size();) {
    const Rune rune = ReadRune(bytes, at);
    if (!rune.valid) {
      AppendByteEscape(static_cast<unsigned char>(rune.code), &out);
    } else if (rune.code == '"' || rune.code == '\\') {
      out += '\\';
      out += static_cast<char>(rune.code);
    } else if (rune.code < 0x80 && kEscaped.find(static_cast<char>(rune.code)) != kEscaped.npos) {
      out += '\\';
      out += kEscapes[kEscaped.find(static_cast<char>(rune.code))];
    } else if (IsPrintable(rune.code)) {
      out += bytes.substr(at, rune.bytes);
    } else if (rune.code < 0x20 || rune.code == 0x7f) {
      AppendByteEscape(static_cast<unsigned char>(rune.code), &out);
    } else {
      AppendRuneEscape(rune.code, &out);
    }
    at += rune.bytes;
  }
  return out + "\"";
}

std::optional<std::string> Unquote(std::string_view text, size_t* position) {
  size_t at = *position;
  if (at >= text.size()) return std::nullopt;
  std::string out;
  if (text[at] == '`') {
    const size_t end = text.find('`', at + 1);
    if (end == std::string_view::npos) return std::nullopt;
    *position = end + 1;
    return std::string(text.substr(at + 1, end - at - 1));
  }
  if (text[at++] != '"') return std::nullopt;
  while (at < text.size() && text[at] != '"') {
    if (text[at] != '\\') {
      out += text[at++];
      continue;
    }
    ++at;
    if (!ReadEscape(text, &at, &out)) return std::nullopt;
  }
  if (at >= text.size()) return std::nullopt;
  *position = at + 1;
  return out;
}

QuoteError ExplainQuote(std::string_view text, size_t position) {
  const char quote = text[position];
  for (size_t at = position + 1; quote == '"' && at < text.size();) {
    if (text[at] != '\\') {
      ++at;
      continue;
    }
    const size_t escape = at++;
    if (at == text.size()) break;
    std::string ignored;
    if (!ReadEscape(text, &at, &ignored)) {
      return {escape, std::string("no escape begins with ") + Quote(text.substr(escape, 2)) +
                          "; a backslash is written \\\\, a byte \\xNN"};
    }
  }
  return {position, std::string("this quoted text does not end: a closing ") + quote +
                        " is missing before the end of the line"};
}

std::string HexEscape(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) AppendByteEscape(static_cast<unsigned char>(byte), &out);
  return out;
}

std::string SafeText(std::string_view bytes, bool multi_line) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const Rune rune = ReadRune(bytes, at);
    const bool layout = multi_line && (rune.code == '\n' || rune.code == '\t');
    if (rune.valid && (layout || IsPrintable(rune.code))) {
      out += bytes.substr(at, rune.bytes);
    } else if (!rune.valid || rune.code < 0x80) {
      AppendByteEscape(static_cast<unsigned char>(rune.code), &out);
    } else {
      AppendRuneEscape(rune.code, &out);
    }
    at += rune.bytes;
  }
  return out;
}

std::optional<size_t> FindNoUtf8(std::string_view bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const Rune rune = ReadRune(bytes, at);
    if (!rune.valid) return at;
    at += rune.bytes;
  }
  return std::nullopt;
}

bool IsUtf8(std::string_view bytes) { return !FindNoUtf8(bytes); }

size_t CountCharacters(std::string_view bytes) {
  size_t count = 0;
  for (size_t at = 0; at < bytes.size(); ++count) at += ReadRune(bytes, at).bytes;
  return count;
}

namespace {
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string Base64(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    for (size_t i = 0; i < 3; ++i) {
      group = (group << 8) | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0);
    }
    for (size_t i = 0; i < 4; ++i) {
      out += i <= count ? kBase64[(group >> (18 - 6 * i)) & 63] : '=';
    }
  }
  return out;
}

std::optional<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  for (size_t at = 0; at < text.size(); at += 4) {
    uint32_t group = 0;
    size_t filled = 4;
    for (size_t i = 0; i < 4; ++i) {
      const char digit = text[at + i];
      const size_t value = kBase64.find(digit);
      if (digit == '=' && at + 4 == text.size() && i >= 2) {
        filled = std::min(filled, i);
        group <<= 6;
      } else if (value == std::string_view::npos || filled < 4) {
        return std::nullopt;
      } else {
        group = (group << 6) | static_cast<uint32_t>(value);
      }
    }
    for (size_t i = 0; i + 1 < filled; ++i) out += static_cast<char>((group >> (16 - 8 * i)) & 255);
  }
  return out;
}

std::string Hex(uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(number));
  return text;
}

std::string Hex16(uint64_t number) {
  const std::string digits = Hex(number);
  return std::string(16 - std::min<size_t>(16, digits.size()), '0') + digits;
}

std::string PaddedHex(uint64_t number) {
  const std::string digits = Hex(number);
  return std::string(16 - digits.size(), ' ') + digits;
}

std::optional<int64_t> ParseInteger(std::string_view text, int base) {
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return std::nullopt;
  }
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<uint64_t> ParseMemberId(std::string_view text) {
  uint64_t id = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return id;
}

std::optional<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  struct Unit {
    std::string_view name;
    double ns;
  };
  // The longer names first: "ms" is no "m".
  constexpr Unit kUnits[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},  {"ms", 1e6},
                             {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
  double total = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || text[0] == '-') return std::nullopt;
    text.remove_prefix(end - text.data());
    const Unit* const unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) {
      return text.substr(0, u.name.size()) == u.name;
    });
    if (unit == std::end(kUnits)) return std::nullopt;
    text.remove_prefix(unit->name.size());
    total += number * unit->ns;
  }
  constexpr double kYearNs = 366 * 86'400e9;
  if (!(total <= kYearNs)) return std::nullopt;
  if (total > 0 && total < 1) return std::chrono::nanoseconds(1);  // Rather than none.
  return std::chrono::nanoseconds(std::llround(total));
}

std::string FormatDuration(std::chrono::microseconds duration) {
  const int64_t us = duration.count();
  if (us < 1000) return us == 0 ? "0s" : std::to_string(us) + "µs";
  const bool seconds = us >= 1'000'000;
  const int64_t unit = seconds ? 1'000'000 : 1000;
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, seconds ? ".%06d" : ".%03d",
                static_cast<int>(us % unit));
  std::string_view kept = fraction;
  while (kept.back() == '0') kept.remove_suffix(1);
  if (kept == ".") kept = {};
  int64_t whole = us / unit;
  std::string out;
  if (seconds && whole >= 60) {
    if (whole >= 3600) out += std::to_string(whole / 3600) + "h";
    out += std::to_string(whole / 60 % 60) + "m";
    whole %= 60;
  }
  return out + std::to_string(whole) + std::string(kept) + (seconds ? "s" : "ms");
}

std::string HumanBytes(uint64_t bytes) {
  constexpr std::array<const char*, 7> kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 10) return std::to_string(bytes) + " B";
  size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  value = std::floor(value * 10 + 0.5) / 10;
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
  return text;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0;;) {
    const size_t end = text.find(separator, at);
    parts.emplace_back(text.substr(at, end - at));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string ToUpper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

}  // namespace gavel::client::ctl
