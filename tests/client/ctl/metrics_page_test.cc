#include "client/ctl/metrics_page.h"

#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::HasSubstr;

TEST(MetricsPageTest, FindsTheNumberByItsWholeName) {
  const std::string page =
      "# HELP bytes How many.\n# TYPE bytes gauge\nbytes_max 7\nbytes{of=\"x\"} 8\n"
      "bytes 2.1757952e+07\nstamped 5 1700000000000\nbad x\n";
  EXPECT_EQ(FindMetric(page, "bytes"), 21757952.0);
  EXPECT_EQ(FindMetric(page, "stamped"), 5.0);
  EXPECT_EQ(FindMetric(page, "byte"), std::nullopt);
  EXPECT_EQ(FindMetric(page, "bad"), std::nullopt);
  EXPECT_EQ(FindMetric("", "bytes"), std::nullopt);
}

TEST(MetricsPageTest, WhatIsNoUrlIsRefused) {
  for (const char* url : {"", "127.0.0.1:1", "https://127.0.0.1:1", "http://host", "http://:1"}) {
    const Expected<double> read = ReadMetric(url, "bytes", std::chrono::seconds(1));
    ASSERT_FALSE(read.ok()) << url;
    EXPECT_THAT(read.failure().message, HasSubstr("no URL")) << url;
  }
}

}  // namespace
}  // namespace gavel::client::ctl
