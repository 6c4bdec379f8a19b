// A service registry: instances announce where they are, clients find them and see them come and
// go.
//
//   Registration here(client, "services/api", {.name = "7", .address = "10.0.0.7:80"});
//
//   EndpointWatcher watcher(client, "services/api");
//   while (watcher.Next().ok()) Use(watcher.endpoints());
//
// Layout as etcd's naming package: "target/name" with {"Op":0,"Addr":"...","Metadata":...} as
// value, so that etcd's resolvers for gRPC read it, and what they register is read here.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "client/internal/local_mutex.h"
#include "client/recipes/wait_options.h"

namespace gavel::client::recipes {

struct Endpoint {
  std::string name = {};      // Of the instance, unique within its service.
  std::string address = {};   // Where it is.
  std::string metadata = {};  // JSON, of any form; empty for none.

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// The value that an endpoint is stored as. Reason::kInvalidOptions if its metadata is no JSON.
Result<std::string> EncodeEndpoint(const Endpoint& endpoint);
// Reason::kBadResponse if the value is none of the layout.
Result<Endpoint> DecodeEndpoint(const std::string& name, const std::string& value);

struct ResolveResponse {
  ResponseHeader header = {};
  std::vector<Endpoint> endpoints = {};      // By name.
  std::vector<std::string> unreadable = {};  // Names of entries that others wrote in another form.
};

// All endpoints of a service, at one revision.
Result<ResolveResponse> Resolve(const Client& client, const std::string& target,
                                CallOptions options = {});
// Registers an endpoint for as long as the session lives, or, without one, until it is removed.
// Another of the same name is replaced.
Status Register(const Client& client, const std::string& target, const Endpoint& endpoint,
                const Session* session, CallOptions options = {});
// That it is not there is no error.
Status Unregister(const Client& client, const std::string& target, const std::string& name,
                  CallOptions options = {});

struct RegistrationOptions {
  std::chrono::seconds ttl{10};  // So long at most it outlives its process.
  // Told, on the Registration's own thread, when it stands, again or for the first time, with OK;
  // and with the reason when it was lost or could not be put.
  std::function<void(const Status&)> on_change = {};
};

// Keeps an endpoint registered, with a session of its own: also when that was lost, because the
// servers were out of reach for longer than the TTL, it is registered again as soon as they answer.
// What is refused for good (permissions, metadata that is no JSON) is told and not tried again.
//
// What others do to the key, by Unregister or by the same name, is not undone before that.
//
// Letting go of it unregisters it, without waiting for the servers, which do not hear of it if the
// Client ends right after; Close waits. Neither may be done in a callback, of the Client or of
// this. Thread-safe. The Client must outlive it.
class Registration {
 public:
  // Begins at once and does not wait.
  Registration(const Client& client, const std::string& target, Endpoint endpoint,
               RegistrationOptions options = {});
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  ~Registration();

  // Waits until it stands, or was refused.
  Status WaitUntilRegistered(WaitOptions wait = {}) const;
  // Whether it is known to stand right now.
  bool registered() const;
  // Ends it, and waits until the servers have unregistered it. After an error that is done when the
  // TTL has passed. Nothing is told any more when it returns.
  Status Close(CallOptions options = {});

 private:
  void Run(const std::stop_token& stop);
  Status RegisterOnce(const std::stop_token& stop);
  void UntilLost(const std::stop_token& stop);
  void Note(const Status& status, bool stands);
  void End();

  const Client& client_;
  const std::string target_;
  const Endpoint endpoint_;
  const RegistrationOptions options_;
  internal::LocalMutex closing_;  // Held by Close, so that two of them do not join one thread.

  mutable internal::LocalMutex mutex_;
  mutable std::condition_variable_any changed_;
  // Set by the thread only.
  std::optional<Session> session_ GAVEL_GUARDED_BY(mutex_);
  bool stands_ GAVEL_GUARDED_BY(mutex_) = false;
  std::optional<Status> refused_ GAVEL_GUARDED_BY(mutex_);

  std::jthread thread_;  // The last, so that it sees the rest whole.
};

// What is new. The first is the whole list.
struct EndpointChanges {
  bool restarted = false;  // What was known before counts no more; `set` is the whole list.
  int64_t revision = 0;
  std::vector<Endpoint> set = {};            // New, or with another address or metadata.
  std::vector<std::string> removed = {};     // Names.
  std::vector<std::string> unreadable = {};  // Names; they are not among the endpoints.
};

// Follows the endpoints of a service. Not thread-safe.
class EndpointWatcher {
 public:
  EndpointWatcher(const Client& client, const std::string& target);

  // Waits for changes. Fails with kDeadline or kCancelled by the options, after which it can be
  // asked again, or with what the servers refuse.
  Result<EndpointChanges> Next(WaitOptions wait = {});
  // What is known by now, by name.
  const std::map<std::string, Endpoint>& endpoints() const { return endpoints_; }

 private:
  const std::string prefix_;
  Follower follower_;
  std::map<std::string, Endpoint> endpoints_;
  EndpointChanges list_;  // As far as it has come.
};

}  // namespace gavel::client::recipes
