// A store that becomes the beginning of a new cluster keeps its keys and loses its members.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/state/found_anew.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Family;
using ::testing::HasSubstr;

storage::InitialState TwoMembers() {
  storage::InitialState initial;
  for (const uint64_t id : {5, 6}) {
    initial.configuration.members.push_back({raft::NodeId(id), {"http://new"}});
    initial.configuration.voters.push_back(raft::NodeId(id));
    initial.members.push_back({raft::NodeId(id), "new", {"http://new"}, {}, false});
  }
  return initial;
}

void Fill(Store& store) {
  for (int i = 0; i < 20; ++i) store.Do(Put("key/" + std::to_string(i % 6), std::to_string(i)));
  store.Do(Delete("key/5"));
  store.Do(Compact(8));
}

TEST(FoundAnewTest, OnlyMembersChange) {
  Store store;
  Fill(store);
  const Store::Hash hash = store.HashKv();
  const raft::Index applied = store.machine().applied();
  storage::WriteBatch alarm;
  alarm.Put(Family::kAlarms, "of a member", "");
  ASSERT_OK(store.engine()->Write(alarm));
  ASSERT_OK(storage::FoundAnew(*store.engine(), TwoMembers(), {}));
  store.Reopen();
  EXPECT_EQ(*store.machine().members(), TwoMembers().members);
  EXPECT_EQ(*store.machine().configuration(), TwoMembers().configuration);
  EXPECT_TRUE(Dump(*store.engine(), Family::kAlarms).empty());
  EXPECT_EQ(store.HashKv(), hash);
  EXPECT_EQ(store.machine().applied(), applied);
  EXPECT_EQ(store.machine().view()->revision, 22);
}

// All history is given up at the new revision, and the store goes on from there, however often it
// is opened, collected and raised again.
TEST(FoundAnewTest, ARaisedRevisionGivesUpHistory) {
  Store store;
  Fill(store);
  int64_t revision = 22;
  for (const int64_t by : {1, 1000, 7}) {
    ASSERT_OK(storage::FoundAnew(*store.engine(), TwoMembers(), {.bump_revision = by}));
    revision += by;
    store.Reopen();
    EXPECT_EQ(store.machine().view()->revision, revision);
    EXPECT_EQ(store.machine().view()->compacted, revision);
    EXPECT_EQ(store.machine().sizes().superseded_bytes, 0);
    EXPECT_EQ(store.Value("key/1"), "19");
    EXPECT_EQ(store.Value("key/1", revision), "19");
    EXPECT_THAT(store.Value("key/1", revision - 1), HasSubstr("error"));
    const Store::Hash before = store.HashKv();
    store.CollectAll();
    EXPECT_EQ(store.HashKv(), before);
    store.Reopen();
    EXPECT_EQ(store.machine().view()->revision, revision);
    // The first revision of the new cluster, and its history.
    store.Do(Put("key/2", "new"));
    store.Do(Put("key/2", "newer"));
    revision += 2;
    EXPECT_EQ(store.Value("key/2", revision - 1), "new");
    store.Do(Compact(revision));
    store.CollectAll();
    store.Reopen();
    EXPECT_EQ(store.Value("key/2"), "newer");
    EXPECT_EQ(store.machine().sizes().superseded_bytes, 0);
  }
}

// The row that says where revisions began anew excuses nothing above it.
TEST(FoundAnewTest, AMissingChangeIsStillFound) {
  Store store;
  Fill(store);
  ASSERT_OK(storage::FoundAnew(*store.engine(), TwoMembers(), {.bump_revision = 10}));
  store.Reopen();
  store.Do(Put("later", "x"));
  storage::WriteBatch batch;
  batch.Delete(Family::kChanges, storage::ChangeKey({33, 0}));
  ASSERT_OK(store.engine()->Write(batch));
  EXPECT_THAT(storage::StateMachine::Open(store.engine(), OneMember(), {}).status(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("the last change has revision 32")));
}

TEST(FoundAnewTest, WhatCannotBeIsRefused) {
  Store store;
  EXPECT_THAT(storage::FoundAnew(*store.engine(), TwoMembers(), {.bump_revision = INT64_MAX}),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("cannot be raised")));
  storage::MapEngine empty;
  EXPECT_FALSE(storage::FoundAnew(empty, TwoMembers(), {}).ok());
}

}  // namespace
}  // namespace gavel::testing
