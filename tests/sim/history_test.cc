// The sweep over the history, cross-checked with an exhaustive search for a linear order.
#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "tests/sim/history.h"
#include "tests/storage/mvcc/model.h"

namespace gavel::sim {
namespace {

// A history over one key, small enough to try all orders.
struct Small {
  std::vector<Operation> operations;
  std::vector<raft::Payload> log;
};

Operation Put(uint64_t number, const std::string& value) {
  Operation operation;
  operation.number = number;
  operation.write = true;
  operation.command.set_semantics(1);
  auto& put = *operation.command.mutable_put();
  put.set_key("k");
  put.set_value(value);
  put.set_prev_kv(true);
  SetNumber(put, number);
  return operation;
}

Operation Get(uint64_t number) {
  Operation operation;
  operation.number = number;
  operation.range.set_key("k");
  return operation;
}

// Answers `operation` as `model` does, which it changes.
void Answer(testing::Model& model, Operation& operation) {
  operation.outcome = Operation::Outcome::kAnswered;
  if (operation.write) {
    const testing::ModelOutcome outcome = model.Apply(operation.command);
    operation.response = std::get<etcdserverpb::PutResponse>(outcome.response).SerializeAsString();
  } else {
    operation.response = model.Range(operation.range).response.SerializeAsString();
  }
  operation.revision = model.revision();
}

// Operations that took effect in order of their number, each within its time; times overlap.
Small Random(raft::Random& random) {
  Small small;
  testing::Model model;
  const uint64_t count = random.Between(2, 6);
  for (uint64_t i = 1; i <= count; ++i) {
    Operation operation = random.OneIn(2) ? Put(i, std::to_string(i)) : Get(i);
    const auto effect = static_cast<int64_t>(i * 10);
    operation.start = effect - static_cast<int64_t>(random.Between(1, 15));
    operation.end = effect + static_cast<int64_t>(random.Between(1, 15));
    Answer(model, operation);
    if (operation.write) {
      small.log.push_back(
          std::make_shared<const std::string>(operation.command.SerializeAsString()));
      if (random.OneIn(4)) operation.outcome = Operation::Outcome::kUnknown;
    }
    small.operations.push_back(std::move(operation));
  }
  return small;
}

// Breaks it, perhaps: an operation moves in time, or takes another's answer.
void Disturb(raft::Random& random, Small& small) {
  Operation& one = small.operations[random.Below(small.operations.size())];
  const Operation& other = small.operations[random.Below(small.operations.size())];
  switch (random.Below(3)) {
    case 0:
      one.start += 30;
      one.end += 30;
      break;
    case 1:
      one.start -= 30;
      one.end -= 30;
      break;
    default:
      if (one.write != other.write) return;
      one.response = other.response;
      one.revision = other.revision;
  }
}

// Whether some order of all operations, which respects real time, gives every answer. Writes
// without an answer may be anywhere after their start, or nowhere.
bool Linearizable(const std::vector<Operation>& operations, std::vector<bool>& done,
                  const testing::Model& model) {
  bool all = true;
  int64_t first_end = INT64_MAX;
  for (size_t i = 0; i < operations.size(); ++i) {
    if (done[i] || operations[i].outcome != Operation::Outcome::kAnswered) continue;
    all = false;
    first_end = std::min(first_end, operations[i].end);
  }
  if (all) return true;
  for (size_t i = 0; i < operations.size(); ++i) {
    // What begins at the moment when another ends counts as concurrent, as in the sweep.
    if (done[i] || operations[i].start > first_end) continue;
    testing::Model next = model;
    Operation answered = operations[i];
    Answer(next, answered);
    if (operations[i].outcome == Operation::Outcome::kAnswered &&
        answered.response != operations[i].response) {
      continue;
    }
    done[i] = true;
    const bool rest = Linearizable(operations, done, next);
    done[i] = false;
    if (rest) return true;
  }
  return false;
}

bool Linearizable(const Small& small) {
  std::vector<bool> done(small.operations.size(), false);
  return Linearizable(small.operations, done, testing::Model());
}

// Whatever the sweep accepts, the exhaustive search must accept too; histories that are right by
// construction pass both, and disturbed ones are told by both often enough to mean something.
TEST(HistoryTest, TheSweepAgreesWithAnExhaustiveSearch) {
  int refused = 0;
  int refused_by_both = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    raft::Random random(seed);
    Small small = Random(random);
    ASSERT_TRUE(CheckHistory(small.operations, small.log).violations.empty()) << seed;
    ASSERT_TRUE(Linearizable(small)) << seed;
    Disturb(random, small);
    const bool swept = CheckHistory(small.operations, small.log).violations.empty();
    const bool searched = Linearizable(small);
    EXPECT_TRUE(!swept || searched) << "the sweep accepts what no order explains, seed " << seed;
    if (!swept) ++refused;
    if (!searched) {
      ++refused_by_both;
      EXPECT_FALSE(swept) << seed;
    }
  }
  EXPECT_GT(refused_by_both, 300);
  // The log claims one order, so the sweep may refuse what another order would explain.
  EXPECT_GE(refused, refused_by_both);
}

TEST(HistoryTest, WritesAreCarriedOutAtMostOnceAndOnlyIfSent) {
  testing::Model model;
  Operation put = Put(1, "v");
  Answer(model, put);
  const auto payload = std::make_shared<const std::string>(put.command.SerializeAsString());
  EXPECT_TRUE(CheckHistory({put}, {payload}).violations.empty());
  EXPECT_FALSE(CheckHistory({put}, {payload, payload}).violations.empty());
  EXPECT_FALSE(CheckHistory({put}, {}).violations.empty());
  EXPECT_FALSE(CheckHistory({}, {payload}).violations.empty());
  put.outcome = Operation::Outcome::kNotDone;
  EXPECT_FALSE(CheckHistory({put}, {payload}).violations.empty());
  EXPECT_TRUE(CheckHistory({put}, {}).violations.empty());
}

}  // namespace
}  // namespace gavel::sim
