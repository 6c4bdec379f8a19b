// Rows of leases come back as they were, damaged ones are refused by name, and services read them
// in bounded steps.

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/state/lease_reader.h"
#include "storage/state/meta.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Family;
using storage::LeaseRow;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

void Write(storage::Engine& engine, Family family, std::string_view key, std::string_view value) {
  storage::WriteBatch batch;
  batch.Put(family, key, value);
  ASSERT_OK(engine.Write(batch));
}

TEST(LeaseRowTest, ComesBackWholeAndNoPartOfItDoes) {
  for (const int64_t ttl : {int64_t{0}, int64_t{-1}, int64_t{2}, kLeast, kMost}) {
    for (const int64_t deadline : {int64_t{0}, int64_t{300}, kMost}) {
      const LeaseRow row = {ttl, deadline, raft::Index(1u << 20)};
      const std::string bytes = storage::EncodeLeaseRow(row);
      LeaseRow again;
      ASSERT_TRUE(storage::DecodeLeaseRow(bytes, &again));
      EXPECT_EQ(again, row);
      for (size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(storage::DecodeLeaseRow(std::string_view(bytes).substr(0, size), &again));
      }
      EXPECT_FALSE(storage::DecodeLeaseRow(bytes + '\0', &again));
    }
  }
}

// A row that a newer build wrote is refused, even if all that follows could be read.
TEST(LeaseRowTest, ANewerVersionIsRefused) {
  std::string bytes = storage::EncodeLeaseRow({2, 2020, raft::Index(1)});
  LeaseRow row;
  bytes[0] = 2;
  EXPECT_FALSE(storage::DecodeLeaseRow(bytes, &row));
  bytes[0] = 0;
  EXPECT_FALSE(storage::DecodeLeaseRow(bytes, &row));
}

TEST(MetaLeasesTest, ComeBackWholeAndNoPartOfThemDoes) {
  const std::string bytes = storage::EncodeMetaLeases({.clock_ms = 123456, .count = 1000});
  storage::MetaLeases again;
  ASSERT_TRUE(storage::DecodeMetaLeases(bytes, &again));
  EXPECT_EQ(again.clock_ms, 123456);
  EXPECT_EQ(again.count, 1000);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(storage::DecodeMetaLeases(std::string_view(bytes).substr(0, size), &again));
  }
  EXPECT_FALSE(storage::DecodeMetaLeases(bytes + '\0', &again));
}

TEST(LeaseKeyTest, ComesBackAndNothingElseIsOne) {
  for (const int64_t id : {int64_t{1}, int64_t{-1}, kLeast, kMost}) {
    EXPECT_EQ(storage::ParseLeaseKey(storage::LeaseKey(id)), id);
    EXPECT_EQ(storage::ParseLeaseKey(storage::LeaseKeyKey(id, "a")), std::nullopt);
  }
  EXPECT_EQ(storage::ParseLeaseKey(""), std::nullopt);
  EXPECT_EQ(storage::ParseLeaseKey("1234567"), std::nullopt);
}

// No clock runs backwards or so far, and no number of leases is negative.
TEST(MetaLeasesTest, NumbersThatCannotBeAreRefused) {
  storage::MetaLeases again;
  for (const storage::MetaLeases& wrong :
       {storage::MetaLeases{-1, 0}, {storage::kLeaseClockMsMax + 1, 0}, {0, -1}}) {
    EXPECT_FALSE(storage::DecodeMetaLeases(storage::EncodeMetaLeases(wrong), &again));
  }
  EXPECT_TRUE(storage::DecodeMetaLeases(
      storage::EncodeMetaLeases({storage::kLeaseClockMsMax, kMost}), &again));
}

class LeaseReaderTest : public ::testing::Test {
 protected:
  // Reads all leases, so many at a time.
  std::vector<int64_t> Ids(int64_t rows) {
    storage::LeaseScan scan(store_.engine());
    std::vector<int64_t> ids;
    for (bool done = false; !done;) {
      const absl::StatusOr<bool> step = scan.Step(rows);
      GAVEL_CHECK(step.ok()) << step.status().ToString();
      done = *step;
      const auto leases = scan.TakeLeases();
      EXPECT_LE(static_cast<int64_t>(leases.size()), rows);
      for (const auto& [id, row] : leases) ids.push_back(id);
    }
    return ids;
  }
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
  void PutOn(int64_t lease, std::string_view key) {
    internal::Command command = Put(key, "v");
    command.mutable_put()->set_lease(lease);
    ASSERT_EQ(store_.Do(command).error, storage::RequestError::kNone);
  }

  Store store_;
};

// A step returns no more than it was asked for, and the steps together return each lease once.
TEST_F(LeaseReaderTest, AScanReturnsEachLeaseOnceWhateverItsSteps) {
  EXPECT_THAT(Ids(3), IsEmpty());
  for (const int64_t id : {kMost, int64_t{-1}, int64_t{1}, kLeast, int64_t{256}}) Grant(id);
  for (const int64_t rows : {1, 2, 4, 5, 6}) {
    SCOPED_TRACE(rows);
    EXPECT_THAT(Ids(rows), ElementsAre(1, 256, kMost, kLeast, -1));
  }
}

// What is between two steps may come and go: the scan goes on from its place.
TEST_F(LeaseReaderTest, AScanGoesOnWhenTheLeaseAtItsPlaceIsGone) {
  for (const int64_t id : {10, 20, 30, 40}) Grant(id);
  storage::LeaseScan scan(store_.engine());
  EXPECT_THAT(scan.Step(2), IsOkAndHolds(false));
  Revoke(30);
  Revoke(10);
  Grant(5);
  Grant(35);
  EXPECT_THAT(scan.Step(10), IsOkAndHolds(true));
  std::vector<int64_t> ids;
  for (const auto& [id, row] : scan.TakeLeases()) ids.push_back(id);
  EXPECT_THAT(ids, ElementsAre(10, 20, 35, 40));
}

// Only the keys of the lease, whatever bytes they and its neighbours have.
TEST_F(LeaseReaderTest, AScanOfKeysStaysWithItsLease) {
  for (const int64_t id : {int64_t{1}, int64_t{2}, int64_t{-1}, int64_t{3}}) Grant(id);
  const std::string zero("\0", 1);
  for (const std::string& key : {std::string("\xff\xff"), zero, std::string("a")}) {
    PutOn(2, key);
  }
  PutOn(1, "\xff\xff\xff");
  PutOn(3, std::string("\0\0", 2));
  PutOn(-1, "last");
  const auto keys = [&](int64_t id, int64_t rows) {
    storage::LeaseKeyScan scan(store_.engine(), id);
    std::vector<std::string> all;
    for (bool done = false; !done;) {
      done = *scan.Step(rows);
      const std::vector<std::string> some = scan.TakeKeys();
      EXPECT_LE(static_cast<int64_t>(some.size()), rows);
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  };
  for (const int64_t rows : {1, 2, 3, 4}) {
    EXPECT_THAT(keys(2, rows), ElementsAre(zero, "a", "\xff\xff"));
    EXPECT_THAT(keys(-1, rows), ElementsAre("last"));
    EXPECT_THAT(keys(4, rows), IsEmpty());
  }
}

TEST_F(LeaseReaderTest, ALeaseThatIsNotThereIsNothing) {
  EXPECT_THAT(storage::ReadLease(*store_.machine().view(), 7), IsOkAndHolds(std::nullopt));
}

TEST_F(LeaseReaderTest, DamagedRowsAndKeysAreNamed) {
  Grant(1);
  Write(*store_.engine(), Family::kLeases, storage::LeaseKey(-9), "\x01");
  EXPECT_THAT(
      storage::ReadLease(*store_.machine().view(), -9),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("leases: the row of lease -9 is damaged")));
  storage::LeaseScan rows(store_.engine());
  EXPECT_THAT(rows.Step(10), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("lease -9")));

  storage::LeaseScan keys(store_.engine());
  Write(*store_.engine(), Family::kLeases, "short", "\x01");
  storage::WriteBatch batch;
  batch.Delete(Family::kLeases, storage::LeaseKey(-9));
  ASSERT_OK(store_.engine()->Write(batch));
  EXPECT_THAT(keys.Step(10),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("leases: a key is damaged")));
}

// A key that is listed under a lease, but does not hang on it, stops apply: it would be deleted
// on some members only.
TEST_F(LeaseReaderTest, AWrongRowOfLeaseKeysStopsApply) {
  Grant(1);
  store_.Do(Put("mine", "v"));
  Write(*store_.engine(), Family::kLeaseKeys, storage::LeaseKeyKey(1, "mine"), "");
  store_.Reopen();  // What hangs on the lease is looked up, not remembered.
  internal::Command revoke;
  revoke.mutable_lease_revoke()->set_id(1);
  const raft::Entry entry =
      CommandEntry(store_.machine().applied().Next().value(), std::move(revoke));
  const auto before = DumpReplicated(*store_.engine());
  EXPECT_THAT(store_.machine().Apply({&entry, 1}, {raft::NodeId(1), raft::Incarnation(1)}),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("lease_keys: a key is listed under lease 1")));
  EXPECT_EQ(DumpReplicated(*store_.engine()), before);
}

}  // namespace
}  // namespace gavel::testing
