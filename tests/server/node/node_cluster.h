// A whole cluster in one thread: real nodes on disks, engines and a network that lose what they
// may lose, all by one seed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/internal/command.pb.h"
#include "raft/random.h"
#include "server/node/node.h"
#include "storage/engine/map_engine.h"
#include "tests/server/node/manual_clock.h"
#include "tests/support/crash_disk.h"
#include "tests/support/map_stores.h"

namespace gavel::testing {

struct NetworkFaults {
  uint64_t delay_max_ms = 2;
  uint64_t drop_one_in = 0;  // 0: never.
};

// Nodes are numbered from 0.
class NodeCluster {
 public:
  // `change` may alter the options of every node before its start. `spares` nodes come after those
  // that found the cluster, and belong to it from when they are added.
  NodeCluster(int nodes, uint64_t seed, std::function<void(server::NodeOptions&)> change = nullptr,
              int spares = 0);
  ~NodeCluster();

  // Recovers and starts a node; its error if it refuses to.
  absl::Status Start(int index);
  void StartAll();
  // Power off: what is unsynced goes the way of `mode`, the engine falls back to any state that
  // it may.
  void Crash(int index, CrashMode mode);
  // The clean stop.
  void Stop(int index);
  // Snapshots that the node has put in the place of its state, over all its lives.
  uint64_t installs(int index) const { return machines_[Place(index)]->installs; }
  // Power off, and somebody empties the data directory.
  void Wipe(int index);
  // What ChangeMembers needs to add a spare; it is the cluster's from here on.
  internal::AddedMember Added(int index, bool learner);
  static std::string UrlOf(int index);
  // Whether a node that starts for the first time can ask the others who they are.
  void SetPeeking(bool peeking) { peeking_ = peeking; }
  raft::NodeId id(int index) const { return machines_[Place(index)]->id; }
  // Whether it was told that it was removed.
  bool removed(int index) const { return machines_[Place(index)]->removed; }
  bool running(int index) const { return machines_[Place(index)]->node != nullptr; }
  // The process is not scheduled, while its network goes on; SIGSTOP.
  void SetPaused(int index, bool paused) { machines_[Place(index)]->paused = paused; }
  // Frames between the two are lost in both directions.
  void SetCut(int a, int b, bool cut);
  // The same, and both see their connection break.
  void Disconnect(int a, int b);
  void SetFaults(NetworkFaults faults) { faults_ = faults; }
  void SetLogHeld(int index, bool held) { machines_[Place(index)]->log_held = held; }
  void SetApplyHeld(int index, bool held) { machines_[Place(index)]->apply_held = held; }

  // Lets `ms` milliseconds pass.
  void Run(uint64_t ms);
  // Lets time pass until `done`; false if it is not after `ms_max`.
  bool RunUntil(const std::function<bool()>& done, uint64_t ms_max = 30000);

  // Of the nodes started from here on.
  server::NodeOptions& options() { return options_; }
  server::Node& node(int index) { return *machines_[Place(index)]->node; }
  absl::Status Receive(int index, std::string_view frame) {
    server::StreamSender sender;
    return machines_[Place(index)]->events.on_frame(frame, sender);
  }
  server::MemberGate& gate(int index) { return node(index).gate(); }
  CrashDisk& disk(int index) { return *machines_[Place(index)]->disk; }
  storage::MapEngine& engine(int index) { return *machines_[Place(index)]->engine; }
  ManualClock& clock() { return clock_; }
  raft::Random& random() { return random_; }
  int size() const { return static_cast<int>(machines_.size()); }

  // The node that leads in the highest term, if one does.
  std::optional<int> Leader();
  // Waits for a leader that all running nodes know. Requires: one will be found.
  int AwaitLeader();

  // A put through node `index`; `done` is called once, unless that node crashes.
  void Put(int index, const std::string& key, const std::string& value,
           std::function<void(server::ProposeResult)> done);
  // The same, and waits. The result kStopped also stands for a node that crashed.
  server::ProposeResult PutAndWait(int index, const std::string& key, const std::string& value);
  // A linearizable read of one key: its value, or nothing; an error text if the read failed.
  struct ReadAnswer {
    server::GateResult result = server::GateResult::kStopped;
    std::optional<std::string> value;
    storage::Revision revision = 0;
  };
  ReadAnswer GetAndWait(int index, const std::string& key);
  void Read(int index, server::ReadDone done);

  // A key's newest value, and its version, in a view.
  struct Stored {
    std::string value;
    int64_t version = 0;
  };
  static std::optional<Stored> Lookup(const std::shared_ptr<const storage::ReadView>& view,
                                      const std::string& key);
  // HashKV of a node's newest view.
  uint32_t Hash(int index);

  // Over all lives of a node.
  std::string MetricsText(int index) { return machines_[Place(index)]->metrics.Text(); }
  // What nodes said when they stopped by themselves.
  const std::vector<std::string>& failures() const { return failures_; }
  // The messages of the log's errors, of all nodes.
  const std::vector<std::string>& errors() const { return errors_; }

 private:
  class Transport;
  struct Machine {
    std::unique_ptr<CrashDisk> disk = std::make_unique<CrashDisk>();
    server::Metrics metrics;
    MapEnginePtr engine = NewMapEngine();
    MapEnginePtr received;      // A snapshot that arrives.
    bool must_restart = false;  // For its sake.
    uint64_t installs = 0;
    std::unique_ptr<server::Node> node;
    server::PeerEvents events;
    raft::NodeId id;  // None: of a spare.
    bool joins = false;
    bool removed = false;
    bool paused = false;
    bool log_held = false;
    bool apply_held = false;
  };
  struct Frame {
    int from = 0;
    int to = 0;
    server::MonotonicNs due = 0;
    std::string bytes;
  };

  static size_t Place(int index) { return static_cast<size_t>(index); }
  int IndexOf(raft::NodeId id) const;
  // As anybody knows who runs.
  bool WasRemoved(raft::NodeId member);
  absl::StatusOr<server::ClusterView> Ask(const server::MemberPlace::Accept& accept);
  void Send(int from, raft::NodeId to, std::string frame);
  void Deliver();
  void RunStages(Machine& machine);
  // What a member asks for that has received a snapshot.
  void Restart(int index);

  ManualClock clock_;
  raft::Random random_;
  std::vector<std::string> errors_;
  std::unique_ptr<server::Logger> logger_;  // Fills errors_.
  server::NodeOptions options_;
  std::vector<server::InitialMember> initial_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<std::vector<bool>> cut_;
  NetworkFaults faults_;
  bool peeking_ = false;
  std::deque<Frame> frames_;
  std::vector<std::string> failures_;
};

}  // namespace gavel::testing
