// The query of a URL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gavel::server {

// The values of `key` in "a=1&b=2", decoded, in order. Malformed percent signs stand for
// themselves.
std::vector<std::string> QueryValues(std::string_view query, std::string_view key);

}  // namespace gavel::server
