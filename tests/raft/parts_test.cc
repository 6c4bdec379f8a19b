// The leaves of the core by themselves: quorums, the log, configurations, seen proposals.
#include <gtest/gtest.h>

#include <map>

#include "raft/configuration_history.h"
#include "raft/log.h"
#include "raft/quorum.h"
#include "raft/random.h"
#include "raft/seen_proposals.h"
#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

Configuration Joint(std::vector<uint64_t> voters, std::vector<uint64_t> outgoing) {
  Configuration configuration;
  for (uint64_t id : voters) configuration.voters.push_back(Id(id));
  for (uint64_t id : outgoing) configuration.outgoing_voters.push_back(Id(id));
  return configuration;
}

Index Stored(const Configuration& configuration, std::map<uint64_t, uint64_t> stored) {
  return QuorumIndex(configuration, [&](NodeId id) { return Index(stored[id.value()]); });
}

TEST(QuorumTest, IndexStoredByAMajority) {
  EXPECT_EQ(Stored(Joint({1}, {}), {{1, 7}}), Index(7));
  EXPECT_EQ(Stored(Joint({1, 2}, {}), {{1, 7}, {2, 5}}), Index(5));
  EXPECT_EQ(Stored(Joint({1, 2, 3}, {}), {{1, 7}, {2, 5}}), Index(5));
  EXPECT_EQ(Stored(Joint({1, 2, 3, 4}, {}), {{1, 9}, {2, 8}, {3, 7}, {4, 6}}), Index(7));
  EXPECT_EQ(Stored(Joint({}, {}), {{1, 9}}), Index(0));
}

TEST(QuorumTest, JointIndexIsTheLowerOfBothHalves) {
  EXPECT_EQ(Stored(Joint({1, 2, 3}, {3, 4, 5}), {{1, 9}, {2, 9}, {4, 2}, {5, 3}}), Index(2));
}

// The result of counting by sorting equals the definition, for random sets.
TEST(QuorumTest, IndexEqualsItsDefinition) {
  Random random(7);
  for (int i = 0; i < 2000; ++i) {
    std::vector<uint64_t> voters, outgoing;
    std::map<uint64_t, uint64_t> stored;
    for (uint64_t id = 1; id <= 7; ++id) {
      if (random.OneIn(2)) voters.push_back(id);
      if (random.OneIn(3)) outgoing.push_back(id);
      stored[id] = random.Below(5);
    }
    if (voters.empty()) continue;
    const Configuration configuration = Joint(voters, outgoing);
    Index expected;
    for (uint64_t index = 0; index < 5; ++index) {
      const bool quorum =
          HasQuorum(configuration, [&](NodeId id) { return stored[id.value()] >= index; });
      if (quorum) expected = Index(index);
    }
    EXPECT_EQ(Stored(configuration, stored), expected);
  }
}

TEST(BallotTest, RepeatedAnswersCountOnce) {
  Ballot ballot;
  ballot.Record(Id(1), true);
  ballot.Record(Id(1), true);
  EXPECT_EQ(ballot.Count(Joint({1, 2, 3}, {})), Ballot::Result::kOpen);
  ballot.Record(Id(9), true);
  EXPECT_EQ(ballot.Count(Joint({1, 2, 3}, {})), Ballot::Result::kOpen) << "9 is no voter";
  ballot.Record(Id(2), true);
  EXPECT_EQ(ballot.Count(Joint({1, 2, 3}, {})), Ballot::Result::kWon);
  EXPECT_EQ(ballot.Count(Joint({1, 2, 3}, {4})), Ballot::Result::kOpen);
}

TEST(BallotTest, LostWhenNoQuorumIsLeft) {
  Ballot ballot;
  ballot.Record(Id(2), false);
  EXPECT_EQ(ballot.Count(Joint({1, 2, 3}, {})), Ballot::Result::kOpen);
  ballot.Record(Id(3), false);
  EXPECT_EQ(ballot.Count(Joint({1, 2, 3}, {})), Ballot::Result::kLost);
}

TEST(ConfigurationTest, EncodingRoundTrips) {
  Configuration configuration = Voters({1, 2, 3}, {4});
  configuration.outgoing_voters = {Id(2), Id(4)};
  configuration.leaving = {Id(4)};
  const auto decoded = DecodeConfiguration(EncodeConfiguration(configuration));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, configuration);
}

// Whatever is cut off or appended, decoding says so; it never crashes or allocates wildly.
TEST(ConfigurationTest, DamagedBytesAreRefused) {
  const std::string bytes = EncodeConfiguration(Voters({1, 2, 3}, {4}));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeConfiguration(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeConfiguration(bytes + "x").ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0xff);
    (void)DecodeConfiguration(flipped);
  }
}

TEST(ConfigurationTest, NewerFormatIsRefusedByName) {
  std::string bytes = EncodeConfiguration(Voters({1}));
  bytes[0] = 9;
  const auto decoded = DecodeConfiguration(bytes);
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.status().message().find("version 9"), absl::string_view::npos);
}

TEST(ConfigurationTest, BrokenInvariantsAreRefused) {
  Configuration configuration = Voters({1, 2});
  configuration.leaving = {Id(2)};
  EXPECT_FALSE(CheckConfiguration(configuration).ok()) << "leaving, but not joint";
  configuration = Voters({1, 2});
  configuration.voters = {Id(2), Id(1)};
  EXPECT_FALSE(CheckConfiguration(configuration).ok()) << "not sorted";
  configuration = Voters({1, 2});
  configuration.members[1].id = Id(1);
  EXPECT_FALSE(CheckConfiguration(configuration).ok()) << "repeated";
}

TEST(ConfigurationHistoryTest, TruncationReturnsToTheOneBefore) {
  ConfigurationHistory history(Index(0), Voters({1}));
  history.Append(Index(3), Voters({1, 2}));
  history.Append(Index(5), Voters({1, 2, 3}));
  EXPECT_FALSE(history.TruncateFrom(Index(6)));
  EXPECT_TRUE(history.TruncateFrom(Index(4)));
  EXPECT_EQ(history.latest(), Voters({1, 2}));
  history.OnCommitted(Index(3));
  EXPECT_FALSE(history.MayBeVoter(Id(3)));
}

TEST(SeenProposalsTest, EachIdIsNewOnce) {
  SeenProposals seen;
  Random random(3);
  std::set<uint64_t> model;
  for (int i = 0; i < 5000; ++i) {
    const uint64_t sequence = random.Between(1, 2000);
    const RequestId id{Id(1), Incarnation(1), sequence};
    EXPECT_EQ(seen.Contains(id), model.contains(sequence));
    EXPECT_EQ(seen.Add(id), model.insert(sequence).second);
  }
  EXPECT_TRUE(seen.Add(RequestId{Id(1), Incarnation(2), *model.begin()}));
  EXPECT_TRUE(seen.Add(RequestId{Id(2), Incarnation(1), *model.begin()}));
}

// With too many gaps the lowest ones count as seen: never is a seen id called new.
TEST(SeenProposalsTest, MemoryIsBounded) {
  SeenProposals seen;
  for (uint64_t i = 0; i < 20000; ++i) {
    EXPECT_TRUE(seen.Add(RequestId{Id(1), Incarnation(1), 2 * i}));
  }
  EXPECT_TRUE(seen.Contains(RequestId{Id(1), Incarnation(1), 1}));
  EXPECT_FALSE(seen.Contains(RequestId{Id(1), Incarnation(1), 39997}));
}

Entry At(uint64_t index, uint64_t term) {
  return Entry{Index(index), Term(term), EntryKind::kEmpty, nullptr};
}

// The completion of an overwritten write proves only what was not overwritten.
TEST(LogTest, CompletionProvesOnlyWhatStillStands) {
  Log log({}, EntryId{}, {});
  for (uint64_t i = 1; i <= 3; ++i) log.Append(At(i, 1));
  EXPECT_EQ(log.TakeUnwritten(BatchNumber(1)).size(), 3u);
  log.TruncateFrom(Index(2));
  log.Append(At(2, 2));
  EXPECT_EQ(log.TakeUnwritten(BatchNumber(2)).size(), 1u);
  log.TruncateFrom(Index(2));
  for (uint64_t i = 2; i <= 3; ++i) log.Append(At(i, 3));
  EXPECT_EQ(log.TakeUnwritten(BatchNumber(3)).size(), 2u);
  log.OnPersisted(BatchNumber(1));
  EXPECT_EQ(log.persisted(), Index(1));
  log.OnPersisted(BatchNumber(2));
  EXPECT_EQ(log.persisted(), Index(1));
  log.OnPersisted(BatchNumber(3));
  EXPECT_EQ(log.persisted(), Index(3));
}

TEST(LogTest, SnapshotIsNotDurableBeforeItsBatch) {
  Log log({}, EntryId{}, {});
  for (uint64_t i = 1; i <= 3; ++i) log.Append(At(i, 1));
  log.TakeUnwritten(BatchNumber(1));
  log.ResetTo(EntryId{Index(9), Term(2)});
  log.Append(At(10, 2));
  EXPECT_EQ(log.TakeUnwritten(BatchNumber(2)).size(), 1u);
  log.OnPersisted(BatchNumber(1));
  EXPECT_EQ(log.persisted(), Index(0));
  log.OnPersisted(BatchNumber(2));
  EXPECT_EQ(log.persisted(), Index(10));
}

TEST(LogTest, LastCommonEntryIsFoundByTerms) {
  Log log({}, EntryId{}, {At(1, 1), At(2, 1), At(3, 4), At(4, 4)});
  EXPECT_EQ(log.LastAtOrBelow(Index(9), Term(4)).index, Index(4));
  EXPECT_EQ(log.LastAtOrBelow(Index(4), Term(3)).index, Index(2));
  EXPECT_EQ(log.LastAtOrBelow(Index(4), Term(0)).index, Index(0));
}

}  // namespace
}  // namespace gavel::raft
