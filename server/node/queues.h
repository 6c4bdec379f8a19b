// The queues between one member's stages.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "absl/status/status.h"

#include "server/node/background.h"
#include "server/node/core_stage.h"
#include "server/node/inbox.h"
#include "server/node/log_batch.h"
#include "storage/engine/engine.h"

namespace gavel::server {

// Delete what the log holds below `index` only.
struct CutLog {
  raft::Index index;
};
using LogInput = std::variant<LogBatch, CutLog>;

struct Committed {
  std::vector<raft::Entry> entries;
};
// Deletions planned by the history collector, to be written by the engine's one writer.
struct Collected {
  std::shared_ptr<const storage::WriteBatch> batch;
};
// A flush has ended.
struct Flushed {
  absl::Status status;
};
// The disk is low, or no longer: while it is, no more of the log is kept than must be.
struct DiskSpace {
  bool low = false;
};
using ApplyInput = std::variant<Committed, Collected, Flushed, DiskSpace>;

// Each bounded: peers' frames by the core's queue length, everything else by what the core has
// under way (the replication window, the proposals admitted, one flush, one collector batch).
struct Queues {
  static constexpr size_t kCoreInputsMax = 65536;

  explicit Queues(const Clock& clock) : background(clock) {}

  Inbox<CoreInput> core{kCoreInputsMax};
  Inbox<LogInput> log{static_cast<size_t>(-1)};
  Inbox<ApplyInput> apply{static_cast<size_t>(-1)};
  Background background;
};

}  // namespace gavel::server
