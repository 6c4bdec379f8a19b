// The bytes of a command (proto/internal/command.proto), written around a request that is
// already encoded, so that it is not decoded and encoded once more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "raft/types.h"
#include "server/node/gate.h"

namespace gavel::server {

// The rules by which a command is applied (storage/state/semantics.h): an older build refuses, by
// name, what it does not know.
uint32_t SemanticsOf(CommandField field);

// The field of the body of an encoded command; 0 if there is none.
int CommandFieldOf(std::string_view command);

// Semantics version and request id.
std::string EncodeCommandHeader(CommandField field, const raft::RequestId& id);
// Adds `request` as the body field `field`.
void AppendCommandBody(CommandField field, std::string_view request, std::string* out);

}  // namespace gavel::server
