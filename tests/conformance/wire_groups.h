// Groups in encoded messages, which nobody uses any more, and parsers skip in different ways.
#pragma once

#include <string_view>

namespace gavel::conformance {

// Whether the bytes are fields, of which a group ends as another's: what the parser of etcd 3.4,
// which skips a group up to any end, takes for well-formed, and protobuf's rules do not. False if
// anything else is wrong with them.
bool OnlyGroupsEndWrongly(std::string_view bytes);

}  // namespace gavel::conformance
