// Deletes history that a compaction has given up, in small steps, off the apply path.
//
// Passive: a background thread (or the simulator) calls Step until it says there is no more.
// Progress is local and in no hash; repeating a step is harmless.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/revision.h"

namespace gavel::storage {

class Collector {
 public:
  // Reads its progress from the engine.
  static absl::StatusOr<std::unique_ptr<Collector>> Open(std::shared_ptr<Engine> engine);
  ~Collector();

  // Plans one bounded step of work below `published_compacted` (already visible to readers):
  // returns the deletions, to be written by the engine's one writer, and empty when all is done.
  // `durable_compacted` is the compacted revision a flush has made durable: whole files are only
  // dropped below it.
  absl::StatusOr<WriteBatch> Plan(Revision published_compacted, Revision durable_compacted,
                                  int64_t changes_max);
  // The batch that Plan returned last has been written.
  void OnWritten();

  // Everything below this compacted revision has been deleted here.
  Revision collected() const;

 private:
  class Impl;
  explicit Collector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::storage
