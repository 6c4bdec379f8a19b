// Leases in the state: who ends when, and what goes with it.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/state/lease_reader.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using storage::LeaseChange;
using storage::LeaseRow;
using storage::RequestError;
using ::testing::ElementsAre;

internal::Command Grant(int64_t id, int64_t ttl) {
  internal::Command command;
  command.mutable_lease_grant()->set_id(id);
  command.mutable_lease_grant()->set_ttl(ttl);
  return command;
}

internal::Command Revoke(int64_t id) {
  internal::Command command;
  command.mutable_lease_revoke()->set_id(id);
  return command;
}

internal::Command Renew(const std::vector<int64_t>& ids) {
  internal::Command command;
  command.mutable_renew_leases();
  for (const int64_t id : ids) command.mutable_renew_leases()->add_ids(id);
  return command;
}

internal::Command Clock(int64_t now_ms) {
  internal::Command command;
  command.mutable_lease_clock()->set_now_ms(now_ms);
  return command;
}

internal::Command PutOn(int64_t lease, std::string_view key) {
  internal::Command command = Put(key, "v");
  command.mutable_put()->set_lease(lease);
  return command;
}

class LeaseTest : public ::testing::Test {
 protected:
  std::optional<LeaseRow> Row(int64_t id) {
    const auto row = storage::ReadLease(*store_.machine().view(), id);
    EXPECT_TRUE(row.ok()) << row.status().ToString();
    return row.value_or(std::nullopt);
  }

  // As the leader of term 1 would, of all it knows.
  internal::Command Expire(int64_t now_ms, const std::vector<int64_t>& ids) {
    internal::Command command;
    command.mutable_expire_leases()->set_term(1);
    command.mutable_expire_leases()->set_now_ms(now_ms);
    for (const int64_t id : ids) {
      internal::LeaseExpiry& expiry = *command.mutable_expire_leases()->add_leases();
      expiry.set_id(id);
      const auto row = Row(id);
      expiry.set_renewed_index(row ? row->renewed.value() : 1);
    }
    return command;
  }

  int64_t revision() { return store_.machine().view()->revision; }
  int64_t clock() { return store_.machine().leases().clock_ms; }
  int64_t count() { return store_.machine().leases().count; }

  Store store_;
};

TEST_F(LeaseTest, AGrantTakesIdAndTtlAsTheyAre) {
  const auto granted = store_.Get<etcdserverpb::LeaseGrantResponse>(Grant(-7, 3));
  EXPECT_EQ(granted.id(), -7);
  EXPECT_EQ(granted.ttl(), 3);
  EXPECT_EQ(granted.header().revision(), 1);
  EXPECT_EQ(Row(-7)->deadline_ms, 3020);
  EXPECT_EQ(store_.Do(Grant(-7, 5)).error, RequestError::kLeaseExists);
  EXPECT_EQ(store_.Do(Grant(0, 5)).error, RequestError::kLeaseNotFound);
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(revision(), 1);
}

// etcd takes TTLs of up to 9e9 s; more would overflow, whoever proposed it.
TEST_F(LeaseTest, NoTtlOverflows) {
  store_.Do(Clock(int64_t{1} << 60));
  store_.Do(Grant(1, std::numeric_limits<int64_t>::max()));
  store_.Do(Grant(2, std::numeric_limits<int64_t>::min()));
  EXPECT_GT(Row(1)->deadline_ms, int64_t{1} << 60);
  EXPECT_EQ(Row(2)->deadline_ms, (int64_t{1} << 60) + 20);
}

// Its keys go with a lease, in one revision, in order; without keys there is no revision.
TEST_F(LeaseTest, ARevocationDeletesTheKeysInOneRevision) {
  store_.DoBatch({Grant(1, 5), Grant(2, 5), PutOn(1, "c"), PutOn(1, "a"), PutOn(2, "b")});
  const int64_t before = revision();
  const auto revoked = store_.Get<etcdserverpb::LeaseRevokeResponse>(Revoke(1));
  EXPECT_EQ(revision(), before + 1);
  EXPECT_EQ(revoked.header().revision(), before + 1);
  EXPECT_EQ(store_.Value("a"), "(none)");
  EXPECT_EQ(store_.Value("c"), "(none)");
  EXPECT_EQ(store_.Value("b"), "v");
  const auto changes = StoredChanges(*store_.engine());
  EXPECT_TRUE(changes.contains({"a", before + 1, 0}));
  EXPECT_TRUE(changes.contains({"c", before + 1, 1}));
  EXPECT_EQ(store_.Do(Revoke(1)).error, RequestError::kLeaseNotFound);
  store_.Do(Grant(3, 5));
  store_.Do(Revoke(3));
  EXPECT_EQ(revision(), before + 1);
  EXPECT_EQ(count(), 1);
}

// A key hangs on the lease of its last put.
TEST_F(LeaseTest, AKeyThatWasPutAgainOrDeletedDoesNotGoWithTheLease) {
  store_.DoBatch({Grant(1, 5), Grant(2, 5), PutOn(1, "free"), PutOn(1, "moved"),
                  PutOn(1, "deleted"), Put("free", "kept"), PutOn(2, "moved"), Delete("deleted"),
                  Put("deleted", "anew")});
  store_.Do(Revoke(1));
  EXPECT_EQ(store_.Value("free"), "kept");
  EXPECT_EQ(store_.Value("moved"), "v");
  EXPECT_EQ(store_.Value("deleted"), "anew");
}

// Commands of one batch see what the earlier ones did to leases.
TEST_F(LeaseTest, OneBatchGrantsUsesRevokesAndGrantsAgain) {
  const auto outcomes = store_.DoBatch({Grant(1, 5), PutOn(1, "a"), Revoke(1), PutOn(1, "a"),
                                        Grant(1, 6), PutOn(1, "b"), Renew({1, 2})});
  EXPECT_EQ(outcomes[3].error, RequestError::kLeaseNotFound);
  EXPECT_EQ(outcomes[5].error, RequestError::kNone);
  EXPECT_EQ(store_.Value("a"), "(none)");
  EXPECT_EQ(store_.Value("b"), "v");
  EXPECT_THAT(std::get<storage::RenewOutcome>(outcomes[6].response).ttl_seconds, ElementsAre(6, 0));
  EXPECT_EQ(Row(1)->renewed, outcomes[6].index);
}

// Each lease ends in a revision of its own, and only if it has keys.
TEST_F(LeaseTest, ExpiredLeasesEndEachInARevisionOfItsOwn) {
  store_.DoBatch({Grant(1, 1), Grant(2, 1), Grant(3, 1), PutOn(1, "a"), PutOn(3, "c")});
  const int64_t before = revision();
  store_.Do(Expire(1020, {3, 2, 1}));
  EXPECT_EQ(revision(), before + 2);
  EXPECT_EQ(store_.Value("c", before + 1), "(none)");
  EXPECT_EQ(store_.Value("a", before + 1), "v");
  EXPECT_EQ(store_.Value("a"), "(none)");
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(clock(), 1020);
}

// An expiry counts only for the lease that the leader knew, in its own term, once it is due.
TEST_F(LeaseTest, AnExpiryIsVoidAfterARenewalInAnotherTermOrTooEarly) {
  store_.DoBatch({Grant(1, 1), PutOn(1, "a")});
  internal::Command early = Expire(1019, {1});
  store_.Do(early);
  EXPECT_TRUE(Row(1).has_value());

  internal::Command decided = Expire(1020, {1});
  store_.Do(Renew({1}));
  store_.Do(decided);
  EXPECT_TRUE(Row(1).has_value());
  EXPECT_EQ(clock(), 1020);

  internal::Command other = Expire(9000, {1});
  other.mutable_expire_leases()->set_term(2);
  store_.Do(other);
  EXPECT_TRUE(Row(1).has_value());
  EXPECT_EQ(clock(), 1020);

  store_.Do(Revoke(1));
  internal::Command stale = Expire(9000, {1});
  store_.Do(Grant(1, 1));
  store_.Do(stale);
  EXPECT_TRUE(Row(1).has_value());
  store_.Do(Expire(clock() + 1020, {1}));
  EXPECT_FALSE(Row(1).has_value());
}

// Whatever a reading says, the deadlines after it are ahead of the clock.
TEST_F(LeaseTest, NoReadingOverflows) {
  store_.Do(Clock(std::numeric_limits<int64_t>::max()));
  EXPECT_EQ(clock(), storage::kLeaseClockMsMax);
  store_.Do(Grant(1, storage::kLeaseTtlSecondsMax));
  EXPECT_GT(Row(1)->deadline_ms, clock());
  store_.Do(Expire(std::numeric_limits<int64_t>::max(), {1}));
  EXPECT_TRUE(Row(1).has_value());
  store_.Do(Clock(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(clock(), storage::kLeaseClockMsMax);
  store_.Reopen();
  EXPECT_EQ(clock(), storage::kLeaseClockMsMax);
}

TEST_F(LeaseTest, TheClockNeverMovesBack) {
  store_.Do(Clock(500));
  store_.Do(Clock(400));
  store_.Do(Expire(300, {}));
  EXPECT_EQ(clock(), 500);
  store_.Do(Grant(1, 1));
  EXPECT_EQ(Row(1)->deadline_ms, 1520);
  store_.Reopen();
  EXPECT_EQ(clock(), 500);
  EXPECT_EQ(count(), 1);
}

// Whoever decides on expiries is told of every change, with what it needs to know.
TEST_F(LeaseTest, EveryChangeIsTold) {
  std::vector<raft::Entry> entries;
  uint64_t index = 0;
  for (const internal::Command& command :
       {Grant(1, 1), Renew({1, 9}), Grant(2, 1), Revoke(2), Clock(50)}) {
    entries.push_back(CommandEntry(++index, command));
  }
  const auto result = store_.machine().Apply(entries, {raft::NodeId(1), raft::Incarnation(1)});
  ASSERT_TRUE(result.ok());
  std::vector<std::tuple<LeaseChange::Kind, int64_t, int64_t, uint64_t>> told;
  for (const LeaseChange& change : result->leases) {
    told.emplace_back(change.kind, change.id, change.row.deadline_ms, change.row.renewed.value());
  }
  using Kind = LeaseChange::Kind;
  EXPECT_THAT(
      told,
      ElementsAre(std::tuple(Kind::kGranted, 1, 1020, 1), std::tuple(Kind::kRenewed, 1, 1020, 2),
                  std::tuple(Kind::kGranted, 2, 1020, 3), std::tuple(Kind::kRevoked, 2, 1020, 3)));
}

TEST_F(LeaseTest, KeysOfALeaseAreReadInSteps) {
  store_.DoBatch({Grant(1, 5), Grant(2, 5)});
  for (const char* key : {"b", "a", "c"}) store_.Do(PutOn(1, key));
  store_.Do(PutOn(2, "d"));
  storage::LeaseKeyScan scan(store_.engine(), 1);
  EXPECT_FALSE(*scan.Step(2));
  EXPECT_TRUE(*scan.Step(2));
  EXPECT_THAT(scan.TakeKeys(), ElementsAre("a", "b", "c"));
}

// A damaged row is reported by place, and nothing is done.
TEST_F(LeaseTest, ADamagedRowIsNamed) {
  storage::WriteBatch batch;
  batch.Put(storage::Family::kLeases, storage::LeaseKey(7), "\x02");
  ASSERT_TRUE(store_.engine()->Write(batch).ok());
  const raft::Entry entry = CommandEntry(1, Renew({7}));
  const auto result = store_.machine().Apply({&entry, 1}, {raft::NodeId(1), raft::Incarnation(1)});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(result.status().message()),
              ::testing::HasSubstr("the row of lease 7 is damaged"));
}

}  // namespace
}  // namespace gavel::testing
