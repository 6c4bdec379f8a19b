#include "tests/fuzz/txn_maker.h"

#include <iterator>
#include <string>

namespace gavel::fuzz {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

constexpr int kNestedMax = 5;
constexpr int kOpsMax = 200;  // In one input, however nested.

std::string Key(Choices& choices) {
  static const std::string kKeys[] = {
      "a",    "b",  "c", "ab", "aa", "d", "e", std::string("\0", 1), std::string("a\0", 2),
      "\xff", "dd", "f"};
  const uint8_t byte = choices.Byte();
  // Rare, since one such key ends the matter.
  return byte == 255 ? "" : kKeys[byte % std::size(kKeys)];
}

std::string End(Choices& choices) { return choices.Below(2) == 0 ? "" : Key(choices); }

int64_t Small(Choices& choices) { return static_cast<int64_t>(choices.Below(8)) - 2; }

void AddCompare(Choices& choices, TxnRequest& txn) {
  Compare* compare = txn.add_compare();
  compare->set_key(Key(choices));
  compare->set_range_end(End(choices));
  compare->set_result(static_cast<Compare::CompareResult>(choices.Below(6)));
  compare->set_target(static_cast<Compare::CompareTarget>(choices.Below(7)));
  switch (choices.Below(6)) {
    case 0:
      compare->set_version(Small(choices));
      break;
    case 1:
      compare->set_create_revision(Small(choices));
      break;
    case 2:
      compare->set_mod_revision(Small(choices));
      break;
    case 3:
      compare->set_value(Key(choices));
      break;
    case 4:
      compare->set_lease(Small(choices));
      break;
    default:
      break;
  }
}

void FillTxn(Choices& choices, int depth, int& ops_left, TxnRequest& txn);

void FillOp(Choices& choices, int depth, int& ops_left, RequestOp& op) {
  const uint8_t byte = choices.Byte();
  if (byte == 255) return;  // No operation at all.
  switch (byte % (depth < kNestedMax ? 8 : 6)) {
    case 0:
    case 1:
    case 2:
      *op.mutable_request_put() = MakePut(choices);
      break;
    case 3:
      *op.mutable_request_range() = MakeRange(choices);
      break;
    case 4:
    case 5:
      *op.mutable_request_delete_range() = MakeDelete(choices);
      break;
    default:
      FillTxn(choices, depth + 1, ops_left, *op.mutable_request_txn());
  }
}

void FillTxn(Choices& choices, int depth, int& ops_left, TxnRequest& txn) {
  for (uint64_t count = choices.Below(3); count > 0; --count) AddCompare(choices, txn);
  for (uint64_t count = choices.Below(5); count > 0 && ops_left-- > 0; --count) {
    FillOp(choices, depth, ops_left, *txn.add_success());
  }
  for (uint64_t count = choices.Below(4); count > 0 && ops_left-- > 0; --count) {
    FillOp(choices, depth, ops_left, *txn.add_failure());
  }
}

}  // namespace

etcdserverpb::PutRequest MakePut(Choices& choices) {
  etcdserverpb::PutRequest put;
  put.set_key(Key(choices));
  const uint8_t flags = choices.Byte();
  if (flags & 1) put.set_value("value");
  put.set_prev_kv((flags & 2) != 0);
  put.set_ignore_value((flags & 0x3c) == 0x14);
  put.set_ignore_lease((flags & 0x3c) == 0x28);
  if ((flags & 0xc0) == 0xc0) put.set_lease(7);
  return put;
}

etcdserverpb::RangeRequest MakeRange(Choices& choices) {
  etcdserverpb::RangeRequest range;
  range.set_key(Key(choices));
  range.set_range_end(End(choices));
  const uint8_t flags = choices.Byte();
  if (flags & 1) range.set_limit(Small(choices));
  if (flags & 2) range.set_revision(Small(choices));
  if (flags & 4) {
    const uint8_t sort = choices.Byte();
    const int beyond = sort >= 240 ? 3 : 0;
    range.set_sort_order(static_cast<etcdserverpb::RangeRequest::SortOrder>(sort % 3 + beyond));
    range.set_sort_target(
        static_cast<etcdserverpb::RangeRequest::SortTarget>(sort / 3 % 5 + beyond));
  }
  range.set_keys_only((flags & 8) != 0);
  range.set_count_only((flags & 16) != 0);
  if (flags & 32) range.set_min_mod_revision(Small(choices));
  if (flags & 64) range.set_max_create_revision(Small(choices));
  return range;
}

etcdserverpb::DeleteRangeRequest MakeDelete(Choices& choices) {
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(Key(choices));
  request.set_range_end(End(choices));
  request.set_prev_kv(choices.Below(2) == 1);
  return request;
}

etcdserverpb::TxnRequest MakeTxn(Choices& choices) {
  TxnRequest txn;
  int ops_left = kOpsMax;
  FillTxn(choices, 0, ops_left, txn);
  return txn;
}

}  // namespace gavel::fuzz
