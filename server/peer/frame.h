// The bytes members send to each other: a checksum, then proto/internal/peer.proto.
//
//   frame = CRC-32C of the rest (4 bytes, lowest first) | encoded internal.PeerFrame
//
// The layout of the first five bytes and the number of the `format` field never change, so that
// any version can name the version of a frame it cannot read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
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
  // The highest version of commands (storage/state/semantics.h) that the sender agrees to; 0: it
  // does not say.
  uint32_t semantics = 0;
};

// A piece of an archive of the sender's state, on its way to a member that needs it.
struct SnapshotPiece {
  uint64_t transfer = 0;  // One archive on its way; chosen by its sender, never twice.
  uint64_t offset = 0;
  std::string bytes;
  bool last = false;
};

// What its receiver says.
struct SnapshotReply {
  enum class Kind : uint8_t {
    kWanted = 1,   // Everything before `next` has been taken.
    kMissing = 2,  // The same, and what came was not the next.
    kWhole = 3,    // The archive has been taken, and is sound.
    kRefused = 4,  // See `reason`.
  };
  uint64_t transfer = 0;
  Kind kind = Kind::kWanted;
  uint64_t next = 0;
  std::string reason;
};

using SnapshotMessage = std::variant<SnapshotPiece, SnapshotReply>;

// Has either messages of the core or one about a snapshot.
struct Frame {
  FrameAddress address;
  std::vector<raft::Message> messages;
  std::optional<SnapshotMessage> snapshot;
};

// Encodes one frame. Every payload is copied once. Requires: the messages go from address.from
// to address.to.
std::string EncodeFrame(const FrameAddress& address, const std::vector<raft::Message>& messages);

std::string EncodeSnapshotFrame(const FrameAddress& address, SnapshotMessage message);

// DataLoss: damaged on the way. FailedPrecondition: a newer format, which the message names.
// InvalidArgument: whole, but not a frame of this format.
absl::StatusOr<Frame> DecodeFrame(std::string_view bytes);

}  // namespace gavel::server
