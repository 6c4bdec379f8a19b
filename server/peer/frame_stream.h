// How frames lie in the messages of a gRPC stream, and the stream's name.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace gavel::server {

inline constexpr std::string_view kPeerFramesMethod = "/gavel.internal.Peer/Frames";
// Answered with one message, whatever is sent: see cluster_view.h.
inline constexpr std::string_view kPeerClusterMethod = "/gavel.internal.Peer/Cluster";
// The peer URLs of who opens a stream, joined by commas.
inline constexpr char kPeerUrlsKey[] = "gavel-peer-urls";

// A stream message is a run of frames, each with its length (4 bytes, lowest first) before it.
void AppendFrameLength(size_t bytes, std::string* out);

// Calls `frame` for each; stops at the first error. InvalidArgument: not a run of frames.
absl::Status SplitFrames(std::string_view message,
                         const std::function<absl::Status(std::string_view)>& frame);

}  // namespace gavel::server
