// Bringing members back into step after conflicts, crashes and lost logs: one test per rule of the
// thesis (Ongaro §3.5, §3.7, §3.8, §4.2.2, chapter 5).
#include <gtest/gtest.h>

#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

bool IsAppend(const Message& m) { return std::holds_alternative<AppendRequest>(m.body); }

// §3.5: entries of a follower that contradict the leader's are replaced by the leader's.
TEST(CatchUpTest, ConflictingEntriesAreReplacedByTheLeaders) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Isolate(1);
  for (const char* text : {"lost", "lost too"}) cluster.Propose(1, text);
  cluster.Tick(3, 10);
  cluster.Campaign(2);
  cluster.Deliver();
  cluster.Propose(2, "kept");
  cluster.Deliver();
  ASSERT_NE(cluster.LogText(1), cluster.LogText(2));
  cluster.Heal();
  cluster.Run(5);
  EXPECT_EQ(cluster.LogText(1).substr(1), cluster.LogText(2).substr(1));
  EXPECT_EQ(cluster.invariants().CommittedCommands(), std::vector<std::string>{"kept"});
}

// §3.5: a leader only appends to its own log, whatever it hears from others.
TEST(CatchUpTest, ALeaderNeverChangesItsOwnEntries) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "x");
  const std::string log = cluster.LogText(1);
  cluster.Drop([](const Message&) { return true; });
  // 2 says that it lacks everything, and that something else than the leader's entry is there.
  AppendReply refusal;
  refusal.accepted = false;
  refusal.rejected = Index(3);
  cluster.Step(Message{Id(2), Id(1), Term(1), refusal});
  EXPECT_EQ(cluster.LogText(1), log);
  cluster.Deliver();
  EXPECT_EQ(cluster.LogText(1).substr(0, log.size()), log);
}

// §3.7: requests to a member that crashed are sent again until it has carried them out.
TEST(CatchUpTest, ACrashedFollowerIsSentWhatItMissed) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Crash(3);
  for (const char* text : {"a", "b", "c"}) cluster.Propose(1, text);
  cluster.Deliver();
  cluster.Run(20);
  cluster.Restart(3);
  cluster.Run(5);
  EXPECT_EQ(cluster.member(3).applied, Index(5));
  EXPECT_EQ(cluster.LogText(3).substr(1), cluster.LogText(1).substr(1));
}

// §3.7: requests may be repeated: an append whose entries are there already changes nothing, also
// when newer entries follow them.
TEST(CatchUpTest, ARepeatedAppendChangesNothing) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "a");
  Message first;
  for (const Message& message : cluster.network()) {
    if (IsAppend(message) && message.to == Id(2)) first = message;
  }
  ASSERT_EQ(std::get<AppendRequest>(first.body).entries.size(), 1u);
  cluster.Propose(1, "b");
  cluster.Deliver();
  const std::string log = cluster.LogText(2);
  ASSERT_EQ(cluster.core(2).status().last, Index(4));
  for (int i = 0; i < 2; ++i) {
    cluster.Step(first);
    EXPECT_EQ(cluster.LogText(2), log);
    EXPECT_TRUE(std::get<AppendReply>(cluster.network().back().body).accepted);
  }
}

// §3.8: term, vote and log are on disk before anything is answered, so a restart finds them.
TEST(CatchUpTest, TermVoteAndLogSurviveACrash) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "x");
  cluster.Deliver();
  for (uint64_t id : {1, 2, 3}) cluster.Crash(id);
  for (uint64_t id : {1, 2, 3}) {
    cluster.Restart(id);
    const Status status = cluster.core(id).status();
    EXPECT_EQ(status.term, Term(1));
    EXPECT_EQ(status.voted_for, Id(1));
    EXPECT_EQ(status.last, Index(3));
    EXPECT_EQ(status.persisted, Index(3));
    EXPECT_EQ(status.role, Role::kFollower);
  }
  cluster.Elect(2);
  cluster.Run(3);
  EXPECT_EQ(cluster.invariants().CommittedCommands(), std::vector<std::string>{"x"});
}

// §3.8: what was not on disk is forgotten, and was never promised.
TEST(CatchUpTest, AnEntryThatIsNotOnDiskIsNotAnswered) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.member(2).holds_disk = true;
  cluster.Propose(1, "x");
  cluster.Deliver([](const Message& m) { return m.to == Id(2); });
  for (const Message& message : cluster.network()) EXPECT_NE(message.from, Id(2));
  cluster.Crash(2);
  cluster.member(2).holds_disk = false;
  cluster.Restart(2);
  EXPECT_EQ(cluster.core(2).status().last, Index(2));
}

// §4.2.2: a leader that is removed leads until the change is committed, then steps down.
TEST(CatchUpTest, ARemovedLeaderLeadsUntilItsRemovalIsCommitted) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  ASSERT_TRUE(cluster.Change(1, Voters({2, 3})));
  EXPECT_EQ(cluster.core(1).status().role, Role::kLeader);
  cluster.Deliver();
  cluster.Run(3);
  EXPECT_NE(cluster.core(1).status().role, Role::kLeader);
  cluster.Run(30);
  ASSERT_TRUE(cluster.Leader().has_value());
  EXPECT_NE(*cluster.Leader(), 1u);
}

Cluster::Settings ShortMemory() {
  Cluster::Settings settings;
  settings.adjust = [](Options& options) { options.recent_entries_max = 1; };
  return settings;
}

// Chapter 5: a follower that needs what the leader has dropped gets a snapshot, then the rest.
TEST(CatchUpTest, WhatTheLeaderHasDroppedComesAsASnapshot) {
  Cluster cluster(Voters({1, 2, 3}), ShortMemory());
  cluster.Elect(1);
  cluster.Isolate(3);
  for (const char* text : {"a", "b", "c", "d"}) cluster.Propose(1, text);
  cluster.Deliver();
  cluster.Run(2);
  cluster.Compact(1, Index(6));
  cluster.Heal();
  cluster.Run(8);
  EXPECT_GE(cluster.member(3).disk.start.index, Index(5));
  EXPECT_EQ(cluster.member(3).applied, Index(6));
  cluster.Propose(1, "e");
  cluster.Deliver();
  cluster.Run(3);
  EXPECT_EQ(cluster.member(3).applied, Index(7));
}

// A leader to which a follower has not confirmed anything yet goes on where the refusals have led
// it, also when a read of its log fails: what the log begins with may be gone, and need not be
// read.
TEST(CatchUpTest, AReadOfTheLogThatFailsIsTriedAgain) {
  Cluster cluster(Voters({1, 2, 3}), ShortMemory());
  cluster.Elect(1);
  for (const char* text : {"a", "b", "c", "d"}) cluster.Propose(1, text);
  cluster.Deliver();
  cluster.Run(3);
  cluster.Compact(2, Index(5));
  const Index start = cluster.member(3).disk.start.index;
  cluster.Isolate(3);
  for (const char* text : {"e", "f", "g"}) cluster.Propose(1, text);
  cluster.Deliver();
  cluster.Run(3);
  cluster.Crash(1);
  cluster.Tick(3, 10);
  cluster.Deliver();
  cluster.Heal();
  Member& leader = cluster.member(2);
  leader.holds_older = true;
  cluster.Elect(2);
  ASSERT_EQ(cluster.Leader(), 2u);
  ASSERT_EQ(leader.older.size(), 1u);
  const EntriesWanted wanted = leader.older.front();
  ASSERT_GE(wanted.from, leader.disk.first_stored);
  leader.older.clear();
  leader.holds_older = false;
  leader.core->OnOlderEntries(wanted.to, wanted.from, {});
  cluster.Tick(2);
  // There is no snapshot to be had.
  cluster.Drop([](const Message& m) { return std::holds_alternative<InstallSnapshot>(m.body); });
  cluster.Run(8);
  EXPECT_EQ(cluster.member(3).applied, cluster.core(2).status().last);
  EXPECT_EQ(cluster.member(3).disk.start.index, start) << "a snapshot was sent without need";
}

Message Snapshot(uint64_t to, Index index, Term term) {
  return Message{Id(1), Id(to), Term(1), InstallSnapshot{{index, term, Voters({1, 2, 3})}}};
}

// Chapter 5: a snapshot that describes a prefix of the log leaves the entries behind it.
TEST(CatchUpTest, ASnapshotOfAPrefixKeepsTheEntriesBehindIt) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Run(3);
  for (const char* text : {"a", "b", "c"}) cluster.Propose(1, text);
  cluster.Deliver([](const Message& m) { return IsAppend(m); });
  // The leader has committed nothing of it yet, as far as 3 knows.
  ASSERT_EQ(cluster.core(3).status().commit, Index(2));
  cluster.Deliver([](const Message& m) { return m.from == Id(2); });
  cluster.Drop([](const Message&) { return true; });
  const std::string log = cluster.LogText(3);
  cluster.Step(Snapshot(3, Index(4), Term(1)));
  EXPECT_EQ(cluster.core(3).status().commit, Index(4));
  EXPECT_EQ(cluster.core(3).status().last, Index(5));
  EXPECT_EQ(cluster.LogText(3), log);
}

// Chapter 5: an old snapshot takes nobody back.
TEST(CatchUpTest, AnOldSnapshotIsNotInstalled) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  for (const char* text : {"a", "b"}) cluster.Propose(1, text);
  cluster.Deliver();
  cluster.Run(3);
  const std::string log = cluster.LogText(3);
  cluster.Step(Snapshot(3, Index(3), Term(1)));
  EXPECT_EQ(cluster.member(3).applied, Index(4));
  EXPECT_EQ(cluster.core(3).status().commit, Index(4));
  EXPECT_EQ(cluster.LogText(3), log);
}

}  // namespace
}  // namespace gavel::raft
