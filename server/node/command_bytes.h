// The bytes of a command (proto/internal/command.proto), written around a request that is
// already encoded, so that it is not decoded and encoded once more.
#pragma once

#include <string>
#include <string_view>

#include "raft/types.h"
#include "server/node/gate.h"

namespace gavel::server {

// Semantics version and request id.
std::string EncodeCommandHeader(const raft::RequestId& id);
// Adds `request` as the body field `field`.
void AppendCommandBody(CommandField field, std::string_view request, std::string* out);

}  // namespace gavel::server
