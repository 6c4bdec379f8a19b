// The sweep over the history, cross-checked with an exhaustive search for a linear order.
#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "server/rpc/error_map.h"
#include "tests/sim/history.h"
#include "tests/storage/mvcc/model.h"

namespace gavel::sim {
namespace {

// A history over two keys, small enough to try all orders.
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

// Anything that a client may ask of the keys "k" and "l", some of it to be refused.
Operation Any(raft::Random& random, uint64_t number) {
  const auto key = [&] { return random.OneIn(2) ? "k" : "l"; };
  Operation operation = Put(number, std::to_string(number));
  internal::Command& command = operation.command;
  const uint64_t kind = random.Below(9);
  if (kind <= 2) {
    command.mutable_put()->set_key(key());
    // Refused where there is no such key.
    if (kind == 0) {
      command.mutable_put()->clear_value();
      command.mutable_put()->set_ignore_value(true);
    }
  } else if (kind == 3) {
    auto& request = *command.mutable_delete_range();
    request.set_key("k");
    request.set_range_end("m");
    request.set_prev_kv(true);
    SetNumber(request, number);
  } else if (kind == 4) {
    auto& txn = *command.mutable_txn();
    auto& compare = *txn.add_compare();
    compare.set_key(key());
    compare.set_target(etcdserverpb::Compare::VERSION);
    compare.set_version(static_cast<int64_t>(random.Below(2)));
    txn.add_success()->mutable_request_put()->set_key(key());
    txn.add_failure()->mutable_request_range()->set_key(key());
    SetNumber(txn, number);
  } else if (kind == 5) {
    command.mutable_compact()->set_revision(static_cast<int64_t>(random.Between(1, 3)));
    SetNumber(*command.mutable_compact(), number);
  } else {
    operation = Operation();
    operation.number = number;
    operation.range.set_key("k");
    operation.range.set_range_end("m");
    // Of the past, or of a future that may have come.
    if (kind == 8) operation.range.set_revision(static_cast<int64_t>(random.Between(1, 4)));
  }
  return operation;
}

// Answers `operation` as `model` does, which it changes.
void Answer(testing::Model& model, Operation& operation) {
  storage::RequestError error = storage::RequestError::kNone;
  operation.error.clear();
  operation.response.clear();
  if (operation.write) {
    const testing::ModelOutcome outcome = model.Apply(operation.command);
    error = outcome.error;
    std::visit(
        [&](const auto& response) {
          if constexpr (requires { response.SerializeAsString(); }) {
            operation.response = response.SerializeAsString();
          }
        },
        outcome.response);
  } else {
    const testing::Model::RangeOutcome outcome = model.Range(operation.range);
    error = outcome.error;
    operation.response = outcome.response.SerializeAsString();
  }
  operation.outcome = Operation::Outcome::kAnswered;
  operation.revision = model.revision();
  if (error == storage::RequestError::kNone) return;
  operation.outcome = Operation::Outcome::kRefused;
  operation.error = server::ToStatus(error).message;
  operation.response.clear();
}

// Operations that took effect in order of their number, each within its time; times overlap.
Small Random(raft::Random& random) {
  Small small;
  testing::Model model;
  const uint64_t count = random.Between(2, 6);
  for (uint64_t i = 1; i <= count; ++i) {
    Operation operation = Any(random, i);
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
      one.outcome = other.outcome;
      one.response = other.response;
      one.revision = other.revision;
      one.error = other.error;
  }
}

// Whether a client was told how it ended.
bool IsTold(const Operation& operation) {
  return operation.outcome == Operation::Outcome::kAnswered ||
         operation.outcome == Operation::Outcome::kRefused;
}

// Whether some order of all operations, which respects real time, gives every answer. Writes
// without an answer may be anywhere after their start, or nowhere.
bool Linearizable(const std::vector<Operation>& operations, std::vector<bool>& done,
                  const testing::Model& model) {
  bool all = true;
  int64_t first_end = INT64_MAX;
  for (size_t i = 0; i < operations.size(); ++i) {
    if (done[i] || !IsTold(operations[i])) continue;
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
    if (IsTold(operations[i]) &&
        (answered.outcome != operations[i].outcome || answered.response != operations[i].response ||
         answered.error != operations[i].error)) {
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
  int refusals[2] = {};  // Of reads and of writes, by the store.
  for (uint64_t seed = 1; seed <= 10000; ++seed) {
    raft::Random random(seed);
    Small small = Random(random);
    for (const Operation& operation : small.operations) {
      if (operation.outcome == Operation::Outcome::kRefused) ++refusals[operation.write ? 1 : 0];
    }
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
  EXPECT_GT(refused_by_both, 1000);
  EXPECT_GT(refusals[0], 1000);
  EXPECT_GT(refusals[1], 1000);
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
