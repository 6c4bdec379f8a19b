// Text as gavelctl writes and reads it: quoting, escaping, durations, sizes, base64.
//
// Pure functions. Bytes that are no UTF-8 are never dropped.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gavel::client::ctl {

// In double quotes with escapes, as Go's %q writes it.
std::string Quote(std::string_view bytes);

// The next text that Quote (or a raw string in backquotes) can have been made from, from
// `position` on; moves `position` behind it. Nothing if none begins there or it is damaged.
std::optional<std::string> Unquote(std::string_view text, size_t* position);

// What keeps Unquote from reading a text that begins with a quote at `position`: that it does not
// end, or an escape that there is not.
struct QuoteError {
  size_t at = 0;  // In bytes.
  std::string message = {};
};
// Requires: a quote at `position`, and Unquote gives nothing.
QuoteError ExplainQuote(std::string_view text, size_t position);

// Every byte as \xNN.
std::string HexEscape(std::string_view bytes);

// What is safe to write to a terminal: printable text as it is, the rest as \xNN or \u escapes.
// Line feeds and tabs stay if `multi_line`.
std::string SafeText(std::string_view bytes, bool multi_line);

bool IsUtf8(std::string_view bytes);
// The first byte that belongs to no character of UTF-8; nothing if all do.
std::optional<size_t> FindNoUtf8(std::string_view bytes);
// Characters, of which a broken byte is one.
size_t CountCharacters(std::string_view bytes);

std::string Base64(std::string_view bytes);
std::optional<std::string> FromBase64(std::string_view text);

std::string Hex(uint64_t number);
std::string Hex16(uint64_t number);
// With spaces before it, 16 characters wide.
std::string PaddedHex(uint64_t number);

// Decimal and hexadecimal numbers as Go's ParseInt reads them; nothing if it would refuse.
std::optional<int64_t> ParseInteger(std::string_view text, int base = 10);

// The id of a member as etcd's tools read it: unsigned, hexadecimal, without 0x.
std::optional<uint64_t> ParseMemberId(std::string_view text);

// "1.5s", "200ms", "1m30s". Nothing if it is none, negative, or beyond a year.
std::optional<std::chrono::nanoseconds> ParseDuration(std::string_view text);
// As Go writes it: "3.053ms", "1.2s".
std::string FormatDuration(std::chrono::microseconds duration);

// "20 kB", "1.5 MB": powers of 1000.
std::string HumanBytes(uint64_t bytes);

std::vector<std::string> Split(std::string_view text, char separator);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view Trim(std::string_view text);
std::string ToUpper(std::string_view text);

}  // namespace gavel::client::ctl
