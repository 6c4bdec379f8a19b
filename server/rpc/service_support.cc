#include "server/rpc/service_support.h"

#include <utility>

#include "server/rpc/error_map.h"

namespace gavel::server {
namespace {

// What is smaller is copied by the adapter at once.
constexpr int64_t kHeldBytesMin = 4096;

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

bool TooManyJobs(const ServiceSurroundings& surroundings) {
  return surroundings.gate->background_jobs() >= surroundings.limits.background_jobs_max;
}

void AnswerRead(const ServiceSurroundings& surroundings, Completion done,
                const google::protobuf::MessageLite& message, ReadBytes::Hold hold) {
  const auto size = static_cast<int64_t>(message.ByteSizeLong());
  const int64_t largest = surroundings.limits.answer_bytes_max;
  // Protobuf would encode as nothing what is too large for it.
  if (size > largest) return Fail(std::move(done), AnswerTooLarge(size, largest));
  if (!hold.Resize(size)) return Fail(std::move(done), TooManyReadBytes());
  std::string bytes = message.SerializeAsString();
  Encoded encoded = size < kHeldBytesMin ? Encoded(std::move(bytes))
                                         : EncodeHeld(std::move(bytes), std::move(hold));
  std::move(done)(RpcStatus(), std::move(encoded));
}

void AnswerWrite(const ServiceSurroundings& surroundings, Completion done,
                 const google::protobuf::MessageLite& message) {
  const auto size = static_cast<int64_t>(message.ByteSizeLong());
  if (size < kHeldBytesMin) {
    std::move(done)(RpcStatus(), Encode(message));
    return;
  }
  ReadBytes::Hold hold = surroundings.read_bytes->NewHold();
  if (size > surroundings.limits.answer_bytes_max || !hold.Resize(size)) {
    return Fail(std::move(done), WriteAnswerTooLarge());
  }
  std::move(done)(RpcStatus(), EncodeHeld(message.SerializeAsString(), std::move(hold)));
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
