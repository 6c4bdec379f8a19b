// Members start, go down and send; frames cross the network.
#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

#include "server/peer/frame.h"
#include "storage/disk/path.h"
#include "tests/sim/client_streams.h"
#include "tests/sim/random_streams.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace gavel::sim {

using server::kNsPerMs;
using server::kNsPerSecond;

namespace {

constexpr char kWalDirectory[] = "/data/member/wal";
constexpr uint64_t kMillion = 1'000'000;

// As in raft::Message::body.
constexpr const char* kMessageNames[] = {
    "append",       "append reply", "heartbeat", "heartbeat reply", "vote request", "vote reply",
    "read request", "read reply",   "proposals", "drops",           "timeout now",  "snapshot"};
static_assert(std::size(kMessageNames) == std::variant_size_v<decltype(raft::Message::body)>);

bool IsAboutSnapshot(std::string_view frame) {
  const absl::StatusOr<server::Frame> decoded = server::DecodeFrame(frame);
  return decoded.ok() && decoded->snapshot.has_value();
}

}  // namespace

// One node's end of the network.
class World::Transport final : public server::PeerTransport {
 public:
  Transport(World& world, int from) : world_(world), from_(from) {}
  void SetPeers(const std::vector<raft::MemberAddress>& peers) override { peers_ = peers; }
  void Send(raft::NodeId peer, std::string frame) override {
    const bool known = std::any_of(peers_.begin(), peers_.end(),
                                   [&](const raft::MemberAddress& it) { return it.id == peer; });
    if (known) world_.Send(from_, peer, std::move(frame));
  }
  void OnHeardFrom(raft::NodeId) override {}
  void Poll(std::optional<std::chrono::nanoseconds>) override {}
  void Wake() override {}

 private:
  World& world_;
  const int from_;
  std::vector<raft::MemberAddress> peers_;
};

int World::IndexOf(raft::NodeId id) const {
  for (const auto& machine : machines_) {
    if (machine->id == id) return machine->index;
  }
  return -1;
}

void World::Start(int index) {
  Machine& machine = this->machine(index);
  if (machine.up() || failed()) return;
  current_ = index;
  server::NodeOptions options = options_;
  options.place.name = absl::StrCat("m", index);
  options.leader_priority = plan_.leader_priorities[static_cast<size_t>(index)];
  options.client_urls = {absl::StrCat("http://127.0.0.1:", 2379 - index)};
  ++machine.starts;
  machine.disk->SetOnSynced([&machine] {
    // Behind an impostor the real disk still holds what it has promised.
    if (!machine.impostor) machine.watch.Advance(*machine.disk);
  });
  machine.disk->SetOnFull([this](const std::string& path) {
    Sometimes("a disk was full");
    if (path.ends_with(".tmp") && storage::ParentPath(path) == kWalDirectory) {
      Sometimes("a disk was full when a segment was made");
    }
  });
  machine.watch.SetOnEntry([this, index](raft::EntryId previous, const raft::Entry& entry) {
    ledger_->OnDurableEntry(index, previous, entry);
  });
  machine.watch.SetOnInstall([this, index](raft::EntryId last) {
    Sometimes("a snapshot took the place of a state");
    ledger_->OnInstalled(index, last);
  });
  // What survived is only in part what was durable, so it is read anew. Damage takes nothing away
  // for good: the member is refused, and the disk mended.
  if (!machine.impostor && machine.flips.empty()) {
    machine.watch.Reset(*machine.disk, kWalDirectory);
  }
  server::Node::Surroundings surroundings{
      .disk = *machine.disk,
      .clock = machine.clock,
      .logger = *logger_,
      .metrics = *machine.metrics,
      .random = Stream(plan_.seed, "raft", machine.starts * 16 + static_cast<uint64_t>(index)),
      .stores = testing::MapStores(machine.engine, machine.received),
      .make_transport =
          [this, index, &machine](raft::NodeId, server::PeerEvents events) {
            machine.events = std::move(events);
            return std::make_unique<Transport>(*this, index);
          },
      .on_failure =
          [&machine](const absl::Status& status) {
            if (machine.failure.ok()) machine.failure = status;
          },
      .on_restart = [&machine] { machine.must_restart = true; },
  };
  starting_ = true;
  absl::StatusOr<std::unique_ptr<server::Node>> node = server::Node::Open(options, surroundings);
  starting_ = false;
  if (!node.ok()) return OnStartFailed(machine, node.status());
  if (!machine.flips.empty()) {
    return Fail(absl::StrCat("m", index, " starts on a disk with a damaged log"));
  }
  machine.node = *std::move(node);
  machine.life = machine.node->identity().incarnation.value();
  // Recovery may have rewritten the last batch, or cut it.
  if (!machine.impostor) {
    machine.watch.Reset(*machine.disk, kWalDirectory);
    ledger_->OnRecovered(index, machine.before_crash);
  }
  machine.services = std::make_unique<server::ClientServices>(
      machine.node->gate(), *machine.metrics, server::ServiceLimits());
  machine.services->SetServing(true);
  machine.slots = {};
  machine.applied_seen = 0;
  machine.revision_seen = 0;
  Record(EventKind::kStart, index, machine.life, machine.watch.last().index.value());
  for (int other = 0; other < size(); ++other) {
    if (other == index || !this->machine(other).up()) continue;
    machine.events.on_connected(this->machine(other).id);
    if (this->machine(other).impostor) continue;
    this->machine(other).events.on_connected(machine.id);
    Touch(this->machine(other));
  }
  CheckApplied(machine);
  AfterEvent(index);
}

// The simulated disk says Internal for EIO and ResourceExhausted when it is full; all else is a
// member's own judgement of what it reads, and a failing disk loses nothing that was durable.
bool World::ComesFromTheDisk(const absl::Status& status) {
  return absl::IsInternal(status) || absl::IsResourceExhausted(status);
}

void World::OnStartFailed(Machine& machine, const absl::Status& status) {
  Record(EventKind::kDown, machine.index, machine.life, static_cast<uint64_t>(status.code()),
         "cannot start");
  const bool crashed = machine.disk->crashed() || machine.must_die;
  if (crashed) Sometimes("a member crashed while it started");
  const bool failed = machine.failing() && ComesFromTheDisk(status);
  if (machine.bad_sector && failed) Sometimes("a log that cannot be read was refused");
  if (!failed && !crashed && machine.flips.empty()) {
    return Fail(absl::StrCat("m", machine.index, " does not start on a ",
                             machine.failing() ? "failing" : "sound",
                             " disk: ", status.ToString()));
  }
  machine.events = {};
  machine.engine = machine.engine->Crash(machine.crash_random);
  if (machine.received != nullptr) {
    machine.received = machine.received->Crash(machine.crash_random);
  }
  machine.disk->Reboot(AnyCrashMode(machine.crash_random), machine.crash_random);
  machine.must_die = machine.must_restart = machine.faulty = machine.armed = false;
  machine.failure = absl::OkStatus();
  if (!crashed && !failed && !machine.flips.empty()) {
    Sometimes("damage on the disk was refused");
    HealDisk(machine);
    machine.watch.Reset(*machine.disk, kWalDirectory);
  }
  StartLater(machine.index,
             100 * kNsPerMs + static_cast<int64_t>(machine.crash_random.Below(2 * kNsPerSecond)));
}

void World::StartLater(int index, int64_t after) {
  const uint64_t starts = machine(index).starts;
  At(now_ + after, EventKind::kTimer, -1, [this, index, starts] {
    if (machine(index).starts == starts) Start(index);
  });
}

void World::Down(int index, testing::CrashMode mode) {
  Machine& machine = this->machine(index);
  if (!machine.up()) return;
  machine.before_crash = machine.watch;
  client_streams_->OnDown(index);
  machine.node.reset();
  machine.services.reset();
  machine.events = {};
  if (machine.engine->unflushed_states() > 0) Sometimes("the engine may lose what it has applied");
  machine.engine = machine.engine->Crash(machine.crash_random);
  if (machine.received != nullptr) {
    machine.received = machine.received->Crash(machine.crash_random);
  }
  const bool tears =
      mode == testing::CrashMode::kTearBy512 || mode == testing::CrashMode::kTearBy4096;
  std::optional<WalWatch::UnderWay> vote;
  if (tears && !machine.impostor) vote = machine.watch.VoteUnderWay(*machine.disk);
  machine.disk->Reboot(mode, machine.crash_random);
  if (vote.has_value() && vote->IsTorn(*machine.disk)) Sometimes("a vote was torn");
  machine.held.clear();
  machine.paused_until = 0;
  machine.must_die = machine.must_restart = machine.faulty = machine.armed = false;
  machine.failure = absl::OkStatus();
  machine.heard.assign(machines_.size(), 0);
  ++machine.starts;  // Kills what was meant for this life.
  std::erase_if(streams_, [index](const auto& stream) { return stream.second.index == index; });
  constexpr const char* kModes[] = {"unsynced writes are lost", "unsynced writes are kept",
                                    "unsynced writes are torn", "unsynced writes are torn"};
  Record(EventKind::kDown, index, machine.life, static_cast<uint64_t>(mode),
         kModes[static_cast<size_t>(mode)]);
  for (int other = 0; other < size(); ++other) {
    if (other == index || !this->machine(other).up() || machine.crash_random.OneIn(3)) continue;
    this->machine(other).events.on_connection_lost(machine.id);
    Touch(this->machine(other));
  }
}

void World::Hold(Machine& machine, std::function<void()> work) {
  machine.held.push_back(std::move(work));
  if (machine.held.size() == 1) ReleaseLater(machine);
}

void World::ReleaseLater(Machine& machine) {
  const uint64_t starts = machine.starts;
  At(machine.paused_until, EventKind::kTimer, machine.index, [this, &machine, starts] {
    if (machine.starts != starts) return;
    if (now_ < machine.paused_until) return ReleaseLater(machine);
    for (auto& work : std::exchange(machine.held, {})) work();
  });
}

const char* World::CheckSent(int from, std::string_view frame) {
  const absl::StatusOr<server::Frame> decoded = server::DecodeFrame(frame);
  if (!decoded.ok()) {
    Fail("a member sends what is no frame");
    return "";
  }
  for (raft::Message message : decoded->messages) {
    message.from = decoded->address.from;
    message.to = decoded->address.to;
    ledger_->OnSend(from, message);
    if (const auto* asked = std::get_if<raft::VoteRequest>(&message.body)) {
      if (!asked->pre) OnCandidate(from, message.term);
    }
    if (std::holds_alternative<raft::ForwardProposals>(message.body)) {
      Sometimes("a proposal was forwarded");
    } else if (std::holds_alternative<raft::ProposalsDropped>(message.body)) {
      Sometimes("a forwarded proposal was dropped");
    } else if (const auto* vote = std::get_if<raft::VoteReply>(&message.body)) {
      Sometimes(vote->granted ? "a vote was granted" : "a vote was refused");
    } else if (const auto* reply = std::get_if<raft::AppendReply>(&message.body)) {
      if (!reply->accepted) Sometimes("an append did not fit");
    } else if (std::holds_alternative<raft::TimeoutNow>(message.body)) {
      Sometimes("leadership was handed over");
    }
  }
  if (decoded->snapshot.has_value()) return "of a snapshot";
  if (decoded->messages.empty()) return "nothing";
  return kMessageNames[decoded->messages.front().body.index()];
}

void World::OnCandidate(int index, raft::Term term) {
  std::set<int>& members = candidates_[term];
  members.insert(index);
  if (members.size() >= 3) Sometimes("a term had three candidates");
  while (candidates_.size() > 16) candidates_.erase(candidates_.begin());
}

void World::Send(int from, raft::NodeId to_id, std::string frame) {
  Machine& sender = machine(from);
  if (sender.must_die || sender.disk->crashed()) return;  // It is dead already.
  const char* const what = sender.impostor ? "of an impostor" : CheckSent(from, frame);
  const int to = IndexOf(to_id);
  if (to < 0) return Fail("a frame goes to nobody");
  if (filter_ && filter_(from, to, frame)) return;
  // Once it is healed the network has room for everything.
  const bool full = faults_on_ && link(from, to).in_flight >= plan_.network.in_flight_max;
  if (full) {
    ++figures_.faults["frame dropped by a full link"];
    Sometimes("a link was full");
  }
  if (!machine(to).up() || full) {
    if (link(from, to).random.OneIn(2)) sender.events.on_unreachable(to_id);
    return;
  }
  raft::Random& random = link(from, to).random;
  const NetworkPlan& network = plan_.network;
  if (link(from, to).cuts > 0) return;
  if (!faults_on_) return Transmit(from, to, std::move(frame), what, false);
  if (random.Below(kMillion) < network.loss) {
    ++figures_.faults["frame lost"];
    return;
  }
  if (random.Below(kMillion) < network.misdeliver) {
    ++figures_.faults["frame misdelivered"];
    const auto wrong = static_cast<int>(random.Below(machines_.size()));
    if (wrong != to && machine(wrong).up()) Transmit(from, wrong, frame, "misdelivered", true);
  }
  if (random.Below(kMillion) < network.foreign) {
    ++figures_.faults["frame of another cluster"];
    server::Frame other = *server::DecodeFrame(frame);
    other.address.cluster_id ^= uint64_t{1} << random.Below(64);
    Transmit(from, to,
             other.snapshot.has_value()
                 ? server::EncodeSnapshotFrame(other.address, *other.snapshot)
                 : server::EncodeFrame(other.address, other.messages),
             "of another cluster", true);
  }
  if (random.Below(kMillion) < network.cut_short) {
    ++figures_.faults["frame cut short"];
    frame.resize(random.Below(frame.size()));
    return Transmit(from, to, std::move(frame), "cut short", true);
  }
  if (random.Below(kMillion) < network.corrupt) {
    ++figures_.faults["frame damaged"];
    const uint64_t place = random.Below(frame.size());
    frame[place] ^= static_cast<char>(1 << random.Below(8));
    return Transmit(from, to, std::move(frame), "damaged", true);
  }
  if (random.Below(kMillion) < network.duplicate) {
    ++figures_.faults["frame duplicated"];
    Transmit(from, to, frame, what, false);
  }
  Transmit(from, to, std::move(frame), what, false);
}

void World::Transmit(int from, int to, std::string frame, const char* what, bool damaged) {
  Link& link = this->link(from, to);
  const NetworkPlan& network = plan_.network;
  int64_t delay = network.delay_min + static_cast<int64_t>(link.random.Below(static_cast<uint64_t>(
                                          network.delay_max - network.delay_min + 1)));
  if (faults_on_ && !network.delay_percent.empty()) {
    delay = delay * network.delay_percent[static_cast<size_t>(from * size() + to)] / 100;
  }
  int64_t arrival = now_ + delay;
  if (faults_on_ && link.random.Below(kMillion) < network.late) {
    ++figures_.faults["frame late"];
    arrival += static_cast<int64_t>(link.random.Below(kNsPerSecond));
  }
  arrival = std::max(arrival, link.clogged_until);
  // A healed connection keeps the order, as TCP does: out of order, a member that has fallen behind
  // gets one entry in a round trip.
  if (!network.reorder || !faults_on_) arrival = std::max(arrival, link.last_arrival);
  link.last_arrival = std::max(link.last_arrival, arrival);
  ++link.in_flight;
  const uint64_t starts = machine(to).starts;
  // What a life that has ended, or a copy of a disk, had still on its way may be refused.
  const Sender sender{from, machine(from).life, machine(from).impostor, what};
  At(arrival, EventKind::kFrame, to,
     [this, from, sender, to, starts, damaged, frame = std::move(frame)] {
       --this->link(from, to).in_flight;
       Machine& receiver = machine(to);
       if (receiver.starts != starts || !receiver.up()) return;
       if (now_ >= receiver.paused_until) return Deliver(sender, to, frame, damaged);
       Hold(receiver, [this, sender, to, frame, damaged] { Deliver(sender, to, frame, damaged); });
     });
}

void World::Deliver(const Sender& sender, int to, const std::string& frame, bool damaged) {
  const int from = sender.index;
  Machine& receiver = machine(to);
  Record(EventKind::kFrame, to, static_cast<uint64_t>(from), DigestOf(frame) << 32 | frame.size(),
         sender.what);
  // What is of an earlier life may be dropped without a word, so the word does not tell.
  const size_t before = receiver.node->queues().core.size();
  server::StreamSender stream;
  const absl::Status received = receiver.events.on_frame(frame, stream);
  const bool taken = receiver.node->queues().core.size() > before;
  if (damaged) {
    if (received.ok()) Fail(absl::StrCat("m", to, " takes a frame that is damaged or not for it"));
    return;
  }
  // Those about snapshots do not go to the core.
  if (IsAboutSnapshot(frame)) return;
  uint64_t& heard = receiver.heard[static_cast<size_t>(from)];
  if (sender.life < heard) {
    if (taken) {
      Fail(absl::StrCat("m", to, " takes a frame of life ", sender.life, " of m", from,
                        ", of which it has heard life ", heard));
    }
    Sometimes(sender.impostor ? "a member that came back with less was refused"
                              : "late frames of a life that has ended were refused");
    return;
  }
  if (!taken) {
    return Fail(absl::StrCat("m", to, " refuses a sound frame: ", received.ToString()));
  }
  heard = sender.life;
}

void World::SetCut(int from, int to, bool cut) {
  Link& link = this->link(from, to);
  link.cuts += cut ? 1 : -1;
  Machine& machine = this->machine(from);
  const raft::NodeId other = this->machine(to).id;
  if (!machine.up()) return;
  if (cut && link.cuts == 1 && link.random.OneIn(2)) {
    machine.events.on_connection_lost(other);
  } else if (!cut && link.cuts == 0) {
    machine.events.on_connected(other);
  }
  Touch(machine);
}

}  // namespace gavel::sim
