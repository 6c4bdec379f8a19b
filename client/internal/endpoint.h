// Endpoints: their addresses, their connections, and which of them to use next.
//
// Nothing here locks or waits; the Core calls it with its mutex held and says what time it is.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <grpcpp/channel.h>

#include "client/internal/deadline.h"
#include "client/options.h"
#include "client/status.h"

namespace gavel::client::internal {

// Returns host:port of "host:port" or "http://host:port"; says what is wrong with anything else.
Result<std::string> ParseEndpoint(std::string_view text);
Result<std::vector<std::string>> ParseEndpoints(const std::vector<std::string>& texts);

// One address, its connection, and how it did lately.
class Endpoint {
 public:
  // Connects when first dialled.
  Endpoint(std::string address, const ClientOptions& options);

  const std::string& address() const { return address_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Starts connecting if that is not under way; returns where it stands.
  grpc_connectivity_state Dial() const { return channel_->GetState(true); }
  grpc_connectivity_state state() const { return channel_->GetState(false); }
  // Whether a call can be sent at once.
  bool ready(MonotonicUs now) const {
    return now >= distrusted_until_ && state() == GRPC_CHANNEL_READY;
  }

  void OnAnswer();
  // It failed as a server; each time in a row it is avoided for longer.
  void OnFailure(MonotonicUs now);
  // A call's connection broke. gRPC may show it as ready for a moment longer, and what was sent on
  // it then would be lost.
  void OnConnectionLost(MonotonicUs now) { distrusted_until_ = now + kDistrust; }
  void OnStateChanged() { distrusted_until_ = 0; }
  // It answered, but cannot serve for some time.
  void AvoidUntil(MonotonicUs time) { avoid_until_ = std::max(avoid_until_, time); }
  bool avoided(MonotonicUs now) const { return now < avoid_until_; }
  MonotonicUs avoid_until() const { return avoid_until_; }

  // Whether the Core waits for a change of the connection's state.
  bool watched = false;

 private:
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
  static constexpr MonotonicUs kDistrust = 50'000;

  MonotonicUs avoid_until_ = 0;
  MonotonicUs distrusted_until_ = 0;
  int failures_ = 0;  // In a row.
};

using EndpointPtr = std::shared_ptr<Endpoint>;

// The endpoints of a client. There is always at least one.
class EndpointSet {
 public:
  EndpointSet(const std::vector<std::string>& addresses, const ClientOptions& options);

  // Those that were there before keep their connections.
  void Replace(const std::vector<std::string>& addresses);

  const std::vector<EndpointPtr>& all() const { return all_; }
  size_t size() const { return all_.size(); }
  // Any endpoint by its address, also one that is not of the set.
  EndpointPtr Find(const std::string& address);

  // A connected endpoint, the preferred one first; null if there is none. Those that are avoided,
  // and `last_failed`, only if `accept_any`, and then last.
  EndpointPtr Choose(MonotonicUs now, const Endpoint* last_failed, bool accept_any) const;
  // The one to connect to first.
  EndpointPtr FirstToDial(MonotonicUs now, const Endpoint* last_failed) const;
  // Whether there is an endpoint besides those avoided and `last_failed`.
  bool HasOthers(MonotonicUs now, const Endpoint* last_failed) const;

  void Prefer(const EndpointPtr& endpoint);
  bool IsPreferred(const EndpointPtr& endpoint) const { return all_[preferred_] == endpoint; }

 private:
  ClientOptions options_;
  std::vector<EndpointPtr> all_;
  size_t preferred_ = 0;
  std::map<std::string, EndpointPtr> others_;  // Asked for by address only.
};

}  // namespace gavel::client::internal
