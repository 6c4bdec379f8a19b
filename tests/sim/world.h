// A cluster, its clients and everything around them in one thread, driven by one seed.
//
// Time moves from event to event. Each stage of each member is an event of its own, so every
// interleaving of stages, frames, calls and faults can come up; nothing of the product is
// replaced but disk, engine, clock and transport.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "raft/random.h"
#include "tests/sim/ledger.h"
#include "tests/sim/machine.h"
#include "tests/sim/plan.h"
#include "tests/sim/points.h"
#include "tests/sim/trace.h"

namespace gavel::sim {

// Figures of a run; sums over many are formed by Add.
struct Figures {
  uint64_t events = 0;
  int64_t simulated_ns = 0;
  uint64_t entries = 0;
  uint64_t writes = 0;
  uint64_t unknown_writes = 0;
  uint64_t reads = 0;
  uint64_t states_compared = 0;
  std::map<std::string, uint64_t> faults;     // By kind.
  std::map<std::string, uint64_t> sometimes;  // Rare states, and how often each was reached.

  void Add(const Figures& other);
};

class Workload;

class World final : public PointHandler {
 public:
  explicit World(Plan plan);
  ~World() override;

  struct Limits {
    int64_t until = kNever;  // World time at which to stop without judging liveness.
    bool trace = false;
  };
  // Runs all phases. Returns the first violation, or nothing.
  std::optional<std::string> Run(const Limits& limits);

  int64_t now() const { return now_; }
  const Plan& plan() const { return plan_; }
  Figures& figures() { return figures_; }
  const Trace& trace() const { return trace_; }
  Ledger& ledger() { return *ledger_; }
  Machine& machine(int index) { return *machines_[static_cast<size_t>(index)]; }
  int size() const { return static_cast<int>(machines_.size()); }
  bool failed() const { return violation_.has_value(); }

  // Runs `work` at `at`, as an event of `node` (-1: of nobody).
  void At(int64_t at, EventKind kind, int node, std::function<void()> work);
  void Record(EventKind kind, int node, uint64_t a, uint64_t b, const char* text = "");
  void Fail(const std::string& violation);
  void Sometimes(const char* state) { ++figures_.sometimes[state]; }

  // A client's request reaches member `index`; `answer` runs there once, unless it goes down.
  void Call(int index, const std::string& method, std::string request, int64_t timeout,
            std::function<void(server::RpcStatus, std::string)> answer);

  // --- PointHandler ---
  void OnPoint(const char* name) override;

 private:
  class Transport;
  struct Work {
    EventKind kind = EventKind::kTimer;
    int node = -1;
    std::function<void()> run;
  };
  struct Due {
    int64_t at;
    uint64_t order;
    uint32_t slot;
    bool operator>(const Due& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Link {
    int cuts = 0;  // How many faults keep it down.
    int64_t clogged_until = 0;
    int64_t last_arrival = 0;
    int in_flight = 0;
  };

  // Who sent a frame, as of then.
  struct Sender {
    int index;
    uint64_t life;
    bool impostor;
  };

  // world.cc: the loop.
  bool Step(int64_t until);
  void RunUntil(int64_t until);
  void RunStage(Machine& machine, Stage stage);
  void AfterEvent(int index);
  void Touch(Machine& machine);
  void CheckApplied(Machine& machine);

  // world_members.cc: members and frames.
  void Start(int index);
  void OnStartFailed(Machine& machine, const absl::Status& status);
  void Down(int index, testing::CrashMode mode);
  void StartLater(int index, int64_t after);
  // Keeps what arrives at a paused machine until it goes on.
  void Hold(Machine& machine, std::function<void()> work);
  void ReleaseLater(Machine& machine);
  void Send(int from, raft::NodeId to, std::string frame);
  void CheckSent(int from, std::string_view frame);
  void Transmit(int from, int to, std::string frame, bool damaged);
  void Deliver(const Sender& sender, int to, const std::string& frame, bool damaged);
  void SetCut(int from, int to, bool cut);
  Link& link(int from, int to) { return links_[static_cast<size_t>(from * size() + to)]; }
  int IndexOf(raft::NodeId id) const;

  // world_faults.cc: what goes wrong.
  void Inject(const Fault& fault);
  bool InjectDisk(const Fault& fault, Machine& machine);
  bool InjectNode(const Fault& fault, Machine& machine);
  bool InjectNetwork(const Fault& fault);
  bool FlipBit(const Fault& fault, Machine& machine);
  bool StartImpostor(const Fault& fault, Machine& machine);
  void EndImpostor(int index);
  void CutFor(int from, int to, int64_t duration);
  testing::CrashMode AnyCrashMode(raft::Random& random) const;
  bool impostor_about() const;
  void HealDisk(Machine& machine);

  // world_end.cc: liveness.
  void Converge();
  void HealAmong(const std::vector<int>& core);
  bool Probe(const std::vector<int>& members, int64_t until);
  bool AllEqual();
  std::string ProgressText();

  Plan plan_;
  int64_t now_ = 0;
  Trace trace_;
  Figures figures_;
  std::optional<std::string> violation_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<server::Logger> logger_;
  server::NodeOptions options_;

  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  uint64_t order_ = 0;
  std::vector<Work> work_;
  std::vector<uint32_t> free_;
  std::vector<Link> links_;

  raft::Random network_random_;
  raft::Random stage_random_;
  raft::Random crash_random_;
  raft::Random point_random_;
  int current_ = -1;  // Whose event is running.
  bool faults_on_ = true;
  std::map<std::string, bool, std::less<>> hot_points_;
  int64_t next_point_fault_ = 0;
};

}  // namespace gavel::sim
