#include "storage/state/meta.h"

#include <limits>

#include "storage/mvcc/varint.h"
#include "storage/state/lease_row.h"

namespace gavel::storage {
namespace {

bool TakeDigest(std::string_view* in, uint32_t* digest) {
  uint64_t value = 0;
  if (!TakeVarint(in, &value) || value > std::numeric_limits<uint32_t>::max()) return false;
  *digest = static_cast<uint32_t>(value);
  return true;
}

}  // namespace

std::string EncodeMetaFormat(const MetaFormat& format) {
  std::string bytes;
  AppendVarint(format.format, &bytes);
  AppendVarint(format.semantics, &bytes);
  return bytes;
}

bool DecodeMetaFormat(std::string_view bytes, MetaFormat* format) {
  // A newer format may have more to say after these two.
  return TakeVarint(&bytes, &format->format) && TakeVarint(&bytes, &format->semantics);
}

std::string EncodeMetaState(const MetaState& state) {
  std::string bytes;
  AppendVarint(state.applied.value(), &bytes);
  AppendVarint(state.applied_term.value(), &bytes);
  const Totals& totals = state.totals;
  for (const int64_t number : {totals.revision, totals.compacted, totals.keys, totals.live_bytes,
                               totals.superseded_total, totals.superseded_compacted}) {
    AppendVarint(static_cast<uint64_t>(number), &bytes);
  }
  AppendVarint(totals.digest, &bytes);
  for (const DigestMark& mark : state.marks) {
    AppendVarint(mark.index.value(), &bytes);
    AppendVarint(mark.digest, &bytes);
  }
  return bytes;
}

bool DecodeMetaState(std::string_view bytes, MetaState* state) {
  uint64_t applied = 0;
  uint64_t term = 0;
  if (!TakeVarint(&bytes, &applied) || !TakeVarint(&bytes, &term)) return false;
  state->applied = raft::Index(applied);
  state->applied_term = raft::Term(term);
  Totals& totals = state->totals;
  for (int64_t* number : {&totals.revision, &totals.compacted, &totals.keys, &totals.live_bytes,
                          &totals.superseded_total, &totals.superseded_compacted}) {
    if (!TakeVarint(&bytes, number)) return false;
  }
  if (!TakeDigest(&bytes, &totals.digest)) return false;
  for (DigestMark& mark : state->marks) {
    uint64_t index = 0;
    if (!TakeVarint(&bytes, &index) || !TakeDigest(&bytes, &mark.digest)) return false;
    mark.index = raft::Index(index);
  }
  return bytes.empty();
}

absl::StatusOr<MetaState> ReadMetaState(const Engine& engine, const ReadOptions& options) {
  std::string row;
  if (absl::Status status = engine.Get(Family::kMeta, kMetaState, &row, options); !status.ok()) {
    return status;
  }
  MetaState state;
  if (!DecodeMetaState(row, &state)) return absl::DataLossError("meta: damaged state");
  return state;
}

std::string EncodeMetaBase(const MetaBase& base) {
  std::string bytes;
  AppendVarint(static_cast<uint64_t>(base.revision), &bytes);
  AppendVarint(static_cast<uint64_t>(base.superseded_total), &bytes);
  return bytes;
}

bool DecodeMetaBase(std::string_view bytes, MetaBase* base) {
  return TakeVarint(&bytes, &base->revision) && TakeVarint(&bytes, &base->superseded_total) &&
         bytes.empty();
}

std::string EncodeMetaLeases(const MetaLeases& leases) {
  std::string bytes;
  AppendVarint(static_cast<uint64_t>(leases.clock_ms), &bytes);
  AppendVarint(static_cast<uint64_t>(leases.count), &bytes);
  return bytes;
}

bool DecodeMetaLeases(std::string_view bytes, MetaLeases* leases) {
  return TakeVarint(&bytes, &leases->clock_ms) && TakeVarint(&bytes, &leases->count) &&
         bytes.empty() && leases->clock_ms >= 0 && leases->clock_ms <= kLeaseClockMsMax &&
         leases->count >= 0;
}

void WriteMetaLeases(const MetaLeases& leases, WriteBatch& batch) {
  if (leases == MetaLeases()) {
    batch.Delete(Family::kMeta, kMetaLeases);
  } else {
    batch.Put(Family::kMeta, kMetaLeases, EncodeMetaLeases(leases));
  }
}

}  // namespace gavel::storage
