// The lease clock as a leader reads it.

#include "gtest/gtest.h"

#include "server/lease/lease_clock.h"

namespace gavel::server {
namespace {

// Only a leader moves the clock; whoever does not lead knows what apply has told.
TEST(LeaseClockTest, StandsUntilItBegins) {
  LeaseClock clock;
  clock.OnApplied(5000);
  EXPECT_EQ(clock.Read(kNsPerSecond), 5000);
  EXPECT_EQ(clock.Read(2 * kNsPerSecond), 5000);
  EXPECT_FALSE(clock.Stamp(2 * kNsPerSecond, true, true));
}

// It goes on from the newest reading in the log, so it is never ahead of the last leader's.
TEST(LeaseClockTest, GoesOnFromTheNewestReading) {
  LeaseClock clock;
  clock.OnApplied(5000);
  clock.OnApplied(4000);
  clock.Begin(100 * kNsPerSecond);
  EXPECT_EQ(clock.Read(100 * kNsPerSecond), 5000);
  EXPECT_EQ(clock.Read(100 * kNsPerSecond + 1500 * kNsPerMs), 6500);
  // What it has itself put into the log comes back without effect.
  clock.OnApplied(6500);
  EXPECT_EQ(clock.Read(103 * kNsPerSecond), 8000);
  clock.Stop();
  EXPECT_EQ(clock.Read(104 * kNsPerSecond), 6500);
}

// What dates leases follows a reading that is at most 10 ms old; without leases nothing is put
// into the log.
TEST(LeaseClockTest, AReadingIsDueByWhatItIsFor) {
  LeaseClock clock;
  clock.Begin(0);
  EXPECT_FALSE(clock.Stamp(9 * kNsPerMs, /*dating=*/true, /*leases=*/true));
  EXPECT_EQ(clock.Stamp(10 * kNsPerMs, true, false), 10);
  EXPECT_FALSE(clock.Stamp(499 * kNsPerMs, false, true));
  EXPECT_EQ(clock.Stamp(500 * kNsPerMs, false, true), 500);
  EXPECT_FALSE(clock.Stamp(1000 * kNsPerSecond, false, false));
  // One that was refused is due again at once.
  EXPECT_EQ(clock.Stamp(501 * kNsPerMs, false, true), 501);
  clock.OnStamped(501);
  EXPECT_FALSE(clock.Stamp(510 * kNsPerMs, true, true));
  EXPECT_EQ(clock.Stamp(511 * kNsPerMs, true, true), 511);
}

// A new reign knows nothing of what an earlier one put into a log that may be lost.
TEST(LeaseClockTest, ForgetsReadingsThatWereNotApplied) {
  LeaseClock clock;
  clock.OnApplied(1000);
  clock.Begin(0);
  clock.OnStamped(4000);
  clock.Stop();
  clock.Begin(10 * kNsPerSecond);
  EXPECT_EQ(clock.Read(10 * kNsPerSecond), 1000);
  EXPECT_EQ(clock.Stamp(10 * kNsPerSecond + 10 * kNsPerMs, true, true), 1010);
}

}  // namespace
}  // namespace gavel::server
