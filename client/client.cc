#include "client/client.h"

#include <utility>

#include "client/internal/core.h"
#include "client/internal/endpoint.h"
#include "client/internal/errors.h"
#include "client/internal/submit.h"

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
  if (options.request_bytes_max < 0 || options.response_bytes_max < 0) {
    return internal::InvalidOptions("limits of bytes are not below 0; 0 is no limit");
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

Pending<MemberListResponse> Client::SyncEndpointsAsync(CallOptions options) {
  auto state = std::make_shared<internal::PendingState<MemberListResponse>>();
  const Pending<MemberListResponse> list = cluster().MemberListAsync(true, std::move(options));
  list.Then([state, core = core_](const Result<MemberListResponse>& members) {
    if (!members.ok()) return state->Complete(members.status());
    std::vector<std::string> endpoints;
    for (const Member& member : members->members) {
      if (member.learner) continue;
      endpoints.insert(endpoints.end(), member.client_urls.begin(), member.client_urls.end());
    }
    Result<std::vector<std::string>> addresses = internal::ParseEndpoints(endpoints);
    if (!addresses.ok()) return state->Complete(addresses.status());
    core->SetEndpoints(*addresses);
    state->Complete(*members);
  });
  return Pending<MemberListResponse>(state, [list] { list.Cancel(); });
}

Status Client::SyncEndpoints(CallOptions options) {
  return internal::Block([&] { return SyncEndpointsAsync(std::move(options)); }).status();
}

}  // namespace gavel::client
