// Members come, go and are replaced while the cluster serves.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/node/membership_driver.h"
#include "storage/state/membership.h"
#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using internal::ChangeMembers;
using server::GateResult;
using storage::RequestError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MembershipTest : public ::testing::Test {
 protected:
  // What became of a change.
  struct Outcome {
    GateResult result = GateResult::kStopped;
    RequestError error = RequestError::kNone;
  };

  void Begin(int nodes, int spares, uint64_t seed = 1,
             std::function<void(server::NodeOptions&)> change = nullptr) {
    cluster_ = std::make_unique<NodeCluster>(nodes, seed, std::move(change), spares);
    for (int i = 0; i < nodes; ++i) ASSERT_OK(cluster_->Start(i));
    cluster_->AwaitLeader();
  }

  std::shared_ptr<std::optional<Outcome>> Ask(int via, const ChangeMembers& change) {
    auto outcome = std::make_shared<std::optional<Outcome>>();
    cluster_->gate(via).ChangeMembers(change, std::nullopt,
                                      [outcome](const server::ProposeResult& result) {
                                        *outcome = Outcome{result.result, result.outcome.error};
                                      });
    return outcome;
  }
  Outcome Do(int via, const ChangeMembers& change) {
    const auto outcome = Ask(via, change);
    cluster_->RunUntil([&] { return outcome->has_value() || !cluster_->running(via); });
    return outcome->value_or(Outcome());
  }
  GateResult Add(int via, int index, bool learner) {
    ChangeMembers change;
    *change.add_add() = cluster_->Added(index, learner);
    return Do(via, change).result;
  }
  ChangeMembers Removal(int index) {
    ChangeMembers change;
    change.add_remove(cluster_->id(index).value());
    return change;
  }
  ChangeMembers Replacement(int gone, int by) {
    ChangeMembers change = Removal(gone);
    *change.add_add() = cluster_->Added(by, false);
    return change;
  }
  ChangeMembers Promotion(int index) {
    ChangeMembers change;
    change.add_promote(cluster_->id(index).value());
    return change;
  }

  // How `via` lists member `index`.
  std::optional<storage::MemberRecord> Listed(int via, int index) {
    const auto members = cluster_->gate(via).members();
    for (const storage::MemberRecord& member : *members) {
      if (member.id == cluster_->id(index)) return member;
    }
    return std::nullopt;
  }
  bool Votes(int via, int index) {
    const auto member = Listed(via, index);
    return member.has_value() && !member->learner;
  }
  bool AwaitVoter(int via, int index) {
    return cluster_->RunUntil([&] { return Votes(via, index); });
  }
  int Other(int than) { return (than + 1) % 3; }

  // All who run hold the same keys and list the same members.
  void ExpectAgreement(const std::vector<int>& nodes) {
    cluster_->Run(1000);
    for (const int node : nodes) {
      EXPECT_EQ(cluster_->Hash(node), cluster_->Hash(nodes.front()));
      EXPECT_EQ(*cluster_->gate(node).membership(), *cluster_->gate(nodes.front()).membership());
      const auto members = cluster_->node(node).state().members();
      EXPECT_EQ(*members, *cluster_->node(nodes.front()).state().members());
      EXPECT_EQ(members->size(), nodes.size());
    }
    EXPECT_THAT(cluster_->failures(), IsEmpty());
  }

  std::unique_ptr<NodeCluster> cluster_;
};

TEST_F(MembershipTest, ALearnerStaysOneUntilItIsPromoted) {
  Begin(3, 1);
  ASSERT_EQ(Add(0, 3, true), GateResult::kOk);
  EXPECT_TRUE(Listed(0, 3)->learner);
  EXPECT_EQ(Listed(0, 3)->name, "");
  EXPECT_EQ(cluster_->PutAndWait(1, "k", "v").result, GateResult::kOk);
  ASSERT_OK(cluster_->Start(3));
  EXPECT_TRUE(cluster_->RunUntil([&] { return Listed(0, 3)->name == "m3"; }));
  EXPECT_TRUE(cluster_->gate(3).learner());
  EXPECT_EQ(cluster_->GetAndWait(3, "k").value, "v");
  cluster_->Run(2000);
  EXPECT_FALSE(Votes(0, 3));
  EXPECT_EQ(Do(1, Promotion(3)).result, GateResult::kOk);
  EXPECT_TRUE(Votes(1, 3));
  EXPECT_EQ(Do(1, Promotion(3)).error, RequestError::kMemberNotLearner);
  ExpectAgreement({0, 1, 2, 3});
  EXPECT_FALSE(cluster_->gate(3).learner());
}

TEST_F(MembershipTest, AVoterIsPromotedByItselfOnceItHasCaughtUp) {
  Begin(3, 1, 2);
  for (int i = 0; i < 50; ++i) cluster_->PutAndWait(0, absl::StrCat("k", i), "v");
  ASSERT_EQ(Add(0, 3, false), GateResult::kOk);
  cluster_->Run(2000);
  EXPECT_FALSE(Votes(0, 3)) << "it has not started";
  EXPECT_EQ(cluster_->PutAndWait(0, "a", "b").result, GateResult::kOk) << "the quorum is as it was";
  ASSERT_OK(cluster_->Start(3));
  EXPECT_TRUE(AwaitVoter(0, 3));
  ExpectAgreement({0, 1, 2, 3});
  // It counts: of four, two are no quorum.
  cluster_->Crash(1, CrashMode::kLoseAll);
  EXPECT_EQ(cluster_->PutAndWait(3, "c", "d").result, GateResult::kOk);
}

TEST_F(MembershipTest, OneMemberGrowsToThree) {
  Begin(1, 2, 3);
  for (const int index : {1, 2}) {
    ASSERT_EQ(Add(0, index, false), GateResult::kOk);
    ASSERT_OK(cluster_->Start(index));
    EXPECT_TRUE(AwaitVoter(0, index));
  }
  ExpectAgreement({0, 1, 2});
  cluster_->Crash(0, CrashMode::kLoseAll);
  cluster_->AwaitLeader();
  EXPECT_EQ(cluster_->PutAndWait(1, "k", "v").result, GateResult::kOk);
}

TEST_F(MembershipTest, ARemovedFollowerStops) {
  Begin(3, 0, 4);
  const int leader = cluster_->AwaitLeader();
  const int gone = Other(leader);
  EXPECT_EQ(Do(leader, Removal(gone)).result, GateResult::kOk);
  EXPECT_FALSE(Listed(leader, gone).has_value());
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->removed(gone); }));
  cluster_->Stop(gone);
  const absl::Status restarted = cluster_->Start(gone);
  EXPECT_TRUE(server::IsRemovedError(restarted)) << restarted;
  EXPECT_THAT(std::string(restarted.message()), HasSubstr("was removed from the cluster"));
  EXPECT_EQ(cluster_->PutAndWait(leader, "k", "v").result, GateResult::kOk);
  EXPECT_EQ(Do(leader, Removal(gone)).error, RequestError::kMemberNotFound);
}

// Its log does not say so, but nobody takes its votes.
TEST_F(MembershipTest, AMemberThatWasAwayIsToldThatItWasRemoved) {
  Begin(3, 0, 5);
  const int leader = cluster_->AwaitLeader();
  const int gone = Other(leader);
  cluster_->Crash(gone, CrashMode::kLoseAll);
  EXPECT_EQ(Do(leader, Removal(gone)).result, GateResult::kOk);
  cluster_->Run(500);
  ASSERT_OK(cluster_->Start(gone));
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->removed(gone); }));
  EXPECT_EQ(cluster_->AwaitLeader(), leader) << "it disturbs nobody";
}

// It asks nobody for votes, and the leader does not talk to it any more.
TEST_F(MembershipTest, ALearnerThatWasAwayIsToldThatItWasRemoved) {
  Begin(3, 2, 19);
  ASSERT_EQ(Add(0, 3, true), GateResult::kOk);
  ASSERT_OK(cluster_->Start(3));
  ASSERT_TRUE(cluster_->RunUntil([&] { return Listed(0, 3)->name == "m3"; }));
  cluster_->Crash(3, CrashMode::kLoseAll);
  EXPECT_EQ(Do(0, Removal(3)).result, GateResult::kOk);
  cluster_->Run(500);
  ASSERT_OK(cluster_->Start(3));
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->removed(3); }));
  // Nor one that never got anything.
  ASSERT_EQ(Add(0, 4, true), GateResult::kOk);
  ASSERT_OK(cluster_->Start(4));
  cluster_->Crash(4, CrashMode::kKeepAll);
  EXPECT_EQ(Do(0, Removal(4)).result, GateResult::kOk);
  ASSERT_OK(cluster_->Start(4));
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->removed(4); }));
}

// Who asked it is answered by it, and another one leads.
TEST_F(MembershipTest, TheLeaderRemovesItself) {
  Begin(3, 0, 6);
  const int leader = cluster_->AwaitLeader();
  EXPECT_EQ(Do(leader, Removal(leader)).result, GateResult::kOk);
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->removed(leader); }));
  cluster_->Crash(leader, CrashMode::kLoseAll);
  cluster_->AwaitLeader();
  const int left = Other(leader);
  EXPECT_EQ(cluster_->PutAndWait(left, "k", "v").result, GateResult::kOk);
  EXPECT_FALSE(Listed(left, leader).has_value());
  ExpectAgreement({left, Other(left)});
}

// The replaced one stays until then, and the change can be given up.
TEST_F(MembershipTest, AReplacementWaitsForTheNewcomer) {
  Begin(3, 1, 7);
  const int leader = cluster_->AwaitLeader();
  const int gone = Other(leader);
  const ChangeMembers change = Replacement(gone, 3);
  EXPECT_EQ(Do(leader, change).result, GateResult::kOk);
  cluster_->Run(1500);
  EXPECT_TRUE(Votes(leader, gone));
  ChangeMembers again = change;
  again.mutable_add(0)->set_id(78);
  again.mutable_add(0)->set_peer_urls(0, "http://other");
  EXPECT_EQ(Do(leader, again).error, RequestError::kMembershipUnderWay);
  EXPECT_EQ(Do(leader, Removal(3)).result, GateResult::kOk);
  EXPECT_FALSE(Listed(leader, 3).has_value());
  cluster_->Run(1500);
  ExpectAgreement({0, 1, 2});
}

TEST_F(MembershipTest, TheReplacedOneGoesWithTheStepThatLetsTheOtherIn) {
  for (const bool dead : {false, true}) {
    Begin(3, 1, dead ? 9 : 10);
    const int leader = cluster_->AwaitLeader();
    const int gone = Other(leader);
    if (dead) cluster_->Crash(gone, CrashMode::kLoseAll);
    ASSERT_EQ(Do(leader, Replacement(gone, 3)).result, GateResult::kOk);
    ASSERT_OK(cluster_->Start(3));
    size_t most_voters = 0;
    EXPECT_TRUE(cluster_->RunUntil([&] {
      const auto configuration = cluster_->node(leader).state().configuration();
      if (!configuration->joint())
        most_voters = std::max(most_voters, configuration->voters.size());
      return Votes(leader, 3) && !Listed(leader, gone).has_value();
    }));
    EXPECT_EQ(most_voters, 3u) << "in and out in one step";
    if (!dead) {
      EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->removed(gone); }));
      cluster_->Stop(gone);
    }
    ExpectAgreement({leader, Other(gone) == leader ? Other(leader + 1) : Other(gone), 3});
  }
}

TEST_F(MembershipTest, TheLeaderIsReplaced) {
  Begin(3, 1, 11);
  const int leader = cluster_->AwaitLeader();
  ASSERT_EQ(Do(Other(leader), Replacement(leader, 3)).result, GateResult::kOk);
  ASSERT_OK(cluster_->Start(3));
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->removed(leader); }));
  cluster_->Stop(leader);
  cluster_->AwaitLeader();
  EXPECT_EQ(cluster_->PutAndWait(3, "k", "v").result, GateResult::kOk);
  ExpectAgreement({Other(leader), (leader + 2) % 3, 3});
}

// The leader knows how far the learner is, whoever is asked.
TEST_F(MembershipTest, PromotingTooEarlyIsRefused) {
  Begin(3, 1, 12);
  const int leader = cluster_->AwaitLeader();
  for (int i = 0; i < 50; ++i) cluster_->PutAndWait(leader, absl::StrCat("k", i), "v");
  ASSERT_EQ(Add(leader, 3, true), GateResult::kOk);
  for (const int via : {leader, Other(leader)}) {
    const Outcome outcome = Do(via, Promotion(3));
    EXPECT_EQ(outcome.result, GateResult::kRefused);
    EXPECT_EQ(outcome.error, RequestError::kLearnerNotReady);
  }
  EXPECT_TRUE(cluster_->gate(leader).membership()->Find(cluster_->id(3))->learner);
}

TEST_F(MembershipTest, WhatTheStateDoesNotTakeIsRefused) {
  Begin(3, 2, 13);
  ChangeMembers change;
  *change.add_add() = cluster_->Added(3, true);
  ASSERT_EQ(Do(0, change).result, GateResult::kOk);
  EXPECT_EQ(Do(1, change).error, RequestError::kMemberExists);
  ChangeMembers same_url;
  *same_url.add_add() = change.add(0);
  same_url.mutable_add(0)->set_id(77);
  EXPECT_EQ(Do(2, same_url).error, RequestError::kPeerUrlExists);
  ChangeMembers unknown;
  unknown.add_remove(12345);
  EXPECT_EQ(Do(1, unknown).error, RequestError::kMemberNotFound);
  EXPECT_EQ(Do(1, Removal(3)).result, GateResult::kOk);
  EXPECT_EQ(Do(1, change).error, RequestError::kMemberExists) << "ids are never used again";
}

TEST_F(MembershipTest, PeerUrlsAreChanged) {
  Begin(3, 0, 14);
  ChangeMembers change;
  internal::UpdatedMember* updated = change.add_update();
  updated->set_id(cluster_->id(1).value());
  updated->add_peer_urls("http://127.0.0.1:4000");
  ASSERT_EQ(Do(0, change).result, GateResult::kOk);
  EXPECT_EQ(Listed(0, 1)->peer_urls, std::vector<std::string>{"http://127.0.0.1:4000"});
  EXPECT_EQ(cluster_->PutAndWait(1, "k", "v").result, GateResult::kOk);
  ExpectAgreement({0, 1, 2});
}

// The log no longer begins at its beginning.
TEST_F(MembershipTest, ANewMemberIsFilledFromASnapshot) {
  Begin(3, 1, 15, [](server::NodeOptions& options) {
    options.place.wal_segment_bytes = 16 << 10;
    options.apply.flush.entries_max = 50;
    options.apply.catchup_entries = 10;
    options.recent_bytes_max = 16 << 10;
  });
  const std::string value(4096, 'v');
  for (int i = 0; i < 150; ++i) cluster_->PutAndWait(0, absl::StrCat("k", i % 10), value);
  ASSERT_EQ(Do(0, Removal(2)).result, GateResult::kOk);
  cluster_->RunUntil([&] { return cluster_->removed(2); });
  cluster_->Stop(2);
  ASSERT_EQ(Add(0, 3, false), GateResult::kOk);
  ASSERT_OK(cluster_->Start(3));
  EXPECT_TRUE(AwaitVoter(0, 3));
  EXPECT_GT(cluster_->installs(3), 0u);
  ExpectAgreement({0, 1, 3});
  EXPECT_TRUE(cluster_->gate(3).membership()->WasRemoved(cluster_->id(2)));
}

// Whoever leads next goes on from the state, wherever the leader stopped.
TEST_F(MembershipTest, ANewLeaderGoesOn) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Begin(3, 1, 100 + seed);
    const int leader = cluster_->AwaitLeader();
    const int gone = Other(leader);
    Ask(leader, Replacement(gone, 3));
    ASSERT_TRUE(cluster_->RunUntil([&] {
      const auto wanted = cluster_->gate(leader).membership();
      return std::as_const(*wanted).Find(cluster_->id(3)) != nullptr;
    }));
    if (seed % 2 == 0) {
      const int left = (leader + 2) % 3;
      ASSERT_TRUE(cluster_->RunUntil([&] { return Listed(left, 3).has_value(); }));
      ASSERT_OK(cluster_->Start(3));
      cluster_->Run(cluster_->random().Below(300));
    }
    cluster_->Crash(leader, CrashMode::kLoseAll);
    cluster_->Run(cluster_->random().Below(1500));
    ASSERT_OK(cluster_->Start(leader));
    if (!cluster_->running(3)) {
      ASSERT_TRUE(cluster_->RunUntil([&] { return Listed(leader, 3).has_value(); }));
      ASSERT_OK(cluster_->Start(3));
    }
    EXPECT_TRUE(cluster_->RunUntil([&] {
      return Votes(leader, 3) && !Listed(leader, gone).has_value() && cluster_->removed(gone);
    })) << "seed "
        << seed;
    cluster_->Stop(gone);
    ExpectAgreement({leader, (leader + 2) % 3, 3});
  }
}

// A member that was away while all others were replaced knows none of them by its log.
TEST_F(MembershipTest, AMemberComesBackToStrangers) {
  Begin(3, 2, 16);
  const int leader = cluster_->AwaitLeader();
  const int away = Other(leader);
  const int third = (leader + 2) % 3;
  cluster_->Crash(away, CrashMode::kLoseAll);
  ASSERT_EQ(Do(leader, Replacement(third, 3)).result, GateResult::kOk);
  ASSERT_OK(cluster_->Start(3));
  ASSERT_TRUE(AwaitVoter(leader, 3));
  cluster_->Stop(third);
  ASSERT_EQ(Do(3, Replacement(leader, 4)).result, GateResult::kOk);
  ASSERT_OK(cluster_->Start(4));
  ASSERT_TRUE(cluster_->RunUntil([&] { return Votes(3, 4) && cluster_->removed(leader); }));
  cluster_->Stop(leader);
  cluster_->Run(3000);
  ASSERT_OK(cluster_->Start(away));
  ExpectAgreement({away, 3, 4});
}

TEST_F(MembershipTest, WhoWasNotAddedDoesNotJoin) {
  Begin(3, 1, 17);
  cluster_->Added(3, false);
  EXPECT_THAT(cluster_->Start(3), StatusIs(absl::StatusCode::kFailedPrecondition,
                                           HasSubstr("no member of the cluster has the peer URLs "
                                                     "http://127.0.0.1:2383: add this one first")));
  ASSERT_EQ(Add(0, 3, false), GateResult::kOk);
  cluster_->options().place.initial_cluster[0].peer_urls = *server::ParseUrls("http://h:1");
  EXPECT_THAT(cluster_->Start(3),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("do not match the members of the cluster: m0=http://h:1")));
}

// What it had confirmed is gone, so it is not who it was.
TEST_F(MembershipTest, AMemberWithAnEmptiedDiskIsRefused) {
  for (const int lost : {1, 3}) {
    Begin(3, 2, 18);
    cluster_->SetPeeking(true);
    ASSERT_EQ(Add(0, 3, false), GateResult::kOk);
    ASSERT_OK(cluster_->Start(3));
    ASSERT_TRUE(AwaitVoter(0, 3));
    ASSERT_TRUE(cluster_->RunUntil([&] { return Listed(0, 3)->name == "m3"; }));
    cluster_->Wipe(lost);
    const absl::Status refused = cluster_->Start(lost);
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(refused.message()),
                ::testing::AllOf(HasSubstr("has started before, but its data directory /data is "
                                           "empty"),
                                 HasSubstr(absl::StrFormat("gavelctl member replace %x m%d",
                                                           cluster_->id(lost).value(), lost))));
    // It can come back as another one.
    cluster_->AwaitLeader();
    ASSERT_EQ(Do(0, Replacement(lost, 4)).result, GateResult::kOk);
    ASSERT_OK(cluster_->Start(4));
    EXPECT_TRUE(AwaitVoter(0, 4));
    EXPECT_TRUE(cluster_->RunUntil([&] { return !Listed(0, lost).has_value(); }));
  }
}

// At every step of its first start a joining member may crash.
TEST_F(MembershipTest, AJoiningMemberThatCrashesStartsAgain) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Begin(3, 1, 200 + seed);
    ASSERT_EQ(Add(0, 3, false), GateResult::kOk);
    for (int life = 0; life < 3; ++life) {
      ASSERT_OK(cluster_->Start(3));
      cluster_->Run(cluster_->random().Below(200));
      cluster_->Crash(3, life % 2 == 0 ? CrashMode::kLoseAll : CrashMode::kTearBy512);
    }
    ASSERT_OK(cluster_->Start(3));
    EXPECT_TRUE(AwaitVoter(0, 3)) << "seed " << seed;
    ExpectAgreement({0, 1, 2, 3});
  }
}

}  // namespace
}  // namespace gavel::testing
