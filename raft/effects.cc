#include "raft/effects.h"

namespace gavel::raft {

bool Effects::empty() const {
  return !configuration && send_now.empty() && !hard_state && !install && append.empty() &&
         send_after_persist.empty() && committed.empty() && reads.empty() && failed_reads.empty() &&
         proposals.empty() && older.empty() && snapshots.empty() && !role;
}

}  // namespace gavel::raft
