#include "server/options_values.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace gavel::server {
namespace {

absl::Status Invalid(std::string_view kind, std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("invalid ", std::string(kind), " \"", std::string(text), "\""));
}

// Nanoseconds of Go's units; 0 for anything else.
double UnitNs(std::string_view unit) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  for (const auto& [name, ns] : kUnits) {
    if (unit == name) return ns;
  }
  return 0;
}

}  // namespace

absl::StatusOr<MonotonicNs> ParseGoDuration(std::string_view text) {
  const absl::Status error = absl::InvalidArgumentError(
      absl::StrCat("invalid duration \"", std::string(text), "\" (write it as 100ms, 5s, 1h30m)"));
  if (text == "0") return 0;
  if (text.empty()) return error;
  double sum = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t number_end = rest.find_first_not_of("0123456789.");
    if (number_end == 0 || number_end == std::string_view::npos) return error;
    double number = 0;
    const std::string digits(rest.substr(0, number_end));
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failure != std::errc() || end != digits.data() + digits.size()) return error;
    rest.remove_prefix(number_end);
    const size_t unit_end = rest.find_first_of("0123456789.");
    const double unit = UnitNs(rest.substr(0, unit_end));
    if (unit == 0) return error;
    rest.remove_prefix(unit_end == std::string_view::npos ? rest.size() : unit_end);
    sum += number * unit;
  }
  // Go's durations end at 2^63 ns, 292 years.
  if (sum >= static_cast<double>(std::numeric_limits<int64_t>::max())) return error;
  return std::llround(sum);
}

absl::StatusOr<bool> ParseGoBool(std::string_view text) {
  for (std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return Invalid("boolean value", text);
}

absl::StatusOr<int64_t> ParseInteger(std::string_view text, int64_t lowest, int64_t highest) {
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hexadecimal ? text.substr(2) : text;
  int64_t number = 0;
  const char* const last = digits.data() + digits.size();
  const auto [end, failure] = std::from_chars(digits.data(), last, number, hexadecimal ? 16 : 10);
  if (failure == std::errc::result_out_of_range) {
    return absl::InvalidArgumentError(
        absl::StrCat("value ", std::string(text), " is out of range"));
  }
  if (failure != std::errc() || end != last || digits.empty()) return Invalid("number", text);
  if (number < lowest || number > highest) {
    return absl::InvalidArgumentError(
        absl::StrCat("value ", std::string(text), " must be between ", lowest, " and ", highest));
  }
  return number;
}

bool AsksForEncryption(std::string_view name, std::string_view value) {
  const bool has_urls = name.ends_with("-urls") || name == "initial-cluster";
  const auto has = [value](std::string_view text) {
    return value.find(text) != std::string_view::npos;
  };
  return has_urls && (has("https://") || has("unixs://"));
}

}  // namespace gavel::server
