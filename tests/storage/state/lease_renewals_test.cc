// Renewals share a row until they are folded, and what is read of a lease never shows which.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/state/lease_reader.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Family;
using storage::LeaseRow;
using storage::RenewalRow;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(RenewalRowTest, ComesBackWholeAndNoPartOfItDoes) {
  const RenewalRow row = {raft::Index(1u << 20), 300, {7, -7, 0}};
  const std::string key = storage::RenewalKey(row.index);
  const std::string bytes = storage::EncodeRenewalRow(row);
  RenewalRow again;
  ASSERT_TRUE(storage::DecodeRenewalRow(key, bytes, &again));
  EXPECT_EQ(again, row);
  for (size_t left_out = 1; left_out < bytes.size(); ++left_out) {
    const std::string_view part = std::string_view(bytes).substr(0, bytes.size() - left_out);
    // One id is enough.
    const bool fits = left_out == 8 || left_out == 16;
    EXPECT_EQ(storage::DecodeRenewalRow(key, part, &again), fits) << left_out;
  }
  EXPECT_FALSE(storage::DecodeRenewalRow(key, bytes + '\0', &again));
  EXPECT_FALSE(storage::DecodeRenewalRow(key.substr(1), bytes, &again));
}

TEST(RenewalRowTest, ANewerVersionIsRefused) {
  std::string bytes = storage::EncodeRenewalRow({raft::Index(1), 300, {7}});
  RenewalRow row;
  bytes[0] = 2;
  EXPECT_FALSE(storage::DecodeRenewalRow(storage::RenewalKey(raft::Index(1)), bytes, &row));
}

// A renewal of an earlier lease with the same id says nothing of the one that is there.
TEST(RenewalRowTest, OnlyALaterRenewalCounts) {
  const LeaseRow row = {5, 5020, raft::Index(10)};
  EXPECT_EQ(storage::WithRenewal(row, {raft::Index(9), 1000}), row);
  EXPECT_EQ(storage::WithRenewal(row, {raft::Index(10), 1000}), row);
  EXPECT_EQ(storage::WithRenewal(row, {raft::Index(11), 1000}),
            (LeaseRow{5, 6020, raft::Index(11)}));
}

class LeaseRenewalsTest : public ::testing::Test {
 protected:
  void Grant(int64_t id) {
    internal::Command command;
    command.mutable_lease_grant()->set_id(id);
    command.mutable_lease_grant()->set_ttl(5);
    ASSERT_EQ(store_.Do(command).error, storage::RequestError::kNone);
  }
  void Revoke(int64_t id) {
    internal::Command command;
    command.mutable_lease_revoke()->set_id(id);
    ASSERT_EQ(store_.Do(command).error, storage::RequestError::kNone);
  }
  // Returns the index.
  uint64_t Renew(const std::vector<int64_t>& ids) {
    internal::Command command;
    for (const int64_t id : ids) command.mutable_renew_leases()->add_ids(id);
    return store_.Do(command).index.value();
  }
  void Clock(int64_t now_ms) {
    internal::Command command;
    command.mutable_lease_clock()->set_now_ms(now_ms);
    store_.Do(command);
  }

  // The entry that the lease's own row, or what is read of it, names; 0: there is none.
  uint64_t Stored(int64_t id) {
    std::string bytes;
    LeaseRow row;
    if (!store_.engine()->Get(Family::kLeases, storage::LeaseKey(id), &bytes).ok()) return 0;
    EXPECT_TRUE(storage::DecodeLeaseRow(bytes, &row));
    return row.renewed.value();
  }
  uint64_t Read(int64_t id) {
    const auto row = storage::ReadLease(*store_.machine().view(), id);
    EXPECT_OK(row);
    return row->has_value() ? (*row)->renewed.value() : 0;
  }
  // The entries that have a row of renewals.
  std::vector<uint64_t> Rows() {
    std::vector<uint64_t> rows;
    for (const auto& [key, value] : Dump(*store_.engine(), Family::kLeaseRenewals)) {
      RenewalRow row;
      EXPECT_TRUE(storage::DecodeRenewalRow(key, value, &row));
      rows.push_back(row.index.value());
    }
    return rows;
  }
  // All leases, by a scan in steps of one row.
  std::vector<storage::LeaseScan::Lease> Scan() {
    storage::LeaseScan scan(store_.engine());
    for (bool done = false; !done;) done = *scan.Step(1);
    return scan.TakeLeases();
  }
  void Write(Family family, std::string_view key, std::string_view value) {
    storage::WriteBatch batch;
    batch.Put(family, key, value);
    ASSERT_OK(store_.engine()->Write(batch));
  }

  Store store_{nullptr, {.lease_renewals_max = 3}};
};

TEST_F(LeaseRenewalsTest, AnEntryWritesOneRowForAllThatItRenews) {
  for (const int64_t id : {1, 2, 3}) Grant(id);
  Clock(700);
  const auto before = Dump(*store_.engine(), Family::kLeases);
  const uint64_t index = Renew({3, 9, 1});
  EXPECT_EQ(Dump(*store_.engine(), Family::kLeases), before);
  EXPECT_THAT(Rows(), ElementsAre(index));
  EXPECT_THAT(Scan(), ElementsAre(std::pair(1, LeaseRow{5, 5720, raft::Index(index)}),
                                  std::pair(2, LeaseRow{5, 5020, raft::Index(2)}),
                                  std::pair(3, LeaseRow{5, 5720, raft::Index(index)})));
  EXPECT_EQ(Read(1), index);
  EXPECT_EQ(Read(2), 2U);
}

TEST_F(LeaseRenewalsTest, ACommandThatRenewsNothingWritesNothing) {
  Renew({1, 2});
  EXPECT_THAT(Rows(), IsEmpty());
}

// The oldest rows go first, and only what was not renewed since goes into the lease's own row.
TEST_F(LeaseRenewalsTest, TooManyAreFoldedOldestFirst) {
  for (const int64_t id : {1, 2, 3}) Grant(id);
  const uint64_t first = Renew({1, 2});
  const uint64_t second = Renew({3});
  EXPECT_THAT(Rows(), ElementsAre(first, second));
  const uint64_t third = Renew({2});
  EXPECT_THAT(Rows(), ElementsAre(second, third));
  EXPECT_EQ(Stored(1), first);
  EXPECT_EQ(Stored(2), 2U);
  EXPECT_EQ(Read(1), first);
  EXPECT_EQ(Read(2), third);
  EXPECT_EQ(Read(3), second);
  const uint64_t many = Renew({1, 2, 3, 1});
  EXPECT_THAT(Rows(), IsEmpty());
  for (const int64_t id : {1, 2, 3}) EXPECT_EQ(Stored(id), many);
}

TEST_F(LeaseRenewalsTest, LeasesRenewedInTurnAreNeverWritten) {
  for (const int64_t id : {1, 2, 3}) Grant(id);
  for (int round = 0; round < 10; ++round) Renew({1, 2, 3});
  EXPECT_THAT(Rows(), SizeIs(1));
  for (const int64_t id : {1, 2, 3}) EXPECT_EQ(Stored(id), static_cast<uint64_t>(id));
}

// What was renewed before a lease ended touches no later one with its id, before a restart or
// after it, folded or not.
TEST_F(LeaseRenewalsTest, AnEndedLeaseLeavesNothingBehind) {
  Grant(1);
  Clock(900);
  Renew({1});
  Revoke(1);
  EXPECT_EQ(Read(1), 0U);
  EXPECT_THAT(Scan(), IsEmpty());
  store_.Reopen();
  EXPECT_EQ(Read(1), 0U);
  Grant(1);
  const uint64_t granted = store_.machine().applied().value();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Read(1), granted);
    store_.Reopen();
  }
  Grant(2);
  for (int i = 0; i < 3; ++i) Renew({2});
  EXPECT_THAT(Rows(), SizeIs(3));
  EXPECT_EQ(Stored(1), granted);
}

TEST_F(LeaseRenewalsTest, ARestartKnowsTheNewestOfAll) {
  for (const int64_t id : {1, 2}) Grant(id);
  const uint64_t first = Renew({1, 2});
  const uint64_t second = Renew({2});
  store_.Reopen();
  EXPECT_EQ(Read(1), first);
  EXPECT_EQ(Read(2), second);
  const uint64_t third = Renew({2});
  EXPECT_THAT(Rows(), ElementsAre(second, third));
  EXPECT_EQ(Stored(1), first);
}

// A scan loses no renewal that is folded while it goes on.
TEST_F(LeaseRenewalsTest, AScanMeetsWhatIsFoldedBetweenItsSteps) {
  for (const int64_t id : {1, 2}) Grant(id);
  const uint64_t first = Renew({1, 2});
  const uint64_t second = Renew({2});
  storage::LeaseScan scan(store_.engine());
  EXPECT_THAT(scan.Step(1), IsOkAndHolds(false));
  EXPECT_THAT(scan.TakeLeases(), IsEmpty());
  const uint64_t third = Renew({2, 2});
  EXPECT_EQ(Stored(1), first);
  while (!*scan.Step(1)) {
  }
  const auto leases = scan.TakeLeases();
  ASSERT_THAT(leases, SizeIs(2));
  EXPECT_EQ(leases[0].second.renewed.value(), first);
  EXPECT_GE(leases[1].second.renewed.value(), second);
  EXPECT_LE(leases[1].second.renewed.value(), third);
}

// A view that is read while renewals are folded shows each at least as new as it was.
TEST_F(LeaseRenewalsTest, AnOlderViewReadsTheNewestState) {
  Grant(1);
  const uint64_t first = Renew({1});
  const auto view = store_.machine().view();
  EXPECT_EQ((*storage::ReadLease(*view, 1))->renewed.value(), first);
  const uint64_t second = Renew({1, 1, 1, 1});
  EXPECT_THAT(Rows(), IsEmpty());
  EXPECT_EQ((*storage::ReadLease(*view, 1))->renewed.value(), second);
}

TEST_F(LeaseRenewalsTest, AStallChangesNoRenewal) {
  auto engine = std::make_shared<storage::MapEngine>();
  store_.Reopen(engine);
  Grant(1);
  const raft::Entry entry = [&] {
    internal::Command command;
    command.mutable_renew_leases()->add_ids(1);
    return CommandEntry(2, command);
  }();
  const storage::StateMachine::Wanted me = {raft::NodeId(1), raft::Incarnation(1)};
  engine->SetStalled(true);
  EXPECT_THAT(store_.machine().Apply({&entry, 1}, me),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(Read(1), 1U);
  engine->SetStalled(false);
  EXPECT_OK(store_.machine().Apply({&entry, 1}, me));
  EXPECT_EQ(Read(1), 2U);
}

TEST_F(LeaseRenewalsTest, ADamagedRowAndOneFromTheFutureAreNamed) {
  Grant(1);
  Write(Family::kLeaseRenewals, storage::RenewalKey(raft::Index(9)),
        storage::EncodeRenewalRow({raft::Index(9), 0, {1}}));
  EXPECT_THAT(storage::StateMachine::Open(store_.engine(), OneMember(), {}),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("a row is of entry 9, but only 1 are applied")));
  Write(Family::kLeaseRenewals, storage::RenewalKey(raft::Index(9)), "\x01");
  EXPECT_THAT(storage::StateMachine::Open(store_.engine(), OneMember(), {}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("lease_renewals: a row is damaged")));
  storage::LeaseScan scan(store_.engine());
  EXPECT_THAT(scan.Step(10), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("lease_renewals")));
}

}  // namespace
}  // namespace gavel::testing
