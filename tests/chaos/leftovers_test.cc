#include "tests/chaos/leftovers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::chaos {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Three members that hold as much of everything.
std::vector<MemberLoad> Holding(double value, double resident_bytes = 100e6) {
  MemberLoad load;
  for (const char* name : kHeldForClients) load.held[name] = value;
  load.resident_bytes = resident_bytes;
  return {load, load, load};
}

TEST(LeftoversTest, WhatIsAsBeforeOrLessIsNothingLeft) {
  EXPECT_THAT(Leftovers(Holding(7), Holding(7)), IsEmpty());
  EXPECT_THAT(Leftovers(Holding(7), Holding(3)), IsEmpty());
}

// One more of anything, on any member, is found and named.
TEST(LeftoversTest, EachKindIsFoundOnEachMember) {
  for (size_t member = 0; member < 3; ++member) {
    for (const char* name : kHeldForClients) {
      std::vector<MemberLoad> now = Holding(7);
      ++now[member].held[name];
      EXPECT_THAT(Leftovers(Holding(7), now),
                  ElementsAre(AllOf(HasSubstr("member " + std::to_string(member)),
                                    HasSubstr(std::string(name) + " is 8 instead of 7"))));
    }
  }
}

// A member that stops telling of something would hide it.
TEST(LeftoversTest, WhatIsNotToldIsFound) {
  for (const char* name : kHeldForClients) {
    std::vector<MemberLoad> silent = Holding(7);
    silent[1].held.erase(name);
    EXPECT_THAT(Leftovers(Holding(7), silent), ElementsAre(HasSubstr("is not told"))) << name;
    EXPECT_THAT(Leftovers(silent, Holding(7)), ElementsAre(HasSubstr("is not told"))) << name;
  }
}

// It is enough that one member has held it: which one, clients choose.
TEST(LeftoversTest, WhatNobodyHasHeldIsSaid) {
  EXPECT_THAT(NeverHeld(Holding(7), Holding(7)), SizeIs(std::size(kHeldForClients) - 1));
  for (const char* name : kHeldForClients) {
    if (name == kPendingEvents) continue;
    std::vector<MemberLoad> most = Holding(7);
    RaiseTo(Holding(8), &most);
    EXPECT_THAT(NeverHeld(Holding(7), most), IsEmpty());
    for (MemberLoad& load : most) load.held[name] = 7;
    EXPECT_THAT(NeverHeld(Holding(7), most), ElementsAre(HasSubstr(name)));
    most[2].held[name] = 8;
    EXPECT_THAT(NeverHeld(Holding(7), most), IsEmpty());
  }
}

TEST(LeftoversTest, RaisingNeverLowers) {
  std::vector<MemberLoad> most;
  RaiseTo(Holding(7, 50), &most);
  RaiseTo(Holding(3, 60), &most);
  EXPECT_EQ(most[0].held, Holding(7)[0].held);
  EXPECT_EQ(most[0].resident_bytes, 60);
}

TEST(LeftoversTest, MemoryMayGrowByLessThanItsShare) {
  EXPECT_THAT(Grown(Holding(0, 100), Holding(0, 104), 0.05), IsEmpty());
  EXPECT_THAT(Grown(Holding(0, 100), Holding(0, 50), 0.05), IsEmpty());
  EXPECT_THAT(Grown(Holding(0, 100), Holding(0, 105), 0.05), SizeIs(3));
  std::vector<MemberLoad> one = Holding(0, 100);
  one[1].resident_bytes = 120;
  EXPECT_THAT(Grown(Holding(0, 100), one, 0.05), ElementsAre(HasSubstr("member 1")));
}

}  // namespace
}  // namespace gavel::chaos
