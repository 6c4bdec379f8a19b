// Decodes messages that may be nested deeper than protobuf's default allows.
//
// A transaction may hold transactions as deep as its operations last, two messages for each
// level. What a member accepts from a client must also be decodable where it is applied, so the
// depth for commands is above that for requests.
#pragma once

#include <string_view>

#include <google/protobuf/message_lite.h>

namespace gavel {

inline constexpr int kRequestDepthMax = 900;
inline constexpr int kCommandDepthMax = 1000;

// Returns false if `bytes` are no message of this type, or one that is nested too deep.
bool ParseMessage(std::string_view bytes, int depth_max, google::protobuf::MessageLite* message);

}  // namespace gavel
