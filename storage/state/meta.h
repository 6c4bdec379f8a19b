// The rows of the family `meta`.
//
//   format          format version of what is stored, and the semantics version agreed on
//   state           applied index and term, and the store's totals; written with every batch
//   leases          the lease clock and the number of leases; absent while both are 0
//   configuration   the applied configuration, as raft::EncodeConfiguration writes it
//   membership      who is wanted as a member, and the ids never to be used again; absent until a
//                   change is asked for
//   founding        the members that the cluster began with
//   quota           how many bytes the store may take; absent while there is no bound
//   base            where revisions began anew, above what was restored; mostly absent
//   collected       the history collector's progress: local, no part of the replicated state
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/engine/engine.h"
#include "storage/mvcc/writer.h"
#include "storage/state/digest.h"

namespace gavel::storage {

inline constexpr std::string_view kMetaFormat = "format";
inline constexpr std::string_view kMetaState = "state";
inline constexpr std::string_view kMetaLeases = "leases";
inline constexpr std::string_view kMetaConfiguration = "configuration";
inline constexpr std::string_view kMetaMembership = "membership";
inline constexpr std::string_view kMetaFounding = "founding";
inline constexpr std::string_view kMetaQuota = "quota";
inline constexpr std::string_view kMetaBase = "base";

// The format of the engine's contents that this build reads and writes. 1 had no digest, and no
// founding members; no release has written it.
inline constexpr uint64_t kFormatVersion = 2;

struct MetaFormat {
  uint64_t format = 0;
  uint64_t semantics = 0;

  friend bool operator==(const MetaFormat&, const MetaFormat&) = default;
};
std::string EncodeMetaFormat(const MetaFormat& format);
bool DecodeMetaFormat(std::string_view bytes, MetaFormat* format);

struct MetaState {
  raft::Index applied;
  raft::Term applied_term;
  Totals totals;
  DigestMarks marks;

  friend bool operator==(const MetaState&, const MetaState&) = default;
};
std::string EncodeMetaState(const MetaState& state);
bool DecodeMetaState(std::string_view bytes, MetaState* state);
// NotFound: there is none. DataLoss: it is damaged.
absl::StatusOr<MetaState> ReadMetaState(const Engine& engine, const ReadOptions& options = {});

// Every revision above the base has a change; the base itself and those below it need not. Without
// the row, it is a fresh store's.
struct MetaBase {
  Revision revision = 1;
  int64_t superseded_total = 0;  // The total of all changes up to the base.
};
std::string EncodeMetaBase(const MetaBase& base);
bool DecodeMetaBase(std::string_view bytes, MetaBase* base);

struct MetaLeases {
  int64_t clock_ms = 0;  // The lease clock: never moves back.
  int64_t count = 0;

  friend bool operator==(const MetaLeases&, const MetaLeases&) = default;
};
std::string EncodeMetaLeases(const MetaLeases& leases);
// False if the bytes are damaged, or no lease clock can have come so far.
bool DecodeMetaLeases(std::string_view bytes, MetaLeases* leases);
// Adds the row, or its absence: whether there is one depends on the state alone, or members that
// cut their batches differently would differ.
void WriteMetaLeases(const MetaLeases& leases, WriteBatch& batch);

}  // namespace gavel::storage
