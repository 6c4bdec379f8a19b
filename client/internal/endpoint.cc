#include "client/internal/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "client/internal/errors.h"

namespace gavel::client::internal {
namespace {

constexpr MonotonicUs kAvoidAfterFailure = 1'000'000;
constexpr MonotonicUs kAvoidMax = 30'000'000;
// A member that comes back is found within this.
constexpr int kReconnectFirstMs = 50;
constexpr int kReconnectMaxMs = 500;
// Connections to endpoints that are only asked for by name; they are forgotten beyond this.
constexpr size_t kOthersMax = 64;

bool ConsumePrefix(std::string_view* text, std::string_view prefix) {
  if (text->substr(0, prefix.size()) != prefix) return false;
  text->remove_prefix(prefix.size());
  return true;
}

// What gRPC is to connect to. An address needs no resolver, whose results would be throttled.
std::string Target(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  std::array<unsigned char, sizeof(in6_addr)> parsed;
  if (inet_pton(AF_INET, host.c_str(), parsed.data()) == 1) return "ipv4:" + address;
  if (host.front() == '[') return "ipv6:" + address;
  return "dns:///" + address;
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectFirstMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  // The least time that a connection attempt is given, whatever the delay between attempts.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   static_cast<int>(options.dial_timeout.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive_time.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(options.keepalive_timeout.count()));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Each client's connections are its own, so that one client's failure is not another's.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Nobody but this library decides about retries.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // A name is looked up anew about as often as its connection is tried; gRPC would wait for 30 s.
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, kReconnectMaxMs);
  arguments.SetMaxReceiveMessageSize(options.response_bytes_max == 0 ? -1
                                                                     : options.response_bytes_max);
  return grpc::CreateCustomChannel(Target(address), grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Result<std::string> ParseEndpoint(std::string_view text) {
  const std::string given = "endpoint \"" + std::string(text) + "\"";
  if (ConsumePrefix(&text, "https://")) {
    return InvalidOptions(given + ": https is not served by this release; use http://host:port");
  }
  ConsumePrefix(&text, "http://");
  if (!text.empty() && text.back() == '/') text.remove_suffix(1);
  if (text.find("://") != std::string_view::npos) {
    return InvalidOptions(given + ": unknown scheme; use host:port or http://host:port");
  }
  if (text.find_first_of("/?#@ ,") != std::string_view::npos) {
    return InvalidOptions(given + ": nothing but a host and a port is expected");
  }
  const size_t colon = text.rfind(':');
  const bool bare_v6 = text.find(':') != colon && text.find(']') == std::string_view::npos;
  if (colon == std::string_view::npos || colon == 0 || bare_v6 ||
      (text.front() == '[' && text[colon - 1] != ']')) {
    return InvalidOptions(given + ": a host and a port are needed, such as 127.0.0.1:2379");
  }
  const std::string_view digits = text.substr(colon + 1);
  int port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port < 1 || port > 65535) {
    return InvalidOptions(given + ": the port is a number from 1 to 65535");
  }
  return std::string(text);
}

Result<std::vector<std::string>> ParseEndpoints(const std::vector<std::string>& texts) {
  std::vector<std::string> addresses;
  for (const std::string& text : texts) {
    Result<std::string> address = ParseEndpoint(text);
    if (!address.ok()) return address.status();
    if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*std::move(address));
    }
  }
  if (addresses.empty()) return InvalidOptions("no endpoint is given; name at least one");
  return addresses;
}

Endpoint::Endpoint(std::string address, const ClientOptions& options)
    : address_(std::move(address)), channel_(MakeChannel(address_, options)) {}

void Endpoint::OnAnswer() {
  failures_ = 0;
  avoid_until_ = 0;
}

void Endpoint::OnFailure(MonotonicUs now) {
  // Many calls on one connection fail together; that is one failure.
  if (avoided(now)) return;
  failures_ = std::min(failures_ + 1, 6);
  avoid_until_ = now + std::min(kAvoidAfterFailure << (failures_ - 1), kAvoidMax);
}

EndpointSet::EndpointSet(const std::vector<std::string>& addresses, const ClientOptions& options)
    : options_(options) {
  Replace(addresses);
}

void EndpointSet::Replace(const std::vector<std::string>& addresses) {
  std::vector<EndpointPtr> replaced;
  const EndpointPtr preferred = all_.empty() ? nullptr : all_[preferred_];
  for (const std::string& address : addresses) {
    const auto old = std::find_if(all_.begin(), all_.end(), [&](const EndpointPtr& endpoint) {
      return endpoint->address() == address;
    });
    replaced.push_back(old != all_.end() ? *old : std::make_shared<Endpoint>(address, options_));
  }
  all_ = std::move(replaced);
  preferred_ = 0;
  if (preferred) Prefer(preferred);
}

EndpointPtr EndpointSet::Find(const std::string& address) {
  for (const EndpointPtr& endpoint : all_) {
    if (endpoint->address() == address) return endpoint;
  }
  const auto found = others_.find(address);
  if (found != others_.end()) return found->second;
  if (others_.size() >= kOthersMax) others_.clear();
  return others_[address] = std::make_shared<Endpoint>(address, options_);
}

EndpointPtr EndpointSet::Choose(MonotonicUs now, const Endpoint* last_failed,
                                bool accept_any) const {
  EndpointPtr second_best;
  for (size_t i = 0; i < all_.size(); ++i) {
    const EndpointPtr& endpoint = all_[(preferred_ + i) % all_.size()];
    if (!endpoint->ready(now)) continue;
    if (!endpoint->avoided(now) && endpoint.get() != last_failed) return endpoint;
    if (!second_best || endpoint->avoid_until() < second_best->avoid_until()) {
      second_best = endpoint;
    }
  }
  return accept_any ? second_best : nullptr;
}

EndpointPtr EndpointSet::FirstToDial(MonotonicUs now, const Endpoint* last_failed) const {
  for (size_t i = 0; i < all_.size(); ++i) {
    const EndpointPtr& endpoint = all_[(preferred_ + i) % all_.size()];
    if (!endpoint->avoided(now) && endpoint.get() != last_failed) return endpoint;
  }
  return all_[preferred_];
}

bool EndpointSet::HasOthers(MonotonicUs now, const Endpoint* last_failed) const {
  return std::any_of(all_.begin(), all_.end(), [&](const EndpointPtr& endpoint) {
    return !endpoint->avoided(now) && endpoint.get() != last_failed;
  });
}

void EndpointSet::Prefer(const EndpointPtr& endpoint) {
  const auto found = std::find(all_.begin(), all_.end(), endpoint);
  if (found != all_.end()) preferred_ = found - all_.begin();
}

}  // namespace gavel::client::internal
