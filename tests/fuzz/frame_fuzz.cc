// Frames of peers: what is decoded can be encoded, and decodes to the same.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/well_formed.h"
#include "server/peer/frame.h"
#include "server/peer/frame_stream.h"
#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"
#include "tests/fuzz/conversation.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {
namespace {

using raft::Index;
using raft::NodeId;
using raft::Term;

// The first byte of an input: one frame; a message of a stream, which holds a run of them; or what
// a member is told, and does meanwhile.
enum Kind : char { kFrame, kStreamMessage, kConversation, kKinds };

Kind KindOf(std::string_view input) {
  return static_cast<Kind>(static_cast<uint8_t>(input[0]) % kKinds);
}

constexpr size_t kChecksumBytes = 4;
constexpr size_t kLengthBytes = 4;

void CheckFrame(std::string_view bytes) {
  absl::StatusOr<server::Frame> frame = server::DecodeFrame(bytes);
  if (!frame.ok()) {
    const absl::StatusCode code = frame.status().code();
    GAVEL_CHECK(code == absl::StatusCode::kDataLoss || code == absl::StatusCode::kInvalidArgument ||
                code == absl::StatusCode::kFailedPrecondition);
    return;
  }
  for (const raft::Message& message : frame->messages) {
    GAVEL_CHECK(message.from == frame->address.from && message.to == frame->address.to);
    raft::IsWellFormed(message);
  }
  const std::string once = server::EncodeFrame(frame->address, frame->messages);
  const absl::StatusOr<server::Frame> again = server::DecodeFrame(once);
  GAVEL_CHECK(again.ok()) << "what was decoded cannot be sent on";
  GAVEL_CHECK(again->messages.size() == frame->messages.size());
  GAVEL_CHECK(server::EncodeFrame(again->address, again->messages) == once)
      << "a frame is another one after a second round";
  for (size_t i = 0; i < again->messages.size(); ++i) {
    GAVEL_CHECK(raft::IsWellFormed(again->messages[i]) == raft::IsWellFormed(frame->messages[i]));
  }
}

void CheckStreamMessage(std::string_view bytes) {
  std::string joined;
  const absl::Status status = server::SplitFrames(bytes, [&](std::string_view frame) {
    CheckFrame(frame);
    server::AppendFrameLength(frame.size(), &joined);
    joined += frame;
    return absl::OkStatus();
  });
  GAVEL_CHECK(bytes.substr(0, joined.size()) == joined) << "not the frames that were there";
  GAVEL_CHECK(!status.ok() || joined.size() == bytes.size()) << "bytes were passed over";
}

raft::Configuration Joint() {
  raft::Configuration configuration;
  for (uint64_t id = 1; id <= 4; ++id) {
    configuration.members.push_back({NodeId(id), {"http://10.0.0." + std::to_string(id)}});
  }
  configuration.voters = {NodeId(1), NodeId(2), NodeId(4)};
  configuration.outgoing_voters = {NodeId(1), NodeId(2), NodeId(3)};
  configuration.leaving = {NodeId(3)};
  return configuration;
}

raft::Payload Bytes(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

std::vector<raft::Message> OneOfEachKind() {
  using raft::EntryKind;
  const raft::RequestId id{NodeId(1), raft::Incarnation(3), 4};
  std::vector<decltype(raft::Message::body)> bodies = {
      raft::AppendRequest{{Index(4), Term(2)},
                          {{Index(5), Term(2), EntryKind::kEmpty, nullptr},
                           {Index(6), Term(3), EntryKind::kCommand, Bytes("command")},
                           {Index(7), Term(3), EntryKind::kConfiguration,
                            Bytes(raft::EncodeConfiguration(Joint()))}},
                          Index(5),
                          Index(1)},
      raft::AppendReply{true, Index(7), Index(0), {}},
      raft::AppendReply{false, Index(0), Index(6), {Index(3), Term(1)}},
      raft::Heartbeat{raft::Round(9), Index(7), Index(2)},
      raft::HeartbeatReply{raft::Round(9)},
      raft::VoteRequest{true, Term(4), {Index(7), Term(3)}, false, raft::Incarnation(5)},
      raft::VoteReply{false, Term(3), true, raft::Incarnation(5)},
      raft::ReadRequest{raft::ReadId(11), raft::Incarnation(2)},
      raft::ReadReply{raft::ReadId(11), raft::Incarnation(2), true, Index(7)},
      raft::ForwardProposals{Term(3), {{id, Bytes("put")}, {id, Bytes("")}}},
      raft::ProposalsDropped{{id, id}, "why"},
      raft::TimeoutNow{},
      raft::InstallSnapshot{{Index(6), Term(3), Joint()}},
  };
  std::vector<raft::Message> messages;
  for (auto& body : bodies) {
    messages.push_back({NodeId(1), NodeId(2), Term(3), std::move(body)});
  }
  return messages;
}

void MendChecksum(std::string& bytes, size_t at, size_t end) {
  if (end < at + kChecksumBytes) return;
  const std::string_view body =
      std::string_view(bytes).substr(at + kChecksumBytes, end - at - kChecksumBytes);
  storage::StoreLittleEndian(bytes.data() + at, storage::Crc32c(body));
}

}  // namespace

void OneInput(std::string_view input) {
  if (input.empty()) return;
  const std::string_view rest = input.substr(1);
  switch (KindOf(input)) {
    case kFrame:
      return CheckFrame(rest);
    case kStreamMessage:
      return CheckStreamMessage(rest);
    default:
      return Converse(rest);
  }
}

std::vector<std::string> Seeds() {
  const server::FrameAddress address{77, NodeId(1), NodeId(2), raft::Incarnation(3)};
  const std::vector<raft::Message> messages = OneOfEachKind();
  std::vector<std::string> seeds;
  std::string stream(1, kStreamMessage);
  for (const raft::Message& message : messages) {
    const std::string frame = server::EncodeFrame(address, {message});
    seeds.push_back(std::string(1, kFrame) + frame);
    server::AppendFrameLength(frame.size(), &stream);
    stream += frame;
  }
  seeds.push_back(std::string(1, kFrame) + server::EncodeFrame(address, messages));
  seeds.push_back(std::string(1, kFrame) + server::EncodeFrame(address, {}));
  seeds.push_back(stream);
  for (const std::string& conversation : ConversationSeeds()) {
    seeds.push_back(std::string(1, kConversation) + conversation);
  }
  return seeds;
}

void Mend(std::string& input, raft::Random&) {
  if (input.empty()) return;
  if (KindOf(input) == kFrame) return MendChecksum(input, 1, input.size());
  if (KindOf(input) == kConversation) return;
  size_t at = 1;
  while (at + kLengthBytes <= input.size()) {
    const uint64_t length = storage::LoadLittleEndian<uint32_t>(input.data() + at);
    at += kLengthBytes;
    const size_t end = static_cast<size_t>(std::min<uint64_t>(input.size(), at + length));
    MendChecksum(input, at, end);
    at = end;
  }
}

}  // namespace gavel::fuzz
