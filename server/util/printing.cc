#include "server/util/printing.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace gavel::server {
namespace {

std::string JsonValue(const PrintedValue& value) {
  return value.is_text ? absl::StrCat("\"", value.number, "\"") : value.number;
}

// As etcd's tools draw tables: headings in the middle, values to the right.
std::string Table(const std::vector<PrintedValue>& row) {
  std::string rule = "+";
  std::string head = "|";
  std::string body = "|";
  for (const PrintedValue& value : row) {
    const size_t width = std::max(value.column.size(), value.shown.size());
    const size_t spare = width - value.column.size();
    absl::StrAppend(&rule, std::string(width + 2, '-'), "+");
    absl::StrAppend(&head, std::string(1 + spare / 2, ' '), absl::AsciiStrToUpper(value.column),
                    std::string(1 + spare - spare / 2, ' '), "|");
    absl::StrAppend(&body, std::string(1 + width - value.shown.size(), ' '), value.shown, " |");
  }
  return absl::StrCat(rule, "\n", head, "\n", rule, "\n", body, "\n", rule, "\n");
}

}  // namespace

std::optional<PrintFormat> ParsePrintFormat(std::string_view text) {
  if (text == "simple") return PrintFormat::kSimple;
  if (text == "fields") return PrintFormat::kFields;
  if (text == "json") return PrintFormat::kJson;
  if (text == "table") return PrintFormat::kTable;
  return std::nullopt;
}

std::string PrintRow(PrintFormat format, const std::vector<PrintedValue>& row) {
  std::string text;
  switch (format) {
    case PrintFormat::kSimple:
      return absl::StrJoin(
                 row, ", ",
                 [](std::string* out, const PrintedValue& value) { out->append(value.shown); }) +
             "\n";
    case PrintFormat::kFields:
      for (const PrintedValue& value : row) {
        absl::StrAppend(&text, "\"", value.field, "\" : ", JsonValue(value), "\n");
      }
      return text;
    case PrintFormat::kJson:
      return "{" +
             absl::StrJoin(row, ",",
                           [](std::string* out, const PrintedValue& value) {
                             absl::StrAppend(out, "\"", value.key, "\":", JsonValue(value));
                           }) +
             "}\n";
    case PrintFormat::kTable:
      return Table(row);
  }
  return text;
}

std::string ShownBytes(uint64_t bytes) {
  constexpr std::array<const char*, 7> kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 10) return absl::StrCat(bytes, " B");
  size_t unit = 0;
  auto value = static_cast<double>(bytes);
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  value = std::floor(value * 10 + 0.5) / 10;
  return value < 10 ? absl::StrFormat("%.1f %s", value, kUnits[unit])
                    : absl::StrFormat("%.0f %s", value, kUnits[unit]);
}

}  // namespace gavel::server
