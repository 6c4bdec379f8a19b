#include "tests/chaos/victims.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/client.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "tests/server/http2/raw_http2.h"

namespace gavel::chaos {

using client::Client;
using client::Result;
using client::Session;
using client::WatchBatch;

namespace {

// So many clients at once may take a busy machine long.
constexpr std::chrono::seconds kPatience{60};
// Below what may be sent before the server gives windows back.
constexpr size_t kHalfMessageBytes = 16 << 10;

void Tell(const client::Status& status) { std::puts(status.ToString().c_str()); }

// A connection on which a call has begun with `message`, and on which nothing is ever read.
std::unique_ptr<testing::RawHttp2> BeginCall(const std::string& target, std::string_view path,
                                             std::string_view message) {
  auto connection =
      std::make_unique<testing::RawHttp2>(atoi(target.substr(target.find(':') + 1).c_str()));
  connection->Greet();
  connection->Send(testing::FrameType::kHeaders, testing::kEndHeaders, 1,
                   testing::CallHeaders(path));
  connection->Send(testing::FrameType::kData, 0, 1, message);
  return connection;
}

// A message that does not end.
std::unique_ptr<testing::RawHttp2> BeginHalfOfACall(const std::string& target) {
  const std::string message = testing::MessageBytes(std::string(kHalfMessageBytes, 'x'));
  return BeginCall(target, "/etcdserverpb.KV/Put",
                   std::string_view(message).substr(0, message.size() / 2));
}

// A watcher that is told of nothing, since its client takes nothing.
std::unique_ptr<testing::RawHttp2> BeginWatchUnread(const std::string& target) {
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key(kWatchedByVictims);
  return BeginCall(target, "/etcdserverpb.Watch/Watch",
                   testing::MessageBytes(request.SerializeAsString()));
}

}  // namespace

void RunVictims(const VictimOptions& options) {
  std::vector<Client> clients;
  std::vector<client::Watcher> watchers;
  std::vector<client::Pending<Session>> sessions;
  std::vector<std::unique_ptr<testing::RawHttp2>> silent;
  for (int number = 0; number < options.clients; ++number) {
    const size_t member = static_cast<size_t>(number) % options.targets.size();
    Result<Client> client = Client::Create({.endpoints = {options.targets[member]},
                                            .timeout = kPatience,
                                            .dial_timeout = kPatience,
                                            .keepalive_timeout = kPatience});
    if (!client.ok()) return Tell(client.status());
    if (number % 10 == 0) silent.push_back(BeginHalfOfACall(options.targets[member]));
    if (number % 10 == 5) silent.push_back(BeginWatchUnread(options.targets[member]));
    clients.push_back(*std::move(client));
    const client::Watch watch = clients.back().watch();
    client::WatchOptions what = {.range = kWatchedByVictims};
    if (number % 2 == 0) {
      watchers.push_back(watch.Start(std::move(what), [](const Result<WatchBatch>&) {}));
    } else {
      what.buffer_bytes_max = 1;
      watchers.push_back(watch.Start(std::move(what)));
    }
    sessions.push_back(
        clients.back().lease().OpenAsync({.ttl = std::chrono::seconds(kVictimTtlSeconds)}));
  }
  std::vector<Session> held;
  for (client::Pending<Session>& session : sessions) {
    Result<Session> open = session.Get();
    const Client& client = clients[held.size()];
    for (int again = 0; !open.ok() && again < 5; ++again) {
      open = client.lease().Open({.ttl = std::chrono::seconds(kVictimTtlSeconds)});
    }
    if (!open.ok()) return Tell(open.status());
    held.push_back(*std::move(open));
  }
  for (client::Watcher& watcher : watchers) {
    const Result<int64_t> created = watcher.Created();
    if (!created.ok()) return Tell(created.status());
  }
  std::puts(kVictimsReady);
  std::fflush(stdout);
  while (true) pause();
}

}  // namespace gavel::chaos
