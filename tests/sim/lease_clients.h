// Clients that hold leases: they grant and revoke, renew or stop to, attach keys, and ask.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/random.h"
#include "tests/sim/client_streams.h"
#include "tests/sim/lease_history.h"
#include "tests/sim/workload.h"
#include "tests/storage/mvcc/random_requests.h"

namespace gavel::sim {

class World;

class LeaseClients {
 public:
  LeaseClients(World& world, Workload& workload);
  ~LeaseClients();

  void Start();
  // Nobody grants or renews any more.
  void Stop() { stopped_ = true; }

  const std::vector<RenewalRecord>& renewals() const { return renewals_; }
  const std::vector<LeaseQuestion>& questions() const { return questions_; }

 private:
  struct Client;

  void Think(Client& client);
  void Act(Client& client);
  void Write(Client& client, internal::Command command, std::function<void(const Operation&)> done);
  void Grant(Client& client);
  void Attach(Client& client);
  void Revoke(Client& client);
  void Ask(Client& client);
  // Renews all leases that the client still wants, over and over.
  void KeepAlive(Client& client);
  void Renew(Client& client, int64_t id);
  void Open(Client& client);
  void OnRenewed(Client& client, const StreamMessage& message);
  void OnEnd(Client& client);
  int AnyMember(Client& client);

  World& world_;
  Workload& workload_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<RenewalRecord> renewals_;
  std::vector<LeaseQuestion> questions_;
  bool stopped_ = false;
};

}  // namespace gavel::sim
