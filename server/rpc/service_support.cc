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

void AddGuarded(const ServiceSurroundings& surroundings, const CallGuard& guard, Router& router,
                const char* name, CallGuard::Learner learner, ServiceMethod method) {
  router.AddUnary(
      name, guard.Unary(learner, [surroundings, method](std::string request, CallContext context,
                                                        Completion done) {
        method(surroundings, std::move(request), std::move(context), std::move(done));
      }));
}

}  // namespace gavel::server
