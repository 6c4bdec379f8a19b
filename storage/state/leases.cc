#include "storage/state/leases.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/sim_point.h"
#include "storage/mvcc/key_codec.h"
#include "storage/state/lease_reader.h"

namespace gavel::storage {

absl::StatusOr<std::optional<LeaseRow>> Leases::Find(int64_t id) {
  if (const auto it = rows_.find(id); it != rows_.end()) return it->second;
  if (const LeaseRow* known = surroundings_.cache.Find(id)) return std::optional(*known);
  absl::StatusOr<std::optional<LeaseRow>> row =
      ReadLease(surroundings_.engine, &surroundings_.renewals, id);
  if (row.ok() && row->has_value()) surroundings_.cache.Set(id, **row);
  return row;
}

absl::StatusOr<RequestError> Leases::Check(int64_t lease) {
  if (lease == 0) return RequestError::kNone;
  const absl::StatusOr<std::optional<LeaseRow>> row = Find(lease);
  if (!row.ok()) return row.status();
  return row->has_value() ? RequestError::kNone : RequestError::kLeaseNotFound;
}

void Leases::Set(int64_t id, const LeaseRow& row, LeaseChange::Kind kind) {
  Note(id, row);
  surroundings_.changes.push_back({kind, id, row});
}

void Leases::Note(int64_t id, const std::optional<LeaseRow>& row) {
  if (rows_.insert_or_assign(id, row).second) changed_.push_back(id);
}

void Leases::Put(int64_t id, const LeaseRow& row) {
  surroundings_.batch.Put(Family::kLeases, LeaseKey(id), EncodeLeaseRow(row));
}

absl::StatusOr<RequestError> Leases::Grant(const etcdserverpb::LeaseGrantRequest& request,
                                           raft::Index index,
                                           etcdserverpb::LeaseGrantResponse* response) {
  if (request.id() == 0) return RequestError::kLeaseNotFound;
  const absl::StatusOr<std::optional<LeaseRow>> known = Find(request.id());
  if (!known.ok()) return known.status();
  if (known->has_value() && !GAVEL_PLANTED_BUG(74)) return RequestError::kLeaseExists;
  const LeaseRow row = {request.ttl(), LeaseDeadline(surroundings_.state.clock_ms, request.ttl()),
                        index};
  Set(request.id(), row, LeaseChange::Kind::kGranted);
  surroundings_.keys.Begin(request.id());
  Put(request.id(), row);
  ++surroundings_.state.count;
  if (response != nullptr) {
    response->mutable_header()->set_revision(surroundings_.totals.revision);
    response->set_id(request.id());
    response->set_ttl(request.ttl());
  }
  return RequestError::kNone;
}

absl::StatusOr<RequestError> Leases::Revoke(const etcdserverpb::LeaseRevokeRequest& request,
                                            etcdserverpb::LeaseRevokeResponse* response) {
  const absl::StatusOr<std::optional<LeaseRow>> row = Find(request.id());
  if (!row.ok()) return row.status();
  if (!row->has_value()) return RequestError::kLeaseNotFound;
  if (const auto keys = End(request.id(), **row, LeaseChange::Kind::kRevoked); !keys.ok()) {
    return keys.status();
  }
  if (response != nullptr) response->mutable_header()->set_revision(surroundings_.totals.revision);
  return RequestError::kNone;
}

absl::Status Leases::Renew(const internal::RenewLeases& command, raft::Index index,
                           RenewOutcome* outcome) {
  RenewalRow renewed = {index, surroundings_.state.clock_ms, {}};
  for (const int64_t id : command.ids()) {
    const absl::StatusOr<std::optional<LeaseRow>> row = Find(id);
    if (!row.ok()) return row.status();
    if (row->has_value()) {
      Set(id, WithRenewal(**row, {index, renewed.clock_ms}), LeaseChange::Kind::kRenewed);
      renewed.ids.push_back(id);
    }
    if (outcome != nullptr) {
      outcome->ttl_seconds.push_back(row->has_value() ? (*row)->ttl_seconds : 0);
    }
  }
  if (renewed.ids.empty()) return absl::OkStatus();
  renewals_.Add(std::move(renewed));
  return Fold();
}

absl::Status Leases::Fold() {
  while (const RenewalRow* oldest = renewals_.Excess()) {
    for (const int64_t id : oldest->ids) {
      const absl::StatusOr<std::optional<LeaseRow>> row = Find(id);
      if (!row.ok()) return row.status();
      // Not one that was renewed or granted anew since, or is gone.
      const bool newest = row->has_value() && (*row)->renewed == oldest->index;
      if (newest && !GAVEL_PLANTED_BUG(79)) Put(id, **row);
    }
    renewals_.DropOldest();
  }
  return absl::OkStatus();
}

absl::Status Leases::Expire(const internal::ExpireLeases& command, raft::Term term) {
  // A leader that leads no more has no say in what is due.
  if (command.term() != term.value()) return absl::OkStatus();
  SetClock(command.now_ms());
  size_t deleted = 0;
  for (const internal::LeaseExpiry& expiry : command.leases()) {
    if (deleted >= kExpiryKeysMax) break;
    const absl::StatusOr<std::optional<LeaseRow>> row = Find(expiry.id());
    if (!row.ok()) return row.status();
    // Renewed, or revoked and granted anew, since the leader decided.
    if (!row->has_value()) continue;
    if (!GAVEL_PLANTED_BUG(72)) {
      if ((*row)->renewed.value() != expiry.renewed_index()) continue;
      if ((*row)->deadline_ms > surroundings_.state.clock_ms) continue;
    }
    const absl::StatusOr<size_t> keys = End(expiry.id(), **row, LeaseChange::Kind::kExpired);
    if (!keys.ok()) return keys.status();
    deleted += *keys;
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> Leases::End(int64_t id, const LeaseRow& row, LeaseChange::Kind kind) {
  const absl::StatusOr<std::vector<std::string>> keys = surroundings_.keys.Of(id);
  if (!keys.ok()) return keys.status();
  surroundings_.writer.Begin();
  for (const std::string& key : *keys) {
    if (GAVEL_PLANTED_BUG(73) && keys->size() > 1 && &key == &keys->back()) break;
    const absl::StatusOr<NewestVersion> newest = surroundings_.overlay.Newest(key);
    if (!newest.ok()) return newest.status();
    if (!newest->live || newest->lease != id) {
      return absl::DataLossError(absl::StrCat("lease_keys: a key is listed under lease ", id,
                                              ", but does not hang on it"));
    }
    surroundings_.writer.Delete(key, *newest);
  }
  surroundings_.writer.End();
  surroundings_.keys.End(id);
  surroundings_.batch.Delete(Family::kLeases, LeaseKey(id));
  Note(id, std::nullopt);
  surroundings_.changes.push_back({kind, id, row});
  --surroundings_.state.count;
  return keys->size();
}

void Leases::SetClock(int64_t now_ms) {
  int64_t& clock_ms = surroundings_.state.clock_ms;
  clock_ms = std::max(clock_ms, std::min(now_ms, kLeaseClockMsMax));
}

void Leases::Written() {
  renewals_.Written();
  // In order: what the cache keeps is the same in every run.
  for (const int64_t id : changed_) {
    const std::optional<LeaseRow>& row = rows_.at(id);
    if (row.has_value()) {
      surroundings_.cache.Set(id, *row);
    } else {
      surroundings_.cache.Erase(id);
    }
  }
}

}  // namespace gavel::storage
