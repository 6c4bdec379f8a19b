// The quota and the alarms: what is refused, what is not, and how each alarm ends.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "storage/engine/map_engine.h"
#include "storage/mvcc/record.h"
#include "storage/state/found_anew.h"
#include "storage/state/limits.h"
#include "tests/storage/mvcc/random_requests.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Alarm;
using storage::AlarmTable;
using storage::Family;
using storage::RequestError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kQuota = 10'000;
// What a put of a key of one byte and this value takes.
constexpr size_t kValue = 458;
constexpr int64_t kPutBytes = 500;

internal::Command SetQuota(uint64_t bytes) {
  internal::Command command;
  command.mutable_set_quota()->set_bytes(bytes);
  return command;
}

internal::Command Change(bool raise, uint64_t member, uint32_t kind, bool disk = false) {
  internal::Command command;
  internal::ChangeAlarm& change = *command.mutable_change_alarm();
  change.set_member(member);
  change.set_alarm(kind);
  change.set_raise(raise);
  change.set_disk(disk);
  return command;
}

internal::Command Grant(int64_t id) {
  internal::Command command;
  command.mutable_lease_grant()->set_id(id);
  command.mutable_lease_grant()->set_ttl(5);
  return command;
}

internal::Command Revoke(int64_t id) {
  internal::Command command;
  command.mutable_lease_revoke()->set_id(id);
  return command;
}

internal::Command Expire(int64_t id, uint64_t renewed) {
  internal::Command command;
  command.mutable_expire_leases()->set_term(1);
  command.mutable_expire_leases()->set_now_ms(1'000'000);
  command.mutable_expire_leases()->add_leases()->set_id(id);
  command.mutable_expire_leases()->mutable_leases(0)->set_renewed_index(renewed);
  return command;
}

internal::Command PutOf(std::string_view key) { return Put(key, std::string(kValue, 'v')); }

class LimitsTest : public ::testing::Test {
 protected:
  LimitsTest() { store_.Do(SetQuota(kQuota)); }

  RequestError Error(internal::Command command) { return store_.Do(std::move(command)).error; }
  AlarmTable Alarms() { return store_.machine().limits()->alarms; }
  int64_t Used() { return store_.machine().sizes().used_bytes; }
  // Puts one key again and again until that is refused.
  void FillUp(std::string_view key = "k") {
    for (int i = 0; i < 100; ++i) {
      if (Error(PutOf(key)) == RequestError::kNoSpace) return;
    }
    FAIL() << "nothing was refused";
  }
  int64_t Revision() { return store_.machine().view()->revision; }

  Store store_;
};

TEST_F(LimitsTest, APutThatDoesNotFitIsRefusedAndRaisesTheAlarm) {
  EXPECT_EQ(store_.machine().limits()->quota_bytes, kQuota);
  int admitted = 0;
  while (Error(PutOf("k")) == RequestError::kNone) ++admitted;
  EXPECT_EQ(admitted, kQuota / kPutBytes) << "the last one fits to the byte";
  EXPECT_EQ(Used(), kQuota);
  EXPECT_THAT(Alarms(), ElementsAre(Alarm{raft::NodeId(1), storage::kAlarmNoSpace, Alarm::kQuota,
                                          kPutBytes}));
  EXPECT_EQ(Revision(), 1 + admitted) << "what is refused is no revision";
  EXPECT_EQ(Error(Put("k", "")), RequestError::kNoSpace);
}

TEST_F(LimitsTest, TheAlarmNamesTheMemberThatTookTheRequest) {
  FillUp();
  store_.Do(Change(false, 1, storage::kAlarmNoSpace));
  internal::Command put = PutOf("k");
  put.set_member(77);
  put.set_incarnation(1);
  EXPECT_EQ(Error(put), RequestError::kNoSpace);
  ASSERT_EQ(Alarms().size(), 1U);
  EXPECT_EQ(Alarms()[0].member, raft::NodeId(77));
}

TEST_F(LimitsTest, ItEndsByItselfOnceEnoughIsGivenUp) {
  FillUp();
  // 20 versions, of which 19 are history. One less leaves 95%, and room for what was refused.
  EXPECT_EQ(Error(Compact(Revision() - 18)), RequestError::kNone);
  EXPECT_EQ(Used(), kQuota - kPutBytes);
  EXPECT_THAT(Alarms(), IsEmpty());
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNone);
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNoSpace);
}

TEST_F(LimitsTest, ItDoesNotEndWhenLittleIsGivenUp) {
  // Small versions, so that one given up is less than the hysteresis.
  store_.Do(Put("s", ""));
  store_.Do(Put("s", ""));
  while (Error(Put("k", "0123456789")) == RequestError::kNone) {
  }
  ASSERT_EQ(Alarms().size(), 1U);
  const int64_t full = Used();
  EXPECT_EQ(Error(Compact(3)), RequestError::kNone);
  EXPECT_LT(Used(), full);
  EXPECT_EQ(Alarms().size(), 1U) << "a put would fit, but the alarm would come and go";
  EXPECT_EQ(Error(Put("k", "0123456789")), RequestError::kNoSpace);
}

TEST_F(LimitsTest, WhatTakesAwayIsAlwaysAdmitted) {
  store_.Do(Grant(7));
  store_.Do(Grant(8));
  const uint64_t granted = store_.machine().applied().value();
  internal::Command leased = PutOf("leased");
  leased.mutable_put()->set_lease(8);
  store_.Do(leased);
  FillUp();
  internal::Command renew;
  renew.mutable_renew_leases()->add_ids(7);
  EXPECT_EQ(Error(renew), RequestError::kNone);
  EXPECT_EQ(Error(Revoke(7)), RequestError::kNone);
  EXPECT_EQ(Error(Expire(8, granted)), RequestError::kNone);
  EXPECT_EQ(store_.Value("leased"), "(none)");
  EXPECT_EQ(store_.machine().leases().count, 0);
  EXPECT_EQ(Error(Grant(9)), RequestError::kNoSpace);
  EXPECT_EQ(Error(Delete("k")), RequestError::kNone);
  EXPECT_FALSE(Alarms().empty()) << "a deletion alone keeps the history";
  EXPECT_EQ(Error(Compact(Revision())), RequestError::kNone);
  EXPECT_THAT(Alarms(), IsEmpty());
  EXPECT_EQ(Error(Grant(9)), RequestError::kNone);
}

TEST_F(LimitsTest, LeasesCount) {
  store_.Do(SetQuota(1'000));
  int64_t id = 1;
  while (Error(Grant(id)) == RequestError::kNone) ++id;
  EXPECT_EQ(id - 1, 1'000 / storage::Limits::kLeaseBytes);
  EXPECT_EQ(Alarms().size(), 1U);
  EXPECT_EQ(Error(Revoke(1)), RequestError::kNone);
  EXPECT_THAT(Alarms(), IsEmpty());
}

TEST_F(LimitsTest, ATransactionCountsForTheBranchThatAddsMore) {
  internal::Command txn;
  etcdserverpb::TxnRequest& request = *txn.mutable_txn();
  request.add_success()->mutable_request_delete_range()->set_key("k");
  etcdserverpb::TxnRequest& nested = *request.add_failure()->mutable_request_txn();
  *nested.add_success()->mutable_request_put() = PutOf("k").put();
  FillUp();
  EXPECT_EQ(Error(txn), RequestError::kNoSpace) << "the success branch runs, which only deletes";
  nested.Clear();
  EXPECT_EQ(Error(txn), RequestError::kNone);
  EXPECT_EQ(store_.Value("k"), "(none)");
}

TEST_F(LimitsTest, ALargerQuotaEndsTheAlarmAndASmallerOneRaisesItAtTheNextWrite) {
  FillUp();
  store_.Do(SetQuota(2 * kQuota));
  EXPECT_THAT(Alarms(), IsEmpty());
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNone);
  store_.Do(SetQuota(kQuota / 2));
  EXPECT_THAT(Alarms(), IsEmpty());
  EXPECT_EQ(Error(Put("k", "")), RequestError::kNoSpace);
  EXPECT_EQ(Alarms().size(), 1U);
  store_.Do(SetQuota(0));
  EXPECT_THAT(Alarms(), IsEmpty());
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNone);
}

TEST_F(LimitsTest, ARequestLargerThanMostOfTheQuotaLeavesNoAlarmWhileThereIsRoom) {
  store_.Do(Put("small", ""));
  EXPECT_EQ(Error(Put("large", std::string(2 * kQuota, 'v'))), RequestError::kNoSpace);
  EXPECT_THAT(Alarms(), IsEmpty());
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNone);
}

TEST_F(LimitsTest, AnOperatorsAlarmStaysUntilItIsEnded) {
  const auto raised = store_.Get<AlarmTable>(Change(true, 5, storage::kAlarmNoSpace));
  EXPECT_THAT(raised,
              ElementsAre(Alarm{raft::NodeId(5), storage::kAlarmNoSpace, Alarm::kOperator}));
  EXPECT_EQ(store_.Get<AlarmTable>(Change(true, 5, storage::kAlarmNoSpace)), raised);
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNoSpace);
  EXPECT_EQ(Error(Compact(1)), RequestError::kNone);
  EXPECT_THAT(store_.Get<AlarmTable>(Change(false, 6, storage::kAlarmNoSpace)), IsEmpty());
  EXPECT_THAT(store_.Get<AlarmTable>(Change(false, 5, storage::kAlarmCorrupt)), IsEmpty());
  EXPECT_EQ(Alarms(), raised);
  EXPECT_EQ(store_.Get<AlarmTable>(Change(false, 5, storage::kAlarmNoSpace)), raised);
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNone);
}

TEST_F(LimitsTest, AnAlarmEndedByAnOperatorIsRaisedAgainByTheNextRefusal) {
  FillUp();
  store_.Do(Change(false, 1, storage::kAlarmNoSpace));
  EXPECT_THAT(Alarms(), IsEmpty());
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNoSpace);
  EXPECT_EQ(Alarms().size(), 1U);
}

TEST_F(LimitsTest, AnAlarmOfADiskIsEndedByItsMemberOrAnOperator) {
  store_.Do(Change(true, 1, storage::kAlarmNoSpace, /*disk=*/true));
  FillUp();
  EXPECT_THAT(Alarms(), ElementsAre(Alarm{raft::NodeId(1), storage::kAlarmNoSpace, Alarm::kDisk}));
  EXPECT_EQ(Error(Compact(Revision())), RequestError::kNone);
  EXPECT_EQ(Alarms().size(), 1U) << "nothing here says that the disk has space";
  store_.Do(Change(true, 1, storage::kAlarmNoSpace));
  store_.Do(Change(false, 1, storage::kAlarmNoSpace, /*disk=*/true));
  EXPECT_THAT(Alarms(),
              ElementsAre(Alarm{raft::NodeId(1), storage::kAlarmNoSpace, Alarm::kOperator}));
  store_.Do(Change(true, 1, storage::kAlarmNoSpace, /*disk=*/true));
  store_.Do(Change(false, 1, storage::kAlarmNoSpace));
  EXPECT_THAT(Alarms(), IsEmpty());
}

TEST_F(LimitsTest, AMemberThatIsGoneHasNoDisk) {
  for (const uint64_t member : {1, 2}) {
    store_.Do(Change(true, member, storage::kAlarmNoSpace, /*disk=*/true));
  }
  const raft::Entry entry = {
      raft::Index(store_.machine().applied().value() + 1), raft::Term(1),
      raft::EntryKind::kConfiguration,
      std::make_shared<const std::string>(raft::EncodeConfiguration(OneMember().configuration))};
  ASSERT_OK(store_.machine().Apply(std::span(&entry, 1), {raft::NodeId(1), raft::Incarnation(1)}));
  ASSERT_EQ(Alarms().size(), 1U);
  EXPECT_EQ(Alarms()[0].member, raft::NodeId(1));
}

TEST_F(LimitsTest, ACorruptClusterTakesNoWrites) {
  store_.Do(Put("k", "v"));
  store_.Do(Grant(7));
  const uint64_t granted = store_.machine().applied().value();
  store_.Do(Change(true, 3, storage::kAlarmCorrupt));
  internal::Command txn;
  txn.mutable_txn()->add_success()->mutable_request_range()->set_key("k");
  for (const internal::Command& command :
       {Put("k", "w"), Delete("k"), txn, Compact(2), Grant(8), Revoke(7)}) {
    EXPECT_EQ(Error(command), RequestError::kCorrupt) << command.ShortDebugString();
  }
  EXPECT_EQ(store_.Value("k"), "v");
  // What has run out has run out.
  EXPECT_EQ(Error(Expire(7, granted)), RequestError::kNone);
  EXPECT_EQ(store_.machine().leases().count, 0);
  store_.Do(Change(false, 3, storage::kAlarmCorrupt));
  EXPECT_EQ(Error(Put("k", "w")), RequestError::kNone);
}

TEST_F(LimitsTest, WithoutAQuotaNothingIsRefused) {
  store_.Do(SetQuota(0));
  EXPECT_FALSE(Dump(*store_.engine(), Family::kMeta).contains("quota"));
  for (int i = 0; i < 100; ++i) ASSERT_EQ(Error(PutOf("k")), RequestError::kNone);
  store_.Do(SetQuota(UINT64_MAX));
  EXPECT_EQ(Error(PutOf("k")), RequestError::kNone);
}

TEST_F(LimitsTest, QuotaAndAlarmsAreThereAfterARestart) {
  FillUp();
  store_.Do(Change(true, 5, storage::kAlarmCorrupt));
  store_.Do(Change(true, 5, 9));
  const storage::LimitsState before = *store_.machine().limits();
  ASSERT_EQ(before.alarms.size(), 3U);
  store_.Reopen();
  EXPECT_EQ(*store_.machine().limits(), before);
  ASSERT_OK(storage::FoundAnew(*store_.engine(), OneMember(), {}));
  store_.Reopen();
  EXPECT_EQ(*store_.machine().limits(), (storage::LimitsState{kQuota, {}}));
}

TEST_F(LimitsTest, DamagedRowsAreRefused) {
  FillUp();
  const auto open_with = [&](Family family, std::string_view key, std::string_view value) {
    auto engine = std::make_shared<storage::MapEngine>();
    Store store(engine);
    storage::WriteBatch batch;
    batch.Put(family, key, value);
    EXPECT_OK(engine->Write(batch));
    return storage::StateMachine::Open(engine, OneMember(), {}).status();
  };
  const std::string key = storage::AlarmKey(Alarms()[0]);
  const std::string value = storage::EncodeAlarm(Alarms()[0]);
  EXPECT_OK(open_with(Family::kAlarms, key, value));
  for (const auto& [bad_key, bad_value] :
       std::vector<std::pair<std::string, std::string>>{{key.substr(1), value},
                                                        {key + "x", value},
                                                        {key, value + "x"},
                                                        {key, value.substr(0, 1)},
                                                        {key, std::string("\0\0", 2)},
                                                        {key, std::string("\x08\0", 2)}}) {
    EXPECT_THAT(open_with(Family::kAlarms, bad_key, bad_value),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("alarms")));
  }
  for (const std::string& row : {std::string(), std::string("\0", 1), std::string("\1\1")}) {
    EXPECT_THAT(open_with(Family::kMeta, "quota", row),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("quota")));
  }
}

// Where batches end changes nothing, nor does a restart in between.
TEST(LimitsReplicasTest, BatchBoundariesDoNotMatter) {
  int64_t refused = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RandomRequests requests(seed);
    Model model;
    std::vector<internal::Command> log = {SetQuota(2'000)};
    for (int i = 0; i < 400; ++i) {
      const uint64_t choice = requests.random().Between(0, 99);
      if (choice < 3) {
        log.push_back(SetQuota(requests.random().Between(1, 4) * 1'000));
      } else if (choice < 8) {
        log.push_back(Change(requests.random().OneIn(3), requests.random().Between(1, 2),
                             requests.random().OneIn(8) ? 2 : 1, requests.random().OneIn(2)));
      } else {
        log.push_back(choice < 20 ? requests.LeaseCommand(model)
                                  : requests.Command(model.revision()));
      }
      // Refusals make the model differ; it only has to lend revisions and leases that may exist.
      model.Apply(log.back(), log.size());
    }
    Store one;
    std::vector<RequestError> errors;
    for (const internal::Command& command : log) errors.push_back(one.Do(command).error);
    refused += std::count(errors.begin(), errors.end(), RequestError::kNoSpace);
    Store many;
    std::vector<RequestError> others;
    for (size_t from = 0; from < log.size();) {
      const size_t size = std::min<size_t>(requests.random().Between(1, 30), log.size() - from);
      const auto outcomes = many.DoBatch({log.begin() + static_cast<std::ptrdiff_t>(from),
                                          log.begin() + static_cast<std::ptrdiff_t>(from + size)});
      for (const auto& outcome : outcomes) others.push_back(outcome.error);
      from += size;
      if (requests.random().OneIn(5)) many.Reopen();
    }
    ASSERT_EQ(errors, others) << "seed " << seed;
    ASSERT_EQ(DumpReplicated(*one.engine()), DumpReplicated(*many.engine())) << "seed " << seed;
    ASSERT_EQ(*one.machine().limits(), *many.machine().limits());
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace gavel::testing
