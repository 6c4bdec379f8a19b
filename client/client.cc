#include "client/client.h"

#include <utility>

#include "client/internal/core.h"
#include "client/internal/endpoint.h"
#include "client/internal/errors.h"

namespace gavel::client {

Result<Client> Client::Create(ClientOptions options) {
  Result<std::vector<std::string>> addresses = internal::ParseEndpoints(options.endpoints);
  if (!addresses.ok()) return addresses.status();
  using std::chrono::milliseconds;
  if (options.timeout <= milliseconds(0) || options.dial_timeout <= milliseconds(0) ||
      options.silence_timeout <= milliseconds(0) || options.keepalive_time <= milliseconds(0) ||
      options.keepalive_timeout <= milliseconds(0)) {
    return internal::InvalidOptions("timeouts are above 0");
  }
  return Client(internal::Core::Create(options, *addresses));
}

Client::Client(std::shared_ptr<internal::Core> core) : core_(std::move(core)) {}
Client::Client(Client&&) noexcept = default;

Client& Client::operator=(Client&& other) noexcept {
  if (this != &other) {
    if (core_) core_->Close();
    core_ = std::move(other.core_);
  }
  return *this;
}

Client::~Client() {
  if (core_) core_->Close();
}

std::vector<EndpointState> Client::endpoints() const { return core_->Endpoints(); }

Status Client::SetEndpoints(const std::vector<std::string>& endpoints) {
  Result<std::vector<std::string>> addresses = internal::ParseEndpoints(endpoints);
  if (!addresses.ok()) return addresses.status();
  core_->SetEndpoints(*addresses);
  return Status();
}

Status Client::SyncEndpoints(CallOptions options) {
  const Result<MemberListResponse> members = cluster().MemberList(true, std::move(options));
  if (!members.ok()) return members.status();
  std::vector<std::string> endpoints;
  for (const Member& member : members->members) {
    if (member.learner) continue;
    endpoints.insert(endpoints.end(), member.client_urls.begin(), member.client_urls.end());
  }
  return SetEndpoints(endpoints);
}

}  // namespace gavel::client
