// Messages become whole revisions, each event once.
#include "client/internal/watch_assembly.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gavel::client::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

etcdserverpb::WatchResponse Message(const std::vector<int64_t>& revisions, bool fragment = false) {
  etcdserverpb::WatchResponse response;
  response.set_fragment(fragment);
  for (const int64_t revision : revisions) {
    mvccpb::KeyValue& kv = *response.add_events()->mutable_kv();
    kv.set_key("k");
    kv.set_mod_revision(revision);
  }
  return response;
}

std::vector<int64_t> Take(WatchAssembly* assembly, const std::vector<int64_t>& revisions,
                          bool fragment = false) {
  etcdserverpb::WatchResponse response = Message(revisions, fragment);
  std::vector<int64_t> taken;
  for (const WatchEvent& event : assembly->TakeEvents(&response)) {
    taken.push_back(event.kv.mod_revision);
  }
  return taken;
}

TEST(WatchAssemblyTest, NowIsWhatFollowsTheCreation) {
  WatchAssembly assembly(0);
  EXPECT_EQ(assembly.next_revision(), 0);
  assembly.OnCreated(41);
  EXPECT_EQ(assembly.next_revision(), 42);
  // A later creation, on a member that is behind, changes nothing.
  assembly.OnCreated(7);
  EXPECT_EQ(assembly.next_revision(), 42);
}

TEST(WatchAssemblyTest, EventsBelowTheStartAreNotOurs) {
  WatchAssembly assembly(10);
  assembly.OnCreated(5);
  EXPECT_THAT(Take(&assembly, {8, 9}), IsEmpty());
  EXPECT_EQ(assembly.next_revision(), 10);
  EXPECT_THAT(Take(&assembly, {9, 10, 10, 12}), ElementsAre(10, 10, 12));
  EXPECT_EQ(assembly.next_revision(), 13);
}

TEST(WatchAssemblyTest, WhatWasDeliveredDoesNotComeAgain) {
  WatchAssembly assembly(1);
  EXPECT_THAT(Take(&assembly, {3, 3, 4}), ElementsAre(3, 3, 4));
  EXPECT_THAT(Take(&assembly, {3, 4, 5}), ElementsAre(5));
}

// A split revision waits for its end; those before it do not.
TEST(WatchAssemblyTest, FragmentsBecomeWholeRevisions) {
  WatchAssembly assembly(1);
  EXPECT_THAT(Take(&assembly, {3, 4}, true), ElementsAre(3));
  EXPECT_EQ(assembly.next_revision(), 4);
  EXPECT_THAT(Take(&assembly, {4, 4}, true), IsEmpty());
  EXPECT_THAT(Take(&assembly, {4, 5, 6}, true), ElementsAre(4, 4, 4, 4, 5));
  EXPECT_THAT(Take(&assembly, {6}, false), ElementsAre(6, 6));
  EXPECT_EQ(assembly.next_revision(), 7);
}

// The beginning of a revision whose end was lost is told again by the next stream.
TEST(WatchAssemblyTest, ALostStreamTakesTheBeginningOfARevisionWithIt) {
  WatchAssembly assembly(1);
  EXPECT_THAT(Take(&assembly, {3, 4, 4}, true), ElementsAre(3));
  assembly.OnStreamLost();
  EXPECT_EQ(assembly.next_revision(), 4);
  EXPECT_THAT(Take(&assembly, {4, 4, 4}), ElementsAre(4, 4, 4));
}

// A member that speaks of progress too early must not cost an event.
TEST(WatchAssemblyTest, ProgressMovesTheNextRevisionAndDropsNothing) {
  WatchAssembly assembly(1);
  EXPECT_THAT(Take(&assembly, {3}), ElementsAre(3));
  assembly.OnProgress(9);
  EXPECT_EQ(assembly.next_revision(), 10);
  assembly.OnProgress(5);
  EXPECT_EQ(assembly.next_revision(), 10);
  EXPECT_THAT(Take(&assembly, {7}), ElementsAre(7));
  EXPECT_EQ(assembly.next_revision(), 10);
}

}  // namespace
}  // namespace gavel::client::internal
