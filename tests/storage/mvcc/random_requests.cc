#include "tests/storage/mvcc/random_requests.h"

#include <algorithm>
#include <iterator>

namespace gavel::testing {

using etcdserverpb::RangeRequest;

std::string RandomRequests::Key() {
  // Bytes that an escape or an end mark could be taken for.
  static constexpr char kBytes[] = {'\x00', '\x01', '\x02', 'a', 'b', '\xff'};
  std::string key;
  const uint64_t size = random_.OneIn(12) ? random_.Between(4, 40) : random_.Between(1, 2);
  for (uint64_t i = 0; i < size; ++i) {
    key.push_back(size > 3 ? 'a' : kBytes[random_.Below(std::size(kBytes))]);
  }
  return key;
}

std::string RandomRequests::Value() {
  const uint64_t size = random_.OneIn(10) ? random_.Below(2000) : random_.Below(4);
  return std::string(size, static_cast<char>('p' + random_.Below(4)));
}

std::string RandomRequests::RangeEnd() {
  switch (random_.Below(4)) {
    case 0:
      return "";
    case 1:
      return std::string("\0", 1);
    default:
      return Key();
  }
}

int64_t RandomRequests::Revision(int64_t newest) {
  switch (random_.Below(8)) {
    case 0:
      return newest + static_cast<int64_t>(random_.Below(2));
    case 1:
      return -static_cast<int64_t>(random_.Below(3));
    case 2:
      return static_cast<int64_t>(random_.Below(static_cast<uint64_t>(newest) + 1));
    default: {
      // Mostly recent, so that most are not compacted.
      const auto back = std::min<uint64_t>(static_cast<uint64_t>(newest), 30);
      return newest - static_cast<int64_t>(random_.Below(back + 1));
    }
  }
}

RangeRequest RandomRequests::Range(int64_t newest) {
  RangeRequest range;
  range.set_key(Key());
  range.set_range_end(RangeEnd());
  if (random_.OneIn(3)) range.set_key(std::string("\0", 1));
  if (random_.OneIn(2)) range.set_limit(static_cast<int64_t>(random_.Below(8)) - 1);
  if (random_.OneIn(2)) range.set_revision(Revision(newest));
  if (random_.OneIn(2)) {
    range.set_sort_order(static_cast<RangeRequest::SortOrder>(random_.Below(3)));
    range.set_sort_target(static_cast<RangeRequest::SortTarget>(random_.Below(5)));
  }
  if (random_.OneIn(40)) range.set_sort_order(static_cast<RangeRequest::SortOrder>(3));
  if (random_.OneIn(40)) range.set_sort_target(static_cast<RangeRequest::SortTarget>(5));
  range.set_serializable(random_.OneIn(2));
  range.set_keys_only(random_.OneIn(4));
  range.set_count_only(random_.OneIn(8));
  if (random_.OneIn(8)) range.set_min_mod_revision(Revision(newest));
  if (random_.OneIn(8)) range.set_max_mod_revision(Revision(newest));
  if (random_.OneIn(8)) range.set_min_create_revision(Revision(newest));
  if (random_.OneIn(8)) range.set_max_create_revision(Revision(newest));
  return range;
}

etcdserverpb::PutRequest RandomRequests::Put() {
  etcdserverpb::PutRequest put;
  put.set_key(Key());
  put.set_prev_kv(random_.OneIn(2));
  put.set_ignore_value(random_.OneIn(6));
  put.set_ignore_lease(random_.OneIn(6));
  if (!put.ignore_value()) put.set_value(Value());
  if (!put.ignore_lease() && random_.OneIn(4)) {
    put.set_lease(kLeases[random_.Below(std::size(kLeases))]);
  }
  return put;
}

etcdserverpb::DeleteRangeRequest RandomRequests::DeleteRange() {
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(Key());
  // Mostly one key, or nothing would live long.
  if (random_.OneIn(4)) request.set_range_end(RangeEnd());
  request.set_prev_kv(random_.OneIn(2));
  return request;
}

etcdserverpb::Compare RandomRequests::Compare(int64_t newest) {
  etcdserverpb::Compare compare;
  compare.set_key(Key());
  if (random_.OneIn(3)) compare.set_range_end(RangeEnd());
  compare.set_result(static_cast<etcdserverpb::Compare::CompareResult>(random_.Below(5)));
  compare.set_target(static_cast<etcdserverpb::Compare::CompareTarget>(random_.Below(6)));
  // The field is now and then another target's.
  const auto number = random_.OneIn(2) ? static_cast<int64_t>(random_.Below(3)) : Revision(newest);
  switch (random_.OneIn(6) ? random_.Below(6) : static_cast<uint64_t>(compare.target())) {
    case 0:
      compare.set_version(number);
      break;
    case 1:
      compare.set_create_revision(number);
      break;
    case 2:
      compare.set_mod_revision(number);
      break;
    case 3:
      compare.set_value(Value());
      break;
    case 4:
      compare.set_lease(random_.OneIn(2) ? kLeases[0] : 0);
      break;
    default:
      break;
  }
  return compare;
}

void RandomRequests::FillOp(int64_t newest, int depth, etcdserverpb::RequestOp* op) {
  switch (random_.Below(depth > 0 ? 9 : 7)) {
    case 0:
    case 1:
      *op->mutable_request_range() = Range(newest);
      break;
    case 2:
    case 3:
    case 4:
      *op->mutable_request_put() = Put();
      break;
    case 5:
      *op->mutable_request_delete_range() = DeleteRange();
      break;
    case 6:
      if (!random_.OneIn(4)) *op->mutable_request_put() = Put();
      break;  // Else an empty operation.
    default:
      *op->mutable_request_txn() = Txn(newest, depth - 1);
  }
}

etcdserverpb::TxnRequest RandomRequests::Txn(int64_t newest, int depth) {
  etcdserverpb::TxnRequest txn;
  for (uint64_t i = random_.Below(3); i > 0; --i) *txn.add_compare() = Compare(newest);
  for (uint64_t i = random_.Below(4); i > 0; --i) FillOp(newest, depth, txn.add_success());
  for (uint64_t i = random_.Below(4); i > 0; --i) FillOp(newest, depth, txn.add_failure());
  return txn;
}

internal::Command RandomRequests::Command(int64_t newest, bool compactions) {
  internal::Command command;
  switch (random_.Below(16)) {
    case 0:
      if (compactions) {
        const int64_t revision = Revision(newest);
        command.mutable_compact()->set_revision(std::max(revision, newest - 15));
        if (random_.OneIn(8)) command.mutable_compact()->set_revision(revision);
        break;
      }
      [[fallthrough]];
    case 1:
    case 2:
    case 3:
      *command.mutable_delete_range() = DeleteRange();
      break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
      *command.mutable_txn() = Txn(newest, 2);
      break;
    default:
      *command.mutable_put() = Put();
  }
  return command;
}

internal::Command RandomRequests::LeaseCommand(const Model& model) {
  internal::Command command;
  const int64_t id = kLeases[random_.Below(std::size(kLeases))];
  switch (random_.Below(6)) {
    case 0:
    case 1:
      command.mutable_lease_grant()->set_id(random_.OneIn(30) ? 0 : id);
      command.mutable_lease_grant()->set_ttl(static_cast<int64_t>(random_.Between(1, 5)));
      break;
    case 2:
      command.mutable_renew_leases();
      for (uint64_t i = random_.Below(4); i > 0; --i) {
        command.mutable_renew_leases()->add_ids(kLeases[random_.Below(std::size(kLeases))]);
      }
      break;
    case 3:
      command.mutable_lease_revoke()->set_id(id);
      break;
    case 4: {
      internal::ExpireLeases& expire = *command.mutable_expire_leases();
      expire.set_term(random_.OneIn(6) ? 2 : 1);
      expire.set_now_ms(model.lease_clock_ms + static_cast<int64_t>(random_.Below(4000)));
      for (const auto& [lease, row] : model.leases) {
        internal::LeaseExpiry& expiry = *expire.add_leases();
        expiry.set_id(lease);
        expiry.set_renewed_index(row.renewed - random_.Below(4) / 3);
      }
      break;
    }
    default: {
      const auto ahead = static_cast<int64_t>(random_.Below(3000));
      command.mutable_lease_clock()->set_now_ms(
          std::max<int64_t>(0, model.lease_clock_ms + ahead - 500));
    }
  }
  return command;
}

}  // namespace gavel::testing
