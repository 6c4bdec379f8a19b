#include "server/rpc/service_support.h"

#include <utility>

#include "server/rpc/error_map.h"

namespace gavel::server {
namespace {

// What is smaller is copied by the adapter at once.
constexpr size_t kHeldBytesMin = 4096;

}  // namespace

void FillHeader(const Gate& gate, raft::Term term, etcdserverpb::ResponseHeader* header) {
  header->set_cluster_id(gate.cluster_id());
  header->set_member_id(gate.member_id().value());
  header->set_raft_term(term.value());
}

Encoded Encode(const google::protobuf::MessageLite& message) {
  return Encoded(message.SerializeAsString());
}

void Fail(Completion done, RpcStatus status) { std::move(done)(std::move(status), Encoded()); }

void AnswerRead(Completion done, const google::protobuf::MessageLite& message,
                ReadBytes::Hold hold) {
  std::string bytes = message.SerializeAsString();
  if (!hold.Resize(static_cast<int64_t>(bytes.size()))) {
    Fail(std::move(done), TooManyReadBytes());
    return;
  }
  Encoded encoded = bytes.size() < kHeldBytesMin ? Encoded(std::move(bytes))
                                                 : EncodeHeld(std::move(bytes), std::move(hold));
  std::move(done)(RpcStatus(), std::move(encoded));
}

}  // namespace gavel::server
