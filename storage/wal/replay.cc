#include "storage/wal/replay.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "raft/limits.h"
#include "storage/status_macros.h"

namespace gavel::storage::wal {
namespace {

absl::Status Contradiction(const std::string& what) { return absl::DataLossError(what); }

absl::Status CheckTerm(raft::Term term) {
  if (term <= raft::kTermMax) return absl::OkStatus();
  return Contradiction(absl::StrCat("term ", term.value(), " is above ", raft::kTermMax.value(),
                                    ", the last there can be"));
}

absl::Status CheckId(raft::EntryId id) {
  if (id.index <= raft::kIndexMax) return CheckTerm(id.term);
  return Contradiction(absl::StrCat("index ", id.index.value(), " is above ",
                                    raft::kIndexMax.value(), ", the last there can be"));
}

}  // namespace

absl::Status Replay::Begin(const SegmentStartBody& start) {
  GAVEL_RETURN_IF_ERROR(CheckId(start.last));
  GAVEL_RETURN_IF_ERROR(CheckTerm(start.hard_state.term));
  GAVEL_RETURN_IF_ERROR(CheckId({start.mark.index, start.mark.term}));
  index_.Reset(start.last.index);
  last_term_ = start.last.term;
  hard_state_ = start.hard_state;
  mark_ = start.mark;
  return absl::OkStatus();
}

absl::Status Replay::Continue(const SegmentStartBody& start) const {
  if (start.last != last() || start.hard_state != hard_state_ || start.mark != mark_) {
    return Contradiction(absl::StrCat("the segment continues a log that ends at index ",
                                      start.last.index.value(), " of term ",
                                      start.last.term.value(), ", not this one"));
  }
  return absl::OkStatus();
}

absl::Status Replay::Apply(const Record& record, uint64_t segment, uint64_t offset) {
  switch (static_cast<RecordType>(record.header.type)) {
    case RecordType::kEntry:
      return ApplyEntry(record, segment, offset);
    case RecordType::kHardState:
      if (const auto state = DecodeHardState(record.body)) return ApplyHardState(*state);
      break;
    case RecordType::kTruncate:
      if (const auto from = DecodeTruncate(record.body)) return ApplyTruncate(*from);
      break;
    case RecordType::kMark:
      if (record.header.detail > kMarkStartsAnew) break;
      if (auto mark = DecodeMark(record.body)) {
        return ApplyMark(*std::move(mark), record.header.detail == kMarkStartsAnew);
      }
      break;
    case RecordType::kSegmentStart:
    case RecordType::kBatch:
      break;
  }
  return Contradiction(
      absl::StrCat("a record of type ", int{record.header.type}, " that cannot be understood"));
}

absl::Status Replay::ApplyEntry(const Record& record, uint64_t segment, uint64_t offset) {
  const std::optional<raft::EntryId> id = DecodeEntryId(record.body);
  if (!id) return Contradiction("an entry that is too short");
  if (id->index != last().index.Next() || id->term < last_term_ || id->term.is_none()) {
    return Contradiction(absl::StrCat("entry ", id->index.value(), " of term ", id->term.value(),
                                      " after entry ", last().index.value(), " of term ",
                                      last_term_.value()));
  }
  GAVEL_RETURN_IF_ERROR(CheckId(*id));
  index_.Add(id->index, segment, offset);
  if (terms_.empty() || terms_.back().second != id->term) terms_.emplace_back(id->index, id->term);
  last_term_ = id->term;
  const bool keep = id->index > keep_from_;
  const bool configuration =
      record.header.detail == static_cast<uint8_t>(raft::EntryKind::kConfiguration);
  if (configuration) {
    const auto decoded = raft::DecodeConfiguration(record.body.substr(kEntryPrefixBytes));
    if (!decoded.ok()) {
      return Contradiction(
          absl::StrCat("entry ", id->index.value(), ": ", std::string(decoded.status().message())));
    }
    configurations_.emplace_back(id->index, record.body.substr(kEntryPrefixBytes));
  }
  if (keep || record.header.detail > static_cast<uint8_t>(raft::EntryKind::kConfiguration)) {
    std::optional<raft::Entry> entry = DecodeEntry(record.header.detail, record.body);
    if (!entry) {
      return Contradiction(absl::StrCat("entry ", id->index.value(), " cannot be understood"));
    }
    entries_.push_back(*std::move(entry));
  }
  return absl::OkStatus();
}

absl::Status Replay::ApplyTruncate(raft::Index from) {
  if (from > last().index || from <= mark_.index) {
    return Contradiction(absl::StrCat("a truncation from ", from.value(), " of a log from ",
                                      mark_.index.value(), " to ", last().index.value()));
  }
  index_.Truncate(from);
  const auto at_or_above = [from](const auto& item) { return item.first >= from; };
  while (!terms_.empty() && at_or_above(terms_.back())) terms_.pop_back();
  while (!configurations_.empty() && at_or_above(configurations_.back())) {
    configurations_.pop_back();
  }
  while (!entries_.empty() && entries_.back().index >= from) entries_.pop_back();
  last_term_ = TermAt(last().index);
  return absl::OkStatus();
}

absl::Status Replay::ApplyMark(raft::SnapshotMeta mark, bool starts_anew) {
  GAVEL_RETURN_IF_ERROR(CheckId({mark.index, mark.term}));
  if (mark.index < mark_.index || (!starts_anew && mark.index > last().index)) {
    return Contradiction(absl::StrCat("a mark at ", mark.index.value(), " in a log from ",
                                      mark_.index.value(), " to ", last().index.value()));
  }
  mark_ = std::move(mark);
  if (starts_anew) {
    index_.Reset(mark_.index);
    last_term_ = mark_.term;
    terms_.clear();
    entries_.clear();
    configurations_.clear();
  }
  std::erase_if(configurations_, [this](const auto& item) { return item.first <= mark_.index; });
  return absl::OkStatus();
}

absl::Status Replay::ApplyHardState(const raft::HardState& state) {
  if (state.term < hard_state_.term) {
    return Contradiction(
        absl::StrCat("term ", state.term.value(), " after term ", hard_state_.term.value()));
  }
  GAVEL_RETURN_IF_ERROR(CheckTerm(state.term));
  hard_state_ = state;
  return absl::OkStatus();
}

raft::Term Replay::TermAt(raft::Index index) const {
  if (index == mark_.index) return mark_.term;
  if (index < index_.first_index()) return raft::Term();
  const auto after =
      std::upper_bound(terms_.begin(), terms_.end(), index,
                       [](raft::Index i, const auto& item) { return i < item.first; });
  return after == terms_.begin() ? raft::Term() : std::prev(after)->second;
}

absl::StatusOr<raft::Configuration> Replay::ConfigurationAt(raft::Index index) const {
  for (auto it = configurations_.rbegin(); it != configurations_.rend(); ++it) {
    if (it->first <= index) return raft::DecodeConfiguration(it->second);
  }
  return mark_.configuration;
}

absl::Status Replay::CheckLastTerm() const {
  if (last_term_ <= hard_state_.term) return absl::OkStatus();
  return Contradiction(absl::StrCat("entry ", last().index.value(), " has term ",
                                    last_term_.value(), ", but the member has only entered term ",
                                    hard_state_.term.value()));
}

absl::Status Replay::Finish(WalContents& contents) {
  if (index_.first_index() > mark_.index.Next()) {
    return Contradiction(absl::StrCat("entries from ", mark_.index.value() + 1, " to ",
                                      index_.first_index().value() - 1, " are missing"));
  }
  const raft::Index start = std::clamp(keep_from_, mark_.index, last().index);
  GAVEL_ASSIGN_OR_RETURN(contents.start.configuration, ConfigurationAt(start));
  contents.start.index = start;
  contents.start.term = TermAt(start);
  std::erase_if(entries_, [start](const raft::Entry& entry) { return entry.index <= start; });
  contents.entries = std::move(entries_);
  contents.hard_state = hard_state_;
  contents.first_index = index_.first_index();
  return absl::OkStatus();
}

}  // namespace gavel::storage::wal
