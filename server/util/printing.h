// How gavelutl writes what it found: one row of named values, in etcdutl's formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gavel::server {

enum class PrintFormat { kSimple, kFields, kJson, kTable };
std::optional<PrintFormat> ParsePrintFormat(std::string_view text);

// One value of a row, as each format names and shows it.
struct PrintedValue {
  std::string column;  // In a table.
  std::string field;   // Among fields.
  std::string key;     // In JSON.
  std::string shown;   // For people.
  std::string number;  // Where `shown` is not the value itself; in JSON, quoted if `is_text`.
  bool is_text = false;
};

// The whole text, ended by a line end.
std::string PrintRow(PrintFormat format, const std::vector<PrintedValue>& row);

// "94 MB", as etcd's tools write sizes.
std::string ShownBytes(uint64_t bytes);

}  // namespace gavel::server
