// A prefix of the store as a document: YAML or JSON in a file.
//
//   prefix: app/
//   revision: 42                     # when it was exported; only told, never needed
//   keys:                            # names without the prefix
//     colour: "blue"
//     logo: {base64: iVBORw0KGgo=}   # a value that is no text
//   binary_keys:                     # keys whose names are no text, or too long
//     - {key: /w==, value: AAEC}     # both in base64
//
// Values are text. What YAML or JSON takes for a number, a truth value or nothing is refused, so
// that "1.10" cannot become 1.1; so are duplicate keys, aliases and unknown fields.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "client/ctl/failure.h"

namespace gavel::client::ctl {

struct ConfigDocument {
  std::string prefix;
  int64_t revision = 0;                     // 0: not said.
  std::map<std::string, std::string> keys;  // Whole keys, with the prefix.

  friend bool operator==(const ConfigDocument&, const ConfigDocument&) = default;
};

enum class ConfigFormat : uint8_t { kYaml, kJson };

// By the ending of a file's name; YAML if it has another.
ConfigFormat FormatOfFile(std::string_view path);

// Errors name the file, the line and the column.
Expected<ConfigDocument> ParseConfig(std::string_view text, ConfigFormat format,
                                     std::string_view file_name);

// Reading it gives the same document again.
std::string FormatConfig(const ConfigDocument& document, ConfigFormat format);

}  // namespace gavel::client::ctl
