#include "client/lease.h"

#include <atomic>

#include "client/internal/renewals.h"
#include "client/internal/submit.h"

namespace gavel::client {
namespace internal {

constexpr char kGrantMethod[] = "/etcdserverpb.Lease/LeaseGrant";
constexpr char kRevokeMethod[] = "/etcdserverpb.Lease/LeaseRevoke";
constexpr char kTimeToLiveMethod[] = "/etcdserverpb.Lease/LeaseTimeToLive";
constexpr char kLeasesMethod[] = "/etcdserverpb.Lease/LeaseLeases";

struct SessionState {
  std::shared_ptr<Core> core;
  KeptLeasePtr lease;
  std::atomic<bool> over{false};  // Closed or stopped: nothing is to be revoked any more.

  ~SessionState() {
    core->renewals()->Remove(lease);
    if (over) return;
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(lease->id);
    core->Start({.method = kRevokeMethod,
                 .request = request.SerializeAsString(),
                 .read_only = false,
                 .options = {}},
                [](const Status&, const std::string&) {});
  }
};

namespace {

// Begins to renew a lease that was confirmed when a request of `sent_at` was carried out.
Session KeepAlive(const std::shared_ptr<Core>& core, const SessionOptions& options, int64_t id,
                  std::chrono::seconds ttl, MonotonicUs sent_at) {
  auto lease = std::make_shared<KeptLease>();
  lease->id = id;
  lease->on_lost = options.on_lost;
  lease->on_renewed = options.on_renewed;
  lease->ttl = ToUs(ttl);
  lease->valid_until = sent_at + lease->ttl;
  auto state = std::make_shared<SessionState>();
  state->core = core;
  state->lease = lease;
  core->renewals()->Keep(lease);
  return Session(std::move(state));
}

}  // namespace
}  // namespace internal

using internal::Block;
using internal::kRead;
using internal::kWrite;
using internal::Submit;

Pending<LeaseGrantResponse> Lease::GrantAsync(LeaseGrantRequest request,
                                              CallOptions options) const {
  etcdserverpb::LeaseGrantRequest message;
  message.set_ttl(request.ttl.count());
  message.set_id(request.id);
  return Submit<LeaseGrantResponse, etcdserverpb::LeaseGrantResponse>(
      core_, internal::kGrantMethod, message, kWrite, std::move(options));
}

Pending<LeaseRevokeResponse> Lease::RevokeAsync(int64_t lease, CallOptions options) const {
  etcdserverpb::LeaseRevokeRequest message;
  message.set_id(lease);
  return Submit<LeaseRevokeResponse, etcdserverpb::LeaseRevokeResponse>(
      core_, internal::kRevokeMethod, message, kWrite, std::move(options));
}

Pending<LeaseTimeToLiveResponse> Lease::TimeToLiveAsync(int64_t lease, bool keys,
                                                        CallOptions options) const {
  etcdserverpb::LeaseTimeToLiveRequest message;
  message.set_id(lease);
  message.set_keys(keys);
  return Submit<LeaseTimeToLiveResponse, etcdserverpb::LeaseTimeToLiveResponse>(
      core_, internal::kTimeToLiveMethod, message, kRead, std::move(options));
}

Pending<LeaseListResponse> Lease::ListAsync(CallOptions options) const {
  return Submit<LeaseListResponse, etcdserverpb::LeaseLeasesResponse>(
      core_, internal::kLeasesMethod, etcdserverpb::LeaseLeasesRequest(), kRead,
      std::move(options));
}

Pending<LeaseKeepAliveResponse> Lease::KeepAliveOnceAsync(int64_t lease,
                                                          CallOptions options) const {
  const Pending<internal::Renewal> renewal =
      core_->renewals()->RenewOnce(lease, std::move(options));
  auto state = std::make_shared<internal::PendingState<LeaseKeepAliveResponse>>();
  renewal.Then([state](const Result<internal::Renewal>& result) {
    if (!result.ok()) return state->Complete(result.status());
    state->Complete(result->response);
  });
  return Pending<LeaseKeepAliveResponse>(state, [renewal] { renewal.Cancel(); });
}

Pending<Session> Lease::OpenAsync(SessionOptions session, CallOptions options) const {
  auto state = std::make_shared<internal::PendingState<Session>>();
  if (session.lease != 0) {
    const Pending<internal::Renewal> renewal =
        core_->renewals()->RenewOnce(session.lease, std::move(options));
    renewal.Then([state, session, core = core_](const Result<internal::Renewal>& result) {
      if (!result.ok()) return state->Complete(result.status());
      state->Complete(
          internal::KeepAlive(core, session, session.lease, result->response.ttl, result->sent_at));
    });
    return Pending<Session>(state, [renewal] { renewal.Cancel(); });
  }
  const internal::MonotonicUs sent_at = internal::LeaseNow();
  const Pending<LeaseGrantResponse> grant =
      GrantAsync({.ttl = session.ttl, .id = 0}, std::move(options));
  grant.Then([state, session, core = core_, sent_at](const Result<LeaseGrantResponse>& result) {
    if (!result.ok()) return state->Complete(result.status());
    state->Complete(internal::KeepAlive(core, session, result->id, result->ttl, sent_at));
  });
  return Pending<Session>(state, [grant] { grant.Cancel(); });
}

// --- The blocking forms -----------------------------------------------------------------------

Result<LeaseGrantResponse> Lease::Grant(LeaseGrantRequest request, CallOptions options) const {
  return Block([&] { return GrantAsync(request, std::move(options)); });
}
Result<LeaseRevokeResponse> Lease::Revoke(int64_t lease, CallOptions options) const {
  return Block([&] { return RevokeAsync(lease, std::move(options)); });
}
Result<LeaseTimeToLiveResponse> Lease::TimeToLive(int64_t lease, bool keys,
                                                  CallOptions options) const {
  return Block([&] { return TimeToLiveAsync(lease, keys, std::move(options)); });
}
Result<LeaseListResponse> Lease::List(CallOptions options) const {
  return Block([&] { return ListAsync(std::move(options)); });
}
Result<LeaseKeepAliveResponse> Lease::KeepAliveOnce(int64_t lease, CallOptions options) const {
  return Block([&] { return KeepAliveOnceAsync(lease, std::move(options)); });
}
Result<Session> Lease::Open(SessionOptions session, CallOptions options) const {
  return Block([&] { return OpenAsync(std::move(session), std::move(options)); });
}

// --- Session ----------------------------------------------------------------------------------

int64_t Session::lease() const { return state_->lease->id; }

std::chrono::seconds Session::ttl() const { return state_->core->renewals()->Ttl(state_->lease); }

bool Session::alive() const { return state_->core->renewals()->Alive(state_->lease); }

std::chrono::milliseconds Session::valid_for() const {
  return std::chrono::milliseconds(state_->core->renewals()->ValidFor(state_->lease) / 1000);
}

std::stop_token Session::lost() const { return state_->lease->lost.get_token(); }

Pending<LeaseRevokeResponse> Session::CloseAsync(CallOptions options) {
  Stop();
  auto state = std::make_shared<internal::PendingState<LeaseRevokeResponse>>();
  const Pending<LeaseRevokeResponse> revoke =
      Lease(state_->core).RevokeAsync(state_->lease->id, std::move(options));
  revoke.Then([state](const Result<LeaseRevokeResponse>& revoked) {
    const bool gone = !revoked.ok() && revoked.status().reason() == Reason::kLeaseNotFound;
    state->Complete(gone ? LeaseRevokeResponse() : revoked);
  });
  return Pending<LeaseRevokeResponse>(state, [revoke] { revoke.Cancel(); });
}

Status Session::Close(CallOptions options) {
  Stop();
  return Block([&] { return CloseAsync(std::move(options)); }).status();
}

void Session::Stop() {
  state_->over = true;
  state_->core->renewals()->Remove(state_->lease);
}

}  // namespace gavel::client
