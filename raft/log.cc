#include "raft/log.h"

#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "raft/sim_point.h"

namespace gavel::raft {

Log::Log(Limits limits, EntryId start, std::vector<Entry> entries)
    : limits_(limits), start_(start), applied_(start.index), recent_upto_(start.index) {
  for (Entry& entry : entries) Append(std::move(entry));
  unwritten_.reset();
  persisted_ = last().index;
}

EntryId Log::last() const {
  if (entries_.empty()) return start_;
  return EntryId{entries_.back().index, entries_.back().term};
}

const Entry& Log::At(Index index) const {
  GAVEL_CHECK(Has(index)) << index.value() << "after" << start_.index.value();
  return entries_[index.value() - start_.index.value() - 1];
}

std::optional<Term> Log::TermAt(Index index) const {
  if (index == start_.index) return start_.term;
  if (!Has(index)) return std::nullopt;
  return At(index).term;
}

EntryId Log::LastAtOrBelow(Index index, Term term) const {
  for (index = std::min(index, last().index); Has(index); index = index.Previous()) {
    if (At(index).term <= term) return EntryId{index, At(index).term};
  }
  return start_;
}

std::vector<Entry> Log::Slice(Index from, Index to, size_t bytes_max) const {
  GAVEL_CHECK(from <= to && Has(from) && Has(to)) << from.value() << to.value();
  std::vector<Entry> slice;
  size_t bytes = 0;
  for (Index index = from; index <= to; index = index.Next()) {
    const Entry& entry = At(index);
    bytes += entry.payload_bytes();
    if (!slice.empty() && bytes > bytes_max) break;
    slice.push_back(entry);
  }
  return slice;
}

size_t Log::BytesAfter(Index index) const {
  size_t bytes = 0;
  for (Index i = std::max(index, start_.index).Next(); Has(i); i = i.Next()) {
    bytes += At(i).payload_bytes();
  }
  return bytes;
}

void Log::Append(Entry entry) {
  GAVEL_CHECK(entry.index == last().index.Next()) << entry.index.value() << last().index.value();
  GAVEL_CHECK(entry.term >= last().term) << entry.term.value() << last().term.value();
  if (!unwritten_) unwritten_ = entry.index;
  entries_.push_back(std::move(entry));
}

void Log::TruncateFrom(Index index) {
  GAVEL_CHECK(Has(index)) << index.value();
  GAVEL_CHECK(index > recent_upto_ && index > applied_) << index.value() << applied_.value();
  entries_.resize(index.value() - start_.index.value() - 1);
  persisted_ = std::min(persisted_, last().index);
  unwritten_ = unwritten_ ? std::min(*unwritten_, index) : index;
  LowerClaims(last());
}

void Log::ResetTo(EntryId snapshot) {
  GAVEL_CHECK(snapshot.index > applied_) << snapshot.index.value() << applied_.value();
  entries_.clear();
  start_ = snapshot;
  // What lies behind the applied index may be durable, but as entries that the snapshot replaces.
  persisted_ = std::min(persisted_, applied_);
  recent_upto_ = snapshot.index;
  recent_bytes_ = 0;
  unwritten_ = snapshot.index.Next();
  LowerClaims(EntryId{});
}

// A write that is under way while its entries are replaced here proves nothing about the new
// ones, not even if a later leader brings back an entry of the same index and term: on disk the
// replacement comes in between. So its claim shrinks for good.
void Log::LowerClaims(EntryId highest) {
  for (Claim& claim : claims_) {
    if (claim.upto.index > highest.index && !GAVEL_PLANTED_BUG(41)) claim.upto = highest;
  }
}

std::vector<Entry> Log::TakeUnwritten(BatchNumber number) {
  if (!unwritten_) return {};
  std::vector<Entry> entries;
  for (Index index = *unwritten_; Has(index); index = index.Next()) entries.push_back(At(index));
  unwritten_.reset();
  claims_.push_back(Claim{number, last()});
  return entries;
}

void Log::OnPersisted(BatchNumber number) {
  while (!claims_.empty() && claims_.front().number <= number) {
    const EntryId upto = claims_.front().upto;
    claims_.pop_front();
    const std::optional<Term> term = TermAt(upto.index);
    GAVEL_CHECK(!term || *term == upto.term)
        << "entry" << upto.index.value() << "has term" << term->value() << "but was written with"
        << upto.term.value();
    persisted_ = std::max(persisted_, upto.index);
  }
  TrimRecent();
}

void Log::OnApplied(Index index) {
  applied_ = std::max(applied_, index);
  TrimRecent();
}

void Log::TrimRecent() {
  const Index upto = std::min({applied_, persisted_, last().index});
  while (recent_upto_ < upto) {
    recent_upto_ = recent_upto_.Next();
    recent_bytes_ += At(recent_upto_).payload_bytes();
  }
  while (recent_upto_ > start_.index &&
         (recent_bytes_ > limits_.recent_bytes_max ||
          recent_upto_.value() - start_.index.value() > limits_.recent_entries_max)) {
    const Entry& oldest = entries_.front();
    recent_bytes_ -= oldest.payload_bytes();
    start_ = EntryId{oldest.index, oldest.term};
    entries_.pop_front();
  }
}

}  // namespace gavel::raft
