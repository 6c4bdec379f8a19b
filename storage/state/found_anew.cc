#include "storage/state/found_anew.h"

#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"

#include "storage/state/members.h"
#include "storage/state/membership.h"
#include "storage/state/meta.h"
#include "storage/status_macros.h"

namespace gavel::storage {

absl::Status FoundAnew(Engine& engine, const InitialState& initial,
                       const FoundAnewOptions& options) {
  GAVEL_ASSIGN_OR_RETURN(MetaState state, ReadMetaState(engine));
  GAVEL_ASSIGN_OR_RETURN(const MemberTable members, ReadMembers(engine));
  WriteBatch batch;
  if (options.bump_revision > 0) {
    Totals& totals = state.totals;
    if (options.bump_revision > std::numeric_limits<int64_t>::max() / 2 - totals.revision) {
      return absl::OutOfRangeError(absl::StrCat("revision ", totals.revision,
                                                " cannot be raised by ", options.bump_revision));
    }
    totals.revision += options.bump_revision;
    totals.compacted = totals.revision;
    totals.superseded_compacted = totals.superseded_total;
    batch.Put(Family::kMeta, kMetaBase, EncodeMetaBase({totals.revision, totals.superseded_total}));
    batch.Put(Family::kMeta, kMetaState, EncodeMetaState(state));
  }
  batch.Put(Family::kMeta, kMetaConfiguration, raft::EncodeConfiguration(initial.configuration));
  WriteMembers(members, initial.members, batch);
  WriteFounding(initial.members, batch);
  batch.Delete(Family::kMeta, kMetaMembership);
  const std::unique_ptr<Iterator> alarms = engine.NewIterator(Family::kAlarms);
  for (alarms->SeekToFirst(); alarms->Valid(); alarms->Next()) {
    batch.Delete(Family::kAlarms, alarms->key());
  }
  GAVEL_RETURN_IF_ERROR(alarms->status());
  GAVEL_RETURN_IF_ERROR(engine.Write(batch));
  return engine.Flush();
}

}  // namespace gavel::storage
