#include "tests/sim/lease_clients.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "tests/sim/random_streams.h"
#include "tests/sim/world.h"

namespace gavel::sim {

using server::kNsPerMs;
using server::kNsPerSecond;

namespace {

constexpr char kKeepAlive[] = "/etcdserverpb.Lease/LeaseKeepAlive";
constexpr char kTimeToLive[] = "/etcdserverpb.Lease/LeaseTimeToLive";
constexpr char kLeases[] = "/etcdserverpb.Lease/LeaseLeases";
constexpr size_t kLeasesMax = 5;  // Of one client.
constexpr int kWritesMax = 6;     // Of one client, under way.

}  // namespace

struct LeaseClients::Client {
  Client(uint64_t seed, uint64_t number)
      : requests(Stream(seed, "lease-requests", number).Next()),
        random(Stream(seed, "lease-client", number)) {}

  struct Lease {
    int64_t id = 0;
    bool kept = false;  // It is renewed until the client has enough of it.
  };

  testing::RandomRequests requests;
  raft::Random random;
  std::vector<Lease> leases;
  int writes = 0;                 // Under way.
  uint64_t stream = 0;            // 0: none.
  int member = 0;                 // Of the stream.
  std::deque<size_t> unanswered;  // Places of renewals.
};

LeaseClients::LeaseClients(World& world, Workload& workload) : world_(world), workload_(workload) {
  for (int i = 0; i < world.plan().lease_clients; ++i) {
    clients_.push_back(std::make_unique<Client>(world.plan().seed, static_cast<uint64_t>(i)));
  }
}

LeaseClients::~LeaseClients() = default;

void LeaseClients::Start() {
  for (auto& client : clients_) {
    Think(*client);
    KeepAlive(*client);
  }
}

int LeaseClients::AnyMember(Client& client) {
  return static_cast<int>(client.random.Below(static_cast<uint64_t>(world_.size())));
}

void LeaseClients::Think(Client& client) {
  if (stopped_) return;
  const auto mean = static_cast<uint64_t>(world_.plan().lease_think_time);
  const uint64_t pause = client.random.OneIn(3) ? 1 + mean / 100 : 2 * mean;
  world_.At(world_.now() + static_cast<int64_t>(1 + client.random.Below(pause)), EventKind::kTimer,
            -1, [this, &client] { Act(client); });
}

void LeaseClients::Act(Client& client) {
  if (stopped_) return;
  raft::Random& random = client.random;
  const uint64_t what = random.Below(16);
  if (client.writes >= kWritesMax && (what < 10 || client.leases.empty())) {
    // Nobody answers for now.
  } else if (client.leases.empty() || (what < 4 && client.leases.size() < kLeasesMax)) {
    Grant(client);
  } else if (what < 9) {
    Attach(client);
  } else if (what < 10) {
    Revoke(client);
  } else if (what < 13) {
    Ask(client);
  } else if (what < 14) {
    // A renewal beside the others; sometimes of somebody else's lease, or of none.
    Renew(client, random.OneIn(3) ? static_cast<int64_t>(1 + random.Below(40))
                                  : client.leases[random.Below(client.leases.size())].id);
  } else {
    // The client stops to renew one, and forgets it sooner or later.
    const size_t place = random.Below(client.leases.size());
    if (client.leases[place].kept) {
      client.leases[place].kept = false;
    } else {
      client.leases.erase(client.leases.begin() + static_cast<std::ptrdiff_t>(place));
    }
  }
  Think(client);
}

void LeaseClients::Write(Client& client, internal::Command command,
                         std::function<void(const Operation&)> done) {
  ++client.writes;
  workload_.Write(AnyMember(client), std::move(command),
                  [&client, done = std::move(done)](const Operation& operation) {
                    --client.writes;
                    done(operation);
                  });
}

void LeaseClients::Grant(Client& client) {
  raft::Random& random = client.random;
  internal::Command command;
  etcdserverpb::LeaseGrantRequest& grant = *command.mutable_lease_grant();
  grant.set_ttl(static_cast<int64_t>(random.Between(1, 6)));
  const uint64_t how = random.Below(4);
  if (how == 0) {
    grant.set_id(static_cast<int64_t>(1 + random.Below(40)));
  } else if (how == 1) {
    // Those that all clients' puts name.
    constexpr auto& kNamed = testing::RandomRequests::kLeases;
    grant.set_id(kNamed[random.Below(std::size(kNamed))]);
  }
  Write(client, std::move(command), [&client](const Operation& done) {
    etcdserverpb::LeaseGrantResponse response;
    if (done.outcome != Operation::Outcome::kAnswered || !response.ParseFromString(done.response)) {
      return;
    }
    client.leases.push_back({response.id(), client.random.Below(3) > 0});
  });
}

void LeaseClients::Attach(Client& client) {
  internal::Command command;
  etcdserverpb::PutRequest& put = *command.mutable_put();
  put.set_key(client.requests.Key());
  put.set_value("held");
  put.set_lease(client.leases[client.random.Below(client.leases.size())].id);
  Write(client, std::move(command), [](const Operation&) {});
}

void LeaseClients::Revoke(Client& client) {
  internal::Command command;
  const size_t place = client.random.Below(client.leases.size());
  command.mutable_lease_revoke()->set_id(client.leases[place].id);
  if (client.random.OneIn(2)) {
    client.leases.erase(client.leases.begin() + static_cast<std::ptrdiff_t>(place));
  }
  Write(client, std::move(command), [](const Operation&) {});
}

void LeaseClients::Ask(Client& client) {
  raft::Random& random = client.random;
  const int member = AnyMember(client);
  LeaseQuestion question;
  const bool all = random.OneIn(3);
  std::string request;
  if (!all) {
    question.id = client.leases[random.Below(client.leases.size())].id;
    question.keys = random.OneIn(2);
    question.committed_before = world_.ledger().committed().value();
    etcdserverpb::LeaseTimeToLiveRequest ask;
    ask.set_id(question.id);
    ask.set_keys(question.keys);
    request = ask.SerializeAsString();
  }
  const auto hop = static_cast<int64_t>(1 + random.Below(2 * kNsPerMs));
  world_.At(world_.now() + hop, EventKind::kCall, member, [this, member, all, question, request] {
    world_.Call(member, all ? kLeases : kTimeToLive, 0, request, world_.plan().client_timeout,
                [this, all, question](const server::RpcStatus& status, const std::string& bytes) {
                  if (!status.ok()) return;
                  LeaseQuestion answered = question;
                  answered.committed_after = world_.ledger().committed().value();
                  const bool parsed = all ? answered.about_all.ParseFromString(bytes)
                                          : answered.about_one.ParseFromString(bytes);
                  if (!parsed) return world_.Fail("what is told of leases is no message");
                  questions_.push_back(std::move(answered));
                });
  });
}

void LeaseClients::KeepAlive(Client& client) {
  if (stopped_) return;
  for (const Client::Lease& lease : client.leases) {
    if (lease.kept) Renew(client, lease.id);
  }
  // Sometimes so late that some are about to end.
  const int64_t mean = (client.random.OneIn(4) ? 3000 : 700) * kNsPerMs;
  const auto pause =
      300 * kNsPerMs + static_cast<int64_t>(client.random.Below(static_cast<uint64_t>(mean)));
  world_.At(world_.now() + pause, EventKind::kTimer, -1, [this, &client] { KeepAlive(client); });
}

void LeaseClients::Open(Client& client) {
  client.member = AnyMember(client);
  client.stream = world_.client_streams().Open(
      client.member, kKeepAlive,
      {[this, &client](const StreamMessage& message) { OnRenewed(client, message); },
       [this, &client](const server::RpcStatus&) { OnEnd(client); }});
}

void LeaseClients::Renew(Client& client, int64_t id) {
  if (client.stream != 0 && client.random.OneIn(20)) {
    // Goes on at another member, without a word.
    world_.client_streams().Drop(client.stream);
    client.stream = 0;
    client.unanswered.clear();
  }
  if (client.stream == 0) Open(client);
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(id);
  client.unanswered.push_back(renewals_.size());
  RenewalRecord renewal;
  renewal.id = id;
  renewal.sent_at = world_.now();
  renewal.committed_before = world_.ledger().committed().value();
  renewals_.push_back(renewal);
  world_.client_streams().Send(client.stream, request.SerializeAsString());
}

void LeaseClients::OnRenewed(Client& client, const StreamMessage& message) {
  etcdserverpb::LeaseKeepAliveResponse response;
  if (!response.ParseFromString(message.bytes)) {
    return world_.Fail("the answer to a renewal is no message of its type");
  }
  if (client.unanswered.empty()) return world_.Fail("a renewal is answered that nobody asked for");
  RenewalRecord& renewal = renewals_[client.unanswered.front()];
  client.unanswered.pop_front();
  if (renewal.id != response.id()) {
    return world_.Fail("renewals are answered in another order than they were asked for");
  }
  renewal.answered = true;
  renewal.ttl_seconds = response.ttl();
  renewal.committed_after = message.committed;
  if (response.ttl() > 0) return;
  std::erase_if(client.leases, [&](const Client::Lease& lease) { return lease.id == renewal.id; });
}

void LeaseClients::OnEnd(Client& client) {
  if (!client.unanswered.empty()) world_.Sometimes("a renewal was lost");
  client.stream = 0;
  client.unanswered.clear();
}

}  // namespace gavel::sim
