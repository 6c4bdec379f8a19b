// Looks from time to time whether to compact by itself, and does it if this member leads.
#pragma once

#include "server/clock.h"
#include "server/logging.h"
#include "server/node/auto_compaction.h"
#include "server/node/background.h"
#include "server/node/gate.h"

namespace gavel::server {

class CompactionDriver {
 public:
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Background& background;
    Gate& gate;
  };
  CompactionDriver(const AutoCompactionOptions& options, const Surroundings& surroundings);

  // Begins; nothing if compaction is off. The object must outlive the background's jobs.
  void Start();

 private:
  // One look at a time, so that no lock is needed.
  void LookLater();
  void Look();
  void Compact(storage::Revision revision);

  const bool on_;
  AutoCompaction compaction_;
  const Surroundings surroundings_;
};

}  // namespace gavel::server
