// The checker proves itself: each kind of violation, planted in a good history, must be found.
#include "tests/chaos/fencing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::chaos {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using End = GuardedWrite::End;

// Two contenders queue at 10 and 11. The first writes twice, is paused, loses its key at 20, and is
// refused at 22; the second writes once, and its second write is unknown.
FencingHistory Good() {
  FencingHistory history;
  history.keys = {{10, 20}, {11, 0}};
  history.acquisitions = {{0, 10, 100, 110}, {1, 11, 105, 210}};
  history.writes = {{"a1", 10, End::kDone, 12},
                    {"a2", 10, End::kDone, 13},
                    {"a3", 10, End::kRefused, 22},
                    {"b1", 11, End::kDone, 21},
                    {"b2", 11, End::kUnknown, 0}};
  history.values = {{12, 1, 10, "a1"}, {13, 2, 10, "a2"}, {21, 3, 11, "b1"}, {23, 4, 11, "b2"}};
  return history;
}

void ExpectFound(const FencingHistory& history, const char* what) {
  EXPECT_THAT(CheckFencing(history), Contains(HasSubstr(what)));
}

TEST(FencingCheckTest, AGoodHistoryPasses) {
  EXPECT_TRUE(CheckFencing(Good()).empty());
  FencingHistory without_the_unknown = Good();
  without_the_unknown.values.pop_back();
  EXPECT_TRUE(CheckFencing(without_the_unknown).empty());
}

TEST(FencingCheckTest, AStaleWriteThatSucceededIsFound) {
  FencingHistory history = Good();
  history.writes[2] = {"a3", 10, End::kDone, 22};
  history.values.insert(history.values.begin() + 3, {22, 4, 10, "a3"});
  history.values[4].counter = 5;
  ExpectFound(history, "a3 at revision 22 wrote under token 10 after token 11");
  ExpectFound(history, "which did not hold the lock then");
}

TEST(FencingCheckTest, AWriteBeforeItsTurnIsFound) {
  FencingHistory history = Good();
  history.values[2].revision = 19;
  history.writes[3].revision = 19;
  ExpectFound(history, "b1 at revision 19 wrote under token 11, which did not hold the lock then");
}

TEST(FencingCheckTest, ALostUpdateIsFound) {
  FencingHistory history = Good();
  history.values[2].counter = 2;
  ExpectFound(history, "b1 at revision 21 made 2 of 2");
}

TEST(FencingCheckTest, AnAcknowledgedWriteThatIsNotThereIsFound) {
  FencingHistory history = Good();
  history.values.erase(history.values.begin() + 1);
  ExpectFound(history, "a2, acknowledged at revision 13, is not there");
  history = Good();
  history.writes[1].revision = 14;
  ExpectFound(history, "a2, acknowledged at revision 14, is not there");
}

TEST(FencingCheckTest, ARefusedWriteThatIsThereIsFound) {
  FencingHistory history = Good();
  history.writes[1] = {"a2", 10, End::kRefused, 21};
  ExpectFound(history, "a2 was refused, and is there");
}

TEST(FencingCheckTest, ARefusalWhileHeldIsFound) {
  FencingHistory history = Good();
  history.writes[2].revision = 19;
  ExpectFound(history, "a3 was refused at revision 19, when token 10 was there");
  history.writes.push_back({"b3", 11, End::kRefused, 30});
  ExpectFound(history, "b3 was refused at revision 30");
}

TEST(FencingCheckTest, WhatNobodyTriedIsFound) {
  FencingHistory history = Good();
  history.values.push_back({24, 5, 11, "x"});
  ExpectFound(history, "x is there, and was never tried");
  history.values.back() = {24, 5, 11, "b1"};
  ExpectFound(history, "b1 is there twice");
  history = Good();
  history.writes[4].token = 10;
  ExpectFound(history, "b2 is there under another token");
}

TEST(FencingCheckTest, ATokenThatIsNoKeysIsFound) {
  FencingHistory history = Good();
  history.acquisitions[0].token = 9;
  ExpectFound(history, "token 9 was given, which no key is");
  history = Good();
  history.keys.erase(history.keys.begin());
  ExpectFound(history, "a1 at revision 12 wrote under token 10, which no key is");
}

TEST(FencingCheckTest, ATokenThatIsGivenTwiceIsFound) {
  FencingHistory history = Good();
  history.acquisitions.push_back({2, 11, 120, 220});
  ExpectFound(history, "token 11 was given twice");
}

TEST(FencingCheckTest, ATokenThatNeverHadATurnIsFound) {
  FencingHistory history = Good();
  history.keys[1].deleted = 18;
  ExpectFound(history, "token 11 was given, and never was the oldest");
}

TEST(FencingCheckTest, ATokenThatDoesNotGrowInRealTimeIsFound) {
  FencingHistory history = Good();
  history.acquisitions[0] = {0, 10, 220, 230};
  ExpectFound(history, "token 10 was given after token 11");
}

}  // namespace
}  // namespace gavel::chaos
