// Deletes history that a compaction has given up, in small steps, off the apply path.
//
// Passive: a background thread (or the simulator) calls Plan until it says there is no more.
// Progress is local and in no hash; repeating a step is harmless. See README.md for what is
// deleted.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/revision.h"

namespace gavel::storage {

// The row of the family `meta` that holds the progress: local, no part of the replicated state.
inline constexpr std::string_view kMetaCollected = "collected";

class Collector {
 public:
  // Reads its progress from the engine.
  static absl::StatusOr<std::unique_ptr<Collector>> Open(std::shared_ptr<Engine> engine);
  ~Collector();

  // Plans one bounded step of work below `published_compacted` (already visible to readers):
  // returns the deletions, to be written by the engine's one writer, and empty when all is done.
  // Requires: changes_max > 0. Called again without OnWritten, it plans the same step again.
  //
  // `durable_compacted` is the compacted revision a flush has made durable: DropFiles goes no
  // further.
  absl::StatusOr<WriteBatch> Plan(Revision published_compacted, Revision durable_compacted,
                                  int64_t changes_max);
  // The batch that Plan returned last has been written.
  void OnWritten();

  // Drops whole files of `changes` that a crash could not bring back: below the durable compacted
  // revision that Plan was told last, and collected in what a crash would keep. Call it after
  // Plan has returned an empty batch; does nothing if there is nothing new to drop.
  //
  // It writes nothing that the one writer could see, so any one thread may call it.
  absl::Status DropFiles();

  // Everything below this compacted revision has been deleted here. 0: nothing.
  Revision collected() const;

 private:
  class Impl;
  explicit Collector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::storage
