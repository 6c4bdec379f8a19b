// The part of a session that is about calls which wait for other clients: locks and elections.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "tests/conformance/session.h"

namespace gavel::conformance {

Session::Outcome Session::Begin(const Operation& operation, size_t turn) {
  std::string wrong = Rest();
  if (!wrong.empty()) return {{}, std::move(wrong)};
  calls_[operation.number] =
      std::make_unique<CallPair>(servers_, operation, operation, turn, arrivals_);
  if (operation.method == kObserveMethod) return {};
  // The caller's key, which the sequence knows to be new.
  ++revision_;
  return {{}, Rest()};
}

Session::Outcome Session::Await(const Operation& operation) {
  const auto found = calls_.find(operation.number);
  if (found == calls_.end()) return {};
  CallPair& pair = *found->second;
  if (!WaitFor([&] { return pair.answered(); })) {
    return {{}, absl::StrCat("no answer:\n", pair.anything() ? "of one of the two\n" : "")};
  }
  Outcome outcome;
  outcome.answers = pair.Take();
  outcome.wrong = Judge(operation, outcome.answers);
  Learn(operation, outcome.answers.etcd);
  if (operation.method != kObserveMethod) calls_.erase(found);
  return outcome;
}

std::string Session::Abandon(const Operation& operation) {
  const auto found = calls_.find(operation.number);
  if (found == calls_.end()) return "";
  std::string wrong = Rest();
  if (!wrong.empty()) return wrong;
  if (found->second->anything()) return "there is an answer that nobody waited for\n";
  calls_.erase(found);
  if (operation.method == kObserveMethod) return "";
  // Its key goes with it.
  ++revision_;
  return Rest();
}

}  // namespace gavel::conformance
