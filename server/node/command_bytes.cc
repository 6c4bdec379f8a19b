#include "server/node/command_bytes.h"

#include "server/peer/wire.h"
#include "storage/state/state_machine.h"

namespace gavel::server {
namespace {

// Field numbers of internal.Command.
constexpr int kSemanticsField = 1;
constexpr int kMemberField = 2;
constexpr int kIncarnationField = 3;
constexpr int kSequenceField = 4;

}  // namespace

std::string EncodeCommandHeader(const raft::RequestId& id) {
  std::string out;
  WireWriter writer(&out);
  writer.Varint(kSemanticsField, storage::kSemanticsVersion);
  writer.Varint(kMemberField, id.member.value());
  writer.Varint(kIncarnationField, id.incarnation.value());
  writer.Varint(kSequenceField, id.sequence);
  return out;
}

void AppendCommandBody(CommandField field, std::string_view request, std::string* out) {
  WireWriter(out).Bytes(static_cast<int>(field), request);
}

}  // namespace gavel::server
