// Clients that watch: they create and cancel, read quickly or slowly, vanish without a word, and
// go on elsewhere where they were, when a stream breaks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/random.h"
#include "server/rpc/status.h"
#include "tests/sim/client_streams.h"
#include "tests/sim/watch_history.h"

namespace gavel::sim {

class World;

class WatchClients {
 public:
  explicit WatchClients(World& world);
  ~WatchClients();

  void Start();
  // The clients do nothing more of their own accord.
  void Stop() { stopped_ = true; }

  // For a script: the client opens a stream on `member` unless it has one, and watches all keys
  // from now; with `at_once`, what it has said has arrived.
  void WatchNow(size_t client, int member, bool at_once);
  // Watches of the client that are created, and have not ended.
  size_t WatchesOf(size_t client) const;

  // V3: asks every stream how far it is; `again`: only those that have not come to the head yet.
  void AskAll(int64_t head, bool again);
  // Whether all that were asked have been told everything up to the head.
  bool AllToldHead() const;
  std::string Missing() const;

  // Compares all that was told with the history. Returns the first violation.
  std::optional<std::string> Check(const WatchHistory& history);
  // The newest revision that a client has heard of, for whoever wants to watch from there.
  void OnRevision(int64_t revision) { newest_revision_ = std::max(newest_revision_, revision); }

 private:
  struct Creating;
  struct Client;
  using Response = etcdserverpb::WatchResponse;

  void Think(Client& client);
  void Act(Client& client);
  void Open(Client& client);
  void Open(Client& client, int member);
  void Create(Client& client, etcdserverpb::WatchCreateRequest request);
  etcdserverpb::WatchCreateRequest NewRequest(Client& client);
  void Resume(Client& client);
  void CancelOne(Client& client);
  void Read(Client& client);
  void AskProgress(Client& client);
  void Cancel(Client& client, int64_t id);

  void OnMessage(Client& client, StreamMessage message);
  void OnCreated(Client& client, const Response& response, const StreamMessage& message);
  void OnCanceled(Client& client, const Response& response, const StreamMessage& message);
  void OnProgress(Client& client, const Response& response, const StreamMessage& message);
  void OnEvents(Client& client, Response response, const StreamMessage& message);
  void OnEnd(Client& client, const server::RpcStatus& status);
  void Forget(Client& client, bool resume);

  World& world_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<WatchRecord>> records_;
  int64_t newest_revision_ = 1;
  bool stopped_ = false;
};

}  // namespace gavel::sim
