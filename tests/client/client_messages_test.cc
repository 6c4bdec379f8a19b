// Every option and every field, on the wire and back.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "tests/client/client_test_support.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;

using testing::Answer;
using testing::MakeClient;
using testing::Request;
using testing::ScriptedServer;

// The text form of the message that the last request carried.
template <class Message>
std::string LastSent(const ScriptedServer& server) {
  Message message;
  EXPECT_TRUE(message.ParseFromString(server.requests().back().body));
  return message.ShortDebugString();
}

void FillHeader(etcdserverpb::ResponseHeader* header) {
  header->set_cluster_id(1);
  header->set_member_id(2);
  header->set_revision(3);
  header->set_raft_term(4);
}
const ResponseHeader kHeader{.cluster_id = 1, .member_id = 2, .revision = 3, .raft_term = 4};

void FillKv(mvccpb::KeyValue* kv) {
  kv->set_key(std::string("k\0k", 3));
  kv->set_value("v\xff");
  kv->set_create_revision(5);
  kv->set_mod_revision(6);
  kv->set_version(7);
  kv->set_lease(8);
}
const KeyValue kKv{.key = std::string("k\0k", 3),
                   .value = "v\xff",
                   .create_revision = 5,
                   .mod_revision = 6,
                   .version = 7,
                   .lease = 8};

TEST(ClientMessagesTest, Range) {
  etcdserverpb::RangeResponse response;
  FillHeader(response.mutable_header());
  FillKv(response.add_kvs());
  response.set_more(true);
  response.set_count(9);
  ScriptedServer server([&](const Request&) { return Answer::Ok(response); });
  const Client client = MakeClient({server.target()});
  const Result<RangeResponse> got = client.kv().Range({.range = KeyRange::Between("a", "b"),
                                                       .limit = 1,
                                                       .revision = 2,
                                                       .sort_order = SortOrder::kDescend,
                                                       .sort_target = SortTarget::kMod,
                                                       .serializable = true,
                                                       .keys_only = true,
                                                       .count_only = true,
                                                       .min_mod_revision = 3,
                                                       .max_mod_revision = 4,
                                                       .min_create_revision = 5,
                                                       .max_create_revision = 6});
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->header, kHeader);
  EXPECT_THAT(got->kvs, ElementsAre(kKv));
  EXPECT_TRUE(got->more);
  EXPECT_EQ(got->count, 9);
  EXPECT_EQ(LastSent<etcdserverpb::RangeRequest>(server),
            "key: \"a\" range_end: \"b\" limit: 1 revision: 2 sort_order: DESCEND sort_target: MOD "
            "serializable: true keys_only: true count_only: true min_mod_revision: 3 "
            "max_mod_revision: 4 min_create_revision: 5 max_create_revision: 6");
  EXPECT_EQ(client.kv().Get("k")->kv, kKv);
  EXPECT_EQ(LastSent<etcdserverpb::RangeRequest>(server), "key: \"k\"");
  EXPECT_TRUE(*client.kv().Exists("k"));
  EXPECT_EQ(LastSent<etcdserverpb::RangeRequest>(server), "key: \"k\" count_only: true");
}

TEST(ClientMessagesTest, PutAndDelete) {
  etcdserverpb::PutResponse put;
  FillHeader(put.mutable_header());
  FillKv(put.mutable_prev_kv());
  etcdserverpb::DeleteRangeResponse deleted;
  FillHeader(deleted.mutable_header());
  deleted.set_deleted(2);
  FillKv(deleted.add_prev_kvs());
  ScriptedServer server([&](const Request& request) {
    return request.method == "Put" ? Answer::Ok(put) : Answer::Ok(deleted);
  });
  const Client client = MakeClient({server.target()});
  const Result<PutResponse> was = client.kv().Put({.key = "k",
                                                   .value = "v",
                                                   .lease = 1,
                                                   .prev_kv = true,
                                                   .ignore_value = true,
                                                   .ignore_lease = true});
  ASSERT_TRUE(was.ok());
  EXPECT_EQ(was->header, kHeader);
  EXPECT_EQ(was->prev_kv, kKv);
  EXPECT_EQ(LastSent<etcdserverpb::PutRequest>(server),
            "key: \"k\" value: \"v\" lease: 1 prev_kv: true ignore_value: true ignore_lease: true");
  const Result<DeleteResponse> gone =
      client.kv().Delete({.range = KeyRange::Prefix("a/"), .prev_kv = true});
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(gone->header, kHeader);
  EXPECT_EQ(gone->deleted, 2);
  EXPECT_THAT(gone->prev_kvs, ElementsAre(kKv));
  EXPECT_EQ(LastSent<etcdserverpb::DeleteRangeRequest>(server),
            "key: \"a/\" range_end: \"a0\" prev_kv: true");
  ASSERT_TRUE(client.kv().Compact({.revision = 7, .physical = true}).ok());
  EXPECT_EQ(LastSent<etcdserverpb::CompactionRequest>(server), "revision: 7 physical: true");
}

TEST(ClientMessagesTest, TransactionsWithEveryCompareAndNested) {
  etcdserverpb::TxnResponse response;
  FillHeader(response.mutable_header());
  response.set_succeeded(true);
  FillKv(response.add_responses()->mutable_response_range()->add_kvs());
  FillKv(response.add_responses()->mutable_response_put()->mutable_prev_kv());
  response.add_responses()->mutable_response_delete_range()->set_deleted(4);
  response.add_responses()
      ->mutable_response_txn()
      ->add_responses()
      ->mutable_response_delete_range()
      ->set_deleted(5);
  ScriptedServer server([&](const Request&) { return Answer::Ok(response); });
  const Client client = MakeClient({server.target()});
  Txn txn;
  txn.If(Compare::Version("a").Greater(1))
      .If(Compare::CreateRevision("b").Less(2))
      .If(Compare::ModRevision("c").NotEqual(3))
      .If(Compare::Value("d").Equal("x"))
      .If(Compare::Lease(KeyRange::Prefix("e")).Equal(0))
      .If(Compare::Value("f").NotEqual("y"))
      .If(Compare::Exists("g"))
      .If(Compare::Missing("h"))
      .Then(RangeRequest{.range = "r"})
      .Then(PutRequest{.key = "p"})
      .Else(DeleteRequest{.range = "q"})
      .Else(Txn().If(Compare::Exists("i")).Then(Txn().Else(DeleteRequest{.range = "j"})));
  const Result<TxnResponse> got = client.kv().Commit(txn);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->header, kHeader);
  EXPECT_TRUE(got->succeeded);
  ASSERT_EQ(got->responses.size(), 4u);
  EXPECT_THAT(got->responses[0].range()->kvs, ElementsAre(kKv));
  EXPECT_EQ(got->responses[0].put(), nullptr);
  EXPECT_EQ(got->responses[1].put()->prev_kv, kKv);
  EXPECT_EQ(got->responses[2].del()->deleted, 4);
  EXPECT_EQ(got->responses[3].txn()->responses[0].del()->deleted, 5);
  EXPECT_EQ(LastSent<etcdserverpb::TxnRequest>(server),
            "compare { result: GREATER key: \"a\" version: 1 } "
            "compare { result: LESS target: CREATE key: \"b\" create_revision: 2 } "
            "compare { result: NOT_EQUAL target: MOD key: \"c\" mod_revision: 3 } "
            "compare { target: VALUE key: \"d\" value: \"x\" } "
            "compare { target: LEASE key: \"e\" lease: 0 range_end: \"f\" } "
            "compare { result: NOT_EQUAL target: VALUE key: \"f\" value: \"y\" } "
            "compare { result: GREATER key: \"g\" version: 0 } "
            "compare { target: CREATE key: \"h\" create_revision: 0 } "
            "success { request_range { key: \"r\" } } success { request_put { key: \"p\" } } "
            "failure { request_delete_range { key: \"q\" } } "
            "failure { request_txn { compare { result: GREATER key: \"i\" version: 0 } "
            "success { request_txn { failure { request_delete_range { key: \"j\" } } } } } }");
}

TEST(ClientMessagesTest, ClusterAndMaintenance) {
  ScriptedServer server([&](const Request& request) {
    if (request.method == "MemberList") {
      etcdserverpb::MemberListResponse list;
      FillHeader(list.mutable_header());
      etcdserverpb::Member* member = list.add_members();
      member->set_id(11);
      member->set_name("m");
      member->add_peerurls("http://p:1");
      member->add_clienturls("http://c:1");
      member->add_clienturls("http://d:1");
      list.add_members()->set_islearner(true);
      return Answer::Ok(list);
    }
    if (request.method == "Status") {
      etcdserverpb::StatusResponse status;
      FillHeader(status.mutable_header());
      status.set_version("3.6.0");
      status.set_dbsize(1);
      status.set_leader(2);
      status.set_raftindex(3);
      status.set_raftterm(4);
      status.set_raftappliedindex(5);
      status.add_errors("e");
      status.set_dbsizeinuse(6);
      status.set_islearner(true);
      status.set_storageversion("3.6");
      status.set_dbsizequota(7);
      status.mutable_downgradeinfo()->set_enabled(true);
      status.mutable_downgradeinfo()->set_targetversion("3.5");
      return Answer::Ok(status);
    }
    if (request.method == "HashKV") {
      etcdserverpb::HashKVResponse hash;
      hash.set_hash(1);
      hash.set_compact_revision(2);
      hash.set_hash_revision(3);
      return Answer::Ok(hash);
    }
    if (request.method == "Alarm") {
      etcdserverpb::AlarmResponse alarms;
      alarms.add_alarms()->set_memberid(5);
      alarms.mutable_alarms(0)->set_alarm(etcdserverpb::NOSPACE);
      return Answer::Ok(alarms);
    }
    if (request.method == "Hash") {
      etcdserverpb::HashResponse hash;
      hash.set_hash(9);
      return Answer::Ok(hash);
    }
    return Answer();
  });
  Client client = MakeClient({server.target()});
  const Result<MemberListResponse> members = client.cluster().MemberList();
  ASSERT_TRUE(members.ok());
  EXPECT_EQ(LastSent<etcdserverpb::MemberListRequest>(server), "linearizable: true");
  EXPECT_EQ(members->members[0].id, 11u);
  EXPECT_EQ(members->members[0].name, "m");
  EXPECT_THAT(members->members[0].peer_urls, ElementsAre("http://p:1"));
  EXPECT_THAT(members->members[0].client_urls, ElementsAre("http://c:1", "http://d:1"));
  EXPECT_FALSE(members->members[0].learner);
  EXPECT_TRUE(members->members[1].learner);

  const Result<StatusResponse> status = client.maintenance().Status();
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->header, kHeader);
  EXPECT_EQ(status->version, "3.6.0");
  EXPECT_EQ(status->db_size, 1);
  EXPECT_EQ(status->leader, 2u);
  EXPECT_EQ(status->raft_index, 3u);
  EXPECT_EQ(status->raft_term, 4u);
  EXPECT_EQ(status->raft_applied_index, 5u);
  EXPECT_THAT(status->errors, ElementsAre("e"));
  EXPECT_EQ(status->db_size_in_use, 6);
  EXPECT_TRUE(status->is_learner);
  EXPECT_EQ(status->storage_version, "3.6");
  EXPECT_EQ(status->db_size_quota, 7);
  EXPECT_TRUE(status->downgrade_enabled);
  EXPECT_EQ(status->downgrade_target_version, "3.5");

  const Result<HashKvResponse> hash = client.maintenance().HashKv(server.target(), 12);
  ASSERT_TRUE(hash.ok());
  EXPECT_EQ(LastSent<etcdserverpb::HashKVRequest>(server), "revision: 12");
  EXPECT_EQ(hash->hash, 1u);
  EXPECT_EQ(hash->compact_revision, 2);
  EXPECT_EQ(hash->hash_revision, 3);
  EXPECT_EQ(client.maintenance().Hash()->hash, 9u);
  EXPECT_TRUE(client.maintenance().Defragment().ok());
  EXPECT_TRUE(client.maintenance().MoveLeader(0x12, server.target()).ok());
  EXPECT_EQ(LastSent<etcdserverpb::MoveLeaderRequest>(server), "targetID: 18");

  const Alarm no_space{.member_id = 5, .type = AlarmType::kNoSpace};
  EXPECT_THAT(client.maintenance().Alarms()->alarms, ElementsAre(no_space));
  EXPECT_EQ(LastSent<etcdserverpb::AlarmRequest>(server), "");
  EXPECT_TRUE(client.maintenance().ActivateAlarm(no_space).ok());
  EXPECT_EQ(LastSent<etcdserverpb::AlarmRequest>(server),
            "action: ACTIVATE memberID: 5 alarm: NOSPACE");
  EXPECT_TRUE(client.maintenance().DeactivateAlarm(no_space).ok());
  EXPECT_EQ(LastSent<etcdserverpb::AlarmRequest>(server),
            "action: DEACTIVATE memberID: 5 alarm: NOSPACE");
  // All of them: those that are listed, one by one.
  const Result<AlarmResponse> ended = client.maintenance().DeactivateAlarm({});
  ASSERT_TRUE(ended.ok());
  EXPECT_THAT(ended->alarms, ElementsAre(no_space));
  EXPECT_EQ(LastSent<etcdserverpb::AlarmRequest>(server),
            "action: DEACTIVATE memberID: 5 alarm: NOSPACE");
  EXPECT_EQ(AlarmName(AlarmType::kCorrupt), "CORRUPT");
  EXPECT_EQ(AlarmName(static_cast<AlarmType>(7)), "7");
  const HealthResponse health = client.maintenance().Health(server.target());
  EXPECT_FALSE(health.healthy);
  EXPECT_EQ(health.error, "active alarm(s): NOSPACE");
  EXPECT_EQ(client.maintenance().HealthAsync(server.target()).Get()->alarms, health.alarms);

  const Result<MemberListResponse> synced = client.SyncEndpointsAsync().Get();
  ASSERT_TRUE(synced.ok());
  EXPECT_EQ(synced->members.size(), 2u);
  EXPECT_EQ(client.endpoints().size(), 2u);
  EXPECT_EQ(client.endpoints()[0].address, "c:1");
}

TEST(ClientMessagesTest, SyncedEndpointsAreThoseOfVoters) {
  ScriptedServer server([](const Request&) {
    etcdserverpb::MemberListResponse members;
    for (const char* url : {"http://c:1", "http://d:1"}) members.add_members()->add_clienturls(url);
    members.mutable_members(0)->add_clienturls("http://e:1");
    etcdserverpb::Member* const learner = members.add_members();
    learner->add_clienturls("http://f:1");
    learner->set_islearner(true);
    return Answer::Ok(members);
  });
  Client client = MakeClient({server.target()});
  ASSERT_TRUE(client.SyncEndpoints().ok());
  ASSERT_EQ(client.endpoints().size(), 3u);
  EXPECT_EQ(client.endpoints()[1].address, "e:1");
  EXPECT_EQ(client.endpoints()[2].address, "d:1");
}

// Bounds of a prefix, an open range, and everything.
TEST(ClientMessagesTest, Ranges) {
  const std::string zero(1, '\0');
  EXPECT_EQ(KeyRange::Prefix("ab"), KeyRange(std::string("ab"), std::string("ac")));
  EXPECT_EQ(KeyRange::Prefix("a\xff\xff"), KeyRange(std::string("a\xff\xff"), std::string("b")));
  EXPECT_EQ(KeyRange::Prefix("\xff"), KeyRange(std::string("\xff"), zero));
  EXPECT_EQ(KeyRange::Prefix("\x7f").end, "\x80");
  EXPECT_EQ(KeyRange::Prefix(""), KeyRange::All());
  EXPECT_EQ(KeyRange::From(""), KeyRange::All());
  EXPECT_EQ(KeyRange::From("x"), KeyRange(std::string("x"), zero));
  EXPECT_EQ(KeyRange::All(), KeyRange(zero, zero));
  EXPECT_TRUE(KeyRange("x").single());
}

}  // namespace
}  // namespace gavel::client
