// Keepers in a cluster of chance: no lease is shortened, none lives longer than it may, and
// expiries are bounded.

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/server/lease/lease_world.h"

namespace gavel::testing {
namespace {

using ::testing::IsEmpty;

// Long enough for the longest lease to end, and for all to be told.
constexpr int kQuietTurns = 3000;

// Random renewals, grants, revocations, leaders that die, pause and do not know that they lead
// no more, members that start anew, and clocks that drift.
TEST(LeaseModelTest, LivesAreAsPromised) {
  uint64_t expired = 0;
  uint64_t voided = 0;
  uint64_t terms = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    LeaseWorldPlan plan;
    plan.seed = seed;
    plan.renew_one_in = 2 + seed % 3;
    plan.lose_leader_one_in = seed % 4 == 0 ? 60 : 400;
    LeaseWorld world(plan);
    world.Run(6000);
    world.Calm();
    world.Run(100);
    world.Run(kQuietTurns);
    world.CheckTables();
    ASSERT_THAT(world.failures(), IsEmpty()) << "seed " << seed;
    ASSERT_EQ(world.leases(), 0u) << "seed " << seed << ": leases live for ever";
    expired += world.expired();
    voided += world.voided();
    terms += world.terms();
  }
  // All of it has happened.
  EXPECT_GT(expired, 1000u);
  EXPECT_GT(voided, 50u);
  EXPECT_GT(terms, 1000u);
}

// What a keeper knows is what is in the state, whatever it was told in which order.
TEST(LeaseModelTest, KeepersKnowTheState) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    LeaseWorldPlan plan;
    plan.seed = 1000 + seed;
    plan.ttl_seconds = 10000;
    plan.lose_leader_one_in = 200;
    LeaseWorld world(plan);
    world.Run(3000);
    world.Calm();
    world.Run(1000);
    world.CheckTables();
    ASSERT_THAT(world.failures(), IsEmpty()) << "seed " << seed;
    ASSERT_GT(world.leases(), 10u);
  }
}

// Thousands that are due at once end in entries of bounded size, two at a time, also over changes
// of the leader.
TEST(LeaseModelTest, AStormOfExpiriesIsBounded) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    LeaseWorldPlan plan;
    plan.seed = 2000 + seed;
    plan.lose_leader_one_in = 100;
    plan.renew_one_in = 1000000;
    LeaseWorld world(plan);
    const int leases = seed == 1 ? 100000 : 5000;
    world.GrantMany(leases, 5);
    world.Run(1500);
    world.Calm();
    for (int i = 0; i < 40 && world.leases() > 0; ++i) world.Run(kQuietTurns);
    world.CheckTables();
    EXPECT_EQ(world.leases(), 0u);
    EXPECT_EQ(world.expired(), static_cast<uint64_t>(leases));
    for (const std::string& failure : world.failures()) {
      // So many do not end in time; all the rest holds.
      EXPECT_THAT(failure, ::testing::HasSubstr("are allowed")) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace gavel::testing
