// Renewals that wait together: one command, and each waiter its own answer.

#include <optional>
#include <vector>

#include "gtest/gtest.h"

#include "server/node/proposal_tracker.h"
#include "server/node/renewals.h"

namespace gavel::server {
namespace {

class RenewalsTest : public ::testing::Test {
 protected:
  struct Answer {
    GateResult result = GateResult::kStopped;
    int64_t ttl = -1;
  };

  size_t Add(int64_t id, MonotonicNs deadline = 1000) {
    const size_t n = answers_.size();
    answers_.emplace_back();
    renewals_.Add(id, deadline, [this, n](GateResult result, int64_t ttl) {
      EXPECT_FALSE(answers_[n].has_value()) << "answered twice";
      answers_[n] = Answer{result, ttl};
    });
    return n;
  }
  static std::vector<int64_t> Ids(const Renewals::Command& command) {
    internal::RenewLeases renew;
    EXPECT_TRUE(renew.ParseFromString(command.request));
    return {renew.ids().begin(), renew.ids().end()};
  }

  Renewals renewals_;
  std::vector<std::optional<Answer>> answers_;
};

TEST_F(RenewalsTest, EachIsToldItsOwnTtl) {
  Add(5, 100);
  Add(-3, 300);
  Add(5, 200);
  std::vector<Renewals::Command> commands = renewals_.TakeDue(0);
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(Ids(commands[0]), (std::vector<int64_t>{5, -3, 5}));
  EXPECT_EQ(commands[0].deadline, 300);
  EXPECT_TRUE(renewals_.empty());
  ProposeResult result;
  result.outcome.response = storage::RenewOutcome{{60, 0, 61}};
  Renewals::Finish(std::move(commands[0].waiters), result);
  EXPECT_EQ(answers_[0]->ttl, 60);
  EXPECT_EQ(answers_[1]->ttl, 0);
  EXPECT_EQ(answers_[2]->ttl, 61);
  for (const auto& answer : answers_) EXPECT_EQ(answer->result, GateResult::kOk);
}

TEST_F(RenewalsTest, WithoutAnOutcomeAllAreToldWhy) {
  Add(1);
  Add(2);
  ProposeResult result;
  result.result = GateResult::kTimedOut;
  Renewals::Finish(std::move(renewals_.TakeDue(0)[0].waiters), result);
  for (const auto& answer : answers_) EXPECT_EQ(answer->result, GateResult::kTimedOut);
}

// A command is of bounded size.
TEST_F(RenewalsTest, ManyBecomeSeveralCommands) {
  for (int64_t id = 1; id <= 2 * Renewals::kIdsMax + 1; ++id) Add(id);
  EXPECT_EQ(renewals_.bytes(), Renewals::kBytes * answers_.size());
  const std::vector<Renewals::Command> commands = renewals_.TakeDue(0);
  ASSERT_EQ(commands.size(), 3u);
  EXPECT_EQ(Ids(commands[0]).size(), static_cast<size_t>(Renewals::kIdsMax));
  EXPECT_EQ(Ids(commands[2]), (std::vector<int64_t>{2 * Renewals::kIdsMax + 1}));
  EXPECT_EQ(renewals_.bytes(), 0u);
}

// After a command of many the next gathers for a while; after one of few nobody waits.
TEST_F(RenewalsTest, ManyAreFollowedByAPause) {
  Add(1);
  EXPECT_EQ(renewals_.TakeDue(10).size(), 1u);
  for (size_t i = 0; i < Renewals::kPauseRenewalsMin; ++i) Add(1);
  EXPECT_EQ(renewals_.TakeDue(20).size(), 1u);
  EXPECT_EQ(renewals_.due_at(), std::nullopt) << "nobody waits";
  Add(2);
  EXPECT_EQ(renewals_.due_at(), 20 + Renewals::kPause);
  EXPECT_TRUE(renewals_.TakeDue(20 + Renewals::kPause - 1).empty());
  EXPECT_EQ(renewals_.TakeDue(20 + Renewals::kPause).size(), 1u);
  Add(3);
  EXPECT_EQ(renewals_.TakeDue(20 + Renewals::kPause).size(), 1u);
  // The end of a member does not wait.
  for (size_t i = 0; i < Renewals::kPauseRenewalsMin; ++i) Add(1);
  renewals_.TakeDue(30 + Renewals::kPause);
  Add(4);
  EXPECT_EQ(renewals_.TakeAll().size(), 1u);
}

// Those who wait count one by one, however few commands they share.
TEST_F(RenewalsTest, TheTrackerCountsWaiters) {
  ProposalTracker tracker(raft::NodeId(7), raft::Incarnation(3));
  tracker.Add(CommandField::kRenewLeases, "", 10, [](ProposeResult) {}, {30, 3000});
  tracker.Add(CommandField::kPut, "", 20, [](ProposeResult) {});
  EXPECT_EQ(tracker.waiters(), 31u);
  EXPECT_GT(tracker.bytes(), 3000u);
  for (auto& ended : tracker.Expire(10, {raft::Term(1)}))
    std::move(ended.done)(std::move(ended.result));
  EXPECT_EQ(tracker.waiters(), 1u);
  EXPECT_LT(tracker.bytes(), 1000u);
}

}  // namespace
}  // namespace gavel::server
