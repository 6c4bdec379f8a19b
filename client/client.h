// Gavel's client library.
//
//   using gavel::client::Client;
//   auto client = Client::Create({.endpoints = {"10.0.0.1:2379", "10.0.0.2:2379"}});
//   if (!client.ok()) ...
//   auto put = client->kv().Put("greeting", "hello");
//
// It speaks etcd's v3 API, so it also serves a cluster of etcd. No header of it shows gRPC or
// protobuf, and nothing throws.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/cluster.h"
#include "client/follow.h"
#include "client/kv.h"
#include "client/lease.h"
#include "client/maintenance.h"
#include "client/options.h"
#include "client/pending.h"
#include "client/range_stream.h"
#include "client/status.h"
#include "client/txn.h"
#include "client/types.h"
#include "client/watch.h"

namespace gavel::client {
namespace internal {
class Core;
}

// What is known about an endpoint, without asking it.
struct EndpointState {
  std::string address = {};  // host:port.
  bool connected = false;
  bool avoided = false;    // It failed lately, so others come first.
  bool preferred = false;  // It answered last, so it comes first.
};

// A connection to a cluster.
//
// One endpoint is used as long as it answers; when it fails, the others are dialled at once and
// the first that answers takes over. An endpoint that accepts connections and stays silent is
// treated as failed when a call's time, or a read's silence_timeout, is up.
//
// Thread-safe. Owns one thread, on which callbacks run. Connects when first used. The destructor
// ends what is under way with Reason::kCancelled and waits until its callbacks have run.
class Client {
 public:
  // Fails with Reason::kInvalidOptions only; whether a server answers is seen by the first call.
  static Result<Client> Create(ClientOptions options = {});

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  Kv kv() const { return Kv(core_); }
  Lease lease() const { return Lease(core_); }
  Watch watch() const { return Watch(core_); }
  Cluster cluster() const { return Cluster(core_); }
  Maintenance maintenance() const { return Maintenance(core_); }

  std::vector<EndpointState> endpoints() const;

  // Replaces the endpoints. Calls under way end where they were begun.
  Status SetEndpoints(const std::vector<std::string>& endpoints);
  // Replaces the endpoints by those that the members advertise (learners excepted).
  Status SyncEndpoints(CallOptions options = {});
  // The same; they are replaced once the call has ended well.
  Pending<MemberListResponse> SyncEndpointsAsync(CallOptions options = {});

 private:
  explicit Client(std::shared_ptr<internal::Core> core);

  std::shared_ptr<internal::Core> core_;
};

}  // namespace gavel::client
