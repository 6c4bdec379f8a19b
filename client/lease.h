// Leases: keys that disappear when whoever holds them does.
//
//   Result<Session> session = client.lease().Open({.ttl = std::chrono::seconds(10)});
//   client.kv().Put({.key = "workers/7", .value = "10.0.0.7", .lease = session->lease()});
//   ... session->alive() ... session->lost() ...
//
// A Session grants a lease, renews it, and says when it was lost, at the latest when the lease may
// have ended on the servers. That time is kept by this machine's own clock, from the moment at
// which the last renewal that was confirmed had been sent; so a pause of the process, a cut network
// and dead servers are noticed without anybody's help.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "client/options.h"
#include "client/pending.h"
#include "client/status.h"
#include "client/types.h"

namespace gavel::client {
namespace internal {
class Core;
struct SessionState;
}  // namespace internal

struct LeaseGrantRequest {
  std::chrono::seconds ttl{0};  // Raised to the servers' minimum, 2 s by default.
  int64_t id = 0;               // 0: the servers pick one.
};

struct LeaseGrantResponse {
  ResponseHeader header = {};
  int64_t id = 0;
  std::chrono::seconds ttl{0};  // What was granted.
};

struct LeaseRevokeResponse {
  ResponseHeader header = {};
};

struct LeaseTimeToLiveResponse {
  ResponseHeader header = {};
  int64_t id = 0;
  std::chrono::seconds remaining{0};  // -1: there is no such lease.
  std::chrono::seconds granted{0};
  std::vector<std::string> keys = {};  // Only if asked for.

  bool exists() const { return remaining.count() >= 0; }
};

struct LeaseListResponse {
  ResponseHeader header = {};
  std::vector<int64_t> ids = {};
};

struct LeaseKeepAliveResponse {
  ResponseHeader header = {};
  int64_t id = 0;
  std::chrono::seconds ttl{0};
};

struct SessionOptions {
  std::chrono::seconds ttl{60};  // Of a new lease.
  int64_t lease = 0;             // An existing lease instead of a new one.

  // Runs once, on the Client's thread, if the lease was lost: Reason::kLeaseLost if it ended or may
  // have, kCancelled at the end of the Client, else what the servers refused. Not after Close, Stop
  // or the end of the Session. Must not block.
  std::function<void(const Status&)> on_lost = {};
  // Runs after each renewal that was confirmed. Must not block.
  std::function<void(const LeaseKeepAliveResponse&)> on_renewed = {};
};

// A lease that is kept alive. Copies stand for the same one. When the last copy goes, renewal ends
// and a request to revoke the lease is sent without waiting for its answer. Thread-safe.
class Session {
 public:
  explicit Session(std::shared_ptr<internal::SessionState> state) : state_(std::move(state)) {}

  int64_t lease() const;
  std::chrono::seconds ttl() const;

  // False from the moment at which the lease may have ended on the servers, whether or not anybody
  // has been told. What it says is about this moment: a process can be paused right after. Only a
  // guard in the transaction itself is safe against that (client/recipes/mutex.h).
  bool alive() const;
  // How much longer it will be alive if nothing is confirmed any more; 0 if it is not.
  std::chrono::milliseconds valid_for() const;
  // Stop is requested when the session is lost; to be given to calls and watchers.
  std::stop_token lost() const;

  // Ends the renewal and revokes the lease with its keys. That it is gone already is no error.
  Status Close(CallOptions options = {});
  // The same; the header is empty if the lease was gone already. Renewal has ended on return.
  Pending<LeaseRevokeResponse> CloseAsync(CallOptions options = {});
  // Ends the renewal; the lease lives on until its time is up.
  void Stop();

 private:
  std::shared_ptr<internal::SessionState> state_;
};

// Thread-safe; a copy costs a pointer. Usable while its Client lives.
class Lease {
 public:
  explicit Lease(std::shared_ptr<internal::Core> core) : core_(std::move(core)) {}

  // If the class of an error is kUnknown, a lease may be there that nobody knows the id of; it ends
  // after its TTL.
  Result<LeaseGrantResponse> Grant(LeaseGrantRequest request, CallOptions options = {}) const;
  // Ends the lease and deletes its keys, at one revision.
  Result<LeaseRevokeResponse> Revoke(int64_t lease, CallOptions options = {}) const;
  Result<LeaseTimeToLiveResponse> TimeToLive(int64_t lease, bool keys = false,
                                             CallOptions options = {}) const;
  // The leases that one member knows of; not linearizable.
  Result<LeaseListResponse> List(CallOptions options = {}) const;
  // One renewal. Repeated like a read, since it may be done twice. A lease that is not there is
  // Reason::kLeaseNotFound. Renewals share one stream, so an endpoint cannot be named.
  Result<LeaseKeepAliveResponse> KeepAliveOnce(int64_t lease, CallOptions options = {}) const;
  // Grants a lease, or renews the one that is named, and keeps it alive from then on: renewed each
  // third of its TTL, together with others that are due.
  Result<Session> Open(SessionOptions session = {}, CallOptions options = {}) const;

  Pending<LeaseGrantResponse> GrantAsync(LeaseGrantRequest request, CallOptions options = {}) const;
  Pending<LeaseRevokeResponse> RevokeAsync(int64_t lease, CallOptions options = {}) const;
  Pending<LeaseTimeToLiveResponse> TimeToLiveAsync(int64_t lease, bool keys = false,
                                                   CallOptions options = {}) const;
  Pending<LeaseListResponse> ListAsync(CallOptions options = {}) const;
  Pending<LeaseKeepAliveResponse> KeepAliveOnceAsync(int64_t lease, CallOptions options = {}) const;
  Pending<Session> OpenAsync(SessionOptions session = {}, CallOptions options = {}) const;

 private:
  std::shared_ptr<internal::Core> core_;
};

}  // namespace gavel::client
