#include "tests/sim/scripts.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "server/peer/frame.h"
#include "tests/sim/watch_clients.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace gavel::sim {

using server::kNsPerMs;
using server::kNsPerSecond;

// What a script may do to a world. A step that does not come about is a violation of the script.
class ScriptHands {
 public:
  explicit ScriptHands(World& world) : world_(world) {}
  ~ScriptHands() {
    world_.filter_ = nullptr;
    world_.at_point_ = nullptr;
  }

  bool failed() const { return world_.failed(); }
  int size() const { return world_.size(); }
  Machine& machine(int index) { return world_.machine(index); }
  Ledger& ledger() { return world_.ledger(); }
  raft::Status Status(int index) { return machine(index).node->core().stage().status(); }
  bool HasRole(int index, raft::Role role) {
    return machine(index).up() && Status(index).role == role;
  }

  void RunFor(int64_t time) { world_.RunUntil(world_.now() + time); }
  // Lets time pass until `done`.
  void Await(const char* what, const std::function<bool()>& done) {
    const int64_t until = world_.now() + 20 * kNsPerSecond;
    while (!failed() && !done()) {
      if (world_.now() >= until) return world_.Fail(absl::StrCat("script: ", what, " never"));
      RunFor(kNsPerMs);
    }
  }
  // The leader of the latest term, once it leads and everyone has applied everything.
  int AwaitCalm() {
    int leader = -1;
    Await("a calm cluster", [&] {
      leader = -1;
      for (int i = 0; i < size(); ++i) {
        if (HasRole(i, raft::Role::kLeader)) leader = i;
      }
      return leader >= 0 && world_.AllEqual() && Status(leader).last == Status(leader).commit &&
             !ledger().committed().is_none();
    });
    RunFor(2 * kNsPerSecond);  // Members make their names known.
    return leader;
  }

  void Cut(int a, int b, bool cut = true) {
    world_.SetCut(a, b, cut);
    world_.SetCut(b, a, cut);
  }
  // Whether `by` has heard of the life that `of` has.
  bool Heard(int of, int by) {
    return machine(of).up() && machine(by).heard[static_cast<size_t>(of)] == machine(of).life;
  }
  // One write; whether it is acknowledged shows in what is returned.
  std::shared_ptr<bool> Put(int index) {
    auto done = std::make_shared<bool>(false);
    world_.current_ = index;
    world_.workload_->Probe(index, done);
    world_.AfterEvent(index);
    world_.current_ = -1;
    return done;
  }
  void AwaitPut(int index) {
    auto done = Put(index);
    Await("a write", [&] { return *done; });
  }
  void Restart(int index) {
    world_.Down(index, testing::CrashMode::kLoseAll);
    world_.Start(index);
  }
  void HandOver(int index) {
    machine(index).node->HandOver();
    world_.Touch(machine(index));
  }
  // Gives `index` back the state it had at the first call, for `duration`.
  bool PutOldImageBack(int index, int64_t duration) {
    Fault fault;
    fault.kind = FaultKind::kOldImage;
    fault.node = index;
    fault.duration = duration;
    return world_.InjectDisk(fault, machine(index));
  }

  // `take` sees every frame that leaves, and may take it off the network.
  void OnFrame(std::function<bool(int from, int to, const std::string& frame)> take) {
    world_.filter_ = std::move(take);
  }
  // `what` happens beside a member that is at a point.
  void AtPoint(std::function<void(int index, std::string_view point)> what) {
    world_.at_point_ = std::move(what);
  }
  // The only client that watches wants all keys from now on; `at_once`: nothing comes in between.
  void WatchNow(int index, bool at_once) { world_.watch_clients_->WatchNow(0, index, at_once); }
  size_t watches() const { return world_.watch_clients_->WatchesOf(0); }
  void Deliver(int from, int to, const std::string& frame) {
    world_.Transmit(from, to, frame, "by the script", false);
  }
  // A message that `from` may send as things stand.
  void Send(int from, int to, decltype(raft::Message::body) body) {
    raft::Message message{machine(from).id, machine(to).id, Status(from).term, std::move(body)};
    const std::string frame =
        server::EncodeFrame({machine(from).node->identity().cluster_id, machine(from).id,
                             machine(to).id, machine(from).node->identity().incarnation},
                            {message});
    world_.CheckSent(from, frame);
    Deliver(from, to, frame);
  }

 private:
  World& world_;
};

namespace {

// A follower has entries that no quorum has. The leader of a later term, which has gone back too
// far, compares only what lies before them: nothing may be concluded for the rest (Ongaro §3.5;
// commitment and match end with the last entry that the append covers).
void BeyondWhatIsCompared(ScriptHands& hands) {
  const int old_leader = hands.AwaitCalm();
  if (hands.failed()) return;
  const int follower = (old_leader + 1) % hands.size();
  for (int other = 0; other < hands.size(); ++other) {
    if (other == old_leader || other == follower) continue;
    hands.Cut(old_leader, other);
    hands.Cut(follower, other);
  }
  const raft::Index common = hands.ledger().committed();
  for (int i = 0; i < 3; ++i) hands.Put(old_leader);
  hands.Await("the follower holds what no quorum has",
              [&] { return hands.Status(follower).persisted >= raft::Index(common.value() + 3); });
  if (hands.failed()) return;
  hands.Cut(old_leader, follower);

  int leader = -1;
  hands.Await("the others elect a leader", [&] {
    for (int i = 0; i < hands.size(); ++i) {
      if (i != old_leader && i != follower && hands.HasRole(i, raft::Role::kLeader)) leader = i;
    }
    return leader >= 0;
  });
  for (int i = 0; i < 5 && !hands.failed(); ++i) hands.AwaitPut(leader);
  if (hands.failed()) return;

  const raft::Entry last = hands.ledger().CommittedEntry(common);
  const raft::Entry before = hands.ledger().CommittedEntry(common.Previous());
  raft::AppendRequest append;
  append.previous = {before.index, before.term};
  append.entries = {last};
  append.commit = hands.Status(leader).commit;
  hands.Send(leader, follower, append);
  hands.RunFor(200 * kNsPerMs);
}

// Votes that a member was given before it lost its disk reach the life after, which has less in
// its log than it was given them for.
void VotesForAnEarlierLife(ScriptHands& hands) {
  const int old_leader = hands.AwaitCalm();
  if (hands.failed()) return;
  const int candidate = (old_leader + 1) % hands.size();
  const int voter = (old_leader + 2) % hands.size();
  hands.PutOldImageBack(candidate, 0);  // Takes the copy.
  for (int life = 0; life < 2 && !hands.failed(); ++life) {
    hands.Restart(candidate);
    // Without a leader it asks the voter, in vain.
    hands.Cut(old_leader, candidate);
    hands.Await("the voter hears of the new life", [&] { return hands.Heard(candidate, voter); });
    hands.Cut(old_leader, candidate, false);
    hands.Await("the leader does", [&] { return hands.Heard(candidate, old_leader); });
  }
  hands.AwaitPut(old_leader);
  if (hands.failed()) return;

  // The candidate is elected by the voter. Copies of both grants stay on their way.
  std::string pre_vote;
  std::string vote;
  hands.OnFrame([&](int from, int to, const std::string& frame) {
    if (from != voter || to != candidate) return false;
    const auto decoded = server::DecodeFrame(frame);
    for (const raft::Message& message : decoded->messages) {
      if (std::holds_alternative<raft::VoteRequest>(message.body)) return true;
      const auto* reply = std::get_if<raft::VoteReply>(&message.body);
      if (reply != nullptr && reply->granted) (reply->pre ? pre_vote : vote) = frame;
    }
    return false;
  });
  hands.Cut(old_leader, candidate);
  hands.Cut(old_leader, voter);
  hands.Await("the candidate leads", [&] { return hands.HasRole(candidate, raft::Role::kLeader); });
  hands.AwaitPut(candidate);
  if (hands.failed()) return;

  const int64_t lost_for = 3 * kNsPerSecond;
  if (!hands.PutOldImageBack(candidate, lost_for)) {
    hands.Await("the candidate loses its disk", [] { return false; });
  }
  bool asked = false;
  for (int64_t time = 0; time < lost_for - 100 * kNsPerMs && !hands.failed(); time += kNsPerMs) {
    hands.RunFor(kNsPerMs);
    asked = asked || hands.HasRole(candidate, raft::Role::kPreCandidate);
    if (hands.HasRole(candidate, raft::Role::kPreCandidate)) {
      hands.Deliver(voter, candidate, pre_vote);
    } else if (hands.HasRole(candidate, raft::Role::kCandidate)) {
      hands.Deliver(voter, candidate, vote);
    }
  }
  hands.Await("the candidate asks for votes in its earlier life", [&] { return asked; });
}

template <class Body>
bool Holds(const std::string& frame) {
  const auto decoded = server::DecodeFrame(frame);
  return std::any_of(decoded->messages.begin(), decoded->messages.end(), [](const auto& message) {
    return std::holds_alternative<Body>(message.body);
  });
}

// A leader has appended what a follower forwarded, and leads no more when a second copy of the
// message comes. The follower hears of nothing meanwhile but what it is told of its proposal.
void ForwardedTwice(ScriptHands& hands) {
  const int old_leader = hands.AwaitCalm();
  if (hands.failed()) return;
  const int follower = (old_leader + 1) % hands.size();
  const int next_leader = (old_leader + 2) % hands.size();
  std::string forwarded;
  bool deaf = true;
  hands.OnFrame([&](int, int to, const std::string& frame) {
    if (to == follower) return deaf && !Holds<raft::ProposalsDropped>(frame);
    if (forwarded.empty() && Holds<raft::ForwardProposals>(frame)) forwarded = frame;
    return false;
  });
  const raft::Index before = hands.Status(old_leader).last;
  const auto done = hands.Put(follower);
  hands.Await("the write is with the other member",
              [&] { return !forwarded.empty() && hands.Status(old_leader).commit > before; });
  if (hands.failed()) return;
  hands.HandOver(old_leader);
  hands.Await("the other member leads",
              [&] { return hands.HasRole(next_leader, raft::Role::kLeader); });
  if (hands.failed()) return;
  hands.Deliver(follower, old_leader, forwarded);
  hands.RunFor(100 * kNsPerMs);
  deaf = false;
  hands.Await("the write is acknowledged", [&] { return *done; });
}

// A watch is asked for while apply has published a revision and not yet handed it to the watches:
// it begins after that revision, since a read would have shown it (W5).
void WatchedBeforeTheHandOut(ScriptHands& hands) {
  const int leader = hands.AwaitCalm();
  if (hands.failed()) return;
  const int follower = (leader + 1) % hands.size();
  hands.WatchNow(follower, false);
  hands.Await("the first watch is created", [&] { return hands.watches() == 1; });
  bool asked = false;
  hands.AtPoint([&](int index, std::string_view point) {
    if (index != follower || point != "applied, clients not told") return;
    if (!std::exchange(asked, true)) hands.WatchNow(follower, true);
  });
  hands.AwaitPut(leader);
  hands.Await("the second watch is created", [&] { return hands.watches() == 2; });
  hands.AwaitPut(leader);
}

constexpr Script kScripts[] = {
    {"beyond-what-is-compared",
     "an append covers less than a follower has, and the rest differs from the leader's", 5,
     BeyondWhatIsCompared},
    {"votes-for-an-earlier-life", "a member with an old copy of its disk gets the votes of before",
     3, VotesForAnEarlierLife},
    {"forwarded-twice", "a forwarded proposal reaches its leader again when that leads no more", 3,
     ForwardedTwice},
    {"watched-before-the-hand-out",
     "a watch is asked for when a revision is published and not handed out", 3,
     WatchedBeforeTheHandOut},
};

}  // namespace

std::span<const Script> Scripts() { return kScripts; }

const Script* FindScript(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kScripts), std::end(kScripts),
                                         [&](const Script& script) { return script.name == name; });
  return found == std::end(kScripts) ? nullptr : found;
}

Plan ScriptPlan(const Script& script, uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.members = script.members;
  plan.clients = 0;
  plan.client_timeout = kNsPerSecond;
  plan.watch_clients = 1;
  plan.network.delay_min = kNsPerMs / 10;
  plan.network.delay_max = kNsPerMs;
  plan.clock_rates_ppm.assign(static_cast<size_t>(script.members), 1'000'000);
  plan.leader_priorities.assign(static_cast<size_t>(script.members), 0);
  plan.stage_latency_max = kNsPerMs / 20;
  plan.sync_latency_min = kNsPerMs / 10;
  plan.sync_latency_max = kNsPerMs / 2;
  plan.heartbeat = 50 * kNsPerMs;
  plan.election_timeout = 500 * kNsPerMs;
  plan.wal_segment_bytes = 512 << 10;
  plan.flush_entries = 1000;
  plan.catchup_entries = 1000;
  plan.batch_entries_max = 256;
  plan.append_bytes_max = 1 << 20;
  plan.backlog_entries_max = 5000;
  plan.pending_bytes_max = 256 << 20;
  return plan;
}

void RunScript(World& world, const Script& script) {
  ScriptHands hands(world);
  script.run(hands);
}

}  // namespace gavel::sim
