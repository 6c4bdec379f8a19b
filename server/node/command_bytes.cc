#include "server/node/command_bytes.h"

#include "raft/check.h"
#include "server/peer/wire.h"

namespace gavel::server {
namespace {

// Field numbers of internal.Command.
constexpr int kSemanticsField = 1;
constexpr int kMemberField = 2;
constexpr int kIncarnationField = 3;
constexpr int kSequenceField = 4;

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
  }
  CheckFailed(__FILE__, __LINE__, "no such command");
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
