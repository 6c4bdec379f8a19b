// One LeaseKeepAlive stream: renewals in, their outcomes out, in the same order.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "server/node/gate.h"
#include "server/rpc/service.h"
#include "storage/mutex.h"
#include "storage/mvcc/revision.h"

namespace gavel::server {

// A lease that does not exist is answered with TTL 0. A renewal without an outcome ends the
// stream with its error. Half-closing ends it with OK once everything has been answered.
class KeepAliveCall final : public StreamHandler,
                            public std::enable_shared_from_this<KeepAliveCall> {
 public:
  // The gate must outlive the call.
  KeepAliveCall(Gate& gate, std::shared_ptr<StreamWriter> writer)
      : gate_(gate), writer_(std::move(writer)) {}

  void OnMessage(std::string message) override;
  void OnHalfClose() override;
  void OnCancel() override;

 private:
  struct Renewal {
    int64_t id = 0;
    // The store's when the renewal was asked for, so that it is below that of any later end.
    storage::Revision revision = 0;
    std::optional<int64_t> ttl_seconds;  // Nothing: no outcome yet.
  };

  void OnRenewed(uint64_t number, GateResult result, int64_t ttl_seconds);
  void SendAnswered() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(RpcStatus status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Gate& gate_;
  const std::shared_ptr<StreamWriter> writer_;

  Mutex mutex_;
  std::deque<Renewal> renewals_ ABSL_GUARDED_BY(mutex_);
  uint64_t first_ ABSL_GUARDED_BY(mutex_) = 0;  // The number of the first of them.
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::server
