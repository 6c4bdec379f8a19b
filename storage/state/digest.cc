#include "storage/state/digest.h"

#include <string>

#include "storage/disk/crc32c.h"
#include "storage/mvcc/varint.h"
#include "storage/state/leases.h"
#include "storage/state/meta.h"

namespace gavel::storage {

uint32_t DigestAfter(const raft::Entry& entry, const Totals& totals, const MetaLeases& leases,
                     std::span<const LeaseChange> changes) {
  std::string bytes;
  AppendVarint(entry.index.value(), &bytes);
  AppendVarint(entry.term.value(), &bytes);
  for (const int64_t number :
       {totals.revision, totals.compacted, totals.keys, totals.live_bytes, totals.superseded_total,
        totals.superseded_compacted, leases.clock_ms, leases.count}) {
    AppendVarint(static_cast<uint64_t>(number), &bytes);
  }
  for (const LeaseChange& change : changes) {
    AppendVarint(static_cast<uint64_t>(change.kind), &bytes);
    AppendVarint(static_cast<uint64_t>(change.id), &bytes);
    AppendVarint(static_cast<uint64_t>(change.row.deadline_ms), &bytes);
  }
  return Crc32c(bytes, totals.digest);
}

}  // namespace gavel::storage
