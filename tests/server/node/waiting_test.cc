// Proposal tracker and read barrier: who is told what, and when.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "proto/internal/command.pb.h"
#include "server/node/proposal_tracker.h"
#include "server/node/read_barrier.h"

namespace gavel::server {
namespace {

constexpr raft::NodeId kMember(7);
constexpr raft::Incarnation kLife(3);

void End(std::vector<FinishedProposal> finished) {
  for (FinishedProposal& proposal : finished) std::move(proposal.done)(std::move(proposal.result));
}

class TrackerTest : public ::testing::Test {
 protected:
  // Adds a put of `key` that notes its result in results_[n].
  size_t Add(const std::string& key, MonotonicNs deadline = 1000) {
    etcdserverpb::PutRequest put;
    put.set_key(key);
    const size_t n = results_.size();
    results_.emplace_back();
    tracker_.Add(CommandField::kPut, put.SerializeAsString(), deadline,
                 [this, n](ProposeResult result) { results_[n] = result.result; });
    return n;
  }
  static internal::Command Decode(const raft::Proposal& proposal) {
    internal::Command command;
    EXPECT_TRUE(command.ParseFromString(*proposal.payload));
    return command;
  }
  std::vector<storage::CommandOutcome> Outcome(const raft::RequestId& id) {
    std::vector<storage::CommandOutcome> outcomes(1);
    outcomes[0].id = id;
    return outcomes;
  }

  ProposalTracker tracker_{kMember, kLife};
  std::vector<std::optional<GateResult>> results_;
};

TEST_F(TrackerTest, TheCommandCarriesItsIdAndTheRequest) {
  Add("a");
  const std::vector<raft::Proposal> taken = tracker_.TakeQueued();
  ASSERT_EQ(taken.size(), 1u);
  const internal::Command command = Decode(taken[0]);
  EXPECT_EQ(command.member(), kMember.value());
  EXPECT_EQ(command.incarnation(), kLife.value());
  EXPECT_EQ(command.sequence(), taken[0].id.sequence);
  EXPECT_EQ(command.semantics(), 1);
  EXPECT_EQ(command.put().key(), "a");
}

TEST_F(TrackerTest, EndsWhenItsOwnEntryIsApplied) {
  Add("a");
  const auto taken = tracker_.TakeQueued();
  tracker_.OnProposed(raft::Term(1));
  End(tracker_.OnApplied(Outcome({kMember, raft::Incarnation(2), taken[0].id.sequence}),
                         raft::Term(1)));
  EXPECT_EQ(results_[0], std::nullopt) << "an earlier life's command must not answer";
  End(tracker_.OnApplied(Outcome(taken[0].id), raft::Term(1)));
  EXPECT_EQ(results_[0], GateResult::kOk);
  EXPECT_TRUE(tracker_.empty());
  EXPECT_EQ(tracker_.bytes(), 0u);
}

TEST_F(TrackerTest, WhatTheCoreDroppedIsProposedAgainUnderANewId) {
  Add("a");
  const auto first = tracker_.TakeQueued();
  tracker_.OnProposed(raft::Term(1));
  tracker_.OnDropped(first[0].id);
  EXPECT_TRUE(tracker_.TakeQueued().empty());
  tracker_.Requeue();
  const auto second = tracker_.TakeQueued();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_GT(second[0].id.sequence, first[0].id.sequence);
  EXPECT_EQ(Decode(second[0]).sequence(), second[0].id.sequence);
  EXPECT_EQ(Decode(second[0]).put().key(), "a");
}

// Terms never decrease along the log: once an entry of a later term is applied, a command that
// was proposed before that term and was not seen is in no log.
TEST_F(TrackerTest, AnEntryOfALaterTermSettlesWhatCameBefore) {
  Add("a");
  const auto first = tracker_.TakeQueued();
  tracker_.OnProposed(raft::Term(2));
  End(tracker_.OnApplied({}, raft::Term(2)));
  EXPECT_FALSE(tracker_.has_held()) << "its own term may still bring it";
  Add("b");
  tracker_.TakeQueued();
  tracker_.OnProposed(raft::Term(3));
  End(tracker_.OnApplied({}, raft::Term(3)));
  EXPECT_TRUE(tracker_.has_held());
  tracker_.Requeue();
  const auto again = tracker_.TakeQueued();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(Decode(again[0]).put().key(), "a");
}

TEST_F(TrackerTest, AtTheDeadlineWhatIsInNoLogIsCertainAndTheRestUnknown) {
  Add("queued", 10);
  End(tracker_.Expire(10, {/*term=*/std::nullopt}));
  EXPECT_EQ(results_[0], GateResult::kNoLeader);

  Add("proposed", 20);
  Add("dropped", 20);
  const auto taken = tracker_.TakeQueued();
  ASSERT_EQ(taken.size(), 2u);
  tracker_.OnProposed(raft::Term(1));
  tracker_.OnDropped(taken[1].id);
  End(tracker_.Expire(19, {raft::Term(1)}));
  EXPECT_EQ(results_[1], std::nullopt);
  End(tracker_.Expire(20, {raft::Term(1)}));
  EXPECT_EQ(results_[1], GateResult::kTimedOut);
  EXPECT_EQ(results_[2], GateResult::kDropped);
  EXPECT_TRUE(tracker_.empty());
  // Its entry may be applied after all; nobody waits any more.
  EXPECT_TRUE(tracker_.OnApplied(Outcome(taken[0].id), raft::Term(1)).empty());
}

// What is unknown is told with what may have caused it (etcd's parseProposeCtxErr).
TEST_F(TrackerTest, AnUnknownOutcomeSaysWhetherTheLeaderChangedOrCannotBeReached) {
  const auto propose = [this](raft::Term term) {
    Add("a", 10);
    EXPECT_EQ(tracker_.TakeQueued().size(), 1u);
    tracker_.OnProposed(term);
  };
  propose(raft::Term(1));
  End(tracker_.Expire(10, {/*term=*/std::nullopt, /*connected=*/false}));
  EXPECT_EQ(results_[0], GateResult::kTimedOut);
  propose(raft::Term(1));
  End(tracker_.Expire(10, {raft::Term(1), /*connected=*/false}));
  EXPECT_EQ(results_[1], GateResult::kTimedOutDisconnected);
  propose(raft::Term(1));
  propose(raft::Term(2));
  End(tracker_.Expire(10, {raft::Term(2), /*connected=*/true}));
  EXPECT_EQ(results_[2], GateResult::kTimedOutLeaderFailed);
  EXPECT_EQ(results_[3], GateResult::kTimedOut);
}

// A member that stops cannot say what becomes of a proposal that some log may hold; of all others
// it is certain.
TEST_F(TrackerTest, AtTheStopWhatIsInNoLogIsCertainAndTheRestUnknown) {
  Add("proposed");
  Add("dropped");
  const auto taken = tracker_.TakeQueued();
  ASSERT_EQ(taken.size(), 2u);
  tracker_.OnProposed(raft::Term(1));
  tracker_.OnDropped(taken[1].id);
  Add("queued");
  End(tracker_.Stop());
  EXPECT_EQ(results_[0], GateResult::kStopped);
  EXPECT_EQ(results_[1], GateResult::kDropped);
  EXPECT_EQ(results_[2], GateResult::kDropped);
  EXPECT_TRUE(tracker_.empty());
}

TEST_F(TrackerTest, ARefusalIsAnOutcome) {
  Add("a");
  const auto taken = tracker_.TakeQueued();
  tracker_.OnProposed(raft::Term(1));
  auto outcomes = Outcome(taken[0].id);
  outcomes[0].error = storage::RequestError::kKeyNotFound;
  End(tracker_.OnApplied(std::move(outcomes), raft::Term(1)));
  EXPECT_EQ(results_[0], GateResult::kRefused);
}

class BarrierTest : public ::testing::Test {
 protected:
  size_t Add(MonotonicNs deadline = 1'000'000 * kNsPerMs) {
    const size_t n = results_.size();
    results_.emplace_back();
    barrier_.Add(deadline, [this, n](ReadResult result) { results_[n] = result.result; });
    return n;
  }
  void End(std::vector<FinishedRead> finished) {
    for (FinishedRead& read : finished) std::move(read.done)(ReadResult{read.result, nullptr});
  }

  ReadBarrier barrier_;
  std::vector<std::optional<GateResult>> results_;
};

// A reader that arrives while a round is under way must not be served by it: the round may have
// been confirmed before the reader arrived.
TEST_F(BarrierTest, ARoundServesOnlyThoseWhoCameBeforeIt) {
  Add();
  const auto first = barrier_.Begin(0);
  ASSERT_TRUE(first.has_value());
  Add();
  EXPECT_EQ(barrier_.Begin(0), std::nullopt) << "one round at a time";
  barrier_.OnGranted(*first, raft::Index(5), 0);
  End(barrier_.TakeServable(raft::Index(4)));
  EXPECT_EQ(results_[0], std::nullopt);
  End(barrier_.TakeServable(raft::Index(5)));
  EXPECT_EQ(results_[0], GateResult::kOk);
  EXPECT_EQ(results_[1], std::nullopt);
  const auto second = barrier_.Begin(0);
  ASSERT_TRUE(second.has_value());
  EXPECT_NE(*first, *second);
}

// An answer to a round that was given up must not serve anyone: it may be older than its readers.
TEST_F(BarrierTest, ALateAnswerToARoundGivenUpIsIgnored) {
  Add();
  const auto first = barrier_.Begin(0);
  uint64_t given_up = 0;
  End(barrier_.Expire(ReadBarrier::kRetryAfter, true, &given_up));
  EXPECT_EQ(given_up, 1u);
  const auto second = barrier_.Begin(ReadBarrier::kRetryAfter);
  ASSERT_TRUE(second.has_value());
  EXPECT_NE(*first, *second);
  barrier_.OnGranted(*first, raft::Index(1), 0);
  End(barrier_.TakeServable(raft::Index(100)));
  EXPECT_EQ(results_[0], std::nullopt);
  barrier_.OnGranted(*second, raft::Index(2), 0);
  End(barrier_.TakeServable(raft::Index(100)));
  EXPECT_EQ(results_[0], GateResult::kOk);
}

TEST_F(BarrierTest, AFailedRoundIsAskedForAgainOnceThereIsALeader) {
  Add();
  const auto first = barrier_.Begin(0);
  barrier_.OnFailed(*first, /*retry_now=*/false);
  EXPECT_EQ(barrier_.Begin(0), std::nullopt);
  barrier_.Release();
  EXPECT_TRUE(barrier_.Begin(0).has_value());
}

TEST_F(BarrierTest, ARoundOfManyIsFollowedByAPauseAsLong) {
  constexpr MonotonicNs kMicrosecond = 1000;
  for (size_t i = 0; i < ReadBarrier::kPauseReadersMin; ++i) Add();
  const auto first = barrier_.Begin(0);
  barrier_.OnGranted(*first, raft::Index(1), 300 * kMicrosecond);
  Add();
  EXPECT_FALSE(barrier_.CanBegin());
  EXPECT_EQ(barrier_.pause_until(), 600 * kMicrosecond);
  EXPECT_EQ(barrier_.Begin(599 * kMicrosecond), std::nullopt);
  const auto second = barrier_.Begin(600 * kMicrosecond);
  ASSERT_TRUE(second.has_value());
  barrier_.OnGranted(*second, raft::Index(1), 700 * kMicrosecond);
  EXPECT_EQ(barrier_.pause_until(), std::nullopt) << "a round of one";

  for (size_t i = 0; i < ReadBarrier::kPauseReadersMin; ++i) Add();
  barrier_.OnGranted(*barrier_.Begin(0), raft::Index(1), kNsPerSecond);
  EXPECT_EQ(barrier_.pause_until(), kNsPerSecond + ReadBarrier::kPauseMax);
}

TEST_F(BarrierTest, EveryReaderEndsAtItsDeadline) {
  Add(10);
  Add(30);
  const auto round = barrier_.Begin(0);
  Add(20);
  uint64_t given_up = 0;
  End(barrier_.Expire(10, false, &given_up));
  EXPECT_EQ(results_[0], GateResult::kNoLeader);
  End(barrier_.Expire(20, true, &given_up));
  EXPECT_EQ(results_[2], GateResult::kTimedOut);
  EXPECT_EQ(results_[1], std::nullopt);
  barrier_.OnGranted(*round, raft::Index(9), 0);
  End(barrier_.Expire(30, true, &given_up));
  EXPECT_EQ(results_[1], GateResult::kTimedOut);
  EXPECT_TRUE(barrier_.empty());
}

TEST_F(BarrierTest, StopEndsEveryone) {
  Add();
  barrier_.OnGranted(*barrier_.Begin(0), raft::Index(9), 0);
  Add();
  barrier_.Begin(0);
  Add();
  End(barrier_.Stop());
  for (const auto& result : results_) EXPECT_EQ(result, GateResult::kStopped);
}

}  // namespace
}  // namespace gavel::server
