#include "storage/state/opening.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"
#include "storage/state/limits.h"
#include "storage/state/semantics.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

// NotFound: no format is recorded, as in a fresh store.
absl::StatusOr<uint32_t> ReadSemantics(const Engine& engine) {
  std::string row;
  if (absl::Status status = engine.Get(Family::kMeta, kMetaFormat, &row); !status.ok()) {
    return status;
  }
  MetaFormat format;
  if (!DecodeMetaFormat(row, &format)) return absl::DataLossError("meta: damaged format");
  if (format.format > kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the state has format ", format.format,
                                                      "; this build reads ", kFormatVersion,
                                                      ": a newer build is needed"));
  }
  if (format.format < kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the state has format ", format.format,
                                                      "; this build reads ", kFormatVersion,
                                                      " alone: use the build that wrote it"));
  }
  if (format.semantics > SemanticsVersion()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the state has semantics version ", format.semantics,
                     "; this build knows up to ", SemanticsVersion(), ": a newer build is needed"));
  }
  return static_cast<uint32_t>(format.semantics);
}

absl::StatusOr<MetaBase> ReadMetaBase(const Engine& engine) {
  MetaBase base;
  std::string row;
  const absl::Status status = engine.Get(Family::kMeta, kMetaBase, &row);
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  if (status.ok() && !DecodeMetaBase(row, &base)) return absl::DataLossError("meta: damaged base");
  return base;
}

absl::StatusOr<MetaLeases> ReadMetaLeases(const Engine& engine) {
  MetaLeases leases;
  std::string row;
  const absl::Status status = engine.Get(Family::kMeta, kMetaLeases, &row);
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  if (status.ok() && !DecodeMetaLeases(row, &leases)) {
    return absl::DataLossError("meta: damaged leases");
  }
  return leases;
}

// The changes, what they are based on and `totals` must not contradict one another.
absl::Status CheckContents(const Engine& engine, const MetaBase& base, const Totals& totals) {
  if (totals.compacted > totals.revision) {
    return absl::DataLossError(absl::StrCat("meta: the compacted revision ", totals.compacted,
                                            " is above the revision ", totals.revision));
  }
  auto iterator = engine.NewIterator(Family::kChanges);
  iterator->SeekToLast();
  if (!iterator->status().ok()) return iterator->status();
  // Every revision above the base has a change, and none at or above the compacted revision is ever
  // deleted.
  Revision last = base.revision;
  int64_t superseded = base.superseded_total;
  const std::string after_base = ChangeKey({base.revision + 1, 0});
  if (iterator->Valid() && iterator->key() >= after_base) {
    const std::optional<ChangeId> id = ParseChangeKey(iterator->key());
    ChangeRecord change;
    if (!id || !ParseChangeRecord(iterator->value(), &change)) {
      return absl::DataLossError("changes: the last row is damaged");
    }
    last = id->main;
    superseded = change.superseded_total;
  }
  if (last != totals.revision || superseded != totals.superseded_total) {
    return absl::DataLossError(absl::StrCat("changes: the last change has revision ", last,
                                            " and total ", superseded, ", the state has ",
                                            totals.revision, " and ", totals.superseded_total));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Initialise(Engine& engine, const InitialState& initial) {
  for (int family = 0; family < kFamilyCount; ++family) {
    auto iterator = engine.NewIterator(static_cast<Family>(family));
    iterator->SeekToFirst();
    if (!iterator->status().ok()) return iterator->status();
    if (iterator->Valid()) {
      const std::string_view name = FamilyName(static_cast<Family>(family));
      return absl::DataLossError(absl::StrCat("meta: no format is recorded, but there are rows in ",
                                              absl::string_view(name.data(), name.size())));
    }
  }
  WriteBatch batch;
  batch.Put(Family::kMeta, kMetaFormat, EncodeMetaFormat({kFormatVersion, kFoundingSemantics}));
  batch.Put(Family::kMeta, kMetaState, EncodeMetaState({}));
  batch.Put(Family::kMeta, kMetaConfiguration, raft::EncodeConfiguration(initial.configuration));
  WriteMembers({}, initial.members, batch);
  WriteFounding(initial.members, batch);
  return engine.Write(batch);
}

absl::StatusOr<StateRows> ReadStateRows(const Engine& engine) {
  StateRows rows;
  GAVEL_ASSIGN_OR_RETURN(rows.semantics, ReadSemantics(engine));
  const absl::StatusOr<MetaState> state = ReadMetaState(engine);
  if (absl::IsNotFound(state.status())) return absl::DataLossError("meta: no state");
  if (!state.ok()) return state.status();
  rows.state = *state;
  GAVEL_ASSIGN_OR_RETURN(rows.members, ReadMembers(engine));
  std::string row;
  const absl::Status status = engine.Get(Family::kMeta, kMetaConfiguration, &row);
  if (absl::IsNotFound(status)) return absl::DataLossError("meta: no configuration");
  if (!status.ok()) return status;
  absl::StatusOr<raft::Configuration> configuration = raft::DecodeConfiguration(row);
  if (!configuration.ok()) return absl::DataLossError("meta: damaged configuration");
  rows.configuration = *std::move(configuration);
  GAVEL_ASSIGN_OR_RETURN(rows.leases, ReadMetaLeases(engine));
  GAVEL_ASSIGN_OR_RETURN(rows.membership, ReadMembership(engine, rows.configuration));
  GAVEL_ASSIGN_OR_RETURN(rows.limits, ReadLimits(engine));
  GAVEL_ASSIGN_OR_RETURN(rows.base, ReadMetaBase(engine));
  GAVEL_RETURN_IF_ERROR(CheckContents(engine, rows.base, rows.state.totals));
  return rows;
}

}  // namespace gavel::storage
