#include "server/rpc/call_guard.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "server/rpc/checks.h"
#include "server/rpc/error_map.h"
#include "server/rpc/leader_monitor.h"
#include "storage/mutex.h"

namespace gavel::server {
namespace {

// Clients name their own versions; only so many get a counter of their own.
constexpr size_t kVersionsMax = 64;

// Takes no messages: the call has been refused.
class RefusedStream final : public StreamHandler {
 public:
  void OnMessage(std::string) override {}
};

}  // namespace

class CallGuard::State {
 public:
  State(Gate& gate, Metrics& metrics, MonotonicNs leader_patience)
      : gate_(gate),
        metrics_(metrics),
        leaders_(std::make_shared<LeaderMonitor>(gate, leader_patience)) {}

  std::optional<Error> Check(Learner learner, std::string_view type, const CallContext& context) {
    if (learner == Learner::kRefuses && gate_.learner()) return Error::kNotSupportedForLearner;
    const std::string_view version = context.Find("client-api-version").value_or("unknown");
    if (const auto error = CheckClientApiVersion(version)) return error;
    Count(type, version);
    if (WantsLeader(context) && !gate_.has_leader()) return Error::kNoLeader;
    return std::nullopt;
  }

  static bool WantsLeader(const CallContext& context) {
    return context.Find("hasleader") == "true";
  }
  LeaderMonitor& leaders() { return *leaders_; }

 private:
  void Count(std::string_view type, std::string_view version) {
    const MutexLock lock(mutex_);
    auto& counters = counters_[type == "unary" ? 0 : 1];
    auto found = counters.find(version);
    if (found == counters.end()) {
      if (counters.size() >= kVersionsMax) version = "other";
      Counter& counter = metrics_.AddCounter(
          "etcd_server_client_requests_total",
          "The total number of client requests per client version.",
          {{"type", std::string(type)}, {"client_api_version", std::string(version)}});
      found = counters.emplace(std::string(version), &counter).first;
    }
    found->second->Increment();
  }

  Gate& gate_;
  Metrics& metrics_;
  const std::shared_ptr<LeaderMonitor> leaders_;
  Mutex mutex_;
  // Unary, streams.
  std::map<std::string, Counter*, std::less<>> counters_[2] ABSL_GUARDED_BY(mutex_);
};

CallGuard::CallGuard(Gate& gate, Metrics& metrics, MonotonicNs leader_patience)
    : state_(std::make_shared<State>(gate, metrics, leader_patience)) {}

UnaryMethod CallGuard::Unary(Learner learner, UnaryMethod method) const {
  return [state = state_, learner, method = std::move(method)](
             std::string request, CallContext context, Completion done) {
    if (const auto error = state->Check(learner, "unary", context)) {
      std::move(done)(ToStatus(*error), Encoded());
      return;
    }
    method(std::move(request), std::move(context), std::move(done));
  };
}

StreamMethod CallGuard::Stream(Learner learner, StreamMethod method, StreamShape shape) const {
  const std::string_view type = shape == StreamShape::kUnary ? "unary" : "stream";
  return [state = state_, learner, type, method = std::move(method)](
             CallContext context,
             std::shared_ptr<StreamWriter> writer) -> std::shared_ptr<StreamHandler> {
    if (const auto error = state->Check(learner, type, context)) {
      writer->Finish(ToStatus(*error));
      return std::make_shared<RefusedStream>();
    }
    if (!State::WantsLeader(context)) return method(std::move(context), std::move(writer));
    std::shared_ptr<Executor> executor = context.executor;
    auto handler = method(std::move(context), writer);
    return state->leaders().Watch(std::move(handler), std::move(writer), std::move(executor));
  };
}

}  // namespace gavel::server
