#include "tests/server/node/node_cluster.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "server/node/cluster_ids.h"
#include "server/peer/frame_exchange.h"
#include "storage/mvcc/hash.h"
#include "storage/mvcc/range.h"
#include "storage/state/membership.h"

namespace gavel::testing {

using server::kNsPerMs;

namespace {

// Keeps the messages of errors and drops the rest.
class ErrorLog final : public server::Logger {
 public:
  explicit ErrorLog(std::vector<std::string>& errors) : errors_(errors) {}
  void Write(server::LogLevel level, std::string_view message,
             std::initializer_list<server::LogField>) override {
    if (level == server::LogLevel::kError) errors_.emplace_back(message);
  }
  void Flush() override {}

 private:
  std::vector<std::string>& errors_;
};

}  // namespace

// One node's end of the network.
class NodeCluster::Transport final : public server::PeerTransport {
 public:
  Transport(NodeCluster& cluster, int from) : cluster_(cluster), from_(from) {}
  void SetPeers(const std::vector<raft::MemberAddress>& peers) override { peers_ = peers; }
  void Send(raft::NodeId peer, std::string frame) override {
    const bool known = std::any_of(peers_.begin(), peers_.end(),
                                   [&](const raft::MemberAddress& it) { return it.id == peer; });
    if (known) cluster_.Send(from_, peer, std::move(frame));
  }
  void OnHeardFrom(raft::NodeId) override {}
  void Poll(std::optional<std::chrono::nanoseconds>) override {}
  void Wake() override {}

 private:
  NodeCluster& cluster_;
  const int from_;
  std::vector<raft::MemberAddress> peers_;
};

NodeCluster::NodeCluster(int nodes, uint64_t seed, std::function<void(server::NodeOptions&)> change,
                         int spares)
    : random_(seed), logger_(std::make_unique<ErrorLog>(errors_)) {
  for (int i = 0; i < nodes; ++i) {
    auto urls = server::ParseUrls(UrlOf(i));
    initial_.push_back({absl::StrCat("m", i), *urls});
  }
  options_.place.initial_cluster = initial_;
  options_.place.token = "test";
  if (change) change(options_);
  for (int i = 0; i < nodes; ++i) {
    auto machine = std::make_unique<Machine>();
    machine->id = server::MemberIdOf(server::UrlTexts(initial_[Place(i)].peer_urls), "test");
    machines_.push_back(std::move(machine));
  }
  for (int i = 0; i < spares; ++i) machines_.push_back(std::make_unique<Machine>());
  cut_.assign(machines_.size(), std::vector<bool>(machines_.size(), false));
}

NodeCluster::~NodeCluster() = default;

int NodeCluster::IndexOf(raft::NodeId id) const {
  for (int i = 0; i < size(); ++i) {
    if (machines_[Place(i)]->id == id) return i;
  }
  return -1;
}

std::string NodeCluster::UrlOf(int index) {
  return absl::StrCat("http://127.0.0.1:", 2380 + index);
}

internal::AddedMember NodeCluster::Added(int index, bool learner) {
  Machine& machine = *machines_[Place(index)];
  machine.id = raft::NodeId(random_.Next() | 1);
  machine.joins = true;
  internal::AddedMember added;
  added.set_id(machine.id.value());
  added.add_peer_urls(UrlOf(index));
  added.set_learner(learner);
  return added;
}

bool NodeCluster::WasRemoved(raft::NodeId member) {
  for (int i = 0; i < size(); ++i) {
    if (running(i) && gate(i).membership()->WasRemoved(member)) return true;
  }
  return false;
}

// Any member that runs may be asked.
absl::StatusOr<server::ClusterView> NodeCluster::Ask(const server::MemberPlace::Accept& accept) {
  absl::Status last = absl::UnavailableError("nobody runs");
  for (int i = 0; i < size(); ++i) {
    if (!running(i)) continue;
    absl::StatusOr<server::ClusterView> view =
        server::DecodeClusterView(machines_[Place(i)]->events.on_asked());
    last = view.ok() ? accept(*view) : view.status();
    if (last.ok()) return view;
  }
  return last;
}

absl::Status NodeCluster::Start(int index) {
  Machine& machine = *machines_[Place(index)];
  server::NodeOptions options = options_;
  options.place.name = absl::StrCat("m", index);
  options.place.peek_cluster =
      [this](const std::vector<std::string>&) -> std::optional<server::ClusterView> {
    if (!peeking_) return std::nullopt;
    auto view = Ask([](const server::ClusterView&) { return absl::OkStatus(); });
    return view.ok() ? std::optional(*std::move(view)) : std::nullopt;
  };
  if (machine.joins) {
    options.place.join = true;
    std::erase_if(options.place.initial_cluster, [this](const server::InitialMember& member) {
      return WasRemoved(server::MemberIdOf(server::UrlTexts(member.peer_urls), "test"));
    });
    for (int i = 0; i < size(); ++i) {
      if (i != index && (!machines_[Place(i)]->joins || !running(i) || removed(i))) continue;
      options.place.initial_cluster.push_back({absl::StrCat("m", i), *server::ParseUrls(UrlOf(i))});
    }
    options.place.ask_cluster = [this](const std::vector<std::string>&,
                                       const server::MemberPlace::Accept& accept) {
      return Ask(accept);
    };
  }
  options.place.data_dir = "/data";
  options.client_urls = {absl::StrCat("http://127.0.0.1:", 2379 - index)};
  server::Node::Surroundings surroundings{
      .disk = *machine.disk,
      .clock = clock_,
      .logger = *logger_,
      .metrics = machine.metrics,
      .random = raft::Random(random_.Next()),
      .stores = MapStores(machine.engine, machine.received),
      .make_transport =
          [this, index, &machine](raft::NodeId, server::PeerEvents events) {
            machine.events = std::move(events);
            return std::make_unique<Transport>(*this, index);
          },
      .on_failure =
          [this, index](const absl::Status& status) {
            failures_.push_back(absl::StrCat("m", index, ": ", status.ToString()));
          },
      .on_restart = [&machine] { machine.must_restart = true; },
      .on_removed = [&machine] { machine.removed = true; },
  };
  absl::StatusOr<std::unique_ptr<server::Node>> node = server::Node::Open(options, surroundings);
  if (!node.ok()) return node.status();
  machine.node = *std::move(node);
  for (int other = 0; other < size(); ++other) {
    if (other == index || !running(other)) continue;
    machine.events.on_connected(machines_[Place(other)]->id);
    machines_[Place(other)]->events.on_connected(machine.id);
  }
  return absl::OkStatus();
}

void NodeCluster::StartAll() {
  for (int i = 0; i < size(); ++i) {
    const absl::Status started = Start(i);
    ASSERT_TRUE(started.ok()) << started;
  }
}

void NodeCluster::Crash(int index, CrashMode mode) {
  Machine& machine = *machines_[Place(index)];
  machine.node.reset();
  machine.events = {};
  machine.engine = machine.engine->Crash(random_);
  if (machine.received != nullptr) machine.received = machine.received->Crash(random_);
  machine.must_restart = false;
  machine.disk->Reboot(mode, random_);
  std::erase_if(frames_, [index](const Frame& frame) { return frame.to == index; });
  for (int other = 0; other < size(); ++other) {
    if (other != index && running(other)) {
      machines_[Place(other)]->events.on_connection_lost(machine.id);
    }
  }
}

void NodeCluster::Stop(int index) {
  Machine& machine = *machines_[Place(index)];
  machine.node->Finish();
  Crash(index, CrashMode::kLoseAll);
}

void NodeCluster::Restart(int index) {
  // The process ends; the machine goes on, and its disk keeps what was written.
  Crash(index, CrashMode::kKeepAll);
  const uint64_t installs = ++machines_[Place(index)]->installs;
  const absl::Status started = Start(index);
  const bool crashed = machines_[Place(index)]->disk->crashed();
  EXPECT_TRUE(started.ok() || crashed) << "after " << installs << " snapshots: " << started;
}

void NodeCluster::Wipe(int index) {
  Crash(index, CrashMode::kLoseAll);
  Machine& machine = *machines_[Place(index)];
  machine.disk = std::make_unique<CrashDisk>();
  machine.engine = NewMapEngine();
  machine.received = nullptr;
}

void NodeCluster::SetCut(int a, int b, bool cut) {
  cut_[Place(a)][Place(b)] = cut;
  cut_[Place(b)][Place(a)] = cut;
}

void NodeCluster::Disconnect(int a, int b) {
  SetCut(a, b, true);
  machines_[Place(a)]->events.on_connection_lost(machines_[Place(b)]->id);
  machines_[Place(b)]->events.on_connection_lost(machines_[Place(a)]->id);
}

void NodeCluster::Send(int from, raft::NodeId to_id, std::string frame) {
  const int to = IndexOf(to_id);
  if (to < 0 || cut_[Place(from)][Place(to)]) return;
  if (!running(to)) {
    machines_[Place(from)]->events.on_unreachable(to_id);
    return;
  }
  if (faults_.drop_one_in > 0 && random_.OneIn(faults_.drop_one_in)) return;
  const auto delay = static_cast<int64_t>(random_.Below(faults_.delay_max_ms + 1));
  frames_.push_back({from, to, clock_.Now() + delay * kNsPerMs, std::move(frame)});
}

void NodeCluster::Deliver() {
  std::deque<Frame> due;
  for (size_t i = 0; i < frames_.size();) {
    if (frames_[i].due > clock_.Now()) {
      ++i;
      continue;
    }
    due.push_back(std::move(frames_[i]));
    frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (const Frame& frame : due) {
    if (!running(frame.to)) continue;
    server::StreamSender sender;
    sender.peer_urls = {UrlOf(frame.from)};
    const absl::Status received = machines_[Place(frame.to)]->events.on_frame(frame.bytes, sender);
    const raft::NodeId from = id(frame.from);
    const bool removed = received.message() == server::RemovedText(from);
    const bool of_another_cluster = absl::IsFailedPrecondition(received) && running(frame.from) &&
                                    gate(frame.from).cluster_id() != gate(frame.to).cluster_id();
    EXPECT_TRUE(received.ok() || removed || of_another_cluster) << received;
    if (removed && running(frame.from)) {
      machines_[Place(frame.from)]->events.on_refused(id(frame.to), server::RemovedText(from));
    }
  }
}

void NodeCluster::RunStages(Machine& machine) {
  // Every order of stages is possible, so every order is tried.
  for (int round = 0; round < 8; ++round) {
    bool busy = false;
    const uint64_t first = random_.Below(4);
    for (uint64_t step = 0; step < 4; ++step) {
      switch ((first + step) % 4) {
        case 0:
          busy |= machine.node->RunCore();
          break;
        case 1:
          busy |= !machine.log_held && machine.node->RunLog();
          break;
        case 2:
          busy |= !machine.apply_held && machine.node->RunApply();
          break;
        default:
          busy |= machine.node->RunBackground();
          if (random_.OneIn(4)) machine.engine->RunPendingFlushes();
          break;
      }
      if (!machine.node->failure().ok()) return;
    }
    if (!busy) return;
  }
}

void NodeCluster::Run(uint64_t ms) {
  for (uint64_t i = 0; i < ms; ++i) {
    clock_.Advance(kNsPerMs);
    Deliver();
    const auto first = static_cast<int>(random_.Below(machines_.size()));
    for (int k = 0; k < size(); ++k) {
      Machine& machine = *machines_[Place((first + k) % size())];
      if (machine.node == nullptr || machine.paused) continue;
      RunStages(machine);
      if (machine.must_restart) Restart((first + k) % size());
    }
    Deliver();
  }
}

bool NodeCluster::RunUntil(const std::function<bool()>& done, uint64_t ms_max) {
  for (uint64_t ms = 0; !done(); ++ms) {
    if (ms >= ms_max) return false;
    Run(1);
  }
  return true;
}

std::optional<int> NodeCluster::Leader() {
  std::optional<int> leader;
  raft::Term term;
  for (int i = 0; i < size(); ++i) {
    if (!running(i)) continue;
    const raft::Status status = gate(i).status().raft;
    if (status.role == raft::Role::kLeader && status.term > term) {
      leader = i;
      term = status.term;
    }
  }
  return leader;
}

int NodeCluster::AwaitLeader() {
  const bool found = RunUntil([this] {
    const std::optional<int> leader = Leader();
    if (!leader.has_value()) return false;
    const raft::Status leading = gate(*leader).status().raft;
    for (int i = 0; i < size(); ++i) {
      if (!running(i)) continue;
      const raft::Status status = gate(i).status().raft;
      if (status.term != leading.term || status.leader != leading.leader) return false;
    }
    return true;
  });
  EXPECT_TRUE(found) << "no leader";
  return Leader().value_or(0);
}

void NodeCluster::Put(int index, const std::string& key, const std::string& value,
                      std::function<void(server::ProposeResult)> done) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  gate(index).Propose(
      server::CommandField::kPut, request.SerializeAsString(), std::nullopt,
      [done = std::move(done)](server::ProposeResult result) { done(std::move(result)); });
}

server::ProposeResult NodeCluster::PutAndWait(int index, const std::string& key,
                                              const std::string& value) {
  auto answer = std::make_shared<std::optional<server::ProposeResult>>();
  Put(index, key, value, [answer](server::ProposeResult result) { *answer = std::move(result); });
  RunUntil([&] { return answer->has_value() || !running(index); });
  if (answer->has_value()) return **answer;
  server::ProposeResult stopped;
  stopped.result = server::GateResult::kStopped;
  return stopped;
}

void NodeCluster::Read(int index, server::ReadDone done) {
  gate(index).Read(std::nullopt, std::move(done));
}

NodeCluster::ReadAnswer NodeCluster::GetAndWait(int index, const std::string& key) {
  auto answer = std::make_shared<std::optional<ReadAnswer>>();
  Read(index, [answer, key](server::ReadResult result) {
    ReadAnswer read;
    read.result = result.result;
    if (result.view != nullptr) {
      read.revision = result.view->revision;
      if (auto stored = Lookup(result.view, key)) read.value = std::move(stored->value);
    }
    *answer = std::move(read);
  });
  RunUntil([&] { return answer->has_value() || !running(index); });
  return answer->value_or(ReadAnswer());
}

std::optional<NodeCluster::Stored> NodeCluster::Lookup(
    const std::shared_ptr<const storage::ReadView>& view, const std::string& key) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  storage::RangeCursor cursor(view, request);
  storage::RangeCursor::Progress progress = storage::RangeCursor::Progress::kMore;
  while (progress == storage::RangeCursor::Progress::kMore) {
    progress = cursor.Step(storage::RangeBudget());
  }
  EXPECT_EQ(progress, storage::RangeCursor::Progress::kDone);
  if (progress != storage::RangeCursor::Progress::kDone) return std::nullopt;
  const etcdserverpb::RangeResponse response = cursor.TakeResponse();
  if (response.kvs().empty()) return std::nullopt;
  return Stored{response.kvs(0).value(), response.kvs(0).version()};
}

uint32_t NodeCluster::Hash(int index) {
  storage::HashCursor cursor(gate(index).view(), 0);
  while (!cursor.Step(1000)) {
  }
  EXPECT_TRUE(cursor.status().ok()) << cursor.status();
  return cursor.hash();
}

}  // namespace gavel::testing
