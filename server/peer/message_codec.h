// One message of raft/message.h to and from proto/internal/peer.proto.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "raft/message.h"

namespace gavel::internal {
class PeerMessage;
}  // namespace gavel::internal

namespace gavel::server {

// Everything of a message but its sender and receiver, the entries of an AppendRequest and the
// proposals of a ForwardProposals.
std::string EncodeSmallFields(const raft::Message& message);

// Takes payloads over without a copy. Sender and receiver are left empty. InvalidArgument: a
// message that no version of this format writes.
absl::StatusOr<raft::Message> DecodeMessage(internal::PeerMessage&& encoded);

}  // namespace gavel::server
