#include "server/rpc/health_service.h"

#include <map>
#include <string>
#include <utility>

#include "proto/health/health.pb.h"
#include "server/rpc/error_map.h"
#include "server/rpc/service_support.h"
#include "storage/mutex.h"

namespace gavel::server {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ServingStatus = HealthCheckResponse::ServingStatus;

Encoded EncodeStatus(ServingStatus status) {
  HealthCheckResponse response;
  response.set_status(status);
  return Encode(response);
}

}  // namespace

// The current status, and the streams that follow it.
class HealthService::State {
 public:
  ServingStatus status() {
    const MutexLock lock(mutex_);
    return status_;
  }

  void Set(ServingStatus status) {
    const MutexLock lock(mutex_);
    if (std::exchange(status_, status) == status) return;
    for (const auto& [watcher, writer] : watchers_) writer->Write(EncodeStatus(status));
  }

  void Add(const StreamHandler* watcher, std::shared_ptr<StreamWriter> writer) {
    const MutexLock lock(mutex_);
    writer->Write(EncodeStatus(status_));
    watchers_.emplace(watcher, std::move(writer));
  }

  void Remove(const StreamHandler* watcher) {
    const MutexLock lock(mutex_);
    watchers_.erase(watcher);
  }

 private:
  Mutex mutex_;  // Held while writing, so that a watcher sees changes in their order.
  ServingStatus status_ ABSL_GUARDED_BY(mutex_) = HealthCheckResponse::SERVING;
  std::map<const StreamHandler*, std::shared_ptr<StreamWriter>> watchers_ ABSL_GUARDED_BY(mutex_);
};

namespace {

template <class State>
class Watcher final : public StreamHandler {
 public:
  Watcher(std::shared_ptr<State> state, std::shared_ptr<StreamWriter> writer)
      : state_(std::move(state)), writer_(std::move(writer)) {}
  ~Watcher() override { state_->Remove(this); }

  void OnMessage(std::string message) override {
    if (std::exchange(asked_, true)) return;
    HealthCheckRequest request;
    if (!ParseRequest(message, &request)) {
      writer_->Finish(MalformedRequest());
    } else if (request.service().empty()) {
      state_->Add(this, writer_);
    } else {
      // The stream stays open: the service might appear.
      writer_->Write(EncodeStatus(HealthCheckResponse::SERVICE_UNKNOWN));
    }
  }

  void OnCancel() override { state_->Remove(this); }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<StreamWriter> writer_;
  bool asked_ = false;
};

}  // namespace

HealthService::HealthService() : state_(std::make_shared<State>()) {}

HealthService::~HealthService() = default;

void HealthService::SetServing(bool serving) {
  state_->Set(serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
}

void HealthService::AddTo(Router& router) {
  router.AddUnary("/grpc.health.v1.Health/Check",
                  [state = state_](std::string bytes, CallContext, Completion done) {
                    HealthCheckRequest request;
                    if (!ParseRequest(bytes, &request)) {
                      return Fail(std::move(done), MalformedRequest());
                    }
                    if (!request.service().empty()) {
                      return Fail(std::move(done), UnknownHealthService());
                    }
                    std::move(done)(RpcStatus(), EncodeStatus(state->status()));
                  });
  router.AddStream(
      "/grpc.health.v1.Health/Watch",
      [state = state_](CallContext, std::shared_ptr<StreamWriter> writer) {
        return std::make_shared<Watcher<State>>(state, std::move(writer));
      },
      StreamShape::kServerStream);
}

}  // namespace gavel::server
