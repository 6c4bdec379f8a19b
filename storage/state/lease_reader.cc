#include "storage/state/lease_reader.h"

#include "absl/strings/str_cat.h"

#include "storage/mvcc/key_codec.h"

namespace gavel::storage {
namespace {

absl::Status Damaged(int64_t id) {
  return absl::DataLossError(absl::StrCat("leases: the row of lease ", id, " is damaged"));
}

}  // namespace

absl::StatusOr<std::optional<LeaseRow>> ReadLease(const ReadView& view, int64_t id) {
  return ReadLease(*view.engine, view.lease_renewals.get(), id);
}

absl::StatusOr<std::optional<LeaseRow>> ReadLease(const Engine& engine,
                                                  const LeaseRenewals* renewals, int64_t id) {
  const std::optional<LeaseRenewal> renewal =
      renewals == nullptr ? std::nullopt : renewals->Find(id);
  std::string bytes;
  const absl::Status status = engine.Get(Family::kLeases, LeaseKey(id), &bytes);
  if (absl::IsNotFound(status)) return std::optional<LeaseRow>();
  if (!status.ok()) return status;
  LeaseRow row;
  if (!DecodeLeaseRow(bytes, &row)) return Damaged(id);
  return std::optional(renewal ? WithRenewal(row, *renewal) : row);
}

LeaseKeyScan::LeaseKeyScan(std::shared_ptr<const Engine> engine, int64_t id)
    : engine_(std::move(engine)), prefix_(LeaseKey(id)), position_(prefix_) {}

absl::StatusOr<bool> LeaseKeyScan::Step(int64_t rows_max) {
  const std::unique_ptr<Iterator> rows = engine_->NewIterator(Family::kLeaseKeys);
  for (rows->Seek(position_); rows->Valid() && rows->key().starts_with(prefix_); rows->Next()) {
    if (rows_max-- <= 0) {
      position_ = rows->key();
      return false;
    }
    keys_.emplace_back(rows->key().substr(prefix_.size()));
  }
  if (absl::Status status = rows->status(); !status.ok()) return status;
  return true;
}

absl::Status LeaseScan::ReadRenewals(int64_t& rows_max) {
  const std::unique_ptr<Iterator> rows = engine_->NewIterator(Family::kLeaseRenewals);
  if (!renewals_end_) {
    rows->SeekToLast();
    renewals_end_ = rows->Valid() ? std::string(rows->key()) : std::string();
  }
  for (rows->Seek(position_); rows->Valid() && rows->key() <= *renewals_end_; rows->Next()) {
    if (rows_max <= 0) {
      position_ = rows->key();
      return absl::OkStatus();
    }
    RenewalRow row;
    if (!DecodeRenewalRow(rows->key(), rows->value(), &row)) {
      return absl::DataLossError("lease_renewals: a row is damaged");
    }
    for (const int64_t id : row.ids) renewals_[id] = {row.index, row.clock_ms};
    rows_max -= static_cast<int64_t>(row.ids.size());
  }
  if (absl::Status status = rows->status(); !status.ok()) return status;
  renewals_read_ = true;
  position_.clear();
  return absl::OkStatus();
}

absl::StatusOr<bool> LeaseScan::Step(int64_t rows_max) {
  if (!renewals_read_) {
    if (absl::Status status = ReadRenewals(rows_max); !status.ok()) return status;
    if (!renewals_read_) return false;
  }
  const std::unique_ptr<Iterator> rows = engine_->NewIterator(Family::kLeases);
  for (rows->Seek(position_); rows->Valid(); rows->Next()) {
    if (rows_max-- <= 0) {
      position_ = rows->key();
      return false;
    }
    const std::optional<int64_t> id = ParseLeaseKey(rows->key());
    if (!id) return absl::DataLossError("leases: a key is damaged");
    LeaseRow row;
    if (!DecodeLeaseRow(rows->value(), &row)) return Damaged(*id);
    const auto renewal = renewals_.find(*id);
    leases_.emplace_back(*id, renewal == renewals_.end() ? row : WithRenewal(row, renewal->second));
  }
  if (absl::Status status = rows->status(); !status.ok()) return status;
  return true;
}

}  // namespace gavel::storage
