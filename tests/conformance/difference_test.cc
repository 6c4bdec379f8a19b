#include "tests/conformance/difference.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::RangeResponse;
using etcdserverpb::TxnResponse;

RangeResponse SomeRange() {
  RangeResponse range;
  range.mutable_header()->set_cluster_id(7);
  range.mutable_header()->set_member_id(8);
  range.mutable_header()->set_raft_term(2);
  range.mutable_header()->set_revision(5);
  range.set_count(1);
  mvccpb::KeyValue* row = range.add_kvs();
  row->set_key("k");
  row->set_value("v");
  row->set_version(1);
  row->set_create_revision(5);
  row->set_mod_revision(5);
  return range;
}

std::vector<Difference> Differences(const google::protobuf::Message& etcd,
                                    const google::protobuf::Message& gavel) {
  const std::unique_ptr<google::protobuf::Message> left(etcd.New());
  const std::unique_ptr<google::protobuf::Message> right(gavel.New());
  left->CopyFrom(etcd);
  right->CopyFrom(gavel);
  Normalise(*left);
  Normalise(*right);
  std::vector<Difference> differences;
  AddDifferences(*left, *right, "", &differences);
  return differences;
}

TEST(DifferenceTest, IdsAndTermsOfTwoClustersAreNoDifference) {
  RangeResponse other = SomeRange();
  other.mutable_header()->set_cluster_id(70);
  other.mutable_header()->set_member_id(80);
  other.mutable_header()->set_raft_term(20);
  EXPECT_TRUE(Differences(SomeRange(), other).empty());
}

TEST(DifferenceTest, AMissingIdIsOne) {
  RangeResponse other = SomeRange();
  other.mutable_header()->clear_member_id();
  ASSERT_EQ(Differences(SomeRange(), other).size(), 1);
  EXPECT_EQ(Differences(SomeRange(), other)[0].path, "header.member_id");
}

TEST(DifferenceTest, APathLeadsToTheField) {
  TxnResponse etcd;
  *etcd.add_responses()->mutable_response_range() = SomeRange();
  TxnResponse gavel = etcd;
  gavel.mutable_responses(0)->mutable_response_range()->mutable_kvs(0)->set_value("w");
  const std::vector<Difference> differences = Differences(etcd, gavel);
  ASSERT_EQ(differences.size(), 1);
  EXPECT_EQ(differences[0].path, "responses[0].response_range.kvs[0].value");
  EXPECT_EQ(differences[0].etcd, "\"v\"");
  EXPECT_EQ(differences[0].gavel, "\"w\"");
}

TEST(DifferenceTest, AbsentAndEmptyAreDifferent) {
  etcdserverpb::PutResponse etcd;
  etcdserverpb::PutResponse gavel;
  gavel.mutable_prev_kv();
  EXPECT_EQ(Differences(etcd, gavel).size(), 1);
}

TEST(DifferenceTest, UnknownFieldsCount) {
  RangeResponse gavel = SomeRange();
  gavel.GetReflection()->MutableUnknownFields(&gavel)->AddVarint(100, 1);
  EXPECT_EQ(Differences(SomeRange(), gavel).size(), 1);
}

TEST(DifferenceTest, PortsAndTheOrderOfMembersAreNone) {
  etcdserverpb::MemberListResponse etcd;
  etcd.add_members()->set_name("a");
  etcd.add_members()->set_name("b");
  etcd.mutable_members(0)->add_clienturls("http://127.0.0.1:1000");
  etcdserverpb::MemberListResponse gavel;
  gavel.add_members()->set_name("b");
  gavel.add_members()->set_name("a");
  gavel.mutable_members(1)->add_clienturls("http://127.0.0.1:2000");
  EXPECT_TRUE(Differences(etcd, gavel).empty());
  gavel.mutable_members(1)->set_clienturls(0, "http://localhost:2000");
  EXPECT_EQ(Differences(etcd, gavel).size(), 1);
}

TEST(DifferenceTest, OnlyWhetherAStatusHasSizesIsCompared) {
  etcdserverpb::StatusResponse etcd;
  etcd.set_dbsize(100);
  etcdserverpb::StatusResponse gavel;
  gavel.set_dbsize(200);
  EXPECT_TRUE(Differences(etcd, gavel).empty());
  gavel.clear_dbsize();
  EXPECT_EQ(Differences(etcd, gavel).size(), 1);
}

TEST(DifferenceTest, AStatusThatContradictsItselfIsOne) {
  etcdserverpb::StatusResponse etcd;
  etcd.mutable_header()->set_raft_term(2);
  etcd.set_version("3.4.23");
  etcd.set_dbsize(100);
  etcd.set_dbsizeinuse(50);
  etcd.set_raftterm(2);
  etcd.set_raftindex(9);
  etcd.set_raftappliedindex(9);
  etcdserverpb::StatusResponse gavel = etcd;
  gavel.set_version("3.7.1");
  gavel.set_dbsizeinuse(100);
  gavel.set_raftindex(10);
  EXPECT_TRUE(Differences(etcd, gavel).empty());
  const auto path = [&](auto change) {
    etcdserverpb::StatusResponse changed = gavel;
    change(changed);
    const std::vector<Difference> differences = Differences(etcd, changed);
    return differences.size() == 1 ? differences[0].path : "";
  };
  EXPECT_EQ(path([](auto& status) { status.set_version("3.7.2"); }), "version");
  EXPECT_EQ(path([](auto& status) { status.set_dbsizeinuse(101); }), "dbSizeInUse");
  EXPECT_EQ(path([](auto& status) { status.set_raftterm(1); }), "raftTerm");
  EXPECT_EQ(path([](auto& status) { status.set_raftappliedindex(11); }), "raftAppliedIndex");
}

TEST(DifferenceTest, MembersHaveIdsOfTheirOwnAndOneOfThemAnswers) {
  etcdserverpb::MemberListResponse etcd;
  etcd.mutable_header()->set_member_id(5);
  etcd.add_members()->set_id(5);
  etcd.add_members()->set_id(6);
  etcdserverpb::MemberListResponse gavel = etcd;
  gavel.mutable_members(1)->set_id(7);
  EXPECT_TRUE(Differences(etcd, gavel).empty());
  gavel.mutable_members(1)->set_id(5);
  EXPECT_EQ(Differences(etcd, gavel).size(), 1);
  gavel = etcd;
  gavel.mutable_header()->set_member_id(7);
  EXPECT_EQ(Differences(etcd, gavel).size(), 1);
}

TEST(DifferenceTest, WhoWasAddedIsAmongTheMembersWithItsAddress) {
  etcdserverpb::MemberAddResponse etcd;
  etcd.mutable_member()->set_id(6);
  etcd.add_members()->set_id(6);
  etcd.mutable_members(0)->add_peerurls("http://127.0.0.1:1");
  etcdserverpb::MemberAddResponse gavel = etcd;
  gavel.mutable_member()->set_id(7);
  EXPECT_EQ(Differences(etcd, gavel).size(), 1);
  gavel.mutable_members(0)->set_id(7);
  EXPECT_TRUE(Differences(etcd, gavel).empty());
  gavel.mutable_members(0)->set_peerurls(0, "http://127.0.0.1:2");
  EXPECT_EQ(Differences(etcd, gavel).size(), 1) << "a port that the sequence chose";
}

// Whatever Plant changes must be seen; it is asked for every change it knows.
TEST(DifferenceTest, EveryPlantedChangeIsADifference) {
  TxnResponse etcd;
  etcd.set_succeeded(true);
  *etcd.mutable_header() = SomeRange().header();
  *etcd.add_responses()->mutable_response_range() = SomeRange();
  *etcd.add_responses()->mutable_response_put()->mutable_prev_kv() = SomeRange().kvs(0);
  etcd.add_responses()->mutable_response_txn()->add_responses()->mutable_response_delete_range();
  for (uint64_t choice = 0; choice < 200; ++choice) {
    TxnResponse gavel = etcd;
    ASSERT_TRUE(Plant(gavel, choice));
    EXPECT_FALSE(Differences(etcd, gavel).empty()) << gavel.ShortDebugString();
  }
}

}  // namespace
}  // namespace gavel::conformance
