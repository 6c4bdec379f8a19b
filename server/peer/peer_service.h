// Receives peers' frames: the method that GrpcPeerTransport calls.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

#include "server/rpc/service.h"

namespace gavel::server {

inline constexpr std::string_view kPeerFramesMethod = "/gavel.internal.Peer/Frames";

// A stream message is a run of frames, each with its length (4 bytes, lowest first) before it.
void AppendFrameLength(size_t bytes, std::string* out);

// Calls `frame` for each; stops at the first error. InvalidArgument: not a run of frames.
absl::Status SplitFrames(std::string_view message,
                         const std::function<absl::Status(std::string_view)>& frame);

// Adds the method to `router`. An error from `on_frame` ends the stream and is told to the sender.
void AddPeerService(Router& router, std::function<absl::Status(std::string_view frame)> on_frame);

}  // namespace gavel::server
