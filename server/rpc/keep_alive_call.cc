#include "server/rpc/keep_alive_call.h"

#include <utility>

#include "proto/etcdserverpb/lease.pb.h"
#include "server/rpc/error_map.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

void KeepAliveCall::OnMessage(std::string message) {
  etcdserverpb::LeaseKeepAliveRequest request;
  const bool parsed = ParseRequest(message, &request);
  uint64_t number = 0;
  {
    const MutexLock lock(mutex_);
    if (over_) return;
    if (!parsed) return End(MalformedMessage());
    number = first_ + renewals_.size();
    renewals_.push_back({request.id(), gate_.view()->revision, std::nullopt});
  }
  gate_.RenewLease(request.id(), std::nullopt,
                   [self = shared_from_this(), number](GateResult result, int64_t ttl_seconds) {
                     self->OnRenewed(number, result, ttl_seconds);
                   });
}

void KeepAliveCall::OnHalfClose() {
  const MutexLock lock(mutex_);
  half_closed_ = true;
  SendAnswered();
}

void KeepAliveCall::OnCancel() {
  const MutexLock lock(mutex_);
  over_ = true;
  renewals_.clear();
}

void KeepAliveCall::OnRenewed(uint64_t number, GateResult result, int64_t ttl_seconds) {
  const MutexLock lock(mutex_);
  if (over_) return;
  if (result != GateResult::kOk) return End(ToStatus(result));
  renewals_[number - first_].ttl_seconds = ttl_seconds;
  SendAnswered();
}

void KeepAliveCall::SendAnswered() {
  for (; !over_ && !renewals_.empty() && renewals_.front().ttl_seconds; ++first_) {
    const Renewal& renewal = renewals_.front();
    etcdserverpb::LeaseKeepAliveResponse response;
    FillHeader(gate_, gate_.term(), response.mutable_header());
    response.mutable_header()->set_revision(renewal.revision);
    response.set_id(renewal.id);
    response.set_ttl(*renewal.ttl_seconds);
    writer_->Write(Encode(response));
    renewals_.pop_front();
  }
  if (half_closed_ && renewals_.empty()) End(RpcStatus());
}

void KeepAliveCall::End(RpcStatus status) {
  if (std::exchange(over_, true)) return;
  renewals_.clear();
  writer_->Finish(std::move(status));
}

}  // namespace gavel::server
