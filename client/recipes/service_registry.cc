#include "client/recipes/service_registry.h"

#include <algorithm>
#include <utility>

#include "nlohmann/json.hpp"

#include "client/recipes/waiting.h"

namespace gavel::client::recipes {
namespace {

using std::chrono::milliseconds;

using Json = nlohmann::ordered_json;

Json Parse(const std::string& text) {
  return Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
}

// Text that is not UTF-8 cannot be JSON; it is replaced rather than thrown about.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string Prefix(const std::string& target) { return target + "/"; }

}  // namespace

Result<std::string> EncodeEndpoint(const Endpoint& endpoint) {
  Json json = {{"Op", 0}, {"Addr", endpoint.address}, {"Metadata", nullptr}};
  if (!endpoint.metadata.empty()) {
    Json metadata = Parse(endpoint.metadata);
    if (metadata.is_discarded()) {
      return Status(Code::kInvalidArgument, ErrorClass::kRejected, Reason::kInvalidOptions,
                    "the metadata of endpoint \"" + endpoint.name + "\" is no JSON");
    }
    json["Metadata"] = std::move(metadata);
  }
  return Dump(json);
}

Result<Endpoint> DecodeEndpoint(const std::string& name, const std::string& value) {
  const Json json = Parse(value);
  if (!json.is_object() || !json.contains("Addr") || !json["Addr"].is_string()) {
    return Status(Code::kInternal, ErrorClass::kRejected, Reason::kBadResponse,
                  "the entry \"" + name + "\" has no address in the form of etcd's naming");
  }
  Endpoint endpoint{.name = name, .address = json["Addr"].get<std::string>()};
  if (json.contains("Metadata") && !json["Metadata"].is_null()) {
    endpoint.metadata = Dump(json["Metadata"]);
  }
  return endpoint;
}

Result<ResolveResponse> Resolve(const Client& client, const std::string& target,
                                CallOptions options) {
  const std::string prefix = Prefix(target);
  const Result<RangeResponse> rows =
      client.kv().Range({.range = KeyRange::Prefix(prefix)}, std::move(options));
  if (!rows.ok()) return rows.status();
  ResolveResponse response;
  response.header = rows->header;
  for (const KeyValue& row : rows->kvs) {
    const std::string name = row.key.substr(prefix.size());
    Result<Endpoint> endpoint = DecodeEndpoint(name, row.value);
    if (endpoint.ok()) {
      response.endpoints.push_back(*std::move(endpoint));
    } else {
      response.unreadable.push_back(name);
    }
  }
  return response;
}

Status Register(const Client& client, const std::string& target, const Endpoint& endpoint,
                const Session* session, CallOptions options) {
  Result<std::string> value = EncodeEndpoint(endpoint);
  if (!value.ok()) return value.status();
  return client.kv()
      .Put({.key = Prefix(target) + endpoint.name,
            .value = *std::move(value),
            .lease = session ? session->lease() : 0},
           std::move(options))
      .status();
}

Status Unregister(const Client& client, const std::string& target, const std::string& name,
                  CallOptions options) {
  return client.kv().Delete(Prefix(target) + name, std::move(options)).status();
}

// --- Registration -------------------------------------------------------------------------------

namespace {

constexpr milliseconds kPauseFirst{100};
constexpr milliseconds kPauseMax{5'000};

bool IsFinal(const Status& status) {
  switch (status.reason()) {
    case Reason::kInvalidOptions:
    case Reason::kEmptyKey:
    case Reason::kRequestTooLarge:
    case Reason::kLeaseTtlTooLarge:
    case Reason::kPermissionDenied:
    case Reason::kAuthentication:
    case Reason::kNotServed:
      return true;
    default:
      return false;
  }
}

}  // namespace

Registration::Registration(const Client& client, const std::string& target, Endpoint endpoint,
                           RegistrationOptions options)
    : client_(client),
      target_(target),
      endpoint_(std::move(endpoint)),
      options_(std::move(options)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

Registration::~Registration() {
  End();
  // The session's end revokes the lease, and with it goes the key.
}

void Registration::End() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

Status Registration::Close(CallOptions options) {
  const internal::LocalLock closing(closing_);
  End();
  std::optional<Session> session;
  {
    const internal::LocalLock lock(mutex_);
    session = session_;
    stands_ = false;
    refused_ = Status(Code::kCancelled, ErrorClass::kRejected, Reason::kCancelled,
                      "the registration was closed");
    changed_.notify_all();
  }
  return session ? session->Close(std::move(options)) : Status();
}

void Registration::Run(const std::stop_token& stop) {
  milliseconds pause = kPauseFirst;
  while (!stop.stop_requested()) {
    const Status status = RegisterOnce(stop);
    if (stop.stop_requested()) return;
    Note(status, status.ok());
    if (IsFinal(status)) return;
    if (!status.ok()) {
      // Nothing can be waited for but time.
      internal::LocalLock lock(mutex_);
      lock.WaitFor(changed_, stop, pause, [] { return false; });
      pause = std::min(pause * 2, kPauseMax);
      continue;
    }
    pause = kPauseFirst;
    UntilLost(stop);
    if (!stop.stop_requested()) Note(LeaseIsLost(), /*stands=*/false);
  }
}

void Registration::UntilLost(const std::stop_token& stop) {
  std::stop_token lost;
  {
    const internal::LocalLock lock(mutex_);
    lost = session_->lost();
  }
  const std::stop_callback wake(lost, [this] {
    const internal::LocalLock lock(mutex_);
    changed_.notify_all();
  });
  internal::LocalLock lock(mutex_);
  lock.Wait(changed_, stop, [&] { return lost.stop_requested(); });
}

Status Registration::RegisterOnce(const std::stop_token& stop) {
  {
    const internal::LocalLock lock(mutex_);
    session_.reset();
  }
  Result<Session> session = client_.lease().Open({.ttl = options_.ttl}, {.stop = stop});
  if (!session.ok()) return session.status();
  const Status put = Register(client_, target_, endpoint_, &*session, {.stop = stop});
  const internal::LocalLock lock(mutex_);
  session_ = *std::move(session);
  return put;
}

void Registration::Note(const Status& status, bool stands) {
  {
    const internal::LocalLock lock(mutex_);
    stands_ = stands;
    if (IsFinal(status)) refused_ = status;
    changed_.notify_all();
  }
  if (options_.on_change) options_.on_change(status);
}

Status Registration::WaitUntilRegistered(WaitOptions wait) const {
  const Waiting waiting(std::move(wait), nullptr);
  if (Status over = waiting.Check(); over.reason() == Reason::kWouldDeadlock) return over;
  internal::LocalLock lock(mutex_);
  const auto settled = [this]() GAVEL_REQUIRES(mutex_) { return stands_ || refused_.has_value(); };
  if (const auto left = waiting.left()) {
    lock.WaitFor(changed_, waiting.stop(), *left, settled);
  } else {
    lock.Wait(changed_, waiting.stop(), settled);
  }
  if (refused_) return *refused_;
  return stands_ ? Status() : waiting.Check();
}

bool Registration::registered() const {
  const internal::LocalLock lock(mutex_);
  return stands_ && session_ && session_->alive();
}

// --- EndpointWatcher ----------------------------------------------------------------------------

EndpointWatcher::EndpointWatcher(const Client& client, const std::string& target)
    : prefix_(Prefix(target)),
      follower_(client.watch().Follow({.range = KeyRange::Prefix(prefix_)})) {}

Result<EndpointChanges> EndpointWatcher::Next(WaitOptions wait) {
  const Waiting waiting(std::move(wait), nullptr);
  while (true) {
    const Result<FollowBatch> batch = waiting.Await(follower_.NextAsync());
    if (!batch.ok()) return batch.status();
    EndpointChanges changes;
    const auto learn = [&](const KeyValue& kv, EndpointChanges* to) {
      const std::string name = kv.key.substr(prefix_.size());
      Result<Endpoint> endpoint = DecodeEndpoint(name, kv.value);
      if (endpoint.ok()) {
        endpoints_[name] = *endpoint;
        to->set.push_back(*std::move(endpoint));
      } else {
        if (endpoints_.erase(name) > 0) to->removed.push_back(name);
        to->unreadable.push_back(name);
      }
    };
    if (batch->restarted) {
      endpoints_.clear();
      list_ = {.restarted = true};
    }
    for (const KeyValue& row : batch->rows) learn(row, &list_);
    if (batch->complete) {
      list_.revision = batch->revision;
      return std::exchange(list_, {});
    }
    changes.revision = batch->revision;
    for (const WatchEvent& event : batch->events) {
      if (event.type == EventType::kPut) {
        learn(event.kv, &changes);
        continue;
      }
      const std::string name = event.kv.key.substr(prefix_.size());
      if (endpoints_.erase(name) > 0) changes.removed.push_back(name);
    }
    if (!batch->events.empty()) return changes;
  }
}

}  // namespace gavel::client::recipes
