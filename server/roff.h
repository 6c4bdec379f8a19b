// Manual pages: text as roff takes it. Runs while Gavel is built.
#pragma once

#include <string>
#include <string_view>

namespace gavel::server {

// No command at the beginning of a line, no escapes.
inline std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool begins = out.empty() || out.back() == '\n';
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '"') {
      out += "\\(dq";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace gavel::server
