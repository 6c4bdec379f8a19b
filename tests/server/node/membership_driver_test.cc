// The steps of the configuration towards what is wanted, and where frames are sent meanwhile.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/node/membership_driver.h"
#include "server/node/peer_book.h"

namespace gavel::testing {
namespace {

using raft::NodeId;
using server::NextConfiguration;
using server::PeerBook;
using storage::RequestError;
using ::testing::ElementsAre;

std::vector<std::string> Urls(uint64_t id) { return {"http://m" + std::to_string(id)}; }

class NextConfigurationTest : public ::testing::Test {
 protected:
  NextConfigurationTest() {
    leader_.last = raft::Index(1000);
    for (const uint64_t id : {1, 2, 3}) {
      configuration_.members.push_back({NodeId(id), Urls(id)});
      configuration_.voters.push_back(NodeId(id));
      Want(id);
    }
    for (const uint64_t id : {2, 3}) Follows(id, 1000);
  }

  void Follows(uint64_t id, uint64_t match, bool active = true) {
    std::erase_if(leader_.peers, [id](const auto& peer) { return peer.id == NodeId(id); });
    raft::PeerProgress& peer = leader_.peers.emplace_back();
    peer.id = NodeId(id);
    peer.match = raft::Index(match);
    peer.recently_active = active;
  }
  storage::WantedMember& Want(uint64_t id) {
    if (auto* known = wanted_.Find(NodeId(id))) return *known;
    storage::WantedMember& member = wanted_.members.emplace_back();
    member.id = NodeId(id);
    member.peer_urls = Urls(id);
    return member;
  }
  // Takes a step; false if there is none.
  bool Step() {
    const auto next = NextConfiguration(wanted_, configuration_, leader_);
    if (!next.has_value()) return false;
    EXPECT_TRUE(raft::CheckConfiguration(*next).ok());
    configuration_ = *next;
    return true;
  }
  static std::vector<uint64_t> Ids(const std::vector<NodeId>& ids) {
    std::vector<uint64_t> values;
    for (const NodeId id : ids) values.push_back(id.value());
    return values;
  }
  std::vector<uint64_t> Voters() const { return Ids(configuration_.voters); }
  std::vector<uint64_t> Learners() const {
    std::vector<uint64_t> ids;
    for (const auto& member : configuration_.members) {
      if (configuration_.IsLearner(member.id)) ids.push_back(member.id.value());
    }
    return ids;
  }

  storage::Membership wanted_;
  raft::Configuration configuration_;
  raft::Status leader_;
};

TEST_F(NextConfigurationTest, ThereIsNoneOnceItIsAsWanted) { EXPECT_FALSE(Step()); }

TEST_F(NextConfigurationTest, ANewcomerLearnsFirst) {
  Want(4);
  Want(5).learner = true;
  ASSERT_TRUE(Step());
  EXPECT_THAT(Voters(), ElementsAre(1, 2, 3));
  EXPECT_THAT(Learners(), ElementsAre(4, 5));
  EXPECT_FALSE(Step()) << "nothing is known of it";
  Follows(4, 899);
  EXPECT_FALSE(Step()) << "less than nine tenths";
  Follows(4, 950, false);
  EXPECT_FALSE(Step()) << "it is not there";
  Follows(4, 900);
  Follows(5, 1000);
  ASSERT_TRUE(Step());
  EXPECT_THAT(Voters(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Learners(), ElementsAre(5)) << "it was asked for as one";
  EXPECT_FALSE(Step());
}

// Nine tenths of a long log can be a long way off.
TEST_F(NextConfigurationTest, WhatANewcomerMayLackIsBounded) {
  Want(4);
  ASSERT_TRUE(Step());
  leader_.last = raft::Index(1'000'000);
  Follows(4, 994'999);
  EXPECT_FALSE(Step());
  Follows(4, 995'000);
  EXPECT_TRUE(Step());
}

TEST_F(NextConfigurationTest, WhoLeavesGoesAtOnce) {
  Want(3).leaves = true;
  Want(4).learner = true;
  ASSERT_TRUE(Step());
  EXPECT_THAT(Learners(), ElementsAre(4)) << "in a step without votes";
  EXPECT_THAT(Voters(), ElementsAre(1, 2, 3));
  ASSERT_TRUE(Step());
  EXPECT_THAT(Voters(), ElementsAre(1, 2));
  Want(4).leaves = true;
  ASSERT_TRUE(Step());
  EXPECT_EQ(configuration_.members.size(), 2u);
}

TEST_F(NextConfigurationTest, WhoIsNotWantedAtAllGoes) {
  std::erase_if(wanted_.members, [](const auto& member) { return member.id == NodeId(3); });
  configuration_.members.push_back({NodeId(9), Urls(9)});
  ASSERT_TRUE(Step());
  EXPECT_THAT(Learners(), ElementsAre());
  ASSERT_TRUE(Step());
  EXPECT_THAT(Voters(), ElementsAre(1, 2));
}

TEST_F(NextConfigurationTest, TheReplacedOneGoesInTheStepInWhichTheOtherComes) {
  Want(3).replaced_by = NodeId(4);
  Want(4);
  ASSERT_TRUE(Step());
  Follows(4, 100);
  EXPECT_FALSE(Step());
  Follows(4, 1000);
  ASSERT_TRUE(Step());
  EXPECT_THAT(Voters(), ElementsAre(1, 2, 4));
  EXPECT_EQ(configuration_.Find(NodeId(3)), nullptr);
  EXPECT_FALSE(Step());
}

TEST_F(NextConfigurationTest, ALearnerIsReplacedByALearner) {
  Want(4).learner = true;
  ASSERT_TRUE(Step());
  Want(4).replaced_by = NodeId(5);
  Want(5).learner = true;
  ASSERT_TRUE(Step());
  EXPECT_THAT(Learners(), ElementsAre(4, 5));
  EXPECT_FALSE(Step());
  Follows(5, 1000);
  ASSERT_TRUE(Step());
  EXPECT_THAT(Learners(), ElementsAre(5));
}

TEST_F(NextConfigurationTest, AddressesAreChangedWithoutVotes) {
  Want(2).peer_urls = {"http://moved"};
  ASSERT_TRUE(Step());
  EXPECT_THAT(configuration_.Find(NodeId(2))->peer_urls, ElementsAre("http://moved"));
  EXPECT_THAT(Voters(), ElementsAre(1, 2, 3));
}

TEST_F(NextConfigurationTest, NobodyVotingIsNoStep) {
  for (const uint64_t id : {1, 2, 3}) Want(id).leaves = true;
  EXPECT_FALSE(Step());
}

TEST_F(NextConfigurationTest, AJointConfigurationComesToItsEndFirst) {
  Want(4);
  configuration_.outgoing_voters = configuration_.voters;
  EXPECT_FALSE(Step());
}

TEST_F(NextConfigurationTest, ThePromotionOfALearnerThatLagsIsRefused) {
  Want(4).learner = true;
  ASSERT_TRUE(Step());
  internal::ChangeMembers change;
  change.add_promote(4);
  EXPECT_EQ(server::WhyNotYet(change, configuration_, leader_), RequestError::kLearnerNotReady);
  Follows(4, 950, false);
  EXPECT_EQ(server::WhyNotYet(change, configuration_, leader_), RequestError::kNone);
  change.add_promote(2);
  change.add_promote(77);
  EXPECT_EQ(server::WhyNotYet(change, configuration_, leader_), RequestError::kNone)
      << "the state says that they are none";
}

class PeerBookTest : public ::testing::Test {
 protected:
  void Configure(const std::vector<uint64_t>& ids) {
    std::vector<raft::MemberAddress> members;
    for (const uint64_t id : ids) members.push_back({NodeId(id), Urls(id)});
    book_.SetConfiguration(members, now_);
  }
  std::vector<uint64_t> Ids() const {
    std::vector<uint64_t> ids;
    for (const auto& peer : book_.Peers()) ids.push_back(peer.id.value());
    return ids;
  }

  PeerBook book_;
  server::MonotonicNs now_ = server::kNsPerSecond;
};

TEST_F(PeerBookTest, WhoSendsIsKeptForAsLongAsItDoes) {
  Configure({1, 2});
  EXPECT_FALSE(book_.OnHeard(NodeId(2), Urls(2), now_)) << "it is known";
  EXPECT_FALSE(book_.OnHeard(NodeId(9), {}, now_)) << "it does not say where it is";
  EXPECT_TRUE(book_.OnHeard(NodeId(9), Urls(9), now_));
  EXPECT_THAT(Ids(), ElementsAre(1, 2, 9));
  now_ += PeerBook::kGuestTime - 1;
  EXPECT_FALSE(book_.Forget(now_));
  EXPECT_FALSE(book_.OnHeard(NodeId(9), Urls(9), now_));
  now_ += PeerBook::kGuestTime - 1;
  EXPECT_FALSE(book_.Forget(now_));
  EXPECT_TRUE(book_.Forget(now_ + 1));
  EXPECT_THAT(Ids(), ElementsAre(1, 2));
}

// It must be told that it is no longer a member.
TEST_F(PeerBookTest, WhoLeavesIsKeptForAWhile) {
  Configure({1, 2});
  Configure({1});
  EXPECT_THAT(Ids(), ElementsAre(1, 2));
  EXPECT_TRUE(book_.Forget(now_ + PeerBook::kGuestTime));
  EXPECT_THAT(Ids(), ElementsAre(1));
}

// What an operator has put into the configuration comes first, and what a member says of itself is
// tried too.
TEST_F(PeerBookTest, AMemberIsTriedAtAllItsAddresses) {
  Configure({1, 2});
  EXPECT_TRUE(book_.OnHeard(NodeId(2), {"http://moved"}, now_));
  EXPECT_THAT(book_.Peers()[1].peer_urls, ElementsAre("http://m2", "http://moved"));
  EXPECT_FALSE(book_.OnHeard(NodeId(2), {"http://moved"}, now_));
}

TEST_F(PeerBookTest, TheNumberOfGuestsIsBounded) {
  for (uint64_t id = 1; id <= PeerBook::kGuestsMax; ++id) {
    EXPECT_TRUE(book_.OnHeard(NodeId(id), Urls(id), now_));
  }
  EXPECT_FALSE(book_.OnHeard(NodeId(1000), Urls(1000), now_));
  EXPECT_EQ(book_.Peers().size(), PeerBook::kGuestsMax);
}

}  // namespace
}  // namespace gavel::testing
