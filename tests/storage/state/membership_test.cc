// What is wanted of members: what a change may ask for, and what becomes of it as the configuration
// follows.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/configuration.h"
#include "storage/engine/map_engine.h"
#include "storage/state/found_anew.h"
#include "storage/state/membership.h"
#include "storage/state/meta.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Family;
using storage::Membership;
using storage::RequestError;

std::string UrlOf(uint64_t id) { return "http://m" + std::to_string(id); }

raft::Configuration Voters(const std::vector<uint64_t>& voters,
                           const std::vector<uint64_t>& learners = {}) {
  raft::Configuration configuration;
  for (const uint64_t id : voters) {
    configuration.members.push_back({raft::NodeId(id), {UrlOf(id)}});
    configuration.voters.push_back(raft::NodeId(id));
  }
  for (const uint64_t id : learners) {
    configuration.members.push_back({raft::NodeId(id), {UrlOf(id)}});
  }
  return configuration;
}

raft::Entry ConfigurationEntry(raft::Index index, const raft::Configuration& configuration) {
  return {index, raft::Term(1), raft::EntryKind::kConfiguration,
          std::make_shared<const std::string>(raft::EncodeConfiguration(configuration))};
}

class MembershipTest : public ::testing::Test {
 protected:
  MembershipTest() { Apply(Voters({1, 2, 3})); }

  void Apply(const raft::Configuration& configuration) {
    const raft::Entry entry = ConfigurationEntry(store_.machine().applied().Next(), configuration);
    ASSERT_OK(store_.machine().Apply({&entry, 1}, {}).status());
  }

  RequestError Do(const internal::ChangeMembers& change) {
    internal::Command command;
    command.set_semantics(3);
    *command.mutable_change_members() = change;
    return store_.Do(command).error;
  }
  RequestError Add(uint64_t id, bool learner = false, const std::string& url = "") {
    return Do(Added(id, learner, url));
  }
  static internal::ChangeMembers Added(uint64_t id, bool learner, const std::string& url = "") {
    internal::ChangeMembers change;
    internal::AddedMember* added = change.add_add();
    added->set_id(id);
    added->add_peer_urls(url.empty() ? UrlOf(id) : url);
    added->set_learner(learner);
    return change;
  }
  RequestError Remove(uint64_t id) {
    internal::ChangeMembers change;
    change.add_remove(id);
    return Do(change);
  }
  RequestError Replace(uint64_t id, uint64_t by, const std::string& url = "") {
    internal::ChangeMembers change = Added(by, false, url);
    change.add_remove(id);
    return Do(change);
  }
  RequestError Promote(uint64_t id) {
    internal::ChangeMembers change;
    change.add_promote(id);
    return Do(change);
  }
  RequestError Update(uint64_t id, const std::string& url) {
    internal::ChangeMembers change;
    internal::UpdatedMember* updated = change.add_update();
    updated->set_id(id);
    updated->add_peer_urls(url);
    return Do(change);
  }

  const Membership& wanted() {
    kept_ = store_.machine().membership();
    return *kept_;
  }
  std::vector<uint64_t> Removed() {
    std::vector<uint64_t> ids;
    for (const raft::NodeId id : wanted().removed) ids.push_back(id.value());
    return ids;
  }

  Store store_;
  std::shared_ptr<const Membership> kept_;
};

TEST_F(MembershipTest, TheConfigurationIsWantedAtFirst) {
  ASSERT_EQ(wanted().members.size(), 3u);
  for (const storage::WantedMember& member : wanted().members) {
    EXPECT_EQ(member.peer_urls, std::vector<std::string>{UrlOf(member.id.value())});
    EXPECT_FALSE(member.learner || member.leaves);
  }
  EXPECT_TRUE(wanted().removed.empty());
}

// The member table stays the applied configuration's.
TEST_F(MembershipTest, WhatIsWantedIsNotYetSo) {
  EXPECT_EQ(Add(4, true), RequestError::kNone);
  ASSERT_NE(wanted().Find(raft::NodeId(4)), nullptr);
  EXPECT_TRUE(wanted().Find(raft::NodeId(4))->learner);
  EXPECT_EQ(store_.machine().members()->size(), 3u);
  Apply(Voters({1, 2, 3}, {4}));
  EXPECT_EQ(store_.machine().members()->size(), 4u);
}

TEST_F(MembershipTest, RefusalsChangeNothing) {
  ASSERT_EQ(Add(4, true), RequestError::kNone);
  const Membership before = wanted();
  EXPECT_EQ(Add(4), RequestError::kMemberExists);
  EXPECT_EQ(Add(1), RequestError::kMemberExists);
  EXPECT_EQ(Add(0), RequestError::kMemberExists);
  EXPECT_EQ(Add(5, false, UrlOf(2)), RequestError::kPeerUrlExists);
  EXPECT_EQ(Add(5, false, UrlOf(4)), RequestError::kPeerUrlExists);
  EXPECT_EQ(Remove(9), RequestError::kMemberNotFound);
  EXPECT_EQ(Update(9, "http://x"), RequestError::kMemberNotFound);
  EXPECT_EQ(Update(1, UrlOf(2)), RequestError::kPeerUrlExists);
  EXPECT_EQ(Promote(9), RequestError::kMemberNotFound);
  EXPECT_EQ(Promote(1), RequestError::kMemberNotLearner);
  // One part that is refused refuses all.
  internal::ChangeMembers change = Added(5, false);
  change.add_promote(1);
  EXPECT_EQ(Do(change), RequestError::kMemberNotLearner);
  EXPECT_EQ(wanted(), before);
}

TEST_F(MembershipTest, AnIdIsNeverUsedAgain) {
  ASSERT_EQ(Remove(3), RequestError::kNone);
  EXPECT_TRUE(Removed().empty()) << "it has not left";
  EXPECT_EQ(Add(3), RequestError::kMemberExists);
  EXPECT_EQ(Remove(3), RequestError::kMemberNotFound) << "it leaves";
  Apply(Voters({1, 2}));
  EXPECT_EQ(Removed(), std::vector<uint64_t>{3});
  EXPECT_EQ(wanted().Find(raft::NodeId(3)), nullptr);
  EXPECT_EQ(Add(3), RequestError::kMemberExists);
  EXPECT_EQ(Remove(3), RequestError::kMemberNotFound);
  EXPECT_EQ(Add(4, false, UrlOf(3)), RequestError::kNone) << "its address is free";
  // One that never arrived.
  ASSERT_EQ(Remove(4), RequestError::kNone);
  EXPECT_EQ(Removed(), (std::vector<uint64_t>{3, 4}));
  EXPECT_EQ(Add(4), RequestError::kMemberExists);
}

TEST_F(MembershipTest, AVoterOfTheConfigurationStays) {
  ASSERT_EQ(Remove(1), RequestError::kNone);
  ASSERT_EQ(Remove(2), RequestError::kNone);
  EXPECT_EQ(Remove(3), RequestError::kNotEnoughStarted);
  // One that has not caught up is not enough.
  ASSERT_EQ(Add(4), RequestError::kNone);
  Apply(Voters({3}, {4}));
  EXPECT_EQ(Remove(3), RequestError::kNotEnoughStarted);
  Apply(Voters({3, 4}));
  EXPECT_EQ(Remove(3), RequestError::kNone);
  EXPECT_EQ(Remove(4), RequestError::kNotEnoughStarted);
}

TEST_F(MembershipTest, AReplacedMemberStaysUntilTheOtherHasArrived) {
  ASSERT_EQ(Replace(3, 4, UrlOf(3)), RequestError::kNone) << "at the same address";
  EXPECT_EQ(wanted().Find(raft::NodeId(3))->replaced_by, raft::NodeId(4));
  EXPECT_FALSE(wanted().Find(raft::NodeId(3))->leaves);
  EXPECT_EQ(Replace(3, 5), RequestError::kMembershipUnderWay);
  Apply(Voters({1, 2, 3}, {4}));
  EXPECT_TRUE(Removed().empty());
  Apply(Voters({1, 2, 4}));
  EXPECT_EQ(Removed(), std::vector<uint64_t>{3});
  EXPECT_EQ(wanted().members.size(), 3u);
}

TEST_F(MembershipTest, AReplacementIsGivenUpWithTheNewcomer) {
  ASSERT_EQ(Replace(3, 4), RequestError::kNone);
  ASSERT_EQ(Remove(4), RequestError::kNone);
  EXPECT_TRUE(wanted().Find(raft::NodeId(3))->replaced_by.is_none());
  EXPECT_EQ(Removed(), std::vector<uint64_t>{4});
  // The newcomer may itself be replaced.
  ASSERT_EQ(Replace(3, 5), RequestError::kNone);
  Apply(Voters({1, 2, 3}, {5}));
  ASSERT_EQ(Replace(5, 6), RequestError::kNone);
  EXPECT_EQ(wanted().Find(raft::NodeId(3))->replaced_by, raft::NodeId(6));
  Apply(Voters({1, 2, 6}));
  EXPECT_EQ(Removed(), (std::vector<uint64_t>{3, 4, 5}));
}

TEST_F(MembershipTest, UrlsAndRolesAreChanged) {
  ASSERT_EQ(Update(2, "http://moved"), RequestError::kNone);
  EXPECT_EQ(wanted().Find(raft::NodeId(2))->peer_urls, std::vector<std::string>{"http://moved"});
  EXPECT_EQ(Add(4, true, UrlOf(2)), RequestError::kNone);
  EXPECT_EQ(Promote(4), RequestError::kNone);
  EXPECT_FALSE(wanted().Find(raft::NodeId(4))->learner);
  EXPECT_EQ(Promote(4), RequestError::kMemberNotLearner);
}

// What is wanted is part of the state, however entries are cut into batches.
TEST_F(MembershipTest, ItSurvivesARestartAndDoesNotDependOnBatches) {
  Store other;
  const raft::Entry first = ConfigurationEntry(raft::Index(1), Voters({1, 2, 3}));
  ASSERT_OK(other.machine().Apply({&first, 1}, {}).status());
  std::vector<internal::Command> commands;
  for (const std::string& url : {std::string("http://moved"), UrlOf(1)}) {
    internal::Command& command = commands.emplace_back();
    command.set_semantics(3);
    internal::UpdatedMember* updated = command.mutable_change_members()->add_update();
    updated->set_id(1);
    updated->add_peer_urls(url);
  }
  for (const internal::Command& command : commands) store_.Do(command);
  other.DoBatch(commands);
  EXPECT_EQ(DumpReplicated(*store_.engine()), DumpReplicated(*other.engine()));
  ASSERT_EQ(Replace(2, 5), RequestError::kNone);
  ASSERT_EQ(Remove(3), RequestError::kNone);
  const Membership before = wanted();
  store_.Reopen();
  EXPECT_EQ(wanted(), before);
}

TEST_F(MembershipTest, DamageIsTold) {
  for (const std::string bytes : {"", "\x02", "\x01\x01", "\x01\x02\x05\x00\x00\x00\x05"}) {
    storage::WriteBatch batch;
    batch.Put(Family::kMeta, storage::kMetaMembership, bytes);
    ASSERT_OK(store_.engine()->Write(batch));
    const auto opened = storage::StateMachine::Open(store_.engine(), OneMember(), {});
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(MembershipTest, AClusterFoundedAnewForgetsIt) {
  ASSERT_EQ(Remove(3), RequestError::kNone);
  Apply(Voters({1, 2}));
  storage::InitialState initial;
  initial.configuration = Voters({7});
  initial.members.push_back({raft::NodeId(7), "seven", {UrlOf(7)}, {}, false});
  auto founders = storage::ReadFounding(*store_.engine());
  ASSERT_OK(founders.status());
  EXPECT_EQ(*founders, OneMember().members);
  ASSERT_OK(storage::FoundAnew(*store_.engine(), initial, {}));
  store_.Reopen();
  EXPECT_TRUE(wanted().removed.empty());
  ASSERT_EQ(wanted().members.size(), 1u);
  EXPECT_EQ(wanted().members[0].id, raft::NodeId(7));
  founders = storage::ReadFounding(*store_.engine());
  ASSERT_OK(founders.status());
  EXPECT_EQ(*founders, initial.members);
}

}  // namespace
}  // namespace gavel::testing
