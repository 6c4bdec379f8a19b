// A configuration document as text.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "client/ctl/config_document.h"
#include "client/ctl/config_events.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

// YAML allows names of 1024 characters.
constexpr size_t kNameMax = 1000;

// What both languages can say as it is.
bool IsText(std::string_view bytes) {
  return IsUtf8(bytes) && std::all_of(bytes.begin(), bytes.end(), [](char c) {
           return static_cast<unsigned char>(c) >= 0x20 ? c != 0x7f
                                                        : c == '\n' || c == '\t' || c == '\r';
         });
}

// In double quotes. What Quote escapes, YAML reads in the same way.
std::string YamlQuoted(std::string_view text) { return Quote(text); }

std::string YamlName(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const bool plain = !name.empty() && (letter(name[0]) || name[0] == '/' || name[0] == '_') &&
                     std::all_of(name.begin(), name.end(),
                                 [&](char c) {
                                   return letter(c) || (c >= '0' && c <= '9') || c == '/' ||
                                          c == '_' || c == '-' || c == '.';
                                 }) &&
                     OtherThanText(name).empty();
  return plain ? name : YamlQuoted(name);
}

// Whether a block reads well and gives exactly this text again.
bool FitsBlock(const std::string& value) {
  if (value.find('\n') == value.npos || value == "\n") return false;
  if (value.size() > 1 && value.substr(value.size() - 2) == "\n\n") return false;
  // No line but the empty one may begin with space, which would be taken for indentation, and
  // nothing may stand in it that is not seen.
  if (SafeText(value, /*multi_line=*/true) != value) return false;
  for (const std::string& line : Split(value, '\n')) {
    if (!line.empty() && (line[0] == ' ' || line.find('\t') != line.npos || line.back() == ' ')) {
      return false;
    }
  }
  return value[0] != '\n';
}

std::string YamlValue(const std::string& value) {
  if (!IsText(value)) return "{base64: \"" + Base64(value) + "\"}";
  if (!FitsBlock(value)) return YamlQuoted(value);
  const bool ends = value.back() == '\n';
  std::string out = ends ? "|" : "|-";
  for (const std::string& line : Split(ends ? value.substr(0, value.size() - 1) : value, '\n')) {
    out += line.empty() ? "\n" : "\n    " + line;
  }
  return out;
}

std::string FormatYaml(const ConfigDocument& document,
                       const std::map<std::string, std::string>& binary) {
  std::string out = "prefix: " + YamlQuoted(document.prefix) + "\n";
  if (document.revision != 0) out += "revision: " + std::to_string(document.revision) + "\n";
  std::string keys;
  for (const auto& [key, value] : document.keys) {
    const std::string name = key.substr(document.prefix.size());
    if (!binary.contains(name)) keys += "  " + YamlName(name) + ": " + YamlValue(value) + "\n";
  }
  out += keys.empty() ? "keys: {}\n" : "keys:\n" + keys;
  if (!binary.empty()) out += "binary_keys:\n";
  for (const auto& [name, value] : binary) {
    out += "  - {key: \"" + Base64(name) + "\", value: \"" + Base64(value) + "\"}\n";
  }
  return out;
}

std::string FormatJson(const ConfigDocument& document,
                       const std::map<std::string, std::string>& binary) {
  using Json = nlohmann::ordered_json;
  Json json = {{"prefix", document.prefix}};
  if (document.revision != 0) json["revision"] = document.revision;
  json["keys"] = Json::object();
  // Added to as the list that it is: the object would look at all names for each new one.
  std::vector<std::pair<const std::string, Json>>& keys = json["keys"].get_ref<Json::object_t&>();
  for (const auto& [key, value] : document.keys) {
    const std::string name = key.substr(document.prefix.size());
    if (binary.contains(name)) continue;
    keys.emplace_back(name, IsText(value) ? Json(value) : Json{{"base64", Base64(value)}});
  }
  for (const auto& [name, value] : binary) {
    Json entry;
    entry["key"] = Base64(name);
    entry["value"] = Base64(value);
    json["binary_keys"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

}  // namespace

std::string FormatConfig(const ConfigDocument& document, ConfigFormat format) {
  // Those whose names, without the prefix, cannot be said as text.
  std::map<std::string, std::string> binary;
  for (const auto& [key, value] : document.keys) {
    const std::string name = key.substr(document.prefix.size());
    if (!IsText(name) || Quote(name).size() > kNameMax) binary.emplace(name, value);
  }
  return format == ConfigFormat::kJson ? FormatJson(document, binary)
                                       : FormatYaml(document, binary);
}

}  // namespace gavel::client::ctl
