// The texts of gRPC's headers and trailers: timeouts, messages of errors, binary metadata.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/clock.h"

namespace gavel::server {

// The value of grpc-timeout: up to eight digits and a unit. Nothing if it is no such thing.
std::optional<MonotonicNs> ParseGrpcTimeout(std::string_view text);

// A message as grpc-message carries it: printable ASCII, all else as %XX.
std::string PercentEncode(std::string_view text);

// The value of a header whose name ends with "-bin": base64, with or without padding. Nothing if
// it is no such thing.
std::optional<std::string> DecodeBinaryMetadata(std::string_view text);

// Whether the value of content-type says gRPC.
bool IsGrpcContentType(std::string_view text);

}  // namespace gavel::server
