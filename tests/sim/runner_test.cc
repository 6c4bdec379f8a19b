// Whatever breaks a run breaks that run alone, and is told with the events before it.
#include "tests/sim/runner.h"

#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/check.h"

namespace gavel::sim {
namespace {

using ::testing::HasSubstr;

constexpr unsigned kSeconds = 60;

// An event that the transcript must show.
void Happen(TraceTail& tail) {
  Trace trace;
  trace.KeepIn(tail);
  trace.Add({.at = 1'000'000, .kind = EventKind::kCore, .node = 3, .a = 7, .b = 11, .text = ""});
}

TEST(SimRunnerTest, AFailedCheckIsTheViolation) {
  const RunResult result = RunApart(kSeconds, [](TraceTail&) -> RunResult {
    GAVEL_CHECK(1 + 1 == 3) << "of two\nlines";
    return {};
  });
  ASSERT_TRUE(result.violation.has_value());
  EXPECT_THAT(*result.violation, HasSubstr("check failed: "));
  EXPECT_THAT(*result.violation, HasSubstr("of two lines"));
}

TEST(SimRunnerTest, ACrashIsTheViolation) {
  const RunResult result = RunApart(kSeconds, [](TraceTail& tail) -> RunResult {
    Happen(tail);
    std::signal(SIGSEGV, SIG_DFL);  // Sanitizers have a handler of their own.
    std::raise(SIGSEGV);
    return {};
  });
  ASSERT_TRUE(result.violation.has_value());
  EXPECT_THAT(*result.violation, HasSubstr("died of signal 11"));
  EXPECT_THAT(result.transcript, HasSubstr("m3 core"));
}

TEST(SimRunnerTest, AnExceptionThatNobodyTakesIsTheViolation) {
  const RunResult result = RunApart(kSeconds, [](TraceTail& tail) -> RunResult {
    Happen(tail);
    std::abort();
  });
  ASSERT_TRUE(result.violation.has_value());
  EXPECT_THAT(*result.violation, HasSubstr("died of signal 6"));
  EXPECT_THAT(result.transcript, HasSubstr("m3 core"));
}

TEST(SimRunnerTest, AnEndWithoutAResultIsTheViolation) {
  const RunResult result = RunApart(kSeconds, [](TraceTail&) -> RunResult { std::quick_exit(7); });
  ASSERT_TRUE(result.violation.has_value());
  EXPECT_THAT(*result.violation, HasSubstr("status 7"));
}

// Also if whoever started this ignores the signal that ends it, as git does for what it runs.
TEST(SimRunnerTest, AHangIsTheViolation) {
  std::signal(SIGALRM, SIG_IGN);
  const RunResult result = RunApart(1, [](TraceTail& tail) -> RunResult {
    Happen(tail);
    for (volatile bool forever = true; forever;) {
    }
    return {};
  });
  ASSERT_TRUE(result.violation.has_value());
  EXPECT_THAT(*result.violation, HasSubstr("hangs"));
  EXPECT_THAT(result.transcript, HasSubstr("m3 core"));
}

// The next run sees nothing of the one that broke.
TEST(SimRunnerTest, TheTranscriptIsThatOfTheRunThatBroke) {
  RunApart(kSeconds, [](TraceTail& tail) -> RunResult {
    Happen(tail);
    std::abort();
  });
  const RunResult result = RunApart(kSeconds, [](TraceTail&) -> RunResult { std::abort(); });
  EXPECT_EQ(result.transcript, "");
}

// Everything that a child found reaches its parent.
TEST(SimRunnerTest, ResultsCrossWhole) {
  RunResult result;
  result.violation = "I1: two leaders, \"said\" m1";
  result.transcript = "one\n\ntwo\n";
  result.digest = ~uint64_t{0};
  result.figures.simulated_ns = 5'000'000'001;
  uint64_t number = 100;
  for (const auto count : kFigureCounts) result.figures.*count = number++;
  result.figures.faults = {{"crash", 3}, {"frame lost", 70}};
  result.figures.sometimes = {{"a state of many words", 1}};
  result.figures.longest = {{"inputs of the core", 9}};

  const std::optional<RunResult> back = DecodeResult(EncodeResult(result));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->violation, result.violation);
  EXPECT_EQ(back->transcript, result.transcript);
  EXPECT_EQ(back->digest, result.digest);
  EXPECT_EQ(back->figures.simulated_ns, result.figures.simulated_ns);
  for (const auto count : kFigureCounts) EXPECT_EQ(back->figures.*count, result.figures.*count);
  EXPECT_EQ(back->figures.faults, result.figures.faults);
  EXPECT_EQ(back->figures.sometimes, result.figures.sometimes);
  EXPECT_EQ(back->figures.longest, result.figures.longest);
}

// Of two traces that differ, the first event that does is told.
TEST(SimTraceTest, TheFirstDifferenceIsTold) {
  std::vector<TraceEvent> events;
  Trace first;
  first.KeepAllIn(events);
  for (uint64_t i = 1; i <= 5; ++i) {
    first.Add({.at = 1'000'000, .kind = EventKind::kCore, .node = 0, .a = i, .b = i, .text = ""});
  }
  Trace same;
  same.CompareWith(events);
  for (size_t i = 0; i < 4; ++i) same.Add(events[i]);
  EXPECT_EQ(same.Difference(/*ended=*/false), std::nullopt);
  EXPECT_THAT(same.Difference(/*ended=*/true).value_or(""), HasSubstr("event 5 was "));
  same.Add(events[4]);
  EXPECT_EQ(same.Difference(/*ended=*/true), std::nullopt);
  same.Add(events[4]);
  EXPECT_THAT(same.Difference(/*ended=*/false).value_or(""), HasSubstr("event 6 was none, then "));

  Trace other;
  other.CompareWith(events);
  other.Add(events[0]);
  TraceEvent changed = events[1];
  changed.b = 70;
  other.Add(changed);
  other.Add(events[2]);
  const std::string difference = other.Difference(/*ended=*/false).value_or("");
  EXPECT_THAT(difference, HasSubstr("event 2 was "));
  EXPECT_THAT(difference, HasSubstr("commit 2, then "));
  EXPECT_THAT(difference, HasSubstr("commit 70"));
}

// Shrinking goes on as long as the same is found.
TEST(SimKindTest, NumbersAndNamesDoNotCount) {
  const std::string kind = KindOf("I6: m0 sends what its disk does not hold: kind 4 of term 1");
  EXPECT_EQ(kind, KindOf("I6: m12 sends what its disk does not hold: kind 1 of term 70"));
  EXPECT_NE(kind, KindOf("I1: m0 sends what its disk does not hold: kind 4 of term 1"));
  EXPECT_NE(kind, KindOf("I6: m0 changes its vote in term 6"));
  EXPECT_EQ(KindOf("m1 does not start on a sound disk: DATA_LOSS: 1"),
            KindOf("m2 does not start on a sound disk: DATA_LOSS: 2"));
  EXPECT_EQ(KindOf("check failed: raft/log.cc:70: a < b"),
            KindOf("check failed: raft/log.cc:70: a < b: 6"));
  EXPECT_NE(KindOf("check failed: raft/log.cc:70: a < b"),
            KindOf("check failed: raft/append.cc:70: a < b"));
  EXPECT_EQ(KindOf("L1: read 4 [1.5 ms, 2 ms]: told \"one\""),
            KindOf("L1: read 93 [11.75 ms, 22 ms]: told \"two\""));
}

// Half a result is none.
TEST(SimRunnerTest, AResultThatIsCutShortIsRefused) {
  const std::string whole = EncodeResult({});
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_FALSE(DecodeResult(whole.substr(0, bytes)).has_value()) << bytes;
  }
}

}  // namespace
}  // namespace gavel::sim
