#include "server/node/auto_compaction.h"

#include <algorithm>

#include "raft/check.h"

namespace gavel::server {
namespace {

// etcd's numbers.
constexpr MonotonicNs kHour = 3600 * kNsPerSecond;
constexpr int64_t kLooksInPeriod = 10;
constexpr MonotonicNs kRevisionInterval = 300 * kNsPerSecond;
// A shorter retention than ten of these makes no member busy.
constexpr MonotonicNs kIntervalMin = 10 * kNsPerMs;

}  // namespace

AutoCompaction::AutoCompaction(const AutoCompactionOptions& options, MonotonicNs now,
                               storage::Revision newest)
    : options_(options), last_success_(now) {
  if (options.mode == AutoCompactionOptions::Mode::kRevision) {
    interval_ = kRevisionInterval;
  } else if (options.mode == AutoCompactionOptions::Mode::kPeriodic) {
    GAVEL_CHECK(options.retention > 0);
    due_after_ = std::min(options.retention, kHour);
    interval_ = std::max(kIntervalMin, due_after_ / kLooksInPeriod);
    // Rounded up: what is younger than the retention is never given up.
    looks_max_ = static_cast<size_t>((options.retention - 1) / interval_ + 2);
    looks_.push_back(newest);
  }
}

std::optional<storage::Revision> AutoCompaction::Look(MonotonicNs now, storage::Revision newest) {
  std::optional<storage::Revision> revision;
  if (options_.mode == AutoCompactionOptions::Mode::kPeriodic) {
    revision = LookPeriodic(now, newest);
  } else {
    revision = newest - options_.revisions;
  }
  if (!revision || *revision <= last_) return std::nullopt;
  return revision;
}

std::optional<storage::Revision> AutoCompaction::LookPeriodic(MonotonicNs now,
                                                              storage::Revision newest) {
  looks_.push_back(newest);
  if (looks_.size() > looks_max_) looks_.pop_front();
  if (looks_.size() < looks_max_ || now - last_success_ < due_after_) return std::nullopt;
  return looks_.front();
}

void AutoCompaction::OnCompacted(storage::Revision revision, MonotonicNs now) {
  last_ = revision;
  last_success_ = now;
}

}  // namespace gavel::server
