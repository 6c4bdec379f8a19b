#include "server/node/command_bytes.h"

#include <optional>

#include "raft/check.h"
#include "server/peer/wire.h"

namespace gavel::server {
namespace {

// Field numbers of internal.Command.
constexpr int kSemanticsField = 1;
constexpr int kMemberField = 2;
constexpr int kIncarnationField = 3;
constexpr int kSequenceField = 4;

// Wire types of protobuf.
constexpr uint64_t kVarint = 0;
constexpr uint64_t kLengthDelimited = 2;

}  // namespace

uint32_t SemanticsOf(CommandField field) {
  switch (field) {
    case CommandField::kPut:
    case CommandField::kDeleteRange:
    case CommandField::kTxn:
    case CommandField::kCompact:
    case CommandField::kPublishMember:
      return 1;
    case CommandField::kLeaseGrant:
    case CommandField::kLeaseRevoke:
    case CommandField::kRenewLeases:
    case CommandField::kExpireLeases:
    case CommandField::kLeaseClock:
      return 2;
    case CommandField::kChangeMembers:
    case CommandField::kMarkDigest:
    case CommandField::kReportDigest:
    case CommandField::kChangeAlarm:
    case CommandField::kSetQuota:
      return 3;
    case CommandField::kSetLeaderPriority:
    case CommandField::kAgreeSemantics:
      return 4;
  }
  CheckFailed(__FILE__, __LINE__, "no such command");
}

int CommandFieldOf(std::string_view command) {
  size_t at = 0;
  const auto varint = [&]() -> std::optional<uint64_t> {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && at < command.size(); shift += 7) {
      const auto byte = static_cast<uint8_t>(command[at++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  };
  while (const std::optional<uint64_t> tag = varint()) {
    const uint64_t type = *tag & 7;
    if (type == kLengthDelimited) return static_cast<int>(*tag >> 3);
    // The header has nothing else.
    if (type != kVarint || !varint()) break;
  }
  return 0;
}

std::string EncodeCommandHeader(CommandField field, const raft::RequestId& id) {
  std::string out;
  WireWriter writer(&out);
  writer.Varint(kSemanticsField, SemanticsOf(field));
  writer.Varint(kMemberField, id.member.value());
  writer.Varint(kIncarnationField, id.incarnation.value());
  writer.Varint(kSequenceField, id.sequence);
  return out;
}

void AppendCommandBody(CommandField field, std::string_view request, std::string* out) {
  WireWriter(out).Bytes(static_cast<int>(field), request);
}

}  // namespace gavel::server
