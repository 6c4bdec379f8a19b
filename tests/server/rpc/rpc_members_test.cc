// Changing the members of a cluster: answers and refusals are etcd's.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/gavel/v1/cluster.pb.h"
#include "server/rpc/error_map.h"
#include "storage/state/membership.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using server::Error;
using server::kNsPerSecond;
using server::RpcStatus;
using server::ToStatus;
using ::testing::ElementsAre;

class RpcMembersTest : public ::testing::Test {
 protected:
  explicit RpcMembersTest(const server::ServiceLimits& limits = {.connected_min = kNsPerSecond})
      : caller_(limits) {}

  template <class Response, class Request>
  Answer<Response> Call(const std::string& method, const Request& request) {
    return caller_.Call<Response>("/etcdserverpb.Cluster/" + method, request);
  }
  Answer<etcdserverpb::MemberAddResponse> Add(const std::vector<std::string>& urls,
                                              bool learner = false) {
    etcdserverpb::MemberAddRequest request;
    for (const std::string& url : urls) request.add_peerurls(url);
    request.set_islearner(learner);
    return Call<etcdserverpb::MemberAddResponse>("MemberAdd", request);
  }
  void ExpectPromotions(const std::string& line) {
    EXPECT_THAT(caller_.metrics.Text(), ::testing::HasSubstr(line));
  }
  RpcStatus Remove(uint64_t id) {
    etcdserverpb::MemberRemoveRequest request;
    request.set_id(id);
    return Call<etcdserverpb::MemberRemoveResponse>("MemberRemove", request).status;
  }
  RpcStatus Promote(uint64_t id) {
    etcdserverpb::MemberPromoteRequest request;
    request.set_id(id);
    return Call<etcdserverpb::MemberPromoteResponse>("MemberPromote", request).status;
  }
  Answer<etcdserverpb::MemberUpdateResponse> Update(uint64_t id,
                                                    const std::vector<std::string>& urls) {
    etcdserverpb::MemberUpdateRequest request;
    request.set_id(id);
    for (const std::string& url : urls) request.add_peerurls(url);
    return Call<etcdserverpb::MemberUpdateResponse>("MemberUpdate", request);
  }
  Answer<v1::MemberReplaceResponse> Replace(uint64_t id, const std::string& url) {
    v1::MemberReplaceRequest request;
    request.set_id(id);
    request.add_peerurls(url);
    return caller_.Call<v1::MemberReplaceResponse>("/gavel.v1.Cluster/MemberReplace", request);
  }
  // A member that has started and is connected; its id.
  uint64_t Grow(const std::string& url) {
    const auto added = Add({url});
    EXPECT_TRUE(added.status.ok()) << added.status.message;
    const uint64_t id = added.response.member().id();
    caller_.gate.Publish(raft::NodeId(id), url);
    Connect(id, true);
    return id;
  }
  void Connect(uint64_t id, bool connected) {
    caller_.gate.SetConnected(raft::NodeId(id),
                              connected ? std::optional(kNsPerSecond) : std::nullopt);
  }
  static constexpr uint64_t kSelf = TestGate::kMember.value();

  ServiceCaller caller_;
};

TEST_F(RpcMembersTest, AMemberIsAddedChangedAndRemoved) {
  const auto added = Add({"http://b:2", "http://a:1"}, true);
  ASSERT_TRUE(added.status.ok()) << added.status.message;
  const etcdserverpb::Member& member = added.response.member();
  EXPECT_NE(member.id(), 0u);
  EXPECT_EQ(member.name(), "");
  EXPECT_TRUE(member.islearner());
  EXPECT_THAT(member.peerurls(), ElementsAre("http://a:1", "http://b:2"));
  EXPECT_EQ(added.response.members_size(), 2);
  EXPECT_EQ(added.response.header().revision(), 0);
  EXPECT_EQ(added.response.header().member_id(), kSelf);
  const auto updated = Update(member.id(), {"http://c:3"});
  ASSERT_TRUE(updated.status.ok()) << updated.status.message;
  EXPECT_EQ(updated.response.members_size(), 2);
  ExpectPromotions("etcd_server_learner_promote_successes 0\n");
  EXPECT_TRUE(Promote(member.id()).ok());
  ExpectPromotions("etcd_server_learner_promote_successes 1\n");
  EXPECT_EQ(Promote(member.id()), ToStatus(Error::kNotLearner));
  ExpectPromotions("etcd_server_learner_promote_failures{Reason=\"" +
                   ToStatus(Error::kNotLearner).message + "\"} 1\n");
  EXPECT_TRUE(Remove(member.id()).ok());
  EXPECT_EQ(Remove(member.id()), ToStatus(Error::kMemberNotFound));
}

TEST_F(RpcMembersTest, UrlsAreChecked) {
  const std::vector<std::vector<std::string>> bad = {
      {}, {""}, {"a:1"}, {"http://a"}, {"http://a:1/path"}, {"ftp://a:1"}, {"http://a:1", "x"}};
  for (const auto& urls : bad) {
    EXPECT_EQ(Add(urls).status, ToStatus(Error::kBadMemberUrls));
    EXPECT_EQ(Update(kSelf, urls).status, ToStatus(Error::kBadMemberUrls));
  }
  EXPECT_EQ(Replace(kSelf, "x").status, ToStatus(Error::kBadMemberUrls));
  EXPECT_EQ(Add({"http://127.0.0.1:2380"}).status, ToStatus(Error::kPeerUrlExists));
  EXPECT_TRUE(caller_.gate.proposals().size() == 1) << "only the last got so far";
}

TEST_F(RpcMembersTest, UnknownMembersAreNotFound) {
  EXPECT_EQ(Remove(9), ToStatus(Error::kMemberNotFound));
  EXPECT_EQ(Promote(9), ToStatus(Error::kMemberNotFound));
  EXPECT_EQ(Update(9, {"http://a:1"}).status, ToStatus(Error::kMemberNotFound));
  EXPECT_EQ(Replace(9, "http://a:1").status, ToStatus(Error::kMemberNotFound));
}

TEST_F(RpcMembersTest, LearnersAreCounted) {
  ASSERT_TRUE(Add({"http://a:1"}, true).status.ok());
  EXPECT_EQ(Add({"http://b:1"}, true).status, ToStatus(Error::kTooManyLearners));
}

// The second member of all may be asked for before it has company; a third not before the second
// has started.
TEST_F(RpcMembersTest, EnoughVotersMustHaveStarted) {
  ASSERT_TRUE(Add({"http://a:1"}).status.ok());
  EXPECT_EQ(Add({"http://b:1"}).status, ToStatus(Error::kUnhealthy)) << "the second is not there";
  const auto list =
      Call<etcdserverpb::MemberListResponse>("MemberList", etcdserverpb::MemberListRequest());
  Connect(list.response.members(0).id(), true);
  Connect(list.response.members(1).id(), true);
  ASSERT_TRUE(Add({"http://b:1"}).status.ok());
  EXPECT_EQ(Add({"http://c:1"}).status, ToStatus(Error::kNotEnoughStarted));
  EXPECT_EQ(Remove(kSelf), ToStatus(Error::kNotEnoughStarted)) << "nobody else has started";
}

TEST_F(RpcMembersTest, TheLastMemberStays) {
  EXPECT_EQ(Remove(kSelf), ToStatus(Error::kNotEnoughStarted));
}

TEST_F(RpcMembersTest, TheQuorumMustBeThere) {
  const uint64_t second = Grow("http://b:1");
  const uint64_t third = Grow("http://c:1");
  Connect(third, false);
  EXPECT_EQ(Add({"http://d:1"}).status, ToStatus(Error::kUnhealthy));
  EXPECT_EQ(Add({"http://d:1"}, true).status, ToStatus(Error::kUnhealthy));
  EXPECT_EQ(Remove(second), ToStatus(Error::kUnhealthy)) << "one of two would be left";
  Connect(second, false);
  EXPECT_EQ(Replace(third, "http://d:1").status, ToStatus(Error::kUnhealthy));
  Connect(second, true);
  EXPECT_TRUE(Remove(third).ok()) << "it is down: nothing is lost";
}

TEST_F(RpcMembersTest, AConnectionMustHaveStood) {
  const uint64_t second = Grow("http://b:1");
  caller_.gate.SetConnected(raft::NodeId(second), kNsPerSecond - 1);
  EXPECT_EQ(Add({"http://c:1"}).status, ToStatus(Error::kUnhealthy));
}

TEST_F(RpcMembersTest, AReplacementIsOneChange) {
  const uint64_t second = Grow("http://b:1");
  Grow("http://c:1");
  const size_t before = caller_.gate.proposals().size();
  const auto replaced = Replace(second, "http://b:1");
  ASSERT_TRUE(replaced.status.ok()) << replaced.status.message;
  EXPECT_EQ(caller_.gate.proposals().size(), before + 1);
  EXPECT_THAT(replaced.response.member().peerurls(), ElementsAre("http://b:1"));
  EXPECT_NE(replaced.response.member().id(), second);
  EXPECT_EQ(replaced.response.members_size(), 3);
}

class RpcLenientMembersTest : public RpcMembersTest {
 protected:
  RpcLenientMembersTest() : RpcMembersTest({.strict_reconfig_check = false, .learners_max = 2}) {}
};

TEST_F(RpcLenientMembersTest, ChecksCanBeTurnedOff) {
  EXPECT_TRUE(Add({"http://a:1"}).status.ok());
  EXPECT_TRUE(Add({"http://b:1"}).status.ok());
  EXPECT_TRUE(Add({"http://c:1"}).status.ok());
  EXPECT_TRUE(Add({"http://d:1"}, true).status.ok());
  EXPECT_TRUE(Add({"http://e:1"}, true).status.ok());
  EXPECT_EQ(Add({"http://f:1"}, true).status, ToStatus(Error::kTooManyLearners));
}

TEST_F(RpcMembersTest, WhatCannotBeCarriedOutSaysSo) {
  caller_.gate.FailProposals(server::GateResult::kNoLeader);
  EXPECT_EQ(Add({"http://a:1"}).status, ToStatus(Error::kNoLeader));
  caller_.gate.FailProposals(server::GateResult::kTimedOut);
  EXPECT_EQ(Update(kSelf, {"http://a:1"}).status, ToStatus(Error::kTimeout));
  caller_.gate.set_learner(true);
  EXPECT_EQ(Remove(1), ToStatus(Error::kNotSupportedForLearner));
}

}  // namespace
}  // namespace gavel::testing
