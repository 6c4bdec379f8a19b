#include "tests/chaos/watch_check.h"

#include <algorithm>

namespace gavel::chaos {
namespace {

std::string Name(int64_t revision, const Change& change) {
  return (change.deleted ? "the deletion of " : "the put of ") + KeyName(change.key) +
         " at revision " + std::to_string(revision);
}

}  // namespace

std::optional<std::string> WatchCheck::CheckEvent(const ChangeLog::Entry& expected,
                                                  const SeenEvent& seen, int64_t compacted) const {
  const std::string name = Name(seen.revision, seen.change);
  if (!(seen.change == expected.change)) return name + " is told with other contents";
  if (!interest_.previous && seen.previous_write) return name + " tells unasked what was before";
  if (seen.previous_write && *seen.previous_write != expected.previous_write) {
    return name + " tells wrongly what was before";
  }
  const bool may_be_missing =
      expected.previous_write == 0 || expected.previous_revision <= compacted;
  if (interest_.previous && !seen.previous_write && !may_be_missing) {
    return name + " does not tell what was before";
  }
  return std::nullopt;
}

std::optional<std::string> WatchCheck::OnEvents(int64_t header_revision,
                                                const std::vector<SeenEvent>& events,
                                                int64_t compacted) {
  int64_t before = 0;
  for (const SeenEvent& event : events) {
    const std::string name = Name(event.revision, event.change);
    if (event.revision < next_) return name + " is told again, or too early";
    if (event.revision < before) return name + " is told out of order";
    if (event.revision > header_revision) return name + " is ahead of its header";
    before = event.revision;
  }
  std::optional<std::string> violation;
  size_t at = 0;
  log_.Visit(next_, before + 1, [&](const ChangeLog::Entry& expected) {
    if (violation || !interest_.Wants(expected.change)) return;
    if (at == events.size() || events[at].revision != expected.revision ||
        events[at].change.key != expected.change.key ||
        events[at].change.deleted != expected.change.deleted) {
      violation = Name(expected.revision, expected.change) + " is missing";
      return;
    }
    violation = CheckEvent(expected, events[at++], compacted);
  });
  if (violation) return violation;
  if (at < events.size()) {
    return Name(events[at].revision, events[at].change) + " is told, and never was";
  }
  events_ += static_cast<int64_t>(events.size());
  after_events_ = std::max(after_events_, before + 1);
  next_ = std::max(next_, after_events_);
  return std::nullopt;
}

std::optional<std::string> WatchCheck::OnProgress(int64_t revision) {
  std::optional<std::string> violation;
  log_.Visit(next_, revision + 1, [&](const ChangeLog::Entry& entry) {
    if (violation || !interest_.Wants(entry.change)) return;
    violation = "progress to revision " + std::to_string(revision) + " is ahead of " +
                Name(entry.revision, entry.change);
  });
  next_ = std::max(next_, revision + 1);
  return violation;
}

std::optional<std::string> WatchCheck::OnCompacted(int64_t revision, int64_t compacted) {
  std::optional<std::string> violation;
  if (revision <= after_events_) {
    violation = "compacted at revision " + std::to_string(revision) + ", which leaves no gap at " +
                std::to_string(after_events_);
  } else if (revision > compacted) {
    violation =
        "compacted at revision " + std::to_string(revision) + ", which nobody has asked for";
  }
  after_events_ = std::max(after_events_, revision);
  next_ = std::max(next_, revision);
  return violation;
}

}  // namespace gavel::chaos
