#include "tests/conformance/run.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "tests/conformance/generator.h"
#include "tests/conformance/stream_generator.h"

namespace gavel::conformance {
namespace {

Failure NewFailure(int64_t index, const Operation& operation, const Session::Outcome& outcome) {
  // For a stream, what differs says more than what was asked last.
  const std::string kind = operation.kind == Kind::kCall
                               ? absl::StrCat(operation.method, " ", outcome.answers.etcd.code, " ",
                                              outcome.answers.gavel.code)
                               : outcome.wrong.substr(0, outcome.wrong.find(':'));
  return {index,
          kind,
          absl::StrCat("operation ", index, ": ", Describe(operation), "\n", outcome.wrong),
          {}};
}

}  // namespace

RunResult Run(const RunOptions& options) {
  RunResult result;
  Servers servers(options.programs, options.directory, options.members);
  if (!servers.WaitReady()) {
    result.failure = {0, "start", absl::StrCat("the servers are not ready\n", servers.Ended()), {}};
    return result;
  }
  Session session(servers, options.seed, options.streams);
  std::unique_ptr<OperationSource> source;
  if (options.streams) {
    source = std::make_unique<StreamGenerator>(options.seed, session.history());
  } else {
    source = std::make_unique<Generator>(options.seed, options.members == 1);
  }
  std::vector<Operation> sequence;
  const int64_t count =
      options.replay.empty() ? options.operations : static_cast<int64_t>(options.replay.size());
  for (int64_t i = 0; i < count && !result.failure; ++i) {
    if (!options.replay.empty()) {
      sequence.push_back(options.replay[static_cast<size_t>(i)]);
    } else if (options.streams && i + 1 == count) {
      sequence.push_back({"", "", false, Kind::kRest});
    } else {
      sequence.push_back(source->Next());
    }
    const Operation& operation = sequence.back();
    Session::Outcome outcome = session.Do(operation, static_cast<size_t>(i), options.planted == i);
    ++result.sent;
    if (!outcome.wrong.empty()) {
      outcome.wrong += servers.Ended();
      result.failure = NewFailure(i, operation, outcome);
    }
    source->Learn(operation, outcome.answers.etcd);
  }
  result.counts = session.counts();
  if (result.failure) result.failure->sequence = std::move(sequence);
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
