// Changes of members: what is sent, what comes back, and what is sent again.
#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/gavel/v1/cluster.pb.h"
#include "tests/client/client_test_support.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using testing::Answer;
using testing::MakeClient;
using testing::Request;
using testing::ScriptedServer;

constexpr uint64_t kId = 0x8e9e05c52164694d;

void FillMember(etcdserverpb::Member* member) {
  member->set_id(kId);
  member->set_name("m");
  member->add_peerurls("http://p:1");
  member->add_peerurls("http://q:1");
  member->add_clienturls("http://c:1");
  member->set_islearner(true);
}

// The answer to a change, with two members of which FillMember's is the first.
template <class Response>
Response AnswerOf() {
  Response response;
  response.mutable_header()->set_cluster_id(1);
  response.mutable_header()->set_member_id(2);
  response.mutable_header()->set_raft_term(3);
  if constexpr (requires { response.mutable_member(); }) FillMember(response.mutable_member());
  FillMember(response.add_members());
  response.add_members()->set_id(7);
  return response;
}

template <class Response>
void ExpectAnswer(const Response& response) {
  EXPECT_EQ(response.header, (ResponseHeader{.cluster_id = 1, .member_id = 2, .raft_term = 3}));
  ASSERT_EQ(response.members.size(), 2u);
  EXPECT_EQ(response.members[0].id, kId);
  EXPECT_EQ(response.members[0].name, "m");
  EXPECT_THAT(response.members[0].peer_urls, ElementsAre("http://p:1", "http://q:1"));
  EXPECT_THAT(response.members[0].client_urls, ElementsAre("http://c:1"));
  EXPECT_TRUE(response.members[0].learner);
  EXPECT_EQ(response.members[1].id, 7u);
  EXPECT_THAT(response.members[1].peer_urls, IsEmpty());
  if constexpr (requires { response.member; }) {
    EXPECT_EQ(response.member.id, kId);
    EXPECT_THAT(response.member.peer_urls, ElementsAre("http://p:1", "http://q:1"));
  }
}

template <class Message>
std::string LastSent(const ScriptedServer& server) {
  Message message;
  EXPECT_TRUE(message.ParseFromString(server.requests().back().body));
  return message.ShortDebugString();
}

TEST(ClientMembersTest, EveryChangeOnTheWireAndBack) {
  ScriptedServer server([](const Request& request) {
    if (request.method == "MemberAdd")
      return Answer::Ok(AnswerOf<etcdserverpb::MemberAddResponse>());
    if (request.method == "MemberReplace") {
      return Answer::Ok(AnswerOf<gavel::v1::MemberReplaceResponse>());
    }
    // The other answers are of one form.
    return Answer::Ok(AnswerOf<etcdserverpb::MemberRemoveResponse>());
  });
  const Client client = MakeClient({server.target()});
  const Cluster cluster = client.cluster();
  const std::string id = "ID: " + std::to_string(kId);

  ExpectAnswer(cluster.MemberAdd({"http://p:1", "http://q:1"}).value());
  EXPECT_EQ(LastSent<etcdserverpb::MemberAddRequest>(server),
            R"(peerURLs: "http://p:1" peerURLs: "http://q:1")");
  ExpectAnswer(cluster.MemberAdd({"http://p:1"}, MemberRole::kLearner).value());
  EXPECT_EQ(LastSent<etcdserverpb::MemberAddRequest>(server),
            R"(peerURLs: "http://p:1" isLearner: true)");
  ExpectAnswer(cluster.MemberRemove(kId).value());
  EXPECT_EQ(server.requests().back().method, "MemberRemove");
  EXPECT_EQ(LastSent<etcdserverpb::MemberRemoveRequest>(server), id);
  ExpectAnswer(cluster.MemberUpdate(kId, {"http://n:1"}).value());
  EXPECT_EQ(server.requests().back().method, "MemberUpdate");
  EXPECT_EQ(LastSent<etcdserverpb::MemberUpdateRequest>(server), id + R"( peerURLs: "http://n:1")");
  ExpectAnswer(cluster.MemberPromote(kId).value());
  EXPECT_EQ(server.requests().back().method, "MemberPromote");
  EXPECT_EQ(LastSent<etcdserverpb::MemberPromoteRequest>(server), id);
  ExpectAnswer(cluster.MemberReplace(kId, {"http://n:1"}).value());
  EXPECT_EQ(LastSent<gavel::v1::MemberReplaceRequest>(server),
            "id: " + std::to_string(kId) + R"( peerURLs: "http://n:1")");
}

// A change may have been carried out by an attempt whose answer was lost: adding once more would
// let two members in.
TEST(ClientMembersTest, AChangeIsSentAgainOnlyIfItWasDropped) {
  const struct {
    grpc::StatusCode code;
    const char* text;
    ErrorClass error_class;
    Reason reason;
    size_t sent;
  } kAnswers[] = {
      {grpc::UNAVAILABLE, "etcdserver: no leader", ErrorClass::kNone, Reason::kNone, 2},
      {grpc::UNAVAILABLE, "etcdserver: leader changed", ErrorClass::kUnknown,
       Reason::kLeaderChanged, 1},
      {grpc::UNAVAILABLE, "etcdserver: request timed out", ErrorClass::kUnknown, Reason::kTimedOut,
       1},
      {grpc::UNAVAILABLE, "Socket closed", ErrorClass::kUnknown, Reason::kConnection, 1},
      {grpc::UNAVAILABLE, "etcdserver: unhealthy cluster", ErrorClass::kRejected,
       Reason::kUnhealthyCluster, 1},
      // etcd sends some texts without their code.
      {grpc::UNKNOWN, "etcdserver: re-configuration failed due to not enough started members",
       ErrorClass::kRejected, Reason::kNotEnoughStarted, 1},
      {grpc::FAILED_PRECONDITION,
       "etcdserver: can only promote a learner member which is in sync with leader",
       ErrorClass::kRejected, Reason::kLearnerNotReady, 1},
      {grpc::UNIMPLEMENTED, "unknown service gavel.v1.Cluster", ErrorClass::kRejected,
       Reason::kNotServed, 1},
  };
  for (const auto& expected : kAnswers) {
    SCOPED_TRACE(expected.text);
    const auto check = [&](auto change) {
      ScriptedServer server(testing::FailFirst(1, Answer::Error(expected.code, expected.text)));
      const Client client = MakeClient({server.target()});
      const Status status = change(client.cluster()).status();
      EXPECT_EQ(status.error_class(), expected.error_class);
      EXPECT_EQ(status.reason(), expected.reason);
      EXPECT_EQ(server.count(), expected.sent);
    };
    check([](const Cluster& cluster) { return cluster.MemberAdd({"http://p:1"}); });
    check([](const Cluster& cluster) { return cluster.MemberRemove(kId); });
    check([](const Cluster& cluster) { return cluster.MemberUpdate(kId, {"http://p:1"}); });
    check([](const Cluster& cluster) { return cluster.MemberPromote(kId); });
    check([](const Cluster& cluster) { return cluster.MemberReplace(kId, {"http://p:1"}); });
  }
}

TEST(ClientMembersTest, ChangesHaveAsynchronousForms) {
  ScriptedServer server(
      [](const Request&) { return Answer::Ok(AnswerOf<etcdserverpb::MemberAddResponse>()); });
  const Client client = MakeClient({server.target()});
  const Pending<MemberAddResponse> added = client.cluster().MemberAddAsync({"http://p:1"});
  const Pending<MemberReplaceResponse> replaced =
      client.cluster().MemberReplaceAsync(kId, {"http://p:1"});
  EXPECT_EQ(added.Get()->member.id, kId);
  EXPECT_EQ(replaced.Get()->member.id, kId);
}

}  // namespace
}  // namespace gavel::client
