#include "tests/conformance/generator.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/parse.h"
#include "tests/conformance/requests.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

TEST(GeneratorTest, OneSeedGivesOneSequence) {
  Generator one(7, true);
  Generator same(7, true);
  Generator other(8, true);
  int different = 0;
  for (int i = 0; i < 1000; ++i) {
    const Operation operation = one.Next();
    const Operation again = same.Next();
    EXPECT_EQ(operation.method, again.method);
    EXPECT_EQ(operation.body, again.body);
    if (other.Next().body != operation.body) ++different;
  }
  EXPECT_GT(different, 500);
}

// What a long run must have asked for at least once, however the weights are set.
TEST(GeneratorTest, AsksForEveryOptionAndEveryCompare) {
  Generator generator(1, true);
  std::set<std::pair<int, int>> sorts;
  std::set<std::pair<int, int>> compares;
  std::set<std::string> methods;
  int filters = 0;
  int range_compares = 0;
  for (int i = 0; i < 10000; ++i) {
    const Operation operation = generator.Next();
    methods.insert(operation.method);
    RangeRequest range;
    TxnRequest txn;
    if (operation.method == "/etcdserverpb.KV/Range" && range.ParseFromString(operation.body)) {
      sorts.emplace(range.sort_order(), range.sort_target());
      filters += range.min_mod_revision() > 0 && range.max_create_revision() > 0;
    }
    if (operation.method == "/etcdserverpb.KV/Txn" && txn.ParseFromString(operation.body)) {
      for (const Compare& compare : txn.compare()) {
        compares.emplace(compare.result(), compare.target());
        range_compares += !compare.range_end().empty();
      }
    }
  }
  for (int order = 0; order < 3; ++order) {
    for (int target = 0; target < 5; ++target) EXPECT_TRUE(sorts.contains({order, target}));
  }
  for (int result = 0; result < 4; ++result) {
    for (int target = 0; target < 5; ++target) EXPECT_TRUE(compares.contains({result, target}));
  }
  EXPECT_GT(filters, 0);
  EXPECT_GT(range_compares, 0);
  for (const char* method :
       {"/etcdserverpb.KV/Put", "/etcdserverpb.KV/DeleteRange", "/etcdserverpb.KV/Compact",
        "/etcdserverpb.KV/RangeStream", "/etcdserverpb.Cluster/MemberList",
        "/etcdserverpb.Cluster/MemberAdd", "/etcdserverpb.Cluster/MemberRemove",
        "/etcdserverpb.Cluster/MemberUpdate", "/etcdserverpb.Cluster/MemberPromote",
        "/etcdserverpb.Maintenance/Status", "/etcdserverpb.Maintenance/HashKV",
        "/etcdserverpb.Maintenance/Hash", "/etcdserverpb.Maintenance/Defragment",
        "/etcdserverpb.Maintenance/Alarm"}) {
    EXPECT_TRUE(methods.contains(method)) << method;
  }
}

bool AnySerializable(const TxnRequest& txn) {
  for (const auto* ops : {&txn.success(), &txn.failure()}) {
    for (const RequestOp& op : *ops) {
      if (op.request_range().serializable()) return true;
      if (op.has_request_txn() && AnySerializable(op.request_txn())) return true;
    }
  }
  return false;
}

TEST(GeneratorTest, AsksNothingOfOneMemberAloneWhenThereAreSeveral) {
  Generator generator(1, false);
  for (int i = 0; i < 5000; ++i) {
    const Operation operation = generator.Next();
    EXPECT_FALSE(operation.method.starts_with("/etcdserverpb.Maintenance/Status"));
    RangeRequest range;
    TxnRequest txn;
    if (operation.method.starts_with("/etcdserverpb.KV/Range") &&
        range.ParseFromString(operation.body)) {
      EXPECT_FALSE(range.serializable());
    }
    if (operation.method == "/etcdserverpb.KV/Txn" &&
        ParseMessage(operation.body, kCommandDepthMax, &txn)) {
      EXPECT_FALSE(AnySerializable(txn));
    }
  }
}

// Or everything after it would be refused.
TEST(GeneratorTest, AnAlarmIsTakenBack) {
  Generator generator(1, true);
  int on = 0;
  int raised = 0;
  for (int i = 0; i < 20000; ++i) {
    const Operation operation = generator.Next();
    etcdserverpb::AlarmRequest alarm;
    if (operation.method != "/etcdserverpb.Maintenance/Alarm") continue;
    ASSERT_TRUE(alarm.ParseFromString(operation.body));
    if (alarm.action() == etcdserverpb::AlarmRequest::ACTIVATE) {
      EXPECT_EQ(on, 0);
      on = 5;
      ++raised;
    } else if (alarm.action() == etcdserverpb::AlarmRequest::DEACTIVATE) {
      on = 0;
    } else if (on > 0) {
      --on;
    }
  }
  EXPECT_GT(raised, 10);
}

TEST(GeneratorTest, WhatEtcdDoesNotSurviveIsTakenOut) {
  TxnRequest txn;
  auto* put = txn.add_success()->mutable_request_txn()->add_failure()->mutable_request_put();
  put->set_ignore_lease(true);
  EXPECT_FALSE(KeepEtcdAlive(&txn));
  auto* deletion = txn.add_success()->mutable_request_delete_range();
  deletion->set_range_end(std::string(1, '\0'));
  EXPECT_TRUE(KeepEtcdAlive(&txn));
  EXPECT_FALSE(put->ignore_lease());
}

TEST(OperationTest, LinesGiveTheOperationsBack) {
  std::vector<Operation> operations;
  Generator generator(3, true);
  for (int i = 0; i < 300; ++i) operations.push_back(generator.Next());
  operations.push_back({"/etcdserverpb.KV/Range", "", true});
  for (const Kind kind : {Kind::kOpen, Kind::kSend, Kind::kHalfClose, Kind::kClose, Kind::kBegin,
                          Kind::kAwait, Kind::kAbandon}) {
    operations.push_back({kWatchMethod, "body", false, kind, 12, kind == Kind::kSend});
  }
  operations.back().expired = true;
  operations.push_back({"", "", false, Kind::kRest});
  operations.push_back({"", "", false, Kind::kExpire});
  std::vector<Operation> again;
  ASSERT_TRUE(FromLines(ToLines(operations), &again));
  ASSERT_EQ(again.size(), operations.size());
  for (size_t i = 0; i < again.size(); ++i) {
    EXPECT_EQ(again[i].method, operations[i].method);
    EXPECT_EQ(again[i].body, operations[i].body);
    EXPECT_EQ(again[i].crashes_etcd, operations[i].crashes_etcd);
    EXPECT_EQ(again[i].kind, operations[i].kind);
    EXPECT_EQ(again[i].expired, operations[i].expired);
    EXPECT_EQ(again[i].number, operations[i].number);
    EXPECT_EQ(again[i].hasty, operations[i].hasty);
  }
}

TEST(OperationTest, WhatIsNoSequenceIsRefused) {
  for (const char* lines :
       {"/m", "/m 00", "/m x0", "/m xzz", "/m x00 what", "/m x00 a b", "/m x00 number=x"}) {
    std::vector<Operation> operations;
    EXPECT_FALSE(FromLines(lines, &operations)) << lines;
  }
}

}  // namespace
}  // namespace gavel::conformance
