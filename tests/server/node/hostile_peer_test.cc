// What members that are broken, newer or hostile say to the others must end none of them.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/internal/command.pb.h"
#include "server/node/command_bytes.h"
#include "server/node/command_check.h"
#include "server/peer/frame.h"
#include "storage/state/semantics.h"
#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using server::CommandField;
using server::GateResult;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr raft::RequestId kId{raft::NodeId(7), raft::Incarnation(3), 9};

std::string CommandOf(const raft::RequestId& id, CommandField field, const std::string& request) {
  std::string payload = server::EncodeCommandHeader(field, id);
  server::AppendCommandBody(field, request, &payload);
  return payload;
}

std::string NewerCommand(const raft::RequestId& id) {
  internal::Command command;
  command.set_semantics(storage::SemanticsVersion() + 1);
  command.set_member(id.member.value());
  command.set_incarnation(id.incarnation.value());
  command.set_sequence(id.sequence);
  command.mutable_put()->set_key("k");
  return command.SerializeAsString();
}

raft::Proposal Proposing(const raft::RequestId& id, std::string payload) {
  return {id, std::make_shared<const std::string>(std::move(payload))};
}

// Each with what is wrong with it.
std::vector<std::pair<std::string, std::string>> BadCommands(const raft::RequestId& id) {
  raft::RequestId other = id;
  ++other.sequence;
  return {
      {"\xff garbage", "is no command"},
      {"", "names no semantics version"},
      {server::EncodeCommandHeader(CommandField::kPut, id), "has no body"},
      {NewerCommand(id), "a newer build is needed"},
      {CommandOf(other, CommandField::kPut, ""), "another request"},
      {CommandOf(id, CommandField::kLeaseClock, ""), "only a leader"},
      {CommandOf(id, CommandField::kExpireLeases, ""), "only a leader"},
      {CommandOf(id, CommandField::kSetQuota, ""), "only a leader"},
      {CommandOf(id, CommandField::kAgreeSemantics, ""), "only a leader"},
      {CommandOf(id, CommandField::kPut, std::string(2 << 20, '\0')), "--max-request-bytes"},
  };
}

// A command enters the log only if every member of this build can apply it.
TEST(CommandCheckTest, RefusesWhatCannotBeApplied) {
  const server::CommandCheck check(1536 << 10);
  for (const auto& [payload, reason] : BadCommands(kId)) {
    EXPECT_THAT(check.WhyNot(Proposing(kId, payload)), HasSubstr(reason));
  }
  internal::RenewLeases renew;
  for (int64_t id = 1; id <= 4096; ++id) renew.add_ids(-id);
  for (const auto& [field, request] : std::vector<std::pair<CommandField, std::string>>{
           {CommandField::kPut, ""},
           {CommandField::kTxn, ""},
           {CommandField::kPublishMember, ""},
           {CommandField::kChangeAlarm, ""},
           {CommandField::kRenewLeases, renew.SerializeAsString()}}) {
    const raft::Proposal good = Proposing(kId, CommandOf(kId, field, request));
    EXPECT_EQ(check.WhyNot(good), "");
    EXPECT_EQ(server::CommandCheck(1024).WhyNot(good), "") << "members' own are never too large";
  }
}

server::FrameAddress From(NodeCluster& cluster, int from, int to) {
  return {cluster.gate(to).cluster_id(), cluster.node(from).identity().id,
          cluster.node(to).identity().id, cluster.node(from).identity().incarnation};
}

raft::Status StatusOf(NodeCluster& cluster, int index) {
  return cluster.node(index).core().stage().status();
}

// A forwarded command that no member could apply is not taken by the leader: committed, it would
// end all of them.
TEST(HostilePeerTest, ForwardedCommandsThatCannotBeAppliedEndNobody) {
  NodeCluster cluster(3, 41);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const int follower = (leader + 1) % 3;
  cluster.Run(1000);
  const raft::Status before = StatusOf(cluster, leader);
  raft::RequestId id{cluster.node(follower).identity().id,
                     cluster.node(follower).identity().incarnation, 1 << 20};
  const size_t count = BadCommands(id).size();
  for (size_t i = 0; i < count; ++i) {
    ++id.sequence;
    raft::ForwardProposals forward{before.term, {Proposing(id, BadCommands(id)[i].first)}};
    const server::FrameAddress address = From(cluster, follower, leader);
    EXPECT_OK(cluster.Receive(
        leader, server::EncodeFrame(
                    address, {{address.from, address.to, before.term, std::move(forward)}})));
    cluster.Run(10);
  }
  cluster.Run(500);
  EXPECT_EQ(StatusOf(cluster, leader).last, before.last);
  EXPECT_THAT(cluster.failures(), IsEmpty());
  EXPECT_EQ(cluster.PutAndWait(follower, "a", "1").result, GateResult::kOk);
}

// Whoever waits for a command that the leader does not take is told so, long before the deadline.
TEST(HostilePeerTest, ACommandThatTheLeaderDoesNotTakeIsAnswered) {
  NodeCluster cluster(3, 42);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const int follower = (leader + 1) % 3;
  const server::MonotonicNs began = cluster.clock().Now();
  EXPECT_EQ(cluster.PutAndWait(follower, "a", std::string(2 << 20, 'x')).result,
            GateResult::kNotTaken);
  EXPECT_LT(cluster.clock().Now() - began, server::kNsPerSecond);
  EXPECT_THAT(cluster.errors(), ElementsAre("the leader does not take a command of this member"));
  EXPECT_EQ(cluster.PutAndWait(follower, "a", "1").result, GateResult::kOk);
}

// No snapshot comes with the message that names one, so nothing may be put in its place.
TEST(HostilePeerTest, ASnapshotMessageChangesNothing) {
  NodeCluster cluster(3, 43);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const int follower = (leader + 1) % 3;
  cluster.Run(1000);
  const raft::Status before = StatusOf(cluster, follower);
  const raft::SnapshotMeta meta{raft::Index(1000), before.term,
                                cluster.node(follower).core().stage().configuration()};
  const server::FrameAddress address = From(cluster, leader, follower);
  EXPECT_OK(cluster.Receive(follower,
                            server::EncodeFrame(address, {{address.from, address.to, before.term,
                                                           raft::InstallSnapshot{meta}}})));
  cluster.Run(500);
  EXPECT_EQ(StatusOf(cluster, follower).last, before.last);
  EXPECT_THAT(cluster.failures(), IsEmpty());
  EXPECT_EQ(cluster.PutAndWait(follower, "a", "1").result, GateResult::kOk);
}

// Of two leaders of one term the second is refused, counted and told of.
TEST(HostilePeerTest, ASecondLeaderOfATermIsToldOf) {
  NodeCluster cluster(3, 44);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const int liar = (leader + 1) % 3;
  cluster.Run(1000);
  const raft::Term term = StatusOf(cluster, leader).term;
  for (const int to : {leader, (leader + 2) % 3}) {
    const server::FrameAddress address = From(cluster, liar, to);
    for (int i = 0; i < 3; ++i) {
      EXPECT_OK(cluster.Receive(
          to, server::EncodeFrame(address, {{address.from, address.to, term, raft::Heartbeat{}}})));
      cluster.Run(20);
    }
  }
  EXPECT_THAT(cluster.errors(), ElementsAre("two members say that they lead one term",
                                            "two members say that they lead one term"));
  EXPECT_EQ(cluster.PutAndWait(liar, "a", "1").result, GateResult::kOk);
}

}  // namespace
}  // namespace gavel::testing
