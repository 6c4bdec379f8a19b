// Random clusters of bare cores under loss, repetition, reordering, crashes, partitions, slow
// disks, membership changes and transfers; then everything heals, and a leader and equal logs
// are demanded within a bound. One seed fixes a whole run.
//
// GAVEL_RAFT_SEEDS sets how many seeds run, GAVEL_RAFT_SEED the first one; GAVEL_RAFT_TRACE
// prints every message and event.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "raft/random.h"
#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

constexpr uint64_t kMembersMax = 6;

Cluster::Settings RandomSettings(uint64_t seed) {
  Random random(seed ^ 0x5e771465);
  Cluster::Settings settings;
  settings.seed = seed;
  const uint64_t append_bytes = random.Between(1, 40);
  const uint64_t messages = random.Between(1, 6);
  const uint64_t recent = random.Between(0, 12);
  const uint64_t committed_bytes = random.Between(1, 60);
  const uint64_t uncommitted = random.OneIn(4) ? 40 : 1 << 20;
  settings.adjust = [=](Options& options) {
    options.append_bytes_max = append_bytes;
    options.inflight_messages_max = messages;
    options.inflight_bytes_max = 4 * append_bytes;
    options.recent_entries_max = recent;
    options.committed_bytes_max = committed_bytes;
    options.uncommitted_bytes_max = uncommitted;
  };
  return settings;
}

class RandomRun {
 public:
  explicit RandomRun(uint64_t seed)
      : random_(seed), cluster_(FirstConfiguration(seed), RandomSettings(seed)) {
    for (uint64_t id = 1; id <= kMembersMax; ++id) {
      if (!cluster_.members().contains(Id(id))) cluster_.Add(Id(id));
    }
    if (std::getenv("GAVEL_RAFT_TRACE")) {
      cluster_.set_trace_messages(true);
      cluster_.set_trace([](const std::string& line) { std::puts(line.c_str()); });
    }
    messages_weight_ = random_.Between(20, 60);
    fault_one_in_ = random_.Between(1, 6);
  }

  void Disturb(int steps) {
    for (int i = 0; i < steps && cluster_.invariants().violations().empty(); ++i) OneStep();
  }

  // Everything works again: a leader must be found, and all members must agree with it.
  void HealAndConverge() {
    if (!cluster_.invariants().violations().empty()) return;
    cluster_.Heal();
    for (auto& [id, member] : cluster_.members()) {
      if (!member.alive()) cluster_.Restart(id.value());
      member.holds_disk = false;
      member.holds_apply = false;
      cluster_.Persist(id.value());
      cluster_.Apply(id.value());
      for (auto& [peer, other] : cluster_.members()) cluster_.Connect(id.value(), peer.value());
    }
    cluster_.Deliver();
    cluster_.Run(200);
    const auto leader = cluster_.Leader();
    ASSERT_TRUE(leader) << "no leader after everything is healed";
    cluster_.Propose(*leader, "last");
    cluster_.Run(60);
    ASSERT_EQ(cluster_.Leader(), leader) << "a leader is unseated in a healthy cluster";
    const Configuration& configuration = cluster_.core(*leader).configuration();
    EXPECT_FALSE(configuration.joint()) << "a joint configuration does not end";
    const Status led = cluster_.core(*leader).status();
    EXPECT_EQ(led.commit, led.last);
    for (const MemberAddress& address : configuration.members) {
      const Status status = cluster_.core(address.id.value()).status();
      EXPECT_EQ(status.applied, led.last) << "member " << address.id.value() << " lags";
      EXPECT_EQ(status.term, led.term);
    }
    for (const PeerProgress& peer : led.peers) EXPECT_EQ(peer.inflight_messages, 0u);
    CheckOutcomes();
  }

 private:
  static Configuration FirstConfiguration(uint64_t seed) {
    Random random(seed ^ 0xc0f19);
    std::vector<uint64_t> voters;
    const uint64_t count = random.Between(1, 5);
    for (uint64_t id = 1; id <= count; ++id) voters.push_back(id);
    return Voters(voters);
  }

  // What was said to be dropped is nowhere, and nothing is committed twice.
  void CheckOutcomes() {
    const std::vector<std::string> commands = cluster_.invariants().CommittedCommands();
    const std::set<std::string> committed(commands.begin(), commands.end());
    EXPECT_EQ(commands.size(), committed.size()) << "a command is committed twice";
    for (const auto& [id, member] : cluster_.members()) {
      for (const ProposalOutcome& outcome : member.outcomes) {
        if (outcome.kind != ProposalOutcome::Kind::kDropped) continue;
        EXPECT_FALSE(committed.contains(Payload(outcome.id))) << Payload(outcome.id);
      }
    }
  }

  static std::string Payload(const RequestId& id) {
    return absl::StrCat(id.member.value(), ".", id.incarnation.value(), ".", id.sequence);
  }

  uint64_t AnyId() { return random_.Between(1, kMembersMax); }

  void OneStep() {
    auto& network = cluster_.network();
    while (network.size() > 300) cluster_.DropAt(0);
    const uint64_t id = AnyId();
    Member& member = cluster_.member(id);
    const uint64_t dice = random_.Below(100);
    if (dice < messages_weight_) {
      if (!network.empty()) DeliverOne();
    } else if (dice < messages_weight_ + 15) {
      if (member.alive()) cluster_.Tick(id);
    } else if (dice < messages_weight_ + 25) {
      if (member.alive()) Work(id);
    } else if (dice < messages_weight_ + 32) {
      if (member.alive()) Ask(id);
    } else if (random_.OneIn(fault_one_in_)) {
      Fault(id);
    }
  }

  void DeliverOne() {
    auto& network = cluster_.network();
    // Mostly in order, sometimes from anywhere, sometimes lost or twice.
    const size_t position = random_.OneIn(4) ? random_.Below(network.size()) : 0;
    if (random_.OneIn(20)) {
      cluster_.DropAt(position);
      return;
    }
    if (random_.OneIn(20)) network.push_back(network[position]);
    cluster_.DeliverAt(position);
  }

  void Work(uint64_t id) {
    Member& member = cluster_.member(id);
    switch (random_.Below(6)) {
      case 0:
        member.holds_disk = random_.OneIn(2);
        break;
      case 1:
        member.holds_apply = random_.OneIn(3);
        break;
      case 2:
        cluster_.Apply(id, random_.Between(1, 5));
        break;
      default:
        cluster_.Persist(id, random_.Between(1, 3));
        break;
    }
  }

  void Ask(uint64_t id) {
    switch (random_.Below(10)) {
      case 0:
      case 1:
      case 2:
        cluster_.Read(id, ++read_);
        break;
      case 3:
        if (random_.OneIn(4)) cluster_.Transfer(id, AnyId());
        break;
      case 4:
        if (random_.OneIn(3)) Reconfigure(id);
        break;
      case 5:
        cluster_.Compact(id, Index(cluster_.member(id).applied.value() + 1 - random_.Below(3)));
        break;
      default: {
        const RequestId request{Id(id), cluster_.member(id).incarnation, ++sequence_};
        cluster_.Propose(
            id, {Proposal{request, std::make_shared<const std::string>(Payload(request))}});
        break;
      }
    }
  }

  void Reconfigure(uint64_t id) {
    std::vector<uint64_t> voters, learners;
    for (uint64_t other = 1; other <= kMembersMax; ++other) {
      const uint64_t dice = random_.Below(10);
      if (dice < 5) voters.push_back(other);
      if (dice == 5) learners.push_back(other);
    }
    cluster_.Change(id, Voters(voters, learners));
  }

  void Fault(uint64_t id) {
    Member& member = cluster_.member(id);
    const uint64_t other = AnyId();
    switch (random_.Below(12)) {
      case 0:
        if (member.alive()) cluster_.Crash(id, random_.OneIn(2));
        break;
      case 1:
      case 2:
      case 3:
        if (!member.alive()) cluster_.Restart(id);
        break;
      case 4:
        if (other != id) cluster_.Cut(id, other);
        break;
      case 5:
        if (random_.OneIn(3)) cluster_.Isolate(id);
        break;
      case 6:
      case 7:
        cluster_.Heal();
        break;
      case 8:
        if (member.alive() && other != id) cluster_.Unreachable(id, other);
        break;
      case 9:
        if (member.alive() && other != id) cluster_.LoseConnection(id, other);
        break;
      case 10:
        if (member.alive() && other != id) cluster_.Connect(id, other);
        break;
      default:
        if (random_.OneIn(10)) CrashAll();
        break;
    }
  }

  void CrashAll() {
    for (auto& [id, member] : cluster_.members()) {
      if (member.alive()) cluster_.Crash(id.value(), true);
    }
    for (auto& [id, member] : cluster_.members()) cluster_.Restart(id.value());
  }

  Random random_;
  Cluster cluster_;
  uint64_t messages_weight_ = 0;
  uint64_t fault_one_in_ = 1;
  uint64_t sequence_ = 0;
  uint64_t read_ = 0;
};

TEST(RandomTest, NoInvariantIsBrokenAndAHealedClusterConverges) {
  const uint64_t first = FromEnvironment("GAVEL_RAFT_SEED", 1);
  const uint64_t count = FromEnvironment("GAVEL_RAFT_SEEDS", 200);
  const int steps = static_cast<int>(FromEnvironment("GAVEL_RAFT_STEPS", 3000));
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(absl::StrCat("GAVEL_RAFT_SEED=", seed));
    RandomRun run(seed);
    run.Disturb(steps);
    run.HealAndConverge();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace gavel::raft
