#include "storage/state/lease_renewals.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace gavel::storage {

absl::Status LeaseRenewals::Load(const Engine& engine, raft::Index applied) {
  const std::unique_ptr<Iterator> rows = engine.NewIterator(Family::kLeaseRenewals);
  const MutexLock lock(mutex_);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    RenewalRow row;
    if (!DecodeRenewalRow(rows->key(), rows->value(), &row)) {
      return absl::DataLossError("lease_renewals: a row is damaged");
    }
    if (row.index > applied) {
      return absl::DataLossError(absl::StrCat("lease_renewals: a row is of entry ",
                                              row.index.value(), ", but only ", applied.value(),
                                              " are applied"));
    }
    Append(std::move(row));
  }
  return rows->status();
}

std::optional<LeaseRenewal> LeaseRenewals::Find(int64_t id) const {
  const MutexLock lock(mutex_);
  const auto it = newest_.find(id);
  return it == newest_.end() ? std::nullopt : std::optional(it->second);
}

void LeaseRenewals::Append(RenewalRow row) {
  for (const int64_t id : row.ids) newest_[id] = {row.index, row.clock_ms};
  ids_ += row.ids.size();
  rows_.push_back(std::move(row));
}

void LeaseRenewals::DropOldest() {
  const RenewalRow& row = rows_.front();
  for (const int64_t id : row.ids) {
    const auto it = newest_.find(id);
    if (it != newest_.end() && it->second.index == row.index) newest_.erase(it);
  }
  ids_ -= row.ids.size();
  rows_.pop_front();
}

void LeaseRenewals::Draft::Add(RenewalRow row) {
  batch_.Put(Family::kLeaseRenewals, RenewalKey(row.index), EncodeRenewalRow(row));
  added_ids_ += row.ids.size();
  added_.push_back(std::move(row));
}

const RenewalRow& LeaseRenewals::Draft::Oldest() const {
  const size_t before = renewals_.rows_.size();
  return dropped_ < before ? renewals_.rows_[dropped_] : added_[dropped_ - before];
}

const RenewalRow* LeaseRenewals::Draft::Excess() const {
  const size_t left = renewals_.ids_ + added_ids_ - dropped_ids_;
  return left > renewals_.ids_max_ ? &Oldest() : nullptr;
}

void LeaseRenewals::Draft::DropOldest() {
  const RenewalRow& row = Oldest();
  batch_.Delete(Family::kLeaseRenewals, RenewalKey(row.index));
  dropped_ids_ += row.ids.size();
  ++dropped_;
}

void LeaseRenewals::Draft::Written() {
  if (added_.empty()) return;
  const MutexLock lock(renewals_.mutex_);
  for (RenewalRow& row : added_) renewals_.Append(std::move(row));
  for (; dropped_ > 0; --dropped_) renewals_.DropOldest();
}

}  // namespace gavel::storage
