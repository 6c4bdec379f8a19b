#include "tests/support/powercut/rules.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gavel::powercut {
namespace {

using ::testing::HasSubstr;

Action On(Rules& rules, Call call, const std::string& path, uint64_t bytes = 0) {
  return rules.Decide(call, path, "", bytes).action;
}

TEST(PowercutRulesTest, WithoutRulesNothingHappens) {
  Rules rules;
  EXPECT_TRUE(rules.empty());
  EXPECT_EQ(On(rules, Call::kSync, "a"), Action::kNone);
}

TEST(PowercutRulesTest, TheNthMatchingCallIsStruck) {
  Rules rules;
  ASSERT_EQ(rules.Parse("eio sync member/wal/* 2"), "");
  EXPECT_EQ(On(rules, Call::kSync, "member/wal/1.wal"), Action::kNone);
  EXPECT_EQ(On(rules, Call::kSync, "member/identity"), Action::kNone);
  EXPECT_EQ(On(rules, Call::kWrite, "member/wal/1.wal"), Action::kNone);
  EXPECT_EQ(On(rules, Call::kSync, "member/wal/2.wal"), Action::kEio);
  EXPECT_EQ(On(rules, Call::kSync, "member/wal/2.wal"), Action::kNone);
}

TEST(PowercutRulesTest, FromTheNthOnAndEvery) {
  Rules rules;
  ASSERT_EQ(rules.Parse("lie sync * 2+; stall any b * 30"), "");
  EXPECT_EQ(On(rules, Call::kSync, "a"), Action::kNone);
  EXPECT_EQ(On(rules, Call::kSync, "a"), Action::kLie);
  EXPECT_EQ(On(rules, Call::kSync, "a/b/c"), Action::kLie);
  const Verdict verdict = rules.Decide(Call::kRead, "b", "", 0);
  EXPECT_EQ(verdict.action, Action::kStall);
  EXPECT_EQ(verdict.number, 30u);
  EXPECT_EQ(verdict.rule, "stall any b * 30");
}

TEST(PowercutRulesTest, SpaceRunsOutAfterSoManyBytes) {
  Rules rules;
  ASSERT_EQ(rules.Parse("enospc write * * 100"), "");
  EXPECT_EQ(On(rules, Call::kWrite, "a", 60), Action::kNone);
  EXPECT_EQ(On(rules, Call::kWrite, "b", 60), Action::kEnospc);
  EXPECT_EQ(On(rules, Call::kWrite, "a", 40), Action::kNone);
  EXPECT_EQ(On(rules, Call::kWrite, "a", 1), Action::kEnospc);
}

TEST(PowercutRulesTest, ASiteIsOnePlaceInTheCode) {
  Rules rules;
  ASSERT_EQ(rules.Parse("cut sync @00ff 1"), "");
  EXPECT_TRUE(rules.wants_sites());
  EXPECT_EQ(rules.Decide(Call::kSync, "a", "ff00", 0).action, Action::kNone);
  EXPECT_EQ(rules.Decide(Call::kSync, "a", "00ff", 0).action, Action::kCut);
}

TEST(PowercutRulesTest, ReadsAreWatchedOnlyIfARuleIsForThem) {
  Rules rules;
  ASSERT_EQ(rules.Parse("eio sync * 1"), "");
  EXPECT_FALSE(rules.wants_reads());
  ASSERT_EQ(rules.Parse("eio read * 1"), "");
  EXPECT_TRUE(rules.wants_reads());
}

TEST(PowercutRulesTest, MistakesAreNamedAndChangeNothing) {
  Rules rules;
  ASSERT_EQ(rules.Parse("eio sync * 1\n"), "");
  EXPECT_THAT(rules.Parse("eio sync *"), HasSubstr("ACTION CALL FILES WHICH"));
  EXPECT_THAT(rules.Parse("eio sync * 1 2 3"), HasSubstr("ACTION CALL FILES WHICH"));
  EXPECT_THAT(rules.Parse("burn sync * 1"), HasSubstr("'burn' is no action"));
  EXPECT_THAT(rules.Parse("eio flush * 1"), HasSubstr("'flush' is no call"));
  EXPECT_THAT(rules.Parse("eio sync * 0"), HasSubstr("'0' is not"));
  EXPECT_THAT(rules.Parse("eio sync * 1x"), HasSubstr("'1x' is not"));
  EXPECT_EQ(On(rules, Call::kSync, "a"), Action::kEio);
}

}  // namespace
}  // namespace gavel::powercut
