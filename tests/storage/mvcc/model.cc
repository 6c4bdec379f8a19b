#include "tests/storage/mvcc/model.h"

#include <algorithm>
#include <tuple>

namespace gavel::testing {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using mvccpb::KeyValue;
using storage::RequestError;

bool InRange(const std::string& candidate, const std::string& key, const std::string& range_end) {
  if (range_end.empty()) return candidate == key;
  if (range_end == std::string("\0", 1)) return candidate >= key;
  return candidate >= key && candidate < range_end;
}

bool SortsBefore(const RangeRequest& request, const KeyValue& a, const KeyValue& b) {
  const bool descending = request.sort_order() == RangeRequest::DESCEND;
  const KeyValue& first = descending ? b : a;
  const KeyValue& second = descending ? a : b;
  switch (request.sort_target()) {
    case RangeRequest::KEY:
      return first.key() < second.key();
    case RangeRequest::VERSION:
      return first.version() < second.version();
    case RangeRequest::CREATE:
      return first.create_revision() < second.create_revision();
    case RangeRequest::MOD:
      return first.mod_revision() < second.mod_revision();
    case RangeRequest::VALUE:
      return first.value() < second.value();
    default:
      return false;
  }
}

bool PassesFilters(const RangeRequest& request, const KeyValue& kv) {
  if (request.min_mod_revision() != 0 && kv.mod_revision() < request.min_mod_revision()) {
    return false;
  }
  if (request.max_mod_revision() != 0 && kv.mod_revision() > request.max_mod_revision()) {
    return false;
  }
  if (request.min_create_revision() != 0 && kv.create_revision() < request.min_create_revision()) {
    return false;
  }
  return request.max_create_revision() == 0 ||
         kv.create_revision() <= request.max_create_revision();
}

bool HasFilters(const RangeRequest& request) {
  return request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
         request.min_create_revision() != 0 || request.max_create_revision() != 0;
}

bool ValidSort(const RangeRequest& request) {
  return request.sort_order() >= 0 && request.sort_order() <= 2 && request.sort_target() >= 0 &&
         request.sort_target() <= 4;
}

// Negative, zero or positive.
int CompareWith(const Compare& compare, const KeyValue& kv) {
  const auto numbers = [](int64_t a, int64_t b) { return (a > b) - (a < b); };
  switch (compare.target()) {
    case Compare::VERSION:
      return numbers(kv.version(), compare.has_version() ? compare.version() : 0);
    case Compare::CREATE:
      return numbers(kv.create_revision(),
                     compare.has_create_revision() ? compare.create_revision() : 0);
    case Compare::MOD:
      return numbers(kv.mod_revision(), compare.has_mod_revision() ? compare.mod_revision() : 0);
    case Compare::LEASE:
      return numbers(kv.lease(), compare.has_lease() ? compare.lease() : 0);
    case Compare::VALUE:
      return kv.value().compare(compare.has_value() ? compare.value() : "");
    default:
      return 0;
  }
}

bool ResultHolds(const Compare& compare, const KeyValue& kv) {
  const int order = CompareWith(compare, kv);
  switch (compare.result()) {
    case Compare::EQUAL:
      return order == 0;
    case Compare::NOT_EQUAL:
      return order != 0;
    case Compare::GREATER:
      return order > 0;
    case Compare::LESS:
      return order < 0;
    default:
      return true;
  }
}

}  // namespace

std::vector<KeyValue> Model::Live(const std::string& key, const std::string& range_end,
                                  int64_t revision) const {
  std::vector<KeyValue> live;
  for (const auto& [candidate, versions] : versions_) {
    if (!InRange(candidate, key, range_end)) continue;
    const ModelVersion* newest = nullptr;
    for (const ModelVersion& version : versions) {
      if (version.kv.mod_revision() <= revision) newest = &version;
    }
    if (newest != nullptr && !newest->tombstone) live.push_back(newest->kv);
  }
  return live;
}

etcdserverpb::RangeResponse Model::Answer(const RangeRequest& request, int64_t visible) const {
  const int64_t revision = request.revision() > 0 ? request.revision() : visible;
  std::vector<KeyValue> rows = Live(request.key(), request.range_end(), revision);
  etcdserverpb::RangeResponse response;
  response.mutable_header()->set_revision(visible);
  response.set_count(static_cast<int64_t>(rows.size()));
  if (request.count_only()) return response;

  const size_t limit = request.limit() > 0 ? static_cast<size_t>(request.limit()) : SIZE_MAX;
  const bool limit_first = request.sort_order() == RangeRequest::NONE && !HasFilters(request);
  if (limit_first && limit < rows.size()) rows.resize(limit + 1);
  std::erase_if(rows, [&](const KeyValue& kv) { return !PassesFilters(request, kv); });
  std::stable_sort(rows.begin(), rows.end(), [&](const KeyValue& a, const KeyValue& b) {
    return SortsBefore(request, a, b);
  });
  if (rows.size() > limit) {
    rows.resize(limit);
    response.set_more(true);
  }
  for (KeyValue& kv : rows) {
    if (request.keys_only()) kv.clear_value();
    *response.add_kvs() = kv;
  }
  return response;
}

Model::RangeOutcome Model::Range(const RangeRequest& request) const {
  if (!ValidSort(request)) return {RequestError::kInvalidSort, {}};
  if (request.revision() > revision_) return {RequestError::kFutureRevision, {}};
  if (request.revision() > 0 && request.revision() < compacted_) {
    return {RequestError::kCompacted, {}};
  }
  return {RequestError::kNone, Answer(request, revision_)};
}

ModelOutcome Model::Apply(const internal::Command& command, uint64_t index, uint64_t term) {
  ModelOutcome outcome;
  if (command.has_put()) {
    outcome.error = CheckPut(command.put(), false);
    if (outcome.error != RequestError::kNone) return outcome;
    Run(command.put(), &outcome.response.emplace<etcdserverpb::PutResponse>());
    Finish();
  } else if (command.has_delete_range()) {
    Run(command.delete_range(), &outcome.response.emplace<etcdserverpb::DeleteRangeResponse>());
    Finish();
  } else if (command.has_txn()) {
    outcome.error = Check(command.txn());
    if (outcome.error != RequestError::kNone) return outcome;
    auto& response = outcome.response.emplace<etcdserverpb::TxnResponse>();
    Run(command.txn(), &response);
    Finish();
    response.mutable_header()->set_revision(revision_);
  } else if (command.has_compact()) {
    const int64_t revision = command.compact().revision();
    if (revision <= compacted_) return {RequestError::kCompacted, {}};
    if (revision > revision_) return {RequestError::kFutureRevision, {}};
    compacted_ = revision;
    outcome.response.emplace<etcdserverpb::CompactionResponse>().mutable_header()->set_revision(
        revision_);
  } else {
    return ApplyLease(command, index, term);
  }
  return outcome;
}

void Model::SetLeaseClock(int64_t now_ms) {
  if (now_ms > int64_t{1} << 62) now_ms = int64_t{1} << 62;
  if (now_ms > lease_clock_ms) lease_clock_ms = now_ms;
}

int64_t Model::LeaseDeadline(int64_t ttl_seconds) const {
  return lease_clock_ms + 1000 * ttl_seconds + 20;
}

ModelOutcome Model::ApplyLease(const internal::Command& command, uint64_t index, uint64_t term) {
  ModelOutcome outcome;
  if (command.has_lease_grant()) {
    const auto& grant = command.lease_grant();
    if (grant.id() == 0) return {RequestError::kLeaseNotFound, {}};
    if (leases.contains(grant.id())) return {RequestError::kLeaseExists, {}};
    leases[grant.id()] = {grant.ttl(), LeaseDeadline(grant.ttl()), index};
    auto& response = outcome.response.emplace<etcdserverpb::LeaseGrantResponse>();
    response.mutable_header()->set_revision(revision_);
    response.set_id(grant.id());
    response.set_ttl(grant.ttl());
  } else if (command.has_lease_revoke()) {
    if (!leases.contains(command.lease_revoke().id())) return {RequestError::kLeaseNotFound, {}};
    EndLease(command.lease_revoke().id());
    outcome.response.emplace<etcdserverpb::LeaseRevokeResponse>().mutable_header()->set_revision(
        revision_);
  } else if (command.has_renew_leases()) {
    auto& renewed = outcome.response.emplace<storage::RenewOutcome>();
    for (const int64_t id : command.renew_leases().ids()) {
      renewed.ttl_seconds.push_back(leases.contains(id) ? leases[id].ttl_seconds : 0);
      if (!leases.contains(id)) continue;
      leases[id].deadline_ms = LeaseDeadline(leases[id].ttl_seconds);
      leases[id].renewed = index;
    }
  } else if (command.has_lease_clock()) {
    SetLeaseClock(command.lease_clock().now_ms());
  } else if (command.has_expire_leases() && command.expire_leases().term() == term) {
    SetLeaseClock(command.expire_leases().now_ms());
    size_t deleted = 0;
    for (const auto& expiry : command.expire_leases().leases()) {
      if (deleted >= 1000) break;  // The rest is left for another.
      const auto it = leases.find(expiry.id());
      if (it == leases.end() || it->second.renewed != expiry.renewed_index()) continue;
      if (it->second.deadline_ms <= lease_clock_ms) deleted += EndLease(expiry.id());
    }
  }
  return outcome;
}

size_t Model::EndLease(int64_t id) {
  leases.erase(id);
  std::vector<std::string> keys;
  for (const auto& [key, versions] : versions_) {
    const ModelVersion& newest = versions.back();
    if (!newest.tombstone && newest.kv.lease() == id) keys.push_back(key);
  }
  for (const std::string& key : keys) {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key(key);
    etcdserverpb::DeleteRangeResponse response;
    Run(request, &response);
  }
  Finish();
  return keys.size();
}

std::set<std::pair<int64_t, std::string>> Model::LeaseKeys() const {
  std::set<std::pair<int64_t, std::string>> keys;
  for (const auto& [key, versions] : versions_) {
    const ModelVersion& newest = versions.back();
    if (!newest.tombstone && newest.kv.lease() != 0) keys.insert({newest.kv.lease(), key});
  }
  return keys;
}

bool Model::Holds(const Compare& compare) const {
  // Always the state before the transaction, whatever it has changed by now.
  const std::vector<KeyValue> rows = Live(compare.key(), compare.range_end(), revision_);
  if (rows.empty()) {
    return compare.target() != Compare::VALUE && ResultHolds(compare, KeyValue());
  }
  return std::all_of(rows.begin(), rows.end(),
                     [&](const KeyValue& kv) { return ResultHolds(compare, kv); });
}

bool Model::Succeeds(const TxnRequest& txn) const {
  return std::all_of(txn.compare().begin(), txn.compare().end(),
                     [&](const Compare& compare) { return Holds(compare); });
}

RequestError Model::CheckPut(const etcdserverpb::PutRequest& put, bool in_txn) const {
  const bool no_lease = put.lease() != 0 && !leases.contains(put.lease());
  const bool no_key =
      (put.ignore_value() || put.ignore_lease()) && Live(put.key(), "", revision_).empty();
  // etcd looks at the lease first for a plain put, at the key first in a transaction.
  if (no_lease && no_key) return in_txn ? RequestError::kKeyNotFound : RequestError::kLeaseNotFound;
  if (no_lease) return RequestError::kLeaseNotFound;
  return no_key ? RequestError::kKeyNotFound : RequestError::kNone;
}

RequestError Model::Check(const TxnRequest& txn) const {
  for (const RequestOp& op : Succeeds(txn) ? txn.success() : txn.failure()) {
    RequestError error = RequestError::kNone;
    if (op.has_request_txn()) {
      error = Check(op.request_txn());
    } else if (op.has_request_put()) {
      error = CheckPut(op.request_put(), true);
    } else if (op.has_request_range()) {
      const RangeRequest& range = op.request_range();
      if (!ValidSort(range)) {
        error = RequestError::kInvalidSort;
      } else if (range.revision() > revision_) {
        error = RequestError::kFutureRevision;
      } else if (range.revision() != 0 && range.revision() < compacted_) {
        error = RequestError::kCompacted;
      }
    }
    if (error != RequestError::kNone) return error;
  }
  return RequestError::kNone;
}

void Model::Run(const etcdserverpb::PutRequest& put, etcdserverpb::PutResponse* response) {
  const std::vector<KeyValue> before = Live(put.key(), "", visible());
  ModelVersion version;
  version.sub = subs_++;
  KeyValue& kv = version.kv;
  kv.set_key(put.key());
  kv.set_mod_revision(revision_ + 1);
  kv.set_create_revision(before.empty() ? revision_ + 1 : before[0].create_revision());
  kv.set_version(before.empty() ? 1 : before[0].version() + 1);
  kv.set_value(put.ignore_value() && !before.empty() ? before[0].value() : put.value());
  kv.set_lease(put.ignore_lease() ? (before.empty() ? 0 : before[0].lease()) : put.lease());
  versions_[put.key()].push_back(version);
  if (put.prev_kv() && !before.empty()) *response->mutable_prev_kv() = before[0];
  response->mutable_header()->set_revision(revision_ + 1);
}

void Model::Run(const etcdserverpb::DeleteRangeRequest& request,
                etcdserverpb::DeleteRangeResponse* response) {
  const std::vector<KeyValue> rows = Live(request.key(), request.range_end(), visible());
  for (const KeyValue& kv : rows) {
    ModelVersion version;
    version.sub = subs_++;
    version.tombstone = true;
    version.kv.set_key(kv.key());
    version.kv.set_mod_revision(revision_ + 1);
    versions_[kv.key()].push_back(version);
    if (request.prev_kv()) *response->add_prev_kvs() = kv;
  }
  response->set_deleted(static_cast<int64_t>(rows.size()));
  response->mutable_header()->set_revision(visible());
}

void Model::Run(const TxnRequest& txn, etcdserverpb::TxnResponse* response) {
  response->mutable_header();
  response->set_succeeded(Succeeds(txn));
  for (const RequestOp& op : response->succeeded() ? txn.success() : txn.failure()) {
    etcdserverpb::ResponseOp* result = response->add_responses();
    if (op.has_request_range()) {
      *result->mutable_response_range() = Answer(op.request_range(), visible());
    } else if (op.has_request_put()) {
      Run(op.request_put(), result->mutable_response_put());
    } else if (op.has_request_delete_range()) {
      Run(op.request_delete_range(), result->mutable_response_delete_range());
    } else if (op.has_request_txn()) {
      Run(op.request_txn(), result->mutable_response_txn());
    }
  }
}

void Model::Finish() {
  if (subs_ > 0) ++revision_;
  subs_ = 0;
}

std::set<Model::Row> Model::RetainedVersions() const {
  std::set<Row> rows;
  for (const auto& [key, versions] : versions_) {
    const ModelVersion* at_or_below = nullptr;
    for (const ModelVersion& version : versions) {
      if (version.kv.mod_revision() <= compacted_) at_or_below = &version;
      // Watches may start at the compacted revision: all that happened there stays.
      if (version.kv.mod_revision() >= compacted_) {
        rows.emplace(key, version.kv.mod_revision(), version.sub);
      }
    }
    if (at_or_below != nullptr && !at_or_below->tombstone) {
      rows.emplace(key, at_or_below->kv.mod_revision(), at_or_below->sub);
    }
  }
  return rows;
}

std::set<Model::Row> Model::RetainedChanges() const {
  std::set<Row> rows;
  for (const auto& [key, versions] : versions_) {
    for (const ModelVersion& version : versions) {
      if (version.kv.mod_revision() >= compacted_) {
        rows.emplace(key, version.kv.mod_revision(), version.sub);
      }
    }
  }
  return rows;
}

storage::StateMachine::Sizes Model::Sizes() const {
  constexpr int64_t kOverhead = 40;
  const auto bytes = [](const KeyValue& kv) {
    return static_cast<int64_t>(2 * kv.key().size() + kv.value().size()) + kOverhead;
  };
  storage::StateMachine::Sizes sizes;
  for (const auto& [key, versions] : versions_) {
    for (size_t i = 0; i < versions.size(); ++i) {
      const ModelVersion& version = versions[i];
      if (i + 1 == versions.size() && !version.tombstone) {
        ++sizes.keys;
        sizes.live_bytes += bytes(version.kv);
        continue;
      }
      // A version is given up by the change after it, a tombstone by itself.
      const int64_t given_up_at =
          version.tombstone ? version.kv.mod_revision() : versions[i + 1].kv.mod_revision();
      if (given_up_at > compacted_) sizes.superseded_bytes += bytes(version.kv);
    }
  }
  return sizes;
}

}  // namespace gavel::testing
