#include "tests/chaos/fencing.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace gavel::chaos {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

class Checker {
 public:
  explicit Checker(const FencingHistory& history) : history_(history) { FindTurns(); }

  std::vector<std::string> Run() {
    CheckValues();
    CheckWrites();
    CheckAcquisitions();
    return std::move(violations_);
  }

 private:
  // When a key was the oldest of all: in [first, end).
  struct Turn {
    int64_t first = 0;
    int64_t end = 0;
  };

  void Violation(const std::string& what) { violations_.push_back(what); }

  void FindTurns() {
    std::vector<LockKey> keys = history_.keys;
    std::sort(keys.begin(), keys.end(),
              [](const LockKey& a, const LockKey& b) { return a.created < b.created; });
    int64_t older_gone = 0;  // When the last older key was deleted.
    for (const LockKey& key : keys) {
      const int64_t deleted = key.deleted == 0 ? kNever : key.deleted;
      turns_[key.created] = {std::max(key.created, older_gone), deleted};
      older_gone = std::max(older_gone, deleted);
    }
  }

  void CheckValues() {
    int64_t token = 0;
    int64_t counter = 0;
    for (const CounterValue& value : history_.values) {
      const std::string what = value.writer + " at revision " + std::to_string(value.revision);
      if (value.token < token) {
        Violation(what + " wrote under token " + std::to_string(value.token) + " after token " +
                  std::to_string(token));
      }
      if (value.counter != counter + 1) {
        Violation(what + " made " + std::to_string(value.counter) + " of " +
                  std::to_string(counter));
      }
      const auto turn = turns_.find(value.token);
      if (turn == turns_.end()) {
        Violation(what + " wrote under token " + std::to_string(value.token) + ", which no key is");
      } else if (value.revision < turn->second.first || value.revision >= turn->second.end) {
        Violation(what + " wrote under token " + std::to_string(value.token) +
                  ", which did not hold the lock then");
      }
      token = std::max(token, value.token);
      counter = value.counter;
    }
  }

  void CheckWrites() {
    std::map<std::string, const CounterValue*> found;
    for (const CounterValue& value : history_.values) {
      if (!found.emplace(value.writer, &value).second) Violation(value.writer + " is there twice");
    }
    std::set<std::string> tried;
    for (const GuardedWrite& write : history_.writes) {
      tried.insert(write.writer);
      const auto value = found.find(write.writer);
      const bool there = value != found.end();
      if (write.end == GuardedWrite::End::kDone) {
        if (!there || value->second->revision != write.revision) {
          Violation(write.writer + ", acknowledged at revision " + std::to_string(write.revision) +
                    ", is not there");
        }
      } else if (write.end == GuardedWrite::End::kRefused) {
        if (there) Violation(write.writer + " was refused, and is there");
        CheckRefusal(write);
      }
      if (there && value->second->token != write.token) {
        Violation(write.writer + " is there under another token");
      }
    }
    for (const auto& [writer, value] : found) {
      if (!tried.contains(writer)) Violation(writer + " is there, and was never tried");
    }
  }

  void CheckRefusal(const GuardedWrite& write) {
    const auto turn = turns_.find(write.token);
    if (turn != turns_.end() && turn->second.end > write.revision) {
      Violation(write.writer + " was refused at revision " + std::to_string(write.revision) +
                ", when token " + std::to_string(write.token) + " was there");
    }
  }

  void CheckAcquisitions() {
    std::vector<const Acquisition*> by_start;
    std::set<int64_t> given;
    for (const Acquisition& acquisition : history_.acquisitions) {
      by_start.push_back(&acquisition);
      const std::string token = "token " + std::to_string(acquisition.token);
      if (!given.insert(acquisition.token).second) Violation(token + " was given twice");
      const auto turn = turns_.find(acquisition.token);
      if (turn == turns_.end()) {
        Violation(token + " was given, which no key is");
      } else if (turn->second.first >= turn->second.end) {
        Violation(token + " was given, and never was the oldest");
      }
    }
    std::vector<const Acquisition*> by_end = by_start;
    std::sort(by_start.begin(), by_start.end(),
              [](const auto* a, const auto* b) { return a->start_ns < b->start_ns; });
    std::sort(by_end.begin(), by_end.end(),
              [](const auto* a, const auto* b) { return a->end_ns < b->end_ns; });
    int64_t largest = 0;  // Of those that had returned.
    auto ended = by_end.begin();
    for (const Acquisition* next : by_start) {
      for (; ended != by_end.end() && (*ended)->end_ns < next->start_ns; ++ended) {
        largest = std::max(largest, (*ended)->token);
      }
      if (next->token <= largest) {
        Violation("token " + std::to_string(next->token) + " was given after token " +
                  std::to_string(largest));
      }
    }
  }

  const FencingHistory& history_;
  std::map<int64_t, Turn> turns_;  // By token.
  std::vector<std::string> violations_;
};

}  // namespace

std::vector<std::string> CheckFencing(const FencingHistory& history) {
  return Checker(history).Run();
}

}  // namespace gavel::chaos
