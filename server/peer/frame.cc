#include "server/peer/frame.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/internal/peer.pb.h"
#include "raft/sim_point.h"
#include "server/peer/message_codec.h"
#include "server/peer/wire.h"
#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"

namespace gavel::server {
namespace {

constexpr size_t kChecksumBytes = 4;

// Takes the message's fields and, for those that stand beside the body, its entries or proposals.
class MessageWriter {
 public:
  explicit MessageWriter(const raft::Message& message) : small_(EncodeSmallFields(message)) {
    if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
      entries_ = &append->entries;
    } else if (const auto* forward = std::get_if<raft::ForwardProposals>(&message.body)) {
      proposals_ = &forward->proposals;
    }
    bytes_ = small_.size();
    if (entries_ != nullptr) {
      for (const raft::Entry& entry : *entries_) {
        bytes_ +=
            LengthDelimitedBytes(internal::PeerMessage::kEntriesFieldNumber, EntryBytes(entry));
      }
    }
    if (proposals_ != nullptr) {
      for (const raft::Proposal& proposal : *proposals_) {
        bytes_ += LengthDelimitedBytes(internal::PeerMessage::kProposalsFieldNumber,
                                       ProposalBytes(proposal));
      }
    }
  }

  size_t bytes() const { return bytes_; }

  void Write(std::string* out) const {
    WireWriter writer(out);
    out->append(small_);
    if (entries_ != nullptr) {
      for (const raft::Entry& entry : *entries_) WriteEntry(entry, writer);
    }
    if (proposals_ != nullptr) {
      for (const raft::Proposal& proposal : *proposals_) WriteProposal(proposal, writer);
    }
  }

 private:
  static size_t PayloadBytes(int field, const raft::Payload& payload) {
    return payload ? LengthDelimitedBytes(field, payload->size()) : 0;
  }

  // Tags of these small fields are one byte each.
  static size_t EntryBytes(const raft::Entry& entry) {
    return 3 + VarintBytes(entry.index.value()) + VarintBytes(entry.term.value()) +
           VarintBytes(static_cast<uint64_t>(entry.kind)) +
           PayloadBytes(internal::LogEntry::kPayloadFieldNumber, entry.payload);
  }

  static void WriteEntry(const raft::Entry& entry, WireWriter& writer) {
    writer.LengthDelimited(internal::PeerMessage::kEntriesFieldNumber, EntryBytes(entry));
    writer.Varint(internal::LogEntry::kIndexFieldNumber, entry.index.value());
    writer.Varint(internal::LogEntry::kTermFieldNumber, entry.term.value());
    writer.Varint(internal::LogEntry::kKindFieldNumber, static_cast<uint64_t>(entry.kind));
    if (entry.payload) writer.Bytes(internal::LogEntry::kPayloadFieldNumber, *entry.payload);
  }

  static size_t ProposalBytes(const raft::Proposal& proposal) {
    return 3 + VarintBytes(proposal.id.member.value()) +
           VarintBytes(proposal.id.incarnation.value()) + VarintBytes(proposal.id.sequence) +
           PayloadBytes(internal::ForwardedProposal::kPayloadFieldNumber, proposal.payload);
  }

  static void WriteProposal(const raft::Proposal& proposal, WireWriter& writer) {
    using Field = internal::ForwardedProposal;
    writer.LengthDelimited(internal::PeerMessage::kProposalsFieldNumber, ProposalBytes(proposal));
    writer.Varint(Field::kMemberFieldNumber, proposal.id.member.value());
    writer.Varint(Field::kIncarnationFieldNumber, proposal.id.incarnation.value());
    writer.Varint(Field::kSequenceFieldNumber, proposal.id.sequence);
    if (proposal.payload) writer.Bytes(Field::kPayloadFieldNumber, *proposal.payload);
  }

  const std::string small_;
  const std::vector<raft::Entry>* entries_ = nullptr;
  const std::vector<raft::Proposal>* proposals_ = nullptr;
  size_t bytes_ = 0;
};

internal::PeerFrame HeadOf(const FrameAddress& address) {
  internal::PeerFrame head;
  head.set_format(kFrameFormat);
  head.set_cluster_id(address.cluster_id);
  head.set_from(address.from.value());
  head.set_to(address.to.value());
  head.set_incarnation(address.incarnation.value());
  head.set_semantics(address.semantics);
  return head;
}

void Seal(std::string* frame) {
  const uint32_t checksum = storage::Crc32c(std::string_view(*frame).substr(kChecksumBytes));
  storage::StoreLittleEndian(frame->data(), checksum);
}

absl::Status DecodeSnapshot(internal::PeerFrame& encoded, Frame* frame) {
  if (encoded.has_snapshot_piece()) {
    internal::SnapshotPiece& piece = *encoded.mutable_snapshot_piece();
    frame->snapshot = SnapshotPiece{piece.transfer(), piece.offset(),
                                    std::move(*piece.mutable_bytes()), piece.last()};
  } else if (encoded.has_snapshot_reply()) {
    internal::SnapshotReply& reply = *encoded.mutable_snapshot_reply();
    if (reply.kind() < internal::SnapshotReply::WANTED ||
        reply.kind() > internal::SnapshotReply::REFUSED) {
      return absl::InvalidArgumentError("an answer about a snapshot that no version gives");
    }
    frame->snapshot =
        SnapshotReply{reply.transfer(), static_cast<SnapshotReply::Kind>(reply.kind()),
                      reply.next(), std::move(*reply.mutable_reason())};
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeSnapshotFrame(const FrameAddress& address, SnapshotMessage message) {
  internal::PeerFrame encoded = HeadOf(address);
  if (auto* piece = std::get_if<SnapshotPiece>(&message)) {
    internal::SnapshotPiece& to = *encoded.mutable_snapshot_piece();
    to.set_transfer(piece->transfer);
    to.set_offset(piece->offset);
    to.set_bytes(std::move(piece->bytes));
    to.set_last(piece->last);
  } else {
    auto& reply = std::get<SnapshotReply>(message);
    internal::SnapshotReply& to = *encoded.mutable_snapshot_reply();
    to.set_transfer(reply.transfer);
    to.set_kind(static_cast<internal::SnapshotReply::Kind>(reply.kind));
    to.set_next(reply.next);
    to.set_reason(std::move(reply.reason));
  }
  std::string frame(kChecksumBytes, '\0');
  encoded.AppendToString(&frame);
  Seal(&frame);
  return frame;
}

std::string EncodeFrame(const FrameAddress& address, const std::vector<raft::Message>& messages) {
  const internal::PeerFrame head = HeadOf(address);

  std::vector<MessageWriter> writers;
  writers.reserve(messages.size());
  size_t bytes = kChecksumBytes + head.ByteSizeLong();
  for (const raft::Message& message : messages) {
    writers.emplace_back(message);
    bytes +=
        LengthDelimitedBytes(internal::PeerFrame::kMessagesFieldNumber, writers.back().bytes());
  }

  std::string frame(kChecksumBytes, '\0');
  frame.reserve(bytes);
  head.AppendToString(&frame);
  for (const MessageWriter& writer : writers) {
    WireWriter(&frame).LengthDelimited(internal::PeerFrame::kMessagesFieldNumber, writer.bytes());
    writer.Write(&frame);
  }
  Seal(&frame);
  return frame;
}

absl::StatusOr<Frame> DecodeFrame(std::string_view bytes) {
  if (bytes.size() < kChecksumBytes) return absl::DataLossError("frame shorter than its checksum");
  const std::string_view body = bytes.substr(kChecksumBytes);
  if (storage::LoadLittleEndian<uint32_t>(bytes.data()) != storage::Crc32c(body) &&
      !GAVEL_PLANTED_BUG(36)) {
    return absl::DataLossError("frame checksum does not match");
  }
  internal::PeerFrame encoded;
  if (!encoded.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return absl::InvalidArgumentError("frame cannot be decoded");
  }
  if (encoded.format() > kFrameFormat) {
    return absl::FailedPreconditionError(absl::StrCat("peer frame format ", encoded.format(),
                                                      " is newer than this version reads (",
                                                      kFrameFormat, "); upgrade this member"));
  }
  if (encoded.format() == 0) return absl::InvalidArgumentError("frame without a format");

  Frame frame;
  frame.address = {encoded.cluster_id(), raft::NodeId(encoded.from()), raft::NodeId(encoded.to()),
                   raft::Incarnation(encoded.incarnation()), encoded.semantics()};
  frame.messages.reserve(static_cast<size_t>(encoded.messages_size()));
  for (internal::PeerMessage& message : *encoded.mutable_messages()) {
    absl::StatusOr<raft::Message> decoded = DecodeMessage(std::move(message));
    if (!decoded.ok()) return decoded.status();
    decoded->from = frame.address.from;
    decoded->to = frame.address.to;
    frame.messages.push_back(*std::move(decoded));
  }
  if (absl::Status status = DecodeSnapshot(encoded, &frame); !status.ok()) return status;
  return frame;
}

}  // namespace gavel::server
