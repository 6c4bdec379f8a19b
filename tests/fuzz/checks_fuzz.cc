// The checks of requests, against a model that says the same rules in the plainest way.
//
// The model is written from etcd's behaviour (sibling operations of one branch in the order:
// deletes, nested transactions, puts; a nested branch counts for the puts after it) with lists
// and linear searches only.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "server/rpc/checks.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/txn_maker.h"

namespace gavel::fuzz {
namespace {

using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using server::Error;

enum Kind { kMadeTxn, kEncodedTxn, kVersion, kSingle, kKinds };

std::optional<Error> ModelPut(const etcdserverpb::PutRequest& put) {
  if (put.key().empty()) return Error::kEmptyKey;
  if (put.ignore_value() && put.value() != "") return Error::kValueProvided;
  if (put.ignore_lease() && put.lease() != 0) return Error::kLeaseProvided;
  return std::nullopt;
}

std::optional<Error> ModelRange(const etcdserverpb::RangeRequest& range) {
  if (range.key().empty()) return Error::kEmptyKey;
  const int order = range.sort_order();
  const int target = range.sort_target();
  if (order < 0 || order > 2 || target < 0 || target > 4) return Error::kInvalidSortOption;
  return std::nullopt;
}

std::optional<Error> ModelShape(const TxnRequest& txn, int64_t left) {
  const int64_t longest =
      std::max(txn.compare_size(), std::max(txn.success_size(), txn.failure_size()));
  if (longest > left) return Error::kTooManyOps;
  for (int i = 0; i < txn.compare_size(); ++i) {
    if (txn.compare(i).key() == "") return Error::kEmptyKey;
  }
  std::vector<const RequestOp*> ops;
  for (const RequestOp& op : txn.success()) ops.push_back(&op);
  for (const RequestOp& op : txn.failure()) ops.push_back(&op);
  for (const RequestOp* op : ops) {
    std::optional<Error> error = Error::kKeyNotFound;
    if (op->has_request_put()) error = ModelPut(op->request_put());
    if (op->has_request_range()) error = ModelRange(op->request_range());
    if (op->has_request_delete_range()) {
      error = std::nullopt;
      if (op->request_delete_range().key() == "") error = Error::kEmptyKey;
    }
    if (op->has_request_txn()) error = ModelShape(op->request_txn(), left - longest);
    if (error) return error;
  }
  return std::nullopt;
}

// What the operations of one branch do, as lists.
struct Branch {
  std::vector<std::string> puts;
  std::vector<std::pair<std::string, std::string>> deletes;  // A key and the end of its range.
  bool duplicate = false;

  bool Deletes(const std::string& key) const {
    return std::any_of(deletes.begin(), deletes.end(), [&](const auto& range) {
      if (range.second == "") return key == range.first;
      return key >= range.first && key < range.second;
    });
  }
  bool Puts(const std::string& key) const {
    return std::find(puts.begin(), puts.end(), key) != puts.end();
  }
};

template <class Ops>
Branch ModelBranch(const Ops& ops) {
  Branch branch;
  for (const RequestOp& op : ops) {
    if (!op.has_request_delete_range()) continue;
    branch.deletes.emplace_back(op.request_delete_range().key(),
                                op.request_delete_range().range_end());
  }
  for (const RequestOp& op : ops) {
    if (!op.has_request_txn()) continue;
    const Branch then = ModelBranch(op.request_txn().success());
    const Branch otherwise = ModelBranch(op.request_txn().failure());
    branch.duplicate |= then.duplicate || otherwise.duplicate;
    // Only one of the two is carried out, so neither is compared with the other.
    const Branch before = branch;
    for (const Branch* nested : {&then, &otherwise}) {
      for (const std::string& key : nested->puts) {
        branch.duplicate |= before.Puts(key) || before.Deletes(key);
        branch.puts.push_back(key);
      }
      branch.deletes.insert(branch.deletes.end(), nested->deletes.begin(), nested->deletes.end());
    }
  }
  for (const RequestOp& op : ops) {
    if (!op.has_request_put()) continue;
    const std::string& key = op.request_put().key();
    branch.duplicate |= branch.Puts(key) || branch.Deletes(key);
    branch.puts.push_back(key);
  }
  return branch;
}

void CheckAgainstModel(const TxnRequest& txn, int64_t ops_max) {
  std::optional<Error> expected = ModelShape(txn, ops_max);
  if (!expected && (ModelBranch(txn.success()).duplicate || ModelBranch(txn.failure()).duplicate)) {
    expected = Error::kDuplicateKey;
  }
  const std::optional<Error> error = server::CheckTxn(txn, ops_max);
  GAVEL_CHECK(error == expected) << "the checks and the model differ over\n" << txn.DebugString();
}

// True if `text` is what encoding some code points would give.
bool ModelUtf8(std::string_view text) {
  size_t at = 0;
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  while (at < text.size()) {
    const unsigned first = byte(at);
    const int more = first < 0x80 ? 0 : first < 0xc0 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (more < 0 || first > 0xf7) return false;
    uint32_t point = more == 0 ? first : first & (0x3f >> more);
    for (int i = 1; i <= more; ++i) {
      if (byte(at + i) >> 6 != 2) return false;
      point = point << 6 | (byte(at + i) & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10ffff) return false;
    if (point >= 0xd800 && point <= 0xdfff) return false;
    at += static_cast<size_t>(more) + 1;
  }
  return true;
}

}  // namespace

void OneInput(std::string_view input) {
  Choices choices(input);
  const uint64_t kind = choices.Below(kKinds);
  const int64_t ops_max = choices.Below(2) == 0 ? 128 : static_cast<int64_t>(choices.Below(8));
  switch (kind) {
    case kMadeTxn:
      return CheckAgainstModel(MakeTxn(choices), ops_max);
    case kEncodedTxn: {
      TxnRequest txn;
      if (!txn.ParseFromArray(choices.left().data(), static_cast<int>(choices.left().size()))) {
        return;
      }
      // The model copies its lists at each level.
      if (txn.ByteSizeLong() < 4096) CheckAgainstModel(txn, ops_max);
      return;
    }
    case kVersion:
      GAVEL_CHECK(server::CheckClientApiVersion(choices.left()).has_value() !=
                  ModelUtf8(choices.left()));
      return;
    default: {
      const etcdserverpb::PutRequest put = MakePut(choices);
      GAVEL_CHECK(server::CheckPut(put) == ModelPut(put)) << put.DebugString();
      const etcdserverpb::RangeRequest range = MakeRange(choices);
      GAVEL_CHECK(server::CheckRange(range) == ModelRange(range)) << range.DebugString();
      server::CheckRangeStream(range);
      return;
    }
  }
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  raft::Random random(1);
  for (const Kind kind : {kMadeTxn, kEncodedTxn, kVersion, kSingle}) {
    for (int i = 0; i < 12; ++i) {
      std::string choices;
      for (int count = 0; count < 20 + i * 20; ++count) {
        choices += static_cast<char>(random.Below(256));
      }
      std::string seed = {static_cast<char>(kind), 0};
      if (kind == kEncodedTxn) {
        Choices made(choices);
        seed += MakeTxn(made).SerializeAsString();
      } else if (kind == kVersion) {
        seed += i % 2 == 0 ? "3.6.\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" : choices;
      } else {
        seed += choices;
      }
      seeds.push_back(seed);
    }
  }
  return seeds;
}

void Mend(std::string&, raft::Random&) {}

}  // namespace gavel::fuzz
