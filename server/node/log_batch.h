// What the core hands to the log, and what comes back.
#pragma once

#include <vector>

#include "raft/effects.h"
#include "raft/message.h"
#include "raft/types.h"
#include "storage/wal/wal.h"

namespace gavel::server {

// One batch of the core that has to become durable, and the messages that wait for it.
struct LogBatch {
  raft::BatchNumber number;
  storage::WalBatch records;
  bool must_sync = false;
  std::vector<raft::Message> send_after_persist;
};

}  // namespace gavel::server
