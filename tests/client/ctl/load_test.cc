#include "client/ctl/load.h"

#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

TEST(LoadTest, SummarizesTimes) {
  const LoadStatistics found = Summarize({0.1, 0.3, 0.2, 0.2}, 2.0);
  EXPECT_EQ(found.writes, 4);
  EXPECT_DOUBLE_EQ(found.writes_per_second, 2.0);
  EXPECT_DOUBLE_EQ(found.slowest_s, 0.3);
  EXPECT_NEAR(found.deviation_s, 0.0707107, 1e-6);
}

TEST(LoadTest, NothingWrittenIsNoDivisionByZero) {
  const LoadStatistics found = Summarize({}, 60);
  EXPECT_EQ(found.writes, 0);
  EXPECT_EQ(found.writes_per_second, 0);
  EXPECT_EQ(found.deviation_s, 0);
}

}  // namespace
}  // namespace gavel::client::ctl
