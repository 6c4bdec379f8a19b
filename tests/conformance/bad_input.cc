#include "tests/conformance/bad_input.h"

#include <iterator>
#include <string>

#include "proto/etcdserverpb/auth.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "tests/conformance/requests.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

constexpr int64_t kTxnOpsMax = 128;
constexpr size_t kRequestBytesMax = 1536 * 1024;
constexpr size_t kMessageBytesMax = 2048 * 1024;

constexpr char kRange[] = "/etcdserverpb.KV/Range";
constexpr char kPut[] = "/etcdserverpb.KV/Put";
constexpr char kDelete[] = "/etcdserverpb.KV/DeleteRange";
constexpr char kTxn[] = "/etcdserverpb.KV/Txn";
constexpr char kCompact[] = "/etcdserverpb.KV/Compact";

// Puts `op` into a transaction, at the top or nested, between other operations or alone.
Operation InTxn(Vocabulary& words, const RequestOp& op) {
  TxnRequest txn;
  if (words.Chance(40)) txn = NewTxn(words, 1);
  TxnRequest* at = &txn;
  for (uint64_t depth = words.random().Below(3); depth > 0; --depth) {
    at = (words.Chance(50) ? at->add_success() : at->add_failure())->mutable_request_txn();
  }
  *(words.Chance(50) ? at->add_success() : at->add_failure()) = op;
  return CallOf(kTxn, txn);
}

Operation EmptyKey(Vocabulary& words) {
  RequestOp op;
  switch (words.random().Below(5)) {
    case 0: {
      RangeRequest range = NewRange(words);
      range.clear_key();
      if (words.Chance(50)) return CallOf(kRange, range);
      *op.mutable_request_range() = range;
      return InTxn(words, op);
    }
    case 1: {
      auto put = NewPut(words);
      put.clear_key();
      if (words.Chance(50)) return CallOf(kPut, put);
      *op.mutable_request_put() = put;
      return InTxn(words, op);
    }
    case 2: {
      auto deletion = NewDelete(words);
      deletion.clear_key();
      if (words.Chance(50)) return CallOf(kDelete, deletion);
      *op.mutable_request_delete_range() = deletion;
      return InTxn(words, op);
    }
    case 3: {
      TxnRequest txn = NewTxn(words, 1);
      *txn.add_compare() = NewCompare(words);
      txn.mutable_compare(0)->clear_key();
      return CallOf(kTxn, txn);
    }
    default:
      return InTxn(words, op);  // No operation at all.
  }
}

Operation PutOptions(Vocabulary& words) {
  RequestOp op;
  auto* put = op.mutable_request_put();
  put->set_key(words.Key());
  if (words.Chance(50)) put->set_value(words.Value());
  put->set_ignore_value(words.Chance(50));
  put->set_ignore_lease(words.Chance(50));
  if (words.Chance(60)) put->set_lease(words.Lease());
  put->set_prev_kv(words.Chance(50));
  return words.Chance(50) ? CallOf(kPut, *put) : InTxn(words, op);
}

// As many operations as are allowed, or one more, in any of the three lists and any level.
Operation ManyOps(Vocabulary& words) {
  TxnRequest txn;
  TxnRequest* at = &txn;
  int64_t left = kTxnOpsMax;
  for (uint64_t depth = words.random().Below(4); depth > 0; --depth) {
    at = (words.Chance(50) ? at->add_success() : at->add_failure())->mutable_request_txn();
    --left;
  }
  const int64_t count = left + static_cast<int64_t>(words.random().Below(3)) - 1;
  const uint64_t list = words.random().Below(4);
  if (!words.local()) txn.add_failure()->mutable_request_range()->set_key("many");
  for (int64_t i = 0; i < count; ++i) {
    const std::string key = "many" + std::to_string(i);
    if (list == 0) {
      *at->add_compare() = NewCompare(words);
    } else if (list == 1) {
      at->add_failure()->mutable_request_range()->set_key(words.Key());
    } else {
      auto* put = at->add_success()->mutable_request_put();
      put->set_key(key);
      put->set_value(words.Value());
    }
  }
  return CallOf(kTxn, txn);
}

Operation DeeplyNested(Vocabulary& words) {
  constexpr uint64_t kDepths[] = {20, 100, 126, 127, 128, 129, 200};
  TxnRequest txn;
  RequestOp inner;
  inner.mutable_request_put()->set_key(words.Key());
  TxnRequest* at = &txn;
  for (uint64_t depth = kDepths[words.random().Below(std::size(kDepths))]; depth > 0; --depth) {
    if (words.Chance(10)) *at->add_compare() = NewCompare(words);
    at = (words.Chance(80) ? at->add_success() : at->add_failure())->mutable_request_txn();
  }
  *at->add_success() = inner;
  return CallOf(kTxn, txn);
}

Operation DuplicateKeys(Vocabulary& words) {
  TxnRequest txn = NewTxn(words, 2);
  const std::string key = words.Key();
  for (int i = 0; i < 2; ++i) {
    TxnRequest* at = &txn;
    if (words.Chance(50)) at = at->add_success()->mutable_request_txn();
    RequestOp* op = words.Chance(70) ? at->add_success() : at->add_failure();
    if (words.Chance(70)) {
      op->mutable_request_put()->set_key(key);
    } else {
      auto* deletion = op->mutable_request_delete_range();
      deletion->set_key(words.Chance(60) ? key : words.Key());
      deletion->set_range_end(words.RangeEnd(deletion->key()));
    }
  }
  return CallOf(kTxn, txn);
}

// A transaction that only reads, so that no harm is done if one of the two takes it.
Operation ReadTxn(const RangeRequest& range) {
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = range;
  return CallOf(kTxn, txn);
}

Operation UnknownSort(Vocabulary& words) {
  constexpr int kNumbers[] = {5, 6, 100, -1};
  RangeRequest range = NewRange(words);
  const int number = kNumbers[words.random().Below(std::size(kNumbers))];
  Operation operation;
  if (words.Chance(70)) {
    // The order alone, and rows to order.
    range.set_sort_order(static_cast<RangeRequest::SortOrder>(number));
    operation = words.Chance(70) ? CallOf(kRange, range) : ReadTxn(range);
  } else {
    range.set_sort_target(static_cast<RangeRequest::SortTarget>(number));
    operation = words.Chance(70) ? CallOf(kRange, range) : ReadTxn(range);
    operation.crashes_etcd = true;
  }
  return operation;
}

Operation UnknownCompare(Vocabulary& words) {
  constexpr int kNumbers[] = {5, 100, -1};
  TxnRequest txn = NewTxn(words, 1);
  Compare* compare = txn.add_compare();
  *compare = NewCompare(words);
  const int number = kNumbers[words.random().Below(std::size(kNumbers))];
  if (words.Chance(50)) {
    compare->set_result(static_cast<Compare::CompareResult>(number));
  } else {
    compare->set_target(static_cast<Compare::CompareTarget>(number));
  }
  return CallOf(kTxn, txn);
}

// Around the limits of a request, and of a message.
Operation Oversize(Vocabulary& words) {
  constexpr size_t kSizes[] = {kRequestBytesMax - 1000, kRequestBytesMax + 1, 1700 * 1024,
                               kMessageBytesMax - 100,  kMessageBytesMax + 1, 3000 * 1024};
  const size_t size = kSizes[words.random().Below(std::size(kSizes))];
  RequestOp op;
  if (words.Chance(20)) {
    // A key of that size, which is looked for and not found.
    if (words.Chance(50)) {
      op.mutable_request_delete_range()->set_key(std::string(size, 'z'));
      return CallOf(kDelete, op.request_delete_range());
    }
    op.mutable_request_range()->set_key(std::string(size, 'z'));
    return CallOf(kRange, op.request_range());
  }
  op.mutable_request_put()->set_key("large");
  op.mutable_request_put()->set_value(std::string(size, 'z'));
  if (words.Chance(50)) return CallOf(kPut, op.request_put());
  TxnRequest txn;
  *txn.add_success() = op;
  return CallOf(kTxn, txn);
}

Operation UnknownMethod(Vocabulary& words) {
  constexpr const char* kMethods[] = {"/etcdserverpb.KV/Nothing",
                                      "/etcdserverpb.KV/",
                                      "/etcdserverpb.Nothing/Range",
                                      "/nothing/Range",
                                      "/etcdserverpb.kv/Range",
                                      "/etcdserverpb.KV/range",
                                      "/KV/Range",
                                      "/etcdserverpb.KV/Range/",
                                      "/a/b/c",
                                      "/nothing",
                                      "//Range"};
  return {kMethods[words.random().Below(std::size(kMethods))], NewRange(words).SerializeAsString()};
}

Operation OtherServices(Vocabulary& words) {
  // The first is answered from a member's own copy; the last is not served by Gavel.
  switch (words.local() ? words.random().Below(4) : 1 + words.random().Below(2)) {
    case 0:
      return CallOf("/etcdserverpb.Lease/LeaseLeases", etcdserverpb::LeaseLeasesRequest());
    case 1: {
      etcdserverpb::LeaseTimeToLiveRequest request;
      request.set_id(words.Lease());
      return CallOf("/etcdserverpb.Lease/LeaseTimeToLive", request);
    }
    case 2: {
      etcdserverpb::LeaseRevokeRequest request;
      request.set_id(words.Lease());
      return CallOf("/etcdserverpb.Lease/LeaseRevoke", request);
    }
    default:
      return CallOf("/etcdserverpb.Auth/UserList", etcdserverpb::AuthUserListRequest());
  }
}

// A known field with another wire type, in a question whose answer is nothing.
Operation WrongWireType(Vocabulary& words) {
  RangeRequest range;
  range.set_key("nowhere");
  // An unknown group that begins as one field's and ends as another's.
  if (words.Chance(30)) return {kRange, range.SerializeAsString() + "\x93\x01\x08\x01\x9c\x01"};
  google::protobuf::UnknownFieldSet fields;
  const int number = static_cast<int>(words.random().Between(2, 13));
  if (words.Chance(50)) {
    fields.AddFixed32(number, 1);
  } else {
    fields.AddFixed64(number, 1);
  }
  std::string bytes;
  fields.SerializeToString(&bytes);
  return {kRange, bytes + range.SerializeAsString()};
}

// The beginning of a valid body. Both read it up to where it ends, or neither.
Operation CutOff(Vocabulary& words) {
  if (!words.local()) return WrongWireType(words);  // It might lose what is said in NewTxn.
  Operation operation;
  switch (words.random().Below(4)) {
    case 0:
      operation = CallOf(kRange, NewRange(words));
      break;
    case 1:
      operation = CallOf(kPut, NewPut(words));
      break;
    case 2:
      operation = CallOf(kDelete, NewDelete(words));
      break;
    default:
      operation = CallOf(kTxn, NewTxn(words, 2));
  }
  operation.body.resize(words.random().Below(operation.body.size() + 1));
  return operation;
}

// Bytes that no client writes, to a method that changes nothing.
Operation Garbage(Vocabulary& words) {
  if (!words.local()) return WrongWireType(words);  // It might come out as a serializable range.
  std::string body = NewRange(words).SerializeAsString();
  if (words.Chance(50)) {
    body.resize(words.random().Below(64));
    for (char& byte : body) byte = static_cast<char>(words.random().Below(256));
  } else {
    for (uint64_t i = words.random().Between(1, 3); i > 0 && !body.empty(); --i) {
      body[words.random().Below(body.size())] = static_cast<char>(words.random().Below(256));
    }
  }
  RangeRequest range;
  const bool decodes = range.ParseFromString(body);
  // A wide range in an order that leaves rows equal, with a limit: see KeepFewRows.
  if (range.limit() > 0 && range.sort_target() != RangeRequest::KEY) return WrongWireType(words);
  if (decodes) {
    // What the two parsers take for different requests cannot be compared.
    const auto& unknown = range.GetReflection()->GetUnknownFields(range);
    for (int i = 0; i < unknown.field_count(); ++i) {
      if (range.GetDescriptor()->FindFieldByNumber(unknown.field(i).number()) != nullptr) {
        return WrongWireType(words);
      }
    }
  }
  // A mutation may name a sort that etcd does not survive.
  const bool crashes =
      decodes && !range.key().empty() && !RangeRequest::SortTarget_IsValid(range.sort_target());
  return {kRange, body, crashes};
}

// A key so long that the request just fits, or just does not: etcd counts what it wraps around it.
Operation AtTheLimit(Vocabulary& words) {
  constexpr size_t kBodies[] = {kRequestBytesMax - 100, kRequestBytesMax, kRequestBytesMax + 1};
  const size_t size = kBodies[words.random().Below(std::size(kBodies))];
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(std::string(size - 4, 'z'));  // And four bytes for the tag and the length.
  return CallOf(kDelete, request);
}

// A valid request with fields that nobody knows.
Operation UnknownFields(Vocabulary& words) {
  Operation operation =
      words.Chance(50) ? CallOf(kRange, NewRange(words)) : CallOf(kPut, NewPut(words));
  google::protobuf::UnknownFieldSet unknown;
  unknown.AddVarint(2000, words.random().Next());
  unknown.AddLengthDelimited(2001, words.Value());
  unknown.AddFixed32(2002, 7);
  std::string bytes;
  unknown.SerializeToString(&bytes);
  operation.body = words.Chance(50) ? operation.body + bytes : bytes + operation.body;
  return operation;
}

Operation EmptyBody(Vocabulary& words) {
  if (!words.local()) return {kRange, ""};
  constexpr const char* kMethods[] = {kRange, kPut, kDelete, kTxn, kCompact};
  return {kMethods[words.random().Below(std::size(kMethods))], ""};
}

}  // namespace

Operation NewBadInput(Vocabulary& words) {
  using Maker = Operation (*)(Vocabulary&);
  constexpr Maker kMakers[] = {
      EmptyKey,      EmptyKey,      PutOptions,    PutOptions,     ManyOps,       DeeplyNested,
      CutOff,        Garbage,       UnknownSort,   UnknownCompare, DuplicateKeys, DuplicateKeys,
      UnknownMethod, WrongWireType, UnknownFields, EmptyBody,      OtherServices};
  // Megabytes take their time.
  if (words.random().OneIn(30)) {
    return words.Chance(60) ? Oversize(words) : AtTheLimit(words);
  }
  return kMakers[words.random().Below(std::size(kMakers))](words);
}

}  // namespace gavel::conformance
