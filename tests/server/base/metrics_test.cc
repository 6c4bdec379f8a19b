// Metrics as a scrape shows them.
#include "server/metrics.h"

#include <thread>

#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsTest, EachKindIsShownWithItsHelpAndType) {
  Metrics metrics;
  metrics.AddCounter("puts_total", "Puts.").Increment(3);
  metrics.AddGauge("leader", "Whether this member leads.", {{"member", "a"}}).Set(1);
  Histogram& histogram = metrics.AddHistogram("sync_seconds", "Syncs.", {0.001, 0.002});
  histogram.Observe(0.0015);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("# HELP puts_total Puts.\n# TYPE puts_total counter\n"));
  EXPECT_THAT(text, HasSubstr("puts_total 3\n"));
  EXPECT_THAT(text, HasSubstr("leader{member=\"a\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sync_seconds_bucket{le=\"0.001\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sync_seconds_bucket{le=\"0.002\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sync_seconds_bucket{le=\"+Inf\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sync_seconds_count 1\n"));
}

TEST(MetricsTest, RegisteringAgainReturnsTheSameObject) {
  Metrics metrics;
  Counter& first = metrics.AddCounter("c", "Help.", {{"type", "x"}});
  EXPECT_EQ(&first, &metrics.AddCounter("c", "Help.", {{"type", "x"}}));
  EXPECT_NE(&first, &metrics.AddCounter("c", "Help.", {{"type", "y"}}));
}

TEST(MetricsTest, RefreshRunsBeforeEachScrapeUntilItsHandleIsGone) {
  Metrics metrics;
  Gauge& gauge = metrics.AddGauge("g", "Help.");
  int scrapes = 0;
  std::shared_ptr<void> handle = metrics.OnScrape([&] { gauge.Set(++scrapes); });
  EXPECT_THAT(metrics.Text(), HasSubstr("g 1\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr("g 2\n"));
  handle.reset();
  EXPECT_THAT(metrics.Text(), HasSubstr("g 2\n"));
}

TEST(MetricsTest, AHandleMayOutliveTheMetrics) {
  std::shared_ptr<void> handle;
  {
    Metrics metrics;
    handle = metrics.OnScrape([] {});
  }
  handle.reset();
}

TEST(MetricsTest, ThreadsMayCountAtOnce) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) metrics.AddCounter("c", "Help.").Increment();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(metrics.Text(), HasSubstr("c 4000\n"));
}

TEST(MetricsTest, BucketsGrowByTheirFactor) {
  EXPECT_THAT(ExponentialBuckets(0.5, 2, 3), ElementsAre(0.5, 1, 2));
}

}  // namespace
}  // namespace gavel::server
