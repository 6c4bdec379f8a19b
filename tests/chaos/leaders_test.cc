// The checker proves itself: each kind of violation, planted in a good history, must be found.
#include "tests/chaos/leaders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::chaos {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// a is elected at 10 and speaks at 13 and 15; b waits from 11, leads from 20 on and speaks at 22.
// One stream sees all of it, one begins in the middle, one only sees b.
ElectionHistory Good() {
  const CandidateVersion a1{"a", 10, 10, "candidate"};
  const CandidateVersion b1{"b", 11, 11, "candidate"};
  const CandidateVersion a2{"a", 10, 13, "one"};
  const CandidateVersion a3{"a", 10, 15, "two"};
  const CandidateVersion b2{"b", 11, 22, "three"};
  ElectionHistory history;
  history.versions = {a1, b1, a2, a3, b2};
  history.lives = {{"b", 11, 0}, {"a", 10, 20}};
  history.streams = {{{a1, 10}, {a2, 13}, {a3, 15}, {b1, 20}, {b2, 22}},
                     {{a2, 14}, {a3, 15}, {b1, 21}, {b2, 22}},
                     {{b2, 30}}};
  return history;
}

void ExpectFound(const ElectionHistory& history, const char* what) {
  EXPECT_THAT(CheckLeaders(history), Contains(HasSubstr(what)));
}

TEST(LeadersCheckTest, AGoodHistoryPasses) { EXPECT_THAT(CheckLeaders(Good()), IsEmpty()); }

TEST(LeadersCheckTest, OneWhoDoesNotLeadYetIsFound) {
  ElectionHistory history = Good();
  history.streams[0][3].revision = 19;
  ExpectFound(history, "leader 11, version 11, told at revision 19, did not lead then");
}

TEST(LeadersCheckTest, OneWhoLeadsNoMoreIsFound) {
  ElectionHistory history = Good();
  history.streams[1][1].revision = 20;
  ExpectFound(history, "leader 10, version 15, told at revision 20, did not lead then");
}

TEST(LeadersCheckTest, WhatNobodySaidIsFound) {
  ElectionHistory history = Good();
  history.streams[2][0].leader.value = "two";
  ExpectFound(history, "leader 11, version 22, told at revision 30, is not what the store has");
  history = Good();
  history.streams[2][0].leader.created = 12;
  ExpectFound(history, "is not what the store has");
}

TEST(LeadersCheckTest, WhatIsLeftOutIsFound) {
  ElectionHistory history = Good();
  history.streams[0].erase(history.streams[0].begin() + 1);
  ExpectFound(history, "version 13 of leader 10 was left out before leader 10, version 15");
  history = Good();
  history.streams[1].erase(history.streams[1].begin() + 1);
  ExpectFound(history, "version 15 of leader 10 was left out before leader 11, version 11");
}

TEST(LeadersCheckTest, AStreamThatGoesBackIsFound) {
  ElectionHistory history = Good();
  std::swap(history.streams[0][1], history.streams[0][2]);
  ExpectFound(history, "leader 10, version 13, told at revision 13, was told after version 15");
  history = Good();
  history.streams[1].push_back(history.streams[1].back());
  ExpectFound(history, "was told after version 22");
}

}  // namespace
}  // namespace gavel::chaos
