#include "storage/state/leases.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

#include "storage/mvcc/key_codec.h"
#include "storage/state/lease_reader.h"

namespace gavel::storage {
namespace {

constexpr int64_t kMsPerSecond = 1000;

}  // namespace

absl::StatusOr<std::optional<LeaseRow>> Leases::Find(int64_t id) {
  if (const auto it = rows_.find(id); it != rows_.end()) return it->second;
  if (const LeaseRow* known = cache_.Find(id)) return std::optional(*known);
  absl::StatusOr<std::optional<LeaseRow>> row = ReadLease(engine_, id);
  if (row.ok() && row->has_value()) cache_.Set(id, **row);
  return row;
}

absl::StatusOr<RequestError> Leases::Check(int64_t lease) {
  if (lease == 0) return RequestError::kNone;
  const absl::StatusOr<std::optional<LeaseRow>> row = Find(lease);
  if (!row.ok()) return row.status();
  return row->has_value() ? RequestError::kNone : RequestError::kLeaseNotFound;
}

int64_t Leases::DeadlineOf(int64_t ttl_seconds) const {
  const int64_t ttl = std::clamp<int64_t>(ttl_seconds, 0, kLeaseTtlSecondsMax);
  return state_.clock_ms + ttl * kMsPerSecond + kLeaseSlackMs;
}

void Leases::Set(int64_t id, const LeaseRow& row, LeaseChange::Kind kind) {
  rows_[id] = row;
  changes_.push_back({kind, id, row});
}

absl::StatusOr<RequestError> Leases::Grant(const etcdserverpb::LeaseGrantRequest& request,
                                           raft::Index index,
                                           etcdserverpb::LeaseGrantResponse* response) {
  if (request.id() == 0) return RequestError::kLeaseNotFound;
  const absl::StatusOr<std::optional<LeaseRow>> known = Find(request.id());
  if (!known.ok()) return known.status();
  if (known->has_value()) return RequestError::kLeaseExists;
  Set(request.id(), {request.ttl(), DeadlineOf(request.ttl()), index}, LeaseChange::Kind::kGranted);
  ++state_.count;
  if (response != nullptr) {
    response->mutable_header()->set_revision(totals_.revision);
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
  if (absl::Status status = End(request.id(), **row, LeaseChange::Kind::kRevoked); !status.ok()) {
    return status;
  }
  if (response != nullptr) response->mutable_header()->set_revision(totals_.revision);
  return RequestError::kNone;
}

absl::Status Leases::Renew(const internal::RenewLeases& command, raft::Index index,
                           RenewOutcome* outcome) {
  for (const int64_t id : command.ids()) {
    const absl::StatusOr<std::optional<LeaseRow>> row = Find(id);
    if (!row.ok()) return row.status();
    if (row->has_value()) {
      const int64_t ttl = (*row)->ttl_seconds;
      Set(id, {ttl, std::max((*row)->deadline_ms, DeadlineOf(ttl)), index},
          LeaseChange::Kind::kRenewed);
    }
    if (outcome != nullptr) {
      outcome->ttl_seconds.push_back(row->has_value() ? (*row)->ttl_seconds : 0);
    }
  }
  return absl::OkStatus();
}

absl::Status Leases::Expire(const internal::ExpireLeases& command, raft::Term term) {
  // A leader that leads no more has no say in what is due.
  if (command.term() != term.value()) return absl::OkStatus();
  SetClock(command.now_ms());
  for (const internal::LeaseExpiry& expiry : command.leases()) {
    const absl::StatusOr<std::optional<LeaseRow>> row = Find(expiry.id());
    if (!row.ok()) return row.status();
    // Renewed, or revoked and granted anew, since the leader decided.
    if (!row->has_value() || (*row)->renewed.value() != expiry.renewed_index()) continue;
    if ((*row)->deadline_ms > state_.clock_ms) continue;
    if (absl::Status status = End(expiry.id(), **row, LeaseChange::Kind::kExpired); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Leases::End(int64_t id, const LeaseRow& row, LeaseChange::Kind kind) {
  const absl::StatusOr<std::vector<std::string>> keys = keys_.Of(id);
  if (!keys.ok()) return keys.status();
  writer_.Begin();
  for (const std::string& key : *keys) {
    const absl::StatusOr<NewestVersion> newest = overlay_.Newest(key);
    if (!newest.ok()) return newest.status();
    if (!newest->live || newest->lease != id) {
      return absl::DataLossError(absl::StrCat("lease_keys: a key is listed under lease ", id,
                                              ", but does not hang on it"));
    }
    writer_.Delete(key, *newest);
  }
  writer_.End();
  rows_[id] = std::nullopt;
  changes_.push_back({kind, id, row});
  --state_.count;
  return absl::OkStatus();
}

void Leases::SetClock(int64_t now_ms) {
  state_.clock_ms = std::max(state_.clock_ms, std::min(now_ms, kLeaseClockMsMax));
}

void Leases::Finish(WriteBatch& batch) const {
  for (const auto& [id, row] : rows_) {
    if (row.has_value()) {
      batch.Put(Family::kLeases, LeaseKey(id), EncodeLeaseRow(*row));
    } else {
      batch.Delete(Family::kLeases, LeaseKey(id));
    }
  }
}

void Leases::Written() {
  for (const auto& [id, row] : rows_) {
    if (row.has_value()) {
      cache_.Set(id, *row);
    } else {
      cache_.Erase(id);
    }
  }
}

}  // namespace gavel::storage
