#include "tests/conformance/run.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/parse.h"
#include "raft/random.h"
#include "tests/conformance/accepted.h"
#include "tests/conformance/generator.h"

namespace gavel::conformance {
namespace {

// Changes `answer` in one place; false if there is nothing that could be.
bool Change(const Operation& operation, uint64_t choice, Answer* answer) {
  if (answer->code != 0) {
    if (choice % 2 == 0) {
      ++answer->code;
    } else {
      answer->message += "x";
    }
    return true;
  }
  const auto body = NewResponse(operation.method);
  if (body == nullptr || !ParseMessage(answer->body, kCommandDepthMax, body.get())) return false;
  if (!Plant(*body, choice)) return false;
  answer->body = body->SerializeAsString();
  return true;
}

Failure NewFailure(int64_t index, const Operation& operation, const Answers& answers,
                   const std::string& what) {
  return {index,
          absl::StrCat(operation.method, " ", answers.etcd.code, " ", answers.gavel.code),
          absl::StrCat("operation ", index, ": ", Describe(operation), "\n", "etcd answered:  ",
                       operation.crashes_etcd ? "(not asked)" : Describe(operation, answers.etcd),
                       "\n", "gavel answered: ", Describe(operation, answers.gavel), "\n", what),
          {}};
}

// Compares, and then compares once more with a change. Returns what is wrong, empty if nothing is.
std::string Judge(const Operation& operation, int64_t revision, const Answers& answers,
                  uint64_t choice, RunResult* result) {
  const std::vector<Difference> differences =
      Compare(operation, revision, answers.etcd, answers.gavel, &result->hits);
  if (!differences.empty()) return absl::StrCat("what differs:\n", Describe(differences));
  Answer changed = answers.gavel;
  if (!Change(operation, choice, &changed)) return "";
  // A change may also make the answers equal, where the difference was an accepted one.
  if (AllDifferences(Exchange(operation, revision, answers.etcd, changed)).empty() &&
      !AllDifferences(Exchange(operation, revision, answers.etcd, answers.gavel)).empty()) {
    return "";
  }
  ++result->changed_answers;
  if (!Compare(operation, revision, answers.etcd, changed, nullptr).empty()) return "";
  return absl::StrCat("the comparison is blind: it does not see that this is another answer: ",
                      Describe(operation, changed), "\n");
}

}  // namespace

RunResult Run(const RunOptions& options) {
  RunResult result;
  result.hits.resize(AcceptedDifferences().size());
  Servers servers(options.programs, options.directory, options.members);
  if (!servers.WaitReady()) {
    result.failure = {0, "start", absl::StrCat("the servers are not ready\n", servers.Ended()), {}};
    return result;
  }
  Generator generator(options.seed, options.members == 1);
  raft::Random random(options.seed);
  std::vector<Operation> sequence;
  const int64_t count =
      options.replay.empty() ? options.operations : static_cast<int64_t>(options.replay.size());
  for (int64_t i = 0; i < count; ++i) {
    sequence.push_back(options.replay.empty() ? generator.Next() : options.replay[i]);
    const Operation& operation = sequence.back();
    Answers answers = servers.Send(operation, static_cast<size_t>(i));
    ++result.sent;
    if (answers.etcd.code != 0) ++result.refused;
    if (options.planted == i) Change(operation, random.Next(), &answers.gavel);
    std::string wrong = Judge(operation, generator.revision(), answers, random.Next(), &result);
    if (!wrong.empty()) {
      wrong += servers.Ended();
      result.failure = NewFailure(i, operation, answers, wrong);
      result.failure->sequence = std::move(sequence);
      return result;
    }
    generator.Learn(operation, answers.etcd);
  }
  return result;
}

Failure Shrink(const RunOptions& options, const Failure& failure, int seconds) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  Failure best = failure;
  for (size_t part = best.sequence.size() / 2; part > 0;) {
    bool shorter = false;
    // The last operation is the one that differs, so it stays.
    for (size_t begin = 0; begin + 1 < best.sequence.size();) {
      if (std::chrono::steady_clock::now() > give_up) return best;
      const size_t end = std::min(begin + part, best.sequence.size() - 1);
      RunOptions attempt = options;
      attempt.planted = -1;
      attempt.replay = best.sequence;
      attempt.replay.erase(attempt.replay.begin() + static_cast<ptrdiff_t>(begin),
                           attempt.replay.begin() + static_cast<ptrdiff_t>(end));
      std::optional<Failure> found = Run(attempt).failure;
      if (found && found->kind == best.kind && !found->sequence.empty()) {
        best = std::move(*found);
        shorter = true;
      } else {
        begin = end;
      }
    }
    if (!shorter || part > best.sequence.size()) part /= 2;
  }
  return best;
}

}  // namespace gavel::conformance
