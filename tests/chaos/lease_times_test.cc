// The checker proves itself: each kind of violation, planted among good leases, must be found.
#include "tests/chaos/lease_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::chaos {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kMs = 1'000'000;
constexpr LeasePromise kPromise = {
    .ttl_ns = 10'000 * kMs, .failover_ns = 500 * kMs, .slack_ns = 1000 * kMs};

std::vector<LeaseEnd> Good() {
  return {{100 * kMs, 110 * kMs, 10'100 * kMs},
          {200 * kMs, 230 * kMs, 11'730 * kMs},
          {300 * kMs, 330 * kMs, 10'400 * kMs}};
}

TEST(LeaseTimesTest, GoodTimesPass) {
  const LeaseTimes times = CheckLeaseTimes(Good(), kPromise);
  EXPECT_TRUE(times.violations.empty());
  EXPECT_EQ(times.longest_over_ns, 1500 * kMs);
}

TEST(LeaseTimesTest, ALeaseThatEndsTooEarlyIsFound) {
  std::vector<LeaseEnd> leases = Good();
  leases[0].gone_ns -= 1 * kMs;
  EXPECT_THAT(CheckLeaseTimes(leases, kPromise).violations,
              ElementsAre("lease 0 ended too early, by 1 ms"));
}

TEST(LeaseTimesTest, ALeaseThatEndsTooLateIsFound) {
  std::vector<LeaseEnd> leases = Good();
  leases[1].gone_ns += 2 * kMs;
  EXPECT_THAT(CheckLeaseTimes(leases, kPromise).violations,
              ElementsAre("lease 1 ended too late, by 2 ms"));
}

TEST(LeaseTimesTest, ALeaseThatNeverEndsIsFound) {
  std::vector<LeaseEnd> leases = Good();
  leases[2].gone_ns = 0;
  EXPECT_THAT(CheckLeaseTimes(leases, kPromise).violations, ElementsAre("1 leases did not end"));
}

TEST(LeaseTimesTest, ManyAreCounted) {
  const std::vector<LeaseEnd> leases(10, LeaseEnd{0, 0, 1 * kMs});
  EXPECT_THAT(
      CheckLeaseTimes(leases, kPromise).violations,
      ElementsAre("lease 0 ended too early, by 9999 ms", "lease 1 ended too early, by 9999 ms",
                  "lease 2 ended too early, by 9999 ms", "7 more leases ended too early"));
}

}  // namespace
}  // namespace gavel::chaos
