#include "server/node/command_check.h"

#include <algorithm>

#include <google/protobuf/arena.h>

#include "absl/strings/str_cat.h"

#include "proto/internal/command.pb.h"
#include "storage/state/command.h"

namespace gavel::server {
namespace {

// Around a request: semantics version, id, and the field that it is.
constexpr size_t kHeadBytesMax = 64;

}  // namespace

CommandCheck::CommandCheck(size_t request_bytes_max)
    : bytes_max_(std::max(request_bytes_max, kOwnCommandBytesMax) + kHeadBytesMax) {}

std::string CommandCheck::WhyNot(const raft::Proposal& proposal) const {
  if (proposal.payload->size() > bytes_max_) {
    return absl::StrCat("it has ", proposal.payload->size(), " bytes, and the leader takes ",
                        bytes_max_, ": set --max-request-bytes to the same on all members");
  }
  google::protobuf::Arena arena;
  const auto command = storage::DecodeCommand(*proposal.payload, arena);
  if (!command.ok()) return std::string(command.status().message());
  const raft::RequestId id{raft::NodeId((*command)->member()),
                           raft::Incarnation((*command)->incarnation()), (*command)->sequence()};
  if (id != proposal.id) return "it names another request than the one that is forwarded";
  if ((*command)->has_lease_clock() || (*command)->has_expire_leases() ||
      (*command)->has_set_quota() || (*command)->has_agree_semantics()) {
    return "only a leader proposes it, and of its own accord";
  }
  return "";
}

}  // namespace gavel::server
