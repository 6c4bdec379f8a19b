// Writes the whole state of a store as an archive, in bounded steps.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/engine/engine.h"
#include "storage/snapshot/format.h"

namespace gavel::storage {

struct ArchiveOrigin {
  uint64_t cluster_id = 0;
  raft::NodeId member_id;
};

// One archive under way. Passive: whoever has it calls Step, from one thread at a time. Holds one
// snapshot of the engine, and so holds back its compaction, for as long as it exists; memory does
// not grow with the store.
class ArchiveWriter {
 public:
  // Fixes the state to write: the newest one. DataLoss: the state contradicts itself, or there is
  // none.
  static absl::StatusOr<std::unique_ptr<ArchiveWriter>> Create(std::shared_ptr<const Engine> engine,
                                                               const ArchiveOrigin& origin);
  ~ArchiveWriter();

  // Appends the next bytes to `*out`: those of one block at most, perhaps none. False when the
  // archive is complete.
  absl::StatusOr<bool> Step(std::string* out);

  // The last log entry that the state holds.
  raft::EntryId last() const;
  // About how many bytes are still to come: what the store's totals say is left, made smaller by
  // what compression has gained so far. 0 only when the archive is complete.
  uint64_t remaining_bytes() const;

 private:
  class Impl;
  explicit ArchiveWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::storage
