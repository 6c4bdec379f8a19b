#include "tests/conformance/lease_answers.h"

#include <chrono>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "tests/conformance/accepted.h"
#include "tests/conformance/lease_names.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::LeaseLeasesResponse;
using etcdserverpb::LeaseTimeToLiveResponse;

constexpr char kTimeToLive[] = "/etcdserverpb.Lease/LeaseTimeToLive";
constexpr char kLeases[] = "/etcdserverpb.Lease/LeaseLeases";

Answer Ok(const google::protobuf::Message& body) { return {0, "", body.SerializeAsString()}; }

// As in accepted_test.
std::string Verdict(const char* method, const Answer& etcd, const Answer& gavel,
                    const LeaseEnds* ends = nullptr) {
  Hits hits(AcceptedDifferences().size());
  const Terms terms{.revision = 1, .slack_seconds = 2, .lease_ends = ends};
  if (!Compare(Operation{method, ""}, terms, etcd, gavel, &hits).empty()) return "different";
  std::string met = "equal";
  for (size_t i = 0; i < hits.size(); ++i) {
    if (hits[i] > 0) met = AcceptedDifferences()[i].name;
  }
  return met;
}

Answer TimeLeft(int64_t seconds, const std::vector<std::string>& keys = {}) {
  LeaseTimeToLiveResponse response;
  response.set_id(7);
  response.set_grantedttl(100);
  response.set_ttl(seconds);
  for (const std::string& key : keys) response.add_keys(key);
  return Ok(response);
}

TEST(LeaseAnswersTest, TheTimeLeftMayDifferByWhatTheClocksDiffer) {
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(50), TimeLeft(52)), "time left of a lease");
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(50), TimeLeft(48)), "time left of a lease");
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(50), TimeLeft(53)), "different");
  // Never more than was granted, and an unknown lease is unknown to both.
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(100), TimeLeft(101)), "different");
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(-1), TimeLeft(0)), "different");
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(0), TimeLeft(-1)), "different");
}

TEST(LeaseAnswersTest, TheKeysOfALeaseAreTheSameAndInOrder) {
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(9, {"b", "c", "a"}), TimeLeft(9, {"a", "b", "c"})),
            "order of a lease's keys");
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(9, {"a", "b", "c"}), TimeLeft(9, {"b", "a", "c"})),
            "different");
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(9, {"b", "a"}), TimeLeft(9, {"a", "b", "c"})),
            "different");
  EXPECT_EQ(Verdict(kTimeToLive, TimeLeft(9, {"b", "a"}), TimeLeft(9, {"a", "a"})), "different");
}

Answer Leases(const std::vector<int64_t>& ids) {
  LeaseLeasesResponse response;
  for (const int64_t id : ids) response.add_leases()->set_id(id);
  return Ok(response);
}

LeaseEnd Ends(int earliest, int latest) {
  const std::chrono::steady_clock::time_point zero;
  return {zero + std::chrono::seconds(earliest), zero + std::chrono::seconds(latest)};
}

TEST(LeaseAnswersTest, AllLeasesAreTheSameOnes) {
  const LeaseEnds ends = {{1, Ends(10, 11)}, {2, Ends(10, 11)}, {3, Ends(10, 11)}};
  EXPECT_EQ(Verdict(kLeases, Leases({3, 1, 2}), Leases({1, 2, 3}), &ends), "order of leases");
  EXPECT_EQ(Verdict(kLeases, Leases({3, 1}), Leases({1, 2, 3}), &ends), "different");
  EXPECT_EQ(Verdict(kLeases, Leases({3, 1}), Leases({1, 1}), &ends), "different");
}

// Only leases whose ends nobody can tell apart may change places.
TEST(LeaseAnswersTest, LeasesComeInAnOrderInWhichTheyMayEnd) {
  // Two seconds are what the clocks may be apart.
  const LeaseEnds ends = {{1, Ends(10, 11)}, {2, Ends(13, 14)}, {3, Ends(17, 18)}};
  EXPECT_EQ(Verdict(kLeases, Leases({1, 2, 3}), Leases({2, 1, 3}), &ends), "order of leases");
  EXPECT_EQ(Verdict(kLeases, Leases({1, 2, 3}), Leases({1, 3, 2}), &ends), "different");
  EXPECT_EQ(Verdict(kLeases, Leases({1, 2, 3}), Leases({3, 1, 2}), &ends), "different");
  EXPECT_EQ(Verdict(kLeases, Leases({1, 4}), Leases({4, 1}), &ends), "different") << "unknown";
  EXPECT_EQ(Verdict(kLeases, Leases({1, 2}), Leases({2, 1})), "different") << "nothing known";
}

TEST(LeaseNamesTest, ReplacesIdsWhereverALeaseIsNamed) {
  LeaseNames names;
  ASSERT_TRUE(names.Learn(kFirstLeaseName, 12345));
  etcdserverpb::TxnRequest txn;
  txn.add_compare()->set_lease(kFirstLeaseName);
  auto* put = txn.add_failure()->mutable_request_txn()->add_success()->mutable_request_put();
  put->set_lease(kFirstLeaseName);
  // A number that is no lease stays.
  txn.add_success()->mutable_request_range()->set_revision(kFirstLeaseName);
  const std::string before = txn.SerializeAsString();
  EXPECT_TRUE(names.ToIds(txn));
  EXPECT_EQ(txn.compare(0).lease(), 12345);
  EXPECT_EQ(put->lease(), 12345);
  EXPECT_EQ(txn.success(0).request_range().revision(), kFirstLeaseName);
  EXPECT_TRUE(names.ToNames(txn));
  EXPECT_EQ(txn.SerializeAsString(), before);
}

TEST(LeaseNamesTest, WhatHoldsNoNameKeepsItsBytes) {
  LeaseNames names;
  names.Learn(kFirstLeaseName, 12345);
  etcdserverpb::PutRequest put;
  // Twice the same field: a message that is written again would have it once.
  const std::string bytes("\x0a\x01k\x0a\x01k", 6);
  EXPECT_EQ(names.ToIds(bytes, &put), bytes);
  EXPECT_EQ(names.ToIds("\xff\xff", &put), "\xff\xff");
  EXPECT_EQ(names.ToIds(bytes, nullptr), bytes);
}

TEST(LeaseNamesTest, AnIdIsPickedOnceAndIsPositive) {
  LeaseNames names;
  EXPECT_TRUE(names.Learn(kFirstLeaseName, 5));
  EXPECT_FALSE(names.Learn(kFirstLeaseName + 1, 5));
  EXPECT_FALSE(names.Learn(kFirstLeaseName + 1, 0));
  EXPECT_FALSE(names.Learn(kFirstLeaseName + 1, -3));
}

}  // namespace
}  // namespace gavel::conformance
