// The machine's clocks.
#include <gtest/gtest.h>

#include "server/clock.h"

namespace gavel::server {
namespace {

TEST(SystemClockTest, MonotonicTimeNeverGoesBack) {
  SystemClock clock;
  MonotonicNs previous = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const MonotonicNs now = clock.Now();
    ASSERT_GE(now, previous);
    previous = now;
  }
}

TEST(SystemClockTest, WallTimeCountsFrom1970) {
  const int64_t year_2020_ns = int64_t{1577836800} * kNsPerSecond;
  EXPECT_GT(SystemClock().WallNs(), year_2020_ns);
}

}  // namespace
}  // namespace gavel::server
