// Clients: each sends one request after the other, to any member, and keeps what it saw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/random.h"
#include "server/rpc/status.h"
#include "tests/sim/history.h"
#include "tests/storage/mvcc/random_requests.h"

namespace gavel::sim {

class World;

class Workload {
 public:
  explicit Workload(World& world);
  ~Workload();

  // Lets the clients begin; they go on until Stop.
  void Start();
  void Stop() { stopped_ = true; }

  // One write through `member`, tried until it is acknowledged; for liveness.
  void Probe(int member, std::shared_ptr<bool> done);

  // One write of another client, through `member`; `done` is told once how it ended, which is
  // unknown after a client's patience.
  void Write(int member, internal::Command command, std::function<void(const Operation&)> done);

  const std::vector<Operation>& operations() const { return operations_; }

 private:
  struct Client;

  void Next(Client& client);
  Operation NewRead(Client& client);
  Operation NewWrite(Client& client);
  // Sends the operation at `place` to a member.
  void Send(Client& client, int member, size_t place);
  void Ask(Client& client, int member, size_t place, uint64_t turn, int64_t back);
  void Arrive(Client& client, size_t place, uint64_t turn, const server::RpcStatus& status,
              const std::string& response);
  // Sends a write of unknown outcome as another one; false if the client does not care to.
  bool Insist(Client& client, size_t place);
  void Think(Client& client);
  void OnAnswer(size_t place, const server::RpcStatus& status, const std::string& response);

  World& world_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Operation> operations_;
  int64_t newest_revision_ = 1;  // That any client has heard of.
  uint64_t next_number_ = 1;
  bool stopped_ = false;
};

}  // namespace gavel::sim
