// The part of the log that is in memory, and what of it the disk has confirmed.
//
// Knows entries, batches and durability; nothing about roles, votes or commitment, except that
// the caller never truncates what is committed.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "raft/types.h"

namespace gavel::raft {

// Invariants:
//   entries are consecutive, the first follows start()
//   terms never decrease from one entry to the next
//   persisted() <= last().index, and every entry up to persisted() is durable as it stands here
//   an entry leaves memory at the front only once it is applied and persisted
class Log {
 public:
  struct Limits {
    size_t recent_bytes_max = 0;  // Of entries that are applied and persisted.
    size_t recent_entries_max = 0;
  };

  // Starts with what the disk holds: `entries` after `start`, all of them durable.
  Log(Limits limits, EntryId start, std::vector<Entry> entries);

  // The entry before the first one in memory.
  EntryId start() const { return start_; }
  EntryId last() const;
  Index persisted() const { return persisted_; }

  bool Has(Index index) const { return index > start_.index && index <= last().index; }
  // Requires: Has(index).
  const Entry& At(Index index) const;
  // The term of an entry in memory or of start(); nothing for any other index.
  std::optional<Term> TermAt(Index index) const;
  // Returns the last entry at or below `index` whose term is at most `term`, as far as memory
  // reaches; start() if there is none (Ongaro §3.5, the search for the last common entry).
  EntryId LastAtOrBelow(Index index, Term term) const;

  // Returns entries in [from, to], the first one always, more while they fit in `bytes_max`.
  // Requires: from and to are in memory, from <= to.
  std::vector<Entry> Slice(Index from, Index to, size_t bytes_max) const;
  // The payload bytes of the entries after `index`.
  size_t BytesAfter(Index index) const;

  // Appends one entry. Requires: it follows last() and its term is not lower.
  void Append(Entry entry);
  // Removes the entries from `index` on. Requires: they are neither committed nor applied.
  void TruncateFrom(Index index);
  // Forgets every entry; the log continues after `snapshot`, which is not yet durable.
  void ResetTo(EntryId snapshot);

  // True if there is something TakeUnwritten has not yet handed out.
  bool has_unwritten() const { return unwritten_.has_value(); }
  // Returns the entries that batch `number` has to write.
  std::vector<Entry> TakeUnwritten(BatchNumber number);
  // Batch `number` and all before it are durable.
  void OnPersisted(BatchNumber number);
  // Entries up to `index` are applied: those that are also persisted become "recent", and the
  // oldest of them leave memory when they exceed the limits.
  void OnApplied(Index index);

 private:
  // What the completion of one batch will prove durable: everything up to `upto`.
  struct Claim {
    BatchNumber number;
    EntryId upto;
  };

  void LowerClaims(EntryId highest);
  void TrimRecent();

  Limits limits_;
  EntryId start_;
  std::deque<Entry> entries_;
  Index persisted_;
  Index applied_;
  Index recent_upto_;               // Entries in (start, recent_upto] are applied and persisted.
  size_t recent_bytes_ = 0;         // Their payload bytes.
  std::optional<Index> unwritten_;  // First index that no batch has taken as it stands.
  std::deque<Claim> claims_;        // Batches under way, in order of their numbers.
};

}  // namespace gavel::raft
