// The checker proves itself: each kind of violation, planted in a good history, must be found.
#include "tests/chaos/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/chaos/outcome.h"

namespace gavel::chaos {
namespace {

using ::testing::HasSubstr;

Operation Write(int64_t start, int64_t end, int64_t revision, Snapshot contents) {
  return {Operation::Kind::kWrite, start, end, true, revision, std::move(contents), "w"};
}
Operation Read(int64_t start, int64_t end, int64_t revision, Snapshot contents) {
  return {Operation::Kind::kRead, start, end, true, revision, std::move(contents), "r"};
}
Operation Unknown(int64_t start, Snapshot contents) {
  return {Operation::Kind::kWrite, start, start + 1, false, 0, std::move(contents), "u"};
}

// Revision 1 is empty, 2 puts a=1, 3 puts a=2 and b=2 together, 4 deletes a.
Truth FourRevisions() { return {1, {{}, {{"a", "1"}}, {{"a", "2"}, {"b", "2"}}, {{"b", "2"}}}}; }

std::vector<Operation> GoodHistory() {
  return {Write(0, 10, 2, {{"a", "1"}}), Write(20, 30, 3, {{"a", "2"}, {"b", "2"}}),
          Read(25, 40, 3, {{"a", "2"}, {"b", "2"}}), Write(50, 60, 4, {{"a", ""}}),
          Read(70, 80, 4, {{"b", "2"}})};
}

std::string FirstViolation(std::vector<Operation> operations, const Truth& truth,
                           const std::vector<std::string>& refused = {}) {
  const CheckResult result = Check(std::move(operations), truth, refused);
  return result.violations.empty() ? "" : result.violations.front();
}

TEST(HistoryCheckTest, AGoodHistoryPasses) {
  const CheckResult result = Check(GoodHistory(), FourRevisions(), {"refused"});
  EXPECT_TRUE(result.violations.empty()) << result.violations.front();
  EXPECT_EQ(result.acknowledged_writes, 3);
  EXPECT_EQ(result.reads, 2);
}

TEST(HistoryCheckTest, AnUnknownWriteMayBePresentOrNot) {
  std::vector<Operation> operations = GoodHistory();
  operations.erase(operations.begin());
  operations.push_back(Unknown(0, {{"a", "1"}}));
  operations.push_back(Unknown(0, {{"a", "never"}}));
  const CheckResult result = Check(operations, FourRevisions(), {});
  EXPECT_TRUE(result.violations.empty()) << result.violations.front();
  EXPECT_EQ(result.unknown_writes, 2);
  EXPECT_EQ(result.unknown_writes_present, 1);
}

TEST(HistoryCheckTest, FindsALostWrite) {
  std::vector<Operation> operations = GoodHistory();
  operations.push_back(Write(12, 18, 3, {{"c", "9"}}));
  EXPECT_THAT(FirstViolation(operations, FourRevisions()), HasSubstr("same revision"));
  operations.back().revision = 5;
  EXPECT_THAT(FirstViolation(operations, FourRevisions()), HasSubstr("never reached"));
  operations = GoodHistory();
  operations[0].contents = {{"a", "9"}};
  EXPECT_THAT(FirstViolation(operations, FourRevisions()), HasSubstr("lost"));
}

TEST(HistoryCheckTest, FindsAnUndeletedKey) {
  Truth truth = FourRevisions();
  truth.at[3]["a"] = "2";
  EXPECT_THAT(FirstViolation(GoodHistory(), truth), HasSubstr("lost"));
}

TEST(HistoryCheckTest, FindsAStaleRead) {
  std::vector<Operation> operations = GoodHistory();
  operations.push_back(Read(90, 95, 3, {{"a", "2"}, {"b", "2"}}));
  EXPECT_THAT(FirstViolation(operations, FourRevisions()), HasSubstr("stale"));
}

TEST(HistoryCheckTest, FindsATornRead) {
  std::vector<Operation> operations = GoodHistory();
  operations[2].contents = {{"a", "2"}};
  EXPECT_THAT(FirstViolation(operations, FourRevisions()), HasSubstr("torn"));
}

TEST(HistoryCheckTest, FindsWritesInTheWrongOrder) {
  std::vector<Operation> operations = GoodHistory();
  operations[0].start_ns = 35;
  operations[0].end_ns = 38;
  EXPECT_THAT(FirstViolation(operations, FourRevisions()), HasSubstr("stale"));
}

TEST(HistoryCheckTest, FindsAWriteCarriedOutTwice) {
  Truth truth = FourRevisions();
  truth.at.push_back({{"a", "1"}, {"b", "2"}});
  EXPECT_THAT(FirstViolation(GoodHistory(), truth), HasSubstr("again"));
}

TEST(HistoryCheckTest, FindsAValueNobodyWrote) {
  Truth truth = FourRevisions();
  truth.at.push_back({{"b", "ghost"}});
  EXPECT_THAT(FirstViolation(GoodHistory(), truth), HasSubstr("never written"));
}

TEST(HistoryCheckTest, FindsARefusedWriteThatWasCarriedOut) {
  std::vector<Operation> operations = GoodHistory();
  EXPECT_THAT(FirstViolation(operations, FourRevisions(), {"2"}), HasSubstr("refused"));
}

// Of all errors without a refusal only those that are never said of an unknown outcome let the
// checker treat a write as not carried out.
TEST(OutcomeTest, OnlyCertainDropsAreDropped) {
  using server::StatusCode;
  EXPECT_EQ(OutcomeOf(StatusCode::kUnavailable, "etcdserver: no leader"), Outcome::kDropped);
  EXPECT_EQ(OutcomeOf(StatusCode::kResourceExhausted, "etcdserver: too many requests"),
            Outcome::kDropped);
  EXPECT_EQ(OutcomeOf(StatusCode::kUnavailable, "etcdserver: leader changed"), Outcome::kUnknown);
  EXPECT_EQ(OutcomeOf(StatusCode::kUnavailable, "etcdserver: request timed out"),
            Outcome::kUnknown);
  EXPECT_EQ(OutcomeOf(StatusCode::kUnavailable, "etcdserver: server stopped"), Outcome::kUnknown);
  EXPECT_EQ(OutcomeOf(StatusCode::kInvalidArgument, "etcdserver: key is not provided"),
            Outcome::kRefused);
}

}  // namespace
}  // namespace gavel::chaos
