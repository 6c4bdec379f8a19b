// Leases and batches: whatever is cut into batches, and however it is tried again, each command
// meets the leases that the commands before it left.

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/state/leases.h"
#include "storage/state/meta.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Family;
using storage::RequestError;
using ::testing::IsEmpty;

constexpr storage::StateMachine::Wanted kMe = {raft::NodeId(1), raft::Incarnation(1)};

internal::Command Grant(int64_t id, int64_t ttl = 5) {
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
  for (const int64_t id : ids) command.mutable_renew_leases()->add_ids(id);
  return command;
}

internal::Command Clock(int64_t now_ms) {
  internal::Command command;
  command.mutable_lease_clock()->set_now_ms(now_ms);
  return command;
}

internal::Command Expire(int64_t now_ms, int64_t id, uint64_t renewed_index) {
  internal::Command command;
  command.mutable_expire_leases()->set_term(1);
  command.mutable_expire_leases()->set_now_ms(now_ms);
  command.mutable_expire_leases()->add_leases()->set_id(id);
  command.mutable_expire_leases()->mutable_leases(0)->set_renewed_index(renewed_index);
  return command;
}

void AlsoExpire(internal::Command& command, int64_t id, uint64_t renewed_index) {
  internal::LeaseExpiry& expiry = *command.mutable_expire_leases()->add_leases();
  expiry.set_id(id);
  expiry.set_renewed_index(renewed_index);
}

internal::Command PutOn(int64_t lease, std::string_view key) {
  internal::Command command = Put(key, "v");
  command.mutable_put()->set_lease(lease);
  return command;
}

internal::Command TxnPutOn(int64_t lease, std::string_view key) {
  internal::Command command;
  *command.mutable_txn()->add_success()->mutable_request_put() = PutOn(lease, key).put();
  return command;
}

std::vector<RequestError> Errors(const std::vector<storage::CommandOutcome>& outcomes) {
  std::vector<RequestError> errors;
  for (const storage::CommandOutcome& outcome : outcomes) errors.push_back(outcome.error);
  return errors;
}

// Every way to cut the commands into batches leaves the same rows and gives the same answers.
void ExpectTheSameInAnyBatches(const std::vector<internal::Command>& commands,
                               const storage::StateMachineOptions& options = {}) {
  Store one_by_one(nullptr, options);
  std::vector<storage::CommandOutcome> expected;
  for (const internal::Command& command : commands) expected.push_back(one_by_one.Do(command));
  for (uint64_t cuts = 0; cuts < uint64_t{1} << (commands.size() - 1); ++cuts) {
    SCOPED_TRACE(::testing::Message() << "cut after " << cuts);
    Store store(nullptr, options);
    std::vector<storage::CommandOutcome> outcomes;
    for (size_t from = 0; from < commands.size();) {
      size_t to = from + 1;
      while (to < commands.size() && (cuts >> (to - 1) & 1) == 0) ++to;
      const auto begin = commands.begin();
      for (auto& outcome : store.DoBatch(
               {begin + static_cast<ptrdiff_t>(from), begin + static_cast<ptrdiff_t>(to)})) {
        outcomes.push_back(std::move(outcome));
      }
      from = to;
    }
    ASSERT_EQ(Errors(outcomes), Errors(expected));
    ASSERT_EQ(DumpReplicated(*store.engine()), DumpReplicated(*one_by_one.engine()));
    ASSERT_EQ(store.HashKv(), one_by_one.HashKv());
  }
}

TEST(LeaseBatchTest, AGrantThatIsRevokedLeavesTheSameRows) {
  ExpectTheSameInAnyBatches({Grant(1), Revoke(1)});
  ExpectTheSameInAnyBatches({Grant(1), PutOn(1, "a"), Revoke(1), Revoke(1)});
}

TEST(LeaseBatchTest, PutsAndTransactionsMeetTheLeasesOfTheirBatch) {
  ExpectTheSameInAnyBatches({PutOn(1, "a"), Grant(1), PutOn(1, "a"), TxnPutOn(1, "b"), Revoke(1),
                             TxnPutOn(1, "c"), Grant(1), PutOn(1, "b")});
}

TEST(LeaseBatchTest, KeysThatMovedInTheBatchDoNotGoWithTheLease) {
  ExpectTheSameInAnyBatches({Grant(1), Grant(2), PutOn(1, "moved"), PutOn(1, "free"),
                             PutOn(2, "moved"), Put("free", "v"), Revoke(1), Revoke(2)});
}

TEST(LeaseBatchTest, ExpiriesMeetTheRenewalsAndTheClockOfTheirBatch) {
  ExpectTheSameInAnyBatches({Grant(1, 1), PutOn(1, "a"), Clock(500), Renew({1}), Expire(1100, 1, 1),
                             Expire(1519, 1, 4), Expire(1520, 1, 4), PutOn(1, "b")});
}

// Other commands have their turn between the entries that end leases with many keys.
TEST(LeaseBatchTest, AnExpiryOfManyKeysLeavesTheRestForAnother) {
  Store store;
  store.DoBatch({Grant(1, 1), Grant(2, 1), Grant(3, 1)});
  const auto half = static_cast<int>(storage::Leases::kExpiryKeysMax / 2);
  for (int key = 0; key < half; ++key) store.Do(PutOn(1, "a" + std::to_string(key)));
  for (int key = 0; key < half; ++key) store.Do(PutOn(2, "b" + std::to_string(key)));
  store.Do(PutOn(3, "c"));
  internal::Command expire = Expire(5000, 1, 1);
  AlsoExpire(expire, 2, 2);
  AlsoExpire(expire, 3, 3);
  store.Do(expire);
  EXPECT_EQ(store.machine().leases().count, 1);
  EXPECT_EQ(Dump(*store.engine(), Family::kLeaseKeys).size(), 1u);
  store.Do(Expire(5000, 3, 3));
  EXPECT_EQ(store.machine().leases().count, 0);
  EXPECT_THAT(Dump(*store.engine(), Family::kLeaseKeys), IsEmpty());
}

// Renewals are folded entry by entry, also into leases and out of rows of the same batch.
TEST(LeaseBatchTest, RenewalsAreFoldedAlikeInAnyBatches) {
  for (const size_t renewals_max : {0, 1, 2, 3, 5}) {
    SCOPED_TRACE(renewals_max);
    ExpectTheSameInAnyBatches({Grant(1), Grant(2), Renew({1, 2}), Clock(500), Renew({2, 1, 2}),
                               Revoke(1), Renew({2}), Grant(1), Renew({1, 9}), Renew({2})},
                              {.lease_renewals_max = renewals_max});
  }
}

// A key that is put and taken back in one batch, on and off the lease, ends where it was put last.
TEST(LeaseBatchTest, DeletionsAndPutsOfOneKeyInTheBatchEndWhereTheLastOneLeftIt) {
  ExpectTheSameInAnyBatches({Grant(1), PutOn(1, "a"), Delete("a"), PutOn(1, "a"), Put("a", "v"),
                             PutOn(1, "a"), Revoke(1), Put("a", "w")});
}

// Leases are in no hash: two members that agree on keys have the same one.
TEST(LeaseBatchTest, TheHashLeavesLeasesOut) {
  Store with;
  Store without;
  with.DoBatch({Grant(1), Clock(700), Grant(2), Renew({1}), Revoke(2)});
  for (Store* store : {&with, &without}) store->Do(Put("a", "1"));
  EXPECT_EQ(with.HashKv(), without.HashKv());
}

// A batch that the engine refused for now has told nobody of anything.
TEST(LeaseBatchTest, AStallChangesNoLeaseAndTheSameEntriesMayBeTriedAgain) {
  auto engine = std::make_shared<storage::MapEngine>();
  Store store(engine);
  const std::vector<raft::Entry> entries = {CommandEntry(1, Clock(100)), CommandEntry(2, Grant(1)),
                                            CommandEntry(3, PutOn(1, "a"))};
  engine->SetStalled(true);
  EXPECT_THAT(store.machine().Apply(entries, kMe), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(store.machine().leases().count, 0);
  EXPECT_EQ(store.machine().leases().clock_ms, 0);
  EXPECT_THAT(Dump(*engine, Family::kLeases), IsEmpty());

  engine->SetStalled(false);
  const auto result = store.machine().Apply(entries, kMe);
  ASSERT_OK(result);
  ASSERT_EQ(result->leases.size(), 1U);
  EXPECT_EQ(result->leases[0].row.deadline_ms, 5120);
  EXPECT_EQ(result->leases[0].row.renewed, raft::Index(2));
  EXPECT_EQ(store.machine().leases().count, 1);
  EXPECT_EQ(store.machine().leases().clock_ms, 100);
}

// A refused transaction attaches nothing, although one of its puts names a lease that exists.
TEST(LeaseBatchTest, ATransactionWithOneUnknownLeaseAttachesNothing) {
  Store store;
  internal::Command command = TxnPutOn(1, "a");
  *command.mutable_txn()->add_success()->mutable_request_put() = PutOn(2, "b").put();
  const auto outcomes = store.DoBatch({Grant(1), command});
  EXPECT_EQ(outcomes[1].error, RequestError::kLeaseNotFound);
  EXPECT_THAT(Dump(*store.engine(), Family::kLeaseKeys), IsEmpty());
  EXPECT_EQ(store.machine().view()->revision, 1);
}

}  // namespace
}  // namespace gavel::testing
