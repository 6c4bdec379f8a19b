#include "tests/chaos/history.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace gavel::chaos {
namespace {

constexpr size_t kViolationsMax = 20;

std::string Text(const Snapshot& snapshot) {
  std::string text = "{";
  for (const auto& [key, value] : snapshot) text += key + "=" + value + " ";
  return text + "}";
}

// Gathers violations, and stops when there are enough to look at.
class Report {
 public:
  explicit Report(CheckResult& result) : result_(result) {}

  void Add(const Operation& operation, const std::string& what) {
    if (result_.violations.size() >= kViolationsMax) return;
    result_.violations.push_back(
        (operation.kind == Operation::Kind::kWrite ? "write " : "read ") + operation.client +
        " at revision " + std::to_string(operation.revision) + " [" +
        std::to_string(operation.start_ns) + ", " + std::to_string(operation.end_ns) + "] " +
        Text(operation.contents) + ": " + what);
  }
  void Add(const std::string& what) {
    if (result_.violations.size() < kViolationsMax) result_.violations.push_back(what);
  }

 private:
  CheckResult& result_;
};

// True if `snapshot` shows the effect of the write `contents`.
bool Shows(const Snapshot& snapshot, const Snapshot& contents) {
  return std::all_of(contents.begin(), contents.end(), [&](const auto& change) {
    const auto found = snapshot.find(change.first);
    if (change.second.empty()) return found == snapshot.end();
    return found != snapshot.end() && found->second == change.second;
  });
}

// value -> the revision at which it first appears in the truth.
std::map<std::string, int64_t> FirstSeen(const Truth& truth, Report& report) {
  std::map<std::string, int64_t> first;
  Snapshot before;
  for (int64_t revision = truth.first; revision <= truth.last(); ++revision) {
    const Snapshot& now = *truth.Find(revision);
    for (const auto& [key, value] : now) {
      const auto old = before.find(key);
      if (old != before.end() && old->second == value) continue;
      const auto [seen, fresh] = first.emplace(value, revision);
      if (!fresh && seen->second != revision) {
        report.Add("value " + value + " of key " + key + " was written at revision " +
                   std::to_string(seen->second) + " and again at " + std::to_string(revision));
      }
    }
    before = now;
  }
  return first;
}

void CheckWrites(const std::vector<Operation>& operations, const Truth& truth,
                 const std::map<std::string, int64_t>& first_seen, CheckResult& result,
                 Report& report) {
  std::map<int64_t, const Operation*> by_revision;
  std::set<std::string> written;
  for (const Operation& operation : operations) {
    if (operation.kind != Operation::Kind::kWrite) continue;
    for (const auto& [key, value] : operation.contents) {
      if (!value.empty()) written.insert(value);
    }
    if (!operation.known) {
      ++result.unknown_writes;
      const std::string& value = operation.contents.begin()->second;
      if (!value.empty() && first_seen.contains(value)) ++result.unknown_writes_present;
      continue;
    }
    ++result.acknowledged_writes;
    if (!by_revision.emplace(operation.revision, &operation).second) {
      report.Add(operation, "another write was acknowledged with the same revision");
    }
    const Snapshot* at = truth.Find(operation.revision);
    if (at == nullptr) {
      report.Add(operation, "acknowledged, but the store never reached this revision");
    } else if (!Shows(*at, operation.contents)) {
      report.Add(operation, "acknowledged, but lost: the store holds " + Text(*at));
    }
  }
  for (const auto& [value, revision] : first_seen) {
    if (!written.contains(value)) {
      report.Add("value " + value + " at revision " + std::to_string(revision) +
                 " was never written");
    }
  }
}

// Walks starts and ends in time order with the highest revision that any finished operation saw.
void CheckRealTime(const std::vector<Operation>& operations, Report& report) {
  struct Moment {
    int64_t time_ns;
    bool end;
    const Operation* operation;
  };
  std::vector<Moment> moments;
  for (const Operation& operation : operations) {
    if (!operation.known) continue;
    moments.push_back({operation.start_ns, false, &operation});
    moments.push_back({operation.end_ns, true, &operation});
  }
  // At one instant starts come first: operations that touch are concurrent.
  std::sort(moments.begin(), moments.end(), [](const Moment& a, const Moment& b) {
    return std::pair(a.time_ns, a.end) < std::pair(b.time_ns, b.end);
  });
  int64_t floor = 0;
  for (const Moment& moment : moments) {
    const Operation& operation = *moment.operation;
    if (moment.end) {
      floor = std::max(floor, operation.revision);
      continue;
    }
    const bool write = operation.kind == Operation::Kind::kWrite;
    if (operation.revision < floor || (write && operation.revision == floor)) {
      report.Add(operation,
                 "stale: revision " + std::to_string(floor) + " had been seen before this began");
    }
  }
}

void CheckReads(const std::vector<Operation>& operations, const Truth& truth, CheckResult& result,
                Report& report) {
  for (const Operation& operation : operations) {
    if (operation.kind != Operation::Kind::kRead || !operation.known) continue;
    ++result.reads;
    const Snapshot* at = truth.Find(operation.revision);
    if (at == nullptr) {
      report.Add(operation, "read a revision that the store does not have any more");
    } else if (*at != operation.contents) {
      report.Add(operation, "torn: at this revision the store holds " + Text(*at));
    }
  }
}

}  // namespace

void History::Add(Operation operation) {
  std::lock_guard lock(mutex_);
  operations_.push_back(std::move(operation));
}

std::vector<Operation> History::Take() {
  std::lock_guard lock(mutex_);
  return std::exchange(operations_, {});
}

const Snapshot* Truth::Find(int64_t revision) const {
  if (revision < first || revision > last()) return nullptr;
  return &at[static_cast<size_t>(revision - first)];
}

CheckResult Check(std::vector<Operation> operations, const Truth& truth,
                  const std::vector<std::string>& refused) {
  CheckResult result;
  Report report(result);
  const std::map<std::string, int64_t> first_seen = FirstSeen(truth, report);
  CheckWrites(operations, truth, first_seen, result, report);
  for (const std::string& value : refused) {
    const auto found = first_seen.find(value);
    if (found == first_seen.end()) continue;
    report.Add("value " + value + " was refused, yet it is at revision " +
               std::to_string(found->second));
  }
  CheckRealTime(operations, report);
  CheckReads(operations, truth, result, report);
  return result;
}

}  // namespace gavel::chaos
