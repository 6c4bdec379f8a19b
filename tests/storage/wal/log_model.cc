#include "tests/storage/wal/log_model.h"

#include <algorithm>
#include <utility>

#include "storage/status_macros.h"
#include "tests/storage/wal/wal_test_util.h"

namespace gavel::storage {
namespace {

std::string DescribeState(const raft::HardState& state) {
  return "term " + std::to_string(state.term.value()) + " vote " +
         std::to_string(state.voted_for.value_or(raft::NodeId()).value()) + " commit " +
         std::to_string(state.commit.value());
}

std::string DescribeMark(const raft::SnapshotMeta& mark) {
  return "mark " + std::to_string(mark.index.value()) + "@" + std::to_string(mark.term.value()) +
         " of " + std::to_string(mark.configuration.voters.size());
}

raft::Entry RandomEntry(uint64_t index, raft::Term term, raft::Random& random) {
  if (random.OneIn(12)) return Empty(index, term.value());
  if (random.OneIn(12)) return Change(index, term.value(), random.Between(1, 7));
  // Mostly small, sometimes a good part of a segment, rarely more than one.
  uint64_t bytes = random.Below(200);
  if (random.OneIn(15)) bytes = random.Below(3000);
  if (random.OneIn(60)) bytes = 4000 + random.Below(6000);
  const std::string seed = std::to_string(random.Next() % 1000) + ".";
  std::string payload;
  while (payload.size() < bytes) payload += seed;
  return Command(index, term.value(), payload);
}

WalBatch RandomBatch(const LogModel& model, raft::Random& random) {
  WalBatch batch;
  uint64_t next = model.last() + 1;
  raft::Term term = std::max(model.hard_state.term, model.TermAt(model.last()));
  if (random.OneIn(40)) {
    // A snapshot from a leader: the log starts anew behind it.
    next += random.Below(20);
    term = raft::Term(term.value() + 1);
    batch.mark = Meta(next, term.value(), random.Between(1, 7));
    ++next;
  } else if (random.OneIn(6) && model.last() > model.mark.index.value()) {
    // A new leader replaces a suffix.
    const uint64_t suffix = model.last() - model.mark.index.value();
    next -= random.Between(1, std::min<uint64_t>(suffix, 12));
    term = raft::Term(term.value() + 1);
  }
  if (term.is_none()) term = raft::Term(1);
  if (random.OneIn(3) || term > model.hard_state.term) {
    batch.hard_state = State(std::max(term, model.hard_state.term).value(), random.Below(4),
                             batch.mark ? batch.mark->index.value() : model.mark.index.value());
  }
  if (!batch.hard_state || !random.OneIn(5)) {
    const uint64_t count = random.Between(1, 5);
    for (uint64_t i = 0; i < count; ++i) {
      batch.entries.push_back(RandomEntry(next + i, term, random));
    }
  }
  return batch;
}

}  // namespace

raft::Term LogModel::TermAt(uint64_t index) const {
  if (index == mark.index.value()) return mark.term;
  const auto found = entries.find(index);
  return found == entries.end() ? raft::Term() : found->second.term;
}

raft::Configuration LogModel::ConfigurationAt(uint64_t index) const {
  for (auto it = entries.upper_bound(index); it != entries.begin();) {
    --it;
    if (it->first <= mark.index.value()) break;
    if (it->second.kind == raft::EntryKind::kConfiguration) {
      return *raft::DecodeConfiguration(*it->second.payload);
    }
  }
  return mark.configuration;
}

void LogModel::Apply(const WalBatch& batch) {
  if (batch.mark) {
    mark = *batch.mark;
    entries.clear();
  }
  if (batch.hard_state) hard_state = *batch.hard_state;
  if (!batch.entries.empty()) {
    entries.erase(entries.lower_bound(batch.entries.front().index.value()), entries.end());
  }
  for (const raft::Entry& entry : batch.entries) entries[entry.index.value()] = entry;
}

std::vector<std::string> LogModel::Describe() const {
  std::vector<std::string> lines = {DescribeState(hard_state), DescribeMark(mark)};
  for (auto it = entries.upper_bound(mark.index.value()); it != entries.end(); ++it) {
    lines.push_back(storage::Describe(it->second));
  }
  return lines;
}

std::vector<std::string> DescribeContents(const WalContents& contents) {
  std::vector<std::string> lines = {DescribeState(contents.hard_state),
                                    DescribeMark(contents.start)};
  for (const raft::Entry& entry : contents.entries) lines.push_back(Describe(entry));
  return lines;
}

Step RandomStep(const LogModel& model, raft::Random& random) {
  Step step;
  const uint64_t choice = random.Below(20);
  if (choice == 0) {
    step.kind = Step::Kind::kWriteMark;
  } else if (choice <= 5) {
    step.kind = Step::Kind::kPrepare;
  } else if (choice == 6 && model.last() > model.mark.index.value()) {
    step.kind = Step::Kind::kCut;
    const uint64_t index = random.Between(model.mark.index.value() + 1, model.last());
    step.cut = {raft::Index(index), model.TermAt(index), model.ConfigurationAt(index)};
  } else {
    LogModel next = model;
    const uint64_t count = random.OneIn(4) ? 2 : 1;
    for (uint64_t i = 0; i < count; ++i) {
      step.batches.push_back(RandomBatch(next, random));
      next.Apply(step.batches.back());
    }
  }
  return step;
}

LogModel After(const LogModel& model, const Step& step) {
  LogModel next = model;
  for (const WalBatch& batch : step.batches) next.Apply(batch);
  if (step.kind == Step::Kind::kCut) next.mark = step.cut;
  return next;
}

absl::Status CarryOut(Wal& wal, const Step& step) {
  switch (step.kind) {
    case Step::Kind::kBatch:
      for (const WalBatch& batch : step.batches) GAVEL_RETURN_IF_ERROR(wal.Append(batch));
      return wal.Sync();
    case Step::Kind::kCut:
      return wal.CutTo(step.cut);
    case Step::Kind::kWriteMark:
      return wal.WriteMark();
    case Step::Kind::kPrepare:
      return wal.PrepareSegment().status();
  }
  return absl::OkStatus();
}

}  // namespace gavel::storage
