#include "tests/chaos/change_log.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>
#include <utility>

#include "raft/check.h"
#include "raft/random.h"

namespace gavel::chaos {
namespace {

constexpr int kStepsMax = 20;
constexpr size_t kPrefixSize = sizeof kWatchPrefix - 1;
constexpr size_t kViolationsMax = 20;
// How often whoever waits for the log looks at it. Waking up all that wait at each revision would
// slow down the one that adds to it.
constexpr std::chrono::milliseconds kLook{5};

std::string Describe(const Change& change) {
  return KeyName(change.key) + (change.deleted ? " deleted" : " put") + " by write " +
         std::to_string(change.write) + " (create revision " +
         std::to_string(change.create_revision) + ", version " + std::to_string(change.version) +
         ")";
}

}  // namespace

std::string KeyName(int key) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "%04d", key);
  return kWatchPrefix + std::string(digits);
}

int KeyNumber(const std::string& name) {
  if (!name.starts_with(kWatchPrefix) || name.size() != kPrefixSize + 4) return -1;
  const int key = atoi(name.c_str() + kPrefixSize);
  return KeyName(key) == name && key < kWatchKeys ? key : -1;
}

std::vector<WriteStep> StepsOf(uint64_t write) {
  raft::Random random(write);
  const int count = static_cast<int>(random.Between(1, kStepsMax));
  // Every so many keys from the first one on, so that none comes twice.
  const int first = static_cast<int>(random.Below(kWatchKeys));
  const int stride = static_cast<int>(random.Between(1, kWatchKeys / kStepsMax));
  std::vector<WriteStep> steps;
  for (int step = 0; step < count; ++step) {
    steps.push_back({(first + step * stride) % kWatchKeys, step > 0 && random.OneIn(5)});
  }
  return steps;
}

std::string ValueOf(uint64_t write) { return std::string(40, '.') + std::to_string(write); }

uint64_t WriteOf(const std::string& value) {
  const size_t digits = value.find_last_of('.') + 1;
  const uint64_t write = strtoull(value.c_str() + digits, nullptr, 10);
  return ValueOf(write) == value ? write : 0;
}

void ChangeLog::Append(int64_t revision, const std::vector<Change>& changes) {
  GAVEL_CHECK(revision == last() + 1) << "revision " << revision << " does not follow";
  for (const Change& change : changes) {
    Entry& newest = newest_[static_cast<size_t>(change.key)];
    const Entry entry = {revision, change, newest.change.write, newest.revision};
    entries_.Add(entry);
    newest = change.deleted ? Entry() : entry;
  }
  begins_.Add(entries_.added());
  last_.store(revision, std::memory_order_release);
}

bool ChangeLog::WaitFor(int64_t revision, std::chrono::milliseconds limit) const {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  while (last() < revision) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

size_t ChangeLog::Begin(int64_t revision, int64_t newest) const {
  return begins_.at(static_cast<size_t>(std::clamp(revision, kFirst, newest + 1) - kFirst));
}

namespace {

class LogChecker {
 public:
  LogChecker(const ChangeLog& log, const std::map<uint64_t, WriteEnd>& writes)
      : log_(log), writes_(writes), state_(kWatchKeys) {}

  std::vector<std::string> Run(std::vector<KeyState>* state) {
    for (int64_t revision = ChangeLog::kFirst; revision <= log_.last(); ++revision) {
      CheckRevision(revision);
    }
    for (const auto& [write, end] : writes_) {
      if (end.how == WriteEnd::How::kDone && !found_.contains(write)) {
        Violation("write " + std::to_string(write) + ", acknowledged at revision " +
                  std::to_string(end.revision) + ", is not there");
      }
    }
    *state = std::move(state_);
    return std::move(violations_);
  }

 private:
  void Violation(const std::string& what) {
    if (violations_.size() < kViolationsMax) violations_.push_back(what);
  }

  void CheckRevision(int64_t revision) {
    std::vector<Change> changes;
    uint64_t write = 0;
    log_.Visit(revision, revision + 1, [&](const ChangeLog::Entry& entry) {
      changes.push_back(entry.change);
      if (!entry.change.deleted) write = entry.change.write;
    });
    const std::string at = "revision " + std::to_string(revision) + ": ";
    const auto tried = writes_.find(write);
    if (tried == writes_.end()) return Violation(at + "what nobody wrote");
    const std::string name = "write " + std::to_string(write);
    if (!found_.insert(write).second) Violation(at + name + " is there twice");
    if (tried->second.how == WriteEnd::How::kNotDone) {
      Violation(at + name + " was refused, and is there");
    }
    if (tried->second.how == WriteEnd::How::kDone && tried->second.revision != revision) {
      Violation(at + name + " was acknowledged at revision " +
                std::to_string(tried->second.revision));
    }
    const std::vector<Change> expected = Carry(write, revision);
    if (changes == expected) return;
    Violation(at + "not what " + name + " does");
    for (const Change& change : changes) Violation("  told: " + Describe(change));
    for (const Change& change : expected) Violation("  expected: " + Describe(change));
  }

  // Carries the write out on the model.
  std::vector<Change> Carry(uint64_t write, int64_t revision) {
    std::vector<Change> changes;
    for (const WriteStep& step : StepsOf(write)) {
      KeyState& key = state_[static_cast<size_t>(step.key)];
      if (step.deletes) {
        if (key.write != 0) changes.push_back({step.key, true, 0, 0, 0});
        key = KeyState();
      } else {
        if (key.write == 0) key.create_revision = revision;
        key.write = write;
        ++key.version;
        changes.push_back({step.key, false, write, key.create_revision, key.version});
      }
    }
    return changes;
  }

  const ChangeLog& log_;
  const std::map<uint64_t, WriteEnd>& writes_;
  std::vector<KeyState> state_;
  std::set<uint64_t> found_;
  std::vector<std::string> violations_;
};

}  // namespace

std::vector<std::string> CheckLog(const ChangeLog& log, const std::map<uint64_t, WriteEnd>& writes,
                                  std::vector<KeyState>* state) {
  return LogChecker(log, writes).Run(state);
}

}  // namespace gavel::chaos
