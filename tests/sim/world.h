// A cluster, its clients and everything around them in one thread, driven by one seed.
//
// Time moves from event to event. Each stage of each member is an event of its own, so every
// interleaving of stages, frames, calls and faults can come up; nothing of the product is
// replaced but disk, engine, clock and transport.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
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
  int64_t simulated_ns = 0;
  uint64_t events = 0;
  uint64_t entries = 0;
  uint64_t writes = 0;
  uint64_t unknown_writes = 0;
  uint64_t reads = 0;
  uint64_t watches = 0;
  uint64_t watch_events = 0;  // That were told and compared.
  uint64_t leases = 0;
  uint64_t leases_expired = 0;
  uint64_t renewals = 0;  // That were answered.
  uint64_t states_compared = 0;
  std::map<std::string, uint64_t> faults;     // By kind.
  std::map<std::string, uint64_t> sometimes;  // Rare states, and how often each was reached.
  std::map<std::string, uint64_t> longest;    // Queues, and how long each has been at most.

  void Add(const Figures& other);
};

// Every number of the figures but the time.
inline constexpr std::array kFigureCounts = {
    &Figures::events,         &Figures::entries,        &Figures::writes,
    &Figures::unknown_writes, &Figures::reads,          &Figures::watches,
    &Figures::watch_events,   &Figures::leases,         &Figures::leases_expired,
    &Figures::renewals,       &Figures::states_compared};

// What a client is told by a machine on which nothing runs.
inline constexpr char kRefusedConnection[] = "connection refused";

class ClientStreams;
class LeaseClients;
class ScriptHands;
struct Script;
class WatchClients;
class Workload;

class World final : public PointHandler {
 public:
  explicit World(Plan plan);
  ~World() override;

  struct Limits {
    int64_t until = kNever;  // World time at which to stop; what has not come yet may be missing.
    bool trace = false;
    const Script* script = nullptr;  // Instead of faults and clients.
    TraceTail* tail = nullptr;       // Where the last events are kept, if not in the world.
  };
  // Runs all phases. Returns the first violation, or nothing.
  std::optional<std::string> Run(const Limits& limits);

  int64_t now() const { return now_; }
  const Plan& plan() const { return plan_; }
  Figures& figures() { return figures_; }
  Trace& trace() { return trace_; }
  Ledger& ledger() { return *ledger_; }
  Machine& machine(int index) { return *machines_[static_cast<size_t>(index)]; }
  int size() const { return static_cast<int>(machines_.size()); }
  bool failed() const { return violation_.has_value(); }

  // Runs `work` at `at`, as an event of `node` (-1: of nobody).
  void At(int64_t at, EventKind kind, int node, std::function<void()> work);
  void Record(EventKind kind, int node, uint64_t a, uint64_t b, const char* text = "");
  void Fail(const std::string& violation);
  // A rare state was reached. Requires: `state` is a literal.
  void Sometimes(const char* state) { ++reached_[state]; }

  // A client's request reaches member `index`; `answer` runs there once, unless it goes down.
  // `operation` is its number in the trace. Requires: `method` is a constant.
  void Call(int index, const char* method, uint64_t operation, std::string request, int64_t timeout,
            std::function<void(server::RpcStatus, std::string)> answer);

  // The same for a stream that answers in messages; `done` gets all of them.
  void CallStream(int index, const char* method, uint64_t operation, std::string request,
                  int64_t timeout,
                  std::function<void(server::RpcStatus, std::vector<std::string>)> done);

  // True if member `index` runs now; otherwise `again` is run once it goes on.
  bool WhenAwake(int index, std::function<void()> again);
  // A client has heard of a revision.
  void OnRevision(int64_t revision);
  ClientStreams& client_streams() { return *client_streams_; }

  // --- PointHandler ---
  void OnPoint(const char* name) override;

 private:
  friend class ScriptHands;
  class Transport;
  static constexpr size_t kQueues = 5;
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
    raft::Random random;
    int cuts = 0;  // How many faults keep it down.
    int64_t clogged_until = 0;
    int64_t last_arrival = 0;
    int in_flight = 0;
  };

  // A call that answers in messages.
  class Writer;
  struct StreamCall {
    int index = 0;
    std::shared_ptr<server::StreamHandler> handler;
    std::vector<std::string> messages;
    size_t queued = 0;  // Bytes that the client has not read.
    std::function<void(server::RpcStatus, std::vector<std::string>)> done;
  };

  // Who sent a frame, as of then.
  struct Sender {
    int index;
    uint64_t life;
    bool impostor;
    const char* what;  // It has sent.
  };

  // world.cc: the loop.
  bool Step(int64_t until);
  void RunUntil(int64_t until);
  void RunStage(Machine& machine, Stage stage);
  // Runs a stage or an I/O thread of the machine that is at a point, as another thread would.
  void RunBeside(Machine& machine);
  void AfterEvent(int index);
  void Touch(Machine& machine);

  // world_checks.cc: what must hold of one member.
  void CheckCore(Machine& machine);
  void NoteBehind(Machine& machine, const raft::Status& status);
  void CheckApplied(Machine& machine);
  void CheckRevisions(Machine& machine, const storage::ReadView& view);
  void CheckQueues(Machine& machine);
  void NoteQueues();

  // world_members.cc: members and frames.
  void Start(int index);
  void OnStartFailed(Machine& machine, const absl::Status& status);
  // Whether `status` is what a failing disk, and nothing else, makes of a member.
  static bool ComesFromTheDisk(const absl::Status& status);
  void Down(int index, testing::CrashMode mode);
  void StartLater(int index, int64_t after);
  // Keeps what arrives at a paused machine until it goes on.
  void Hold(Machine& machine, std::function<void()> work);
  void ReleaseLater(Machine& machine);
  void Send(int from, raft::NodeId to, std::string frame);
  // Returns what it is, for the trace.
  const char* CheckSent(int from, std::string_view frame);
  void OnCandidate(int index, raft::Term term);
  // `what` is a constant.
  void Transmit(int from, int to, std::string frame, const char* what, bool damaged);
  void Deliver(const Sender& sender, int to, const std::string& frame, bool damaged);
  void SetCut(int from, int to, bool cut);
  Link& link(int from, int to) { return links_[static_cast<size_t>(from * size() + to)]; }
  int IndexOf(raft::NodeId id) const;

  // world_calls.cc: streams.
  size_t OnMessage(uint64_t stream, const server::Encoded& message);
  void OnStreamEnd(uint64_t stream, const server::RpcStatus& status);

  // world_faults.cc: what goes wrong.
  void Inject(const Fault& fault);
  bool InjectDisk(const Fault& fault, Machine& machine);
  bool InjectNode(const Fault& fault, Machine& machine);
  bool InjectNetwork(const Fault& fault);
  static std::vector<WalWatch::Covered> CoveredLog(const Machine& machine);
  bool FlipBit(const Fault& fault, Machine& machine);
  // What the disk is asked for next fails.
  void FailDiskNow(Machine& machine, int64_t how_long);
  bool SpoilSector(const Fault& fault, Machine& machine);
  static void MendSector(Machine& machine);
  bool StartImpostor(const Fault& fault, Machine& machine);
  void EndImpostor(int index);
  void CutFor(int from, int to, int64_t duration);
  void CutUnless(int64_t duration, const std::function<bool(int, int)>& reach);
  void Swizzle(const Fault& fault);
  void CrashSome(const Fault& fault, const std::vector<int>& members);
  testing::CrashMode AnyCrashMode(raft::Random& random) const;
  bool impostor_about() const;
  void HealDisk(Machine& machine);

  // world_history.cc
  void CheckHistories();

  // world_end.cc: liveness.
  bool over() const { return failed() || now_ >= until_; }
  void Converge();
  void HealAmong(const std::vector<int>& core);
  bool Probe(const std::vector<int>& members, int64_t until);
  bool AllEqual();
  void CompareHashes();
  // V3: all watchers are told everything.
  bool DrainWatches(int64_t until);
  // Leases that nobody renews end everywhere.
  bool DrainLeases(int64_t until);
  // V1, V5: nothing waits or is under way any more, and the leader stays.
  void CheckRest();
  bool MayLead(raft::NodeId leader) const;
  std::string Unrest();
  std::string ProgressText();

  Plan plan_;
  int64_t now_ = 0;
  int64_t until_ = kNever;
  Trace trace_;
  Figures figures_;
  // By the place of the text, which is quicker than by the text.
  std::unordered_map<const char*, uint64_t> reached_;
  std::array<size_t, kQueues> longest_queues_ = {};
  size_t longest_inflight_ = 0;
  std::optional<std::string> violation_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<ClientStreams> client_streams_;
  std::unique_ptr<WatchClients> watch_clients_;
  std::unique_ptr<LeaseClients> lease_clients_;
  std::vector<std::pair<int64_t, int64_t>> slow_times_;  // When some stage was held up.
  std::vector<int64_t> committed_at_;                    // When each entry was, by index - 1.
  std::unique_ptr<server::Logger> logger_;
  server::NodeOptions options_;

  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  uint64_t order_ = 0;
  std::vector<Work> work_;
  std::vector<uint32_t> free_;
  std::vector<Link> links_;

  std::map<uint64_t, StreamCall> streams_;
  uint64_t next_stream_ = 1;

  int current_ = -1;            // Whose event is running.
  std::optional<Stage> stage_;  // And which stage of it, if it is one.
  bool beside_ = false;         // A stage runs at a point of another.
  bool starting_ = false;       // It is being opened.
  // A script's hand on frames that leave: true takes one off the network.
  std::function<bool(int from, int to, const std::string& frame)> filter_;
  // The same: what else happens while a member is at a point.
  std::function<void(int index, std::string_view point)> at_point_;
  bool faults_on_ = true;
  std::map<std::string, bool, std::less<>> hot_points_;
  std::map<raft::Term, std::set<int>> candidates_;  // Of the newest terms.
};

}  // namespace gavel::sim
