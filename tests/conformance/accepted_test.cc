#include "tests/conformance/accepted.h"

#include <set>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/auth.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::RequestOp;
using etcdserverpb::ResponseHeader;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

constexpr int64_t kRevision = 9;
constexpr char kRange[] = "/etcdserverpb.KV/Range";
constexpr char kTxn[] = "/etcdserverpb.KV/Txn";
constexpr char kHashKv[] = "/etcdserverpb.Maintenance/HashKV";
constexpr char kCompacted[] = "etcdserver: mvcc: required revision has been compacted";

Answer Ok(const google::protobuf::Message& body) { return {0, "", body.SerializeAsString()}; }

ResponseHeader WholeHeader() {
  ResponseHeader header;
  header.set_cluster_id(1);
  header.set_member_id(2);
  header.set_raft_term(3);
  header.set_revision(kRevision);
  return header;
}

// The name of the one accepted difference that was met, "different" if the answers differ
// otherwise, "equal" if they do not differ.
std::string Verdict(const Operation& operation, const Answer& etcd, const Answer& gavel) {
  Hits hits(AcceptedDifferences().size());
  if (!Compare(operation, Terms{kRevision}, etcd, gavel, &hits).empty()) return "different";
  std::string met = "equal";
  for (size_t i = 0; i < hits.size(); ++i) {
    if (hits[i] > 0) met = AcceptedDifferences()[i].name;
  }
  return met;
}

std::string Verdict(const char* method, const google::protobuf::Message& request,
                    const Answer& etcd, const Answer& gavel) {
  return Verdict(Operation{method, request.SerializeAsString()}, etcd, gavel);
}

TEST(AcceptedTest, EachHasANameOfItsOwnAndAReason) {
  std::set<std::string_view> names;
  for (const AcceptedDifference& accepted : AcceptedDifferences()) {
    EXPECT_TRUE(names.insert(accepted.name).second) << std::string(accepted.name);
    EXPECT_GT(accepted.reason.size(), 10);
  }
}

TEST(AcceptedTest, CodesAndTextsAreComparedToTheLetter) {
  const Answer answer{3, "etcdserver: key is not provided", ""};
  EXPECT_EQ(Verdict(kRange, RangeRequest(), answer, answer), "equal");
  EXPECT_EQ(Verdict(kRange, RangeRequest(), answer, {3, "etcdserver: key is not provided ", ""}),
            "different");
  EXPECT_EQ(Verdict(kRange, RangeRequest(), answer, {5, answer.message, ""}), "different");
  EXPECT_EQ(Verdict(kRange, RangeRequest(), answer, Ok(RangeResponse())), "different");
}

TEST(AcceptedTest, BodiesThatNobodyCanReadDoNotAgree) {
  const Answer unreadable{0, "", "\xff\xff"};
  EXPECT_EQ(Verdict(kRange, RangeRequest(), unreadable, unreadable), "different");
}

TEST(AcceptedTest, AnUnknownSortIsRefusedOnlyWhereThereIsOne) {
  RangeRequest range;
  range.set_key("k");
  const Answer refused{3, "etcdserver: invalid sort option", ""};
  EXPECT_EQ(Verdict(kRange, range, Ok(RangeResponse()), refused), "different");
  range.set_sort_order(static_cast<RangeRequest::SortOrder>(7));
  EXPECT_EQ(Verdict(kRange, range, Ok(RangeResponse()), refused), "sort order unknown");
  EXPECT_EQ(Verdict(kRange, range, {3, "other", ""}, refused), "different");
  range.clear_sort_order();
  range.set_sort_target(static_cast<RangeRequest::SortTarget>(7));
  const Operation operation{kRange, range.SerializeAsString(), true};
  EXPECT_EQ(Verdict(operation, Answer(), refused), "sort target unknown");
  EXPECT_EQ(Verdict(operation, Answer(), Ok(RangeResponse())), "different");
}

// etcd's Range, which is asked instead, sorts and filters; only that may be refused.
TEST(AcceptedTest, AStreamRefusesToSortAndToFilterAndNothingElse) {
  constexpr char kStream[] = "/etcdserverpb.KV/RangeStream";
  const Answer no_sort{12, "RangeStream does not support custom sort orders", ""};
  const Answer no_filter{12, "RangeStream does not support revision filters", ""};
  const Answer rows = Ok(RangeResponse());
  RangeRequest range;
  range.set_key("k");
  EXPECT_EQ(Verdict(kStream, range, rows, no_sort), "different");
  EXPECT_EQ(Verdict(kStream, range, rows, no_filter), "different");
  EXPECT_EQ(Verdict(kStream, range, rows, rows), "equal");
  range.set_sort_order(RangeRequest::DESCEND);
  EXPECT_EQ(Verdict(kStream, range, rows, no_sort), "stream in another order");
  EXPECT_EQ(Verdict(kStream, range, {11, kCompacted, ""}, no_sort), "stream in another order");
  EXPECT_EQ(Verdict(kStream, range, {3, "etcdserver: key is not provided", ""}, no_sort),
            "different");
  EXPECT_EQ(Verdict(kRange, range, rows, no_sort), "different");
  range.clear_sort_order();
  range.set_max_mod_revision(3);
  EXPECT_EQ(Verdict(kStream, range, rows, no_filter), "stream with filters");
  EXPECT_EQ(Verdict(kStream, range, rows, no_sort), "different");
}

TEST(AcceptedTest, WhichOfTwoFaultsIsToldIsFreeOnlyBetweenPutsAndRanges) {
  TxnRequest txn;
  const Answer no_key{3, "etcdserver: key not found", ""};
  const Answer compacted{11, kCompacted, ""};
  EXPECT_EQ(Verdict(kTxn, txn, no_key, compacted), "different");
  txn.add_success()->mutable_request_range()->set_revision(1);
  EXPECT_EQ(Verdict(kTxn, txn, no_key, compacted), "different") << "no put";
  *txn.add_failure() = RequestOp();
  txn.mutable_failure(0)->mutable_request_put();
  EXPECT_EQ(Verdict(kTxn, txn, no_key, compacted), "different") << "in the other branch";
  txn.add_success()->mutable_request_put();
  EXPECT_EQ(Verdict(kTxn, txn, no_key, compacted), "which of two faults is told");
  txn.mutable_success()->SwapElements(0, 1);
  EXPECT_EQ(Verdict(kTxn, txn, no_key, compacted), "different") << "the put comes first";
  txn.mutable_success()->SwapElements(0, 1);
  EXPECT_EQ(Verdict(kTxn, txn, compacted, no_key), "different");
}

TEST(AcceptedTest, TheHashAtTheCompactedRevisionMustBeOfThatRevision) {
  etcdserverpb::HashKVRequest request;
  request.set_revision(4);
  etcdserverpb::HashKVResponse response;
  *response.mutable_header() = WholeHeader();
  response.set_compact_revision(4);
  response.set_hash_revision(4);
  const Answer compacted{11, kCompacted, ""};
  EXPECT_EQ(Verdict(kHashKv, request, compacted, Ok(response)), "hash at the compacted revision");
  response.set_compact_revision(5);
  EXPECT_EQ(Verdict(kHashKv, request, compacted, Ok(response)), "different");
}

TEST(AcceptedTest, TheHeaderOfAlarmsMustBeWhole) {
  constexpr char kAlarm[] = "/etcdserverpb.Maintenance/Alarm";
  const etcdserverpb::AlarmRequest request;
  const Answer etcd = Ok(etcdserverpb::AlarmResponse());
  etcdserverpb::AlarmResponse response;
  *response.mutable_header() = WholeHeader();
  EXPECT_EQ(Verdict(kAlarm, request, etcd, Ok(response)), "header of alarms");
  response.mutable_header()->set_revision(kRevision + 1);
  EXPECT_EQ(Verdict(kAlarm, request, etcd, Ok(response)), "different");
}

TEST(AcceptedTest, WhatIsNotServedSaysSoByName) {
  constexpr char kUsers[] = "/etcdserverpb.Auth/UserList";
  const etcdserverpb::AuthUserListRequest request;
  const Answer etcd = Ok(etcdserverpb::AuthUserListResponse());
  const auto gavel = [](const char* what) {
    return Answer{12, "unknown method " + std::string(what), ""};
  };
  EXPECT_EQ(Verdict(kUsers, request, etcd, gavel("UserList for service etcdserverpb.Auth")),
            "not served");
  EXPECT_EQ(Verdict(kUsers, request, etcd, gavel("RoleList for service etcdserverpb.Auth")),
            "different");
  EXPECT_EQ(Verdict("/etcdserverpb.Lease/LeaseLeases", etcdserverpb::LeaseLeasesRequest(),
                    Ok(etcdserverpb::LeaseLeasesResponse()),
                    gavel("LeaseLeases for service etcdserverpb.Lease")),
            "different");
}

TEST(AcceptedTest, ALockIsNotHeldByALeaseThatHasEnded) {
  Operation await{"/v3lockpb.Lock/Lock", "", false, Kind::kAwait};
  v3lockpb::LockResponse held;
  *held.mutable_header() = WholeHeader();
  held.set_key("lock/1");
  const Answer expired{2, "mutex: session is expired", ""};
  EXPECT_EQ(Verdict(await, Ok(held), expired), "different");
  await.expired = true;
  EXPECT_EQ(Verdict(await, Ok(held), expired), "lock of a lease that has ended");
  EXPECT_EQ(Verdict(await, expired, Ok(held)), "different");
  EXPECT_EQ(Verdict(await, Ok(held), {5, expired.message, ""}), "different");
  EXPECT_EQ(Verdict(await, Ok(held), {2, "another", ""}), "different");
  await.method = "/v3electionpb.Election/Campaign";
  EXPECT_EQ(Verdict(await, Ok(v3electionpb::CampaignResponse()), expired), "different");
}

// Rows with one value, in the order of `keys`.
RangeResponse Rows(const std::string& keys) {
  RangeResponse response;
  *response.mutable_header() = WholeHeader();
  for (const char key : keys) {
    mvccpb::KeyValue* row = response.add_kvs();
    row->set_key(std::string(1, key));
    row->set_value("same");
  }
  response.set_count(static_cast<int64_t>(keys.size()));
  return response;
}

RangeRequest ByValue() {
  RangeRequest range;
  range.set_key("a");
  range.set_range_end("z");
  range.set_sort_target(RangeRequest::VALUE);
  return range;
}

TEST(AcceptedTest, OnlyAGroupThatEndsAsAnothersIsSkipped) {
  const Answer nothing = Ok(RangeResponse());
  const Answer malformed{13, "grpc: error unmarshalling request: malformed protobuf message", ""};
  const auto verdict = [&](const std::string& body) {
    return Verdict(Operation{kRange, body}, nothing, malformed);
  };
  const std::string key = "\x0a\x01k";
  EXPECT_EQ(verdict(key + "\x93\x01\x08\x01\x9c\x01"), "unmatched group");
  EXPECT_EQ(verdict("\x93\x01\x9b\x01\x9c\x01\x9c\x01" + key), "unmatched group");
  EXPECT_EQ(verdict(key + "\x9c\x01"), "different") << "an end without a beginning";
  EXPECT_EQ(verdict(key + "\x93\x01\x08\x01"), "different") << "no end";
  EXPECT_EQ(verdict(key + "\x93\x01\x08\x01\x9c\x01\x0a\x05k"), "different") << "cut off";
  EXPECT_EQ(verdict(key + "\x93\x01\x0e\x9c\x01"), "different") << "no such wire type";
  EXPECT_EQ(verdict("\x0a"), "different");
}

TEST(AcceptedTest, AnswersOfAnotherClusterAreDifferent) {
  RangeResponse response;
  *response.mutable_header() = WholeHeader();
  const Operation operation{kRange, RangeRequest().SerializeAsString()};
  Terms terms{kRevision};
  terms.gavel_cluster = response.header().cluster_id();
  EXPECT_TRUE(Compare(operation, terms, Ok(response), Ok(response), nullptr).empty());
  ++terms.gavel_cluster;
  EXPECT_FALSE(Compare(operation, terms, Ok(response), Ok(response), nullptr).empty());
}

TEST(AcceptedTest, EqualRowsMayBeInAnyOrderOnceTheyAreMoreThanTwelve) {
  EXPECT_EQ(Verdict(kRange, ByValue(), Ok(Rows("mlkjihgfedcba")), Ok(Rows("abcdefghijklm"))),
            "order of equal rows");
  EXPECT_EQ(Verdict(kRange, ByValue(), Ok(Rows("lkjihgfedcba")), Ok(Rows("abcdefghijkl"))),
            "different");
  // Gavel keeps key order.
  EXPECT_EQ(Verdict(kRange, ByValue(), Ok(Rows("abcdefghijklm")), Ok(Rows("bacdefghijklm"))),
            "different");
  // Other rows.
  EXPECT_EQ(Verdict(kRange, ByValue(), Ok(Rows("mlkjihgfedcba")), Ok(Rows("abcdefghijkln"))),
            "different");
}

// Of rows that are sorted by values that are not sent, each is there as often as at etcd.
TEST(AcceptedTest, NoRowStandsInForAnother) {
  RangeRequest keys = ByValue();
  keys.set_keys_only(true);
  const auto rows = [](const std::string& order) {
    RangeResponse response = Rows(order);
    for (auto& row : *response.mutable_kvs()) row.clear_value();
    return Ok(response);
  };
  EXPECT_EQ(Verdict(kRange, keys, rows("mlkjihgfedcba"), rows("abcdefghijkml")),
            "order of equal rows");
  EXPECT_EQ(Verdict(kRange, keys, rows("mlkjihgfedcba"), rows("aacdefghijklm")), "different");
}

TEST(AcceptedTest, RowsThatAreNotEqualKeepTheirOrder) {
  RangeResponse etcd = Rows("mlkjihgfedcba");
  RangeResponse gavel = Rows("abcdefghijklm");
  for (auto& row : *etcd.mutable_kvs()) row.set_value(row.key() < "g" ? "1" : "2");
  for (auto& row : *gavel.mutable_kvs()) row.set_value(row.key() < "g" ? "1" : "2");
  EXPECT_EQ(Verdict(kRange, ByValue(), Ok(etcd), Ok(gavel)), "different");
  RangeRequest by_key = ByValue();
  by_key.set_sort_target(RangeRequest::KEY);
  EXPECT_EQ(Verdict(kRange, by_key, Ok(Rows("mlkjihgfedcba")), Ok(Rows("abcdefghijklm"))),
            "different");
}

TEST(AcceptedTest, EqualRowsOfANestedRangeToo) {
  TxnRequest txn;
  *txn.add_success()->mutable_request_txn()->add_failure()->mutable_request_range() = ByValue();
  const auto response = [](const RangeResponse& range) {
    TxnResponse outer;
    outer.set_succeeded(true);
    TxnResponse* inner = outer.add_responses()->mutable_response_txn();
    *inner->add_responses()->mutable_response_range() = range;
    return Ok(outer);
  };
  EXPECT_EQ(Verdict(kTxn, txn, response(Rows("mlkjihgfedcba")), response(Rows("abcdefghijklm"))),
            "order of equal rows");
}

}  // namespace
}  // namespace gavel::conformance
