// The bytes members send to each other: a checksum, then proto/internal/peer.proto.
//
//   frame = CRC-32C of the rest (4 bytes, lowest first) | encoded internal.PeerFrame
//
// The layout of the first five bytes and the number of the `format` field never change, so that
// any version can name the version of a frame it cannot read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "raft/message.h"
#include "raft/types.h"

namespace gavel::server {

inline constexpr uint32_t kFrameFormat = 1;

// Who sends a frame, and to whom.
struct FrameAddress {
  uint64_t cluster_id = 0;
  raft::NodeId from;
  raft::NodeId to;
  raft::Incarnation incarnation;  // The sender's life.
};

struct Frame {
  FrameAddress address;
  std::vector<raft::Message> messages;
};

// Encodes one frame. Every payload is copied once. Requires: the messages go from address.from
// to address.to.
std::string EncodeFrame(const FrameAddress& address, const std::vector<raft::Message>& messages);

// DataLoss: damaged on the way. FailedPrecondition: a newer format, which the message names.
// InvalidArgument: whole, but not a frame of this format.
absl::StatusOr<Frame> DecodeFrame(std::string_view bytes);

}  // namespace gavel::server
