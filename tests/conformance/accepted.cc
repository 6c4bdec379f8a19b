#include "tests/conformance/accepted.h"

#include <cstdint>
#include <string>

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "tests/conformance/chunks.h"
#include "tests/conformance/lease_answers.h"
#include "tests/conformance/tied_rows.h"
#include "tests/conformance/wire_groups.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

constexpr int kUnknown = 2;
constexpr int kInvalidArgument = 3;
constexpr int kNotFound = 5;
constexpr int kResourceExhausted = 8;
constexpr int kOutOfRange = 11;
constexpr int kUnimplemented = 12;
constexpr int kInternal = 13;

constexpr size_t kRequestBytesMax = 1536 * 1024;
constexpr size_t kEnvelopeBytesMax = 40;
constexpr int64_t kDefaultQuota = int64_t{2} << 30;

constexpr std::string_view kInvalidSort = "etcdserver: invalid sort option";
constexpr std::string_view kCompacted = "etcdserver: mvcc: required revision has been compacted";
constexpr std::string_view kFuture = "etcdserver: mvcc: required revision is a future revision";
constexpr std::string_view kStreamSort = "RangeStream does not support custom sort orders";
constexpr std::string_view kStreamFilter = "RangeStream does not support revision filters";
constexpr std::string_view kUnmarshal = "grpc: error unmarshalling request: ";
constexpr std::string_view kStreamUnmarshal = "grpc: failed to unmarshal the received message";
constexpr std::string_view kStreamMalformed =
    "grpc: failed to unmarshal the received message: malformed protobuf message";
constexpr std::string_view kMalformed =
    "grpc: error unmarshalling request: malformed protobuf message";

// Makes Gavel's answer etcd's.
bool Settle(Exchange& exchange) {
  exchange.gavel.code = exchange.etcd.code;
  exchange.gavel.message = exchange.etcd.message;
  if (exchange.etcd.body != nullptr) {
    exchange.gavel.body.reset(exchange.etcd.body->New());
    exchange.gavel.body->CopyFrom(*exchange.etcd.body);
  }
  return true;
}

bool Is(const Side& side, int code, std::string_view message) {
  return side.code == code && side.message == message;
}

// Whether a header that etcd does not send is what it would be.
bool IsWhole(const etcdserverpb::ResponseHeader& header, int64_t revision) {
  return header.cluster_id() != 0 && header.member_id() != 0 && header.raft_term() != 0 &&
         header.revision() == revision;
}

// Whether any range of the request fulfils `test`.
template <class Test>
bool AnyRange(const TxnRequest& txn, const Test& test) {
  for (const auto* ops : {&txn.success(), &txn.failure()}) {
    for (const RequestOp& op : *ops) {
      if (op.has_request_range() && test(op.request_range())) return true;
      if (op.has_request_txn() && AnyRange(op.request_txn(), test)) return true;
    }
  }
  return false;
}

template <class Test>
bool AnyRange(const Exchange& exchange, const Test& test) {
  if (const auto* range = dynamic_cast<const RangeRequest*>(exchange.request.get())) {
    return test(*range);
  }
  const auto* txn = dynamic_cast<const TxnRequest*>(exchange.request.get());
  return txn != nullptr && AnyRange(*txn, test);
}

bool SortTargetUnknown(Exchange& exchange) {
  if (!exchange.operation.crashes_etcd) return false;
  if (!Is(exchange.gavel, kInvalidArgument, kInvalidSort)) return false;
  return AnyRange(exchange,
                  [](const RangeRequest& range) {
                    return !RangeRequest::SortTarget_IsValid(range.sort_target());
                  }) &&
         Settle(exchange);
}

bool SortOrderUnknown(Exchange& exchange) {
  if (exchange.operation.crashes_etcd) return false;
  if (exchange.etcd.code != 0 && exchange.etcd.code != kOutOfRange) return false;
  if (!Is(exchange.gavel, kInvalidArgument, kInvalidSort)) return false;
  return AnyRange(exchange,
                  [](const RangeRequest& range) {
                    return !RangeRequest::SortOrder_IsValid(range.sort_order());
                  }) &&
         Settle(exchange);
}

// Whether a put comes after a range at an old revision in one branch; `range_seen` is kept between
// the lists that are carried out one after the other.
bool RangeThenPut(const google::protobuf::RepeatedPtrField<RequestOp>& ops, bool* range_seen) {
  for (const RequestOp& op : ops) {
    if (op.has_request_put() && *range_seen) return true;
    *range_seen |= op.has_request_range() && op.request_range().revision() != 0;
    if (!op.has_request_txn()) continue;
    bool in_failure = *range_seen;
    if (RangeThenPut(op.request_txn().success(), range_seen)) return true;
    if (RangeThenPut(op.request_txn().failure(), &in_failure)) return true;
    *range_seen |= in_failure;
  }
  return false;
}

bool RangeThenPut(const TxnRequest& txn) {
  bool in_success = false;
  bool in_failure = false;
  return RangeThenPut(txn.success(), &in_success) || RangeThenPut(txn.failure(), &in_failure);
}

bool PutsBeforeRanges(Exchange& exchange) {
  const bool put_refused = Is(exchange.etcd, kInvalidArgument, "etcdserver: key not found") ||
                           Is(exchange.etcd, kNotFound, "etcdserver: requested lease not found");
  const bool range_refused =
      Is(exchange.gavel, kOutOfRange, kCompacted) || Is(exchange.gavel, kOutOfRange, kFuture);
  const auto* txn = dynamic_cast<const TxnRequest*>(exchange.request.get());
  return put_refused && range_refused && txn != nullptr && RangeThenPut(*txn) && Settle(exchange);
}

bool UnmatchedGroup(Exchange& exchange) {
  return exchange.request == nullptr && exchange.etcd.code != kInternal &&
         (exchange.operation.method == kWholeMethod ||
          exchange.operation.method == kStreamMethod) &&
         OnlyGroupsEndWrongly(exchange.operation.body) &&
         Is(exchange.gavel, kInternal, kMalformed) && Settle(exchange);
}

bool UnmarshalText(Exchange& exchange) {
  const bool of_a_stream = exchange.etcd.message.starts_with(kStreamUnmarshal);
  return exchange.etcd.code == kInternal && exchange.gavel.code == kInternal &&
         exchange.etcd.message.starts_with(of_a_stream ? kStreamUnmarshal : kUnmarshal) &&
         exchange.gavel.message == (of_a_stream ? kStreamMalformed : kMalformed) &&
         exchange.etcd.message != exchange.gavel.message && Settle(exchange);
}

// Asked of a range of which nothing else than emptiness is to be expected.
bool WrongWireType(Exchange& exchange) {
  const auto* gavel = dynamic_cast<const etcdserverpb::RangeResponse*>(exchange.gavel.body.get());
  return gavel != nullptr && exchange.etcd.code == kInternal &&
         exchange.etcd.message.starts_with(kUnmarshal) &&
         exchange.etcd.message.find("wrong wireType") != std::string::npos &&
         exchange.gavel.message.empty() && IsWhole(gavel->header(), exchange.terms.revision) &&
         gavel->kvs().empty() && gavel->count() == 0 && !gavel->more() && Settle(exchange);
}

bool RequestBytes(Exchange& exchange) {
  const auto* gavel =
      dynamic_cast<const etcdserverpb::DeleteRangeResponse*>(exchange.gavel.body.get());
  return gavel != nullptr &&
         Is(exchange.etcd, kInvalidArgument, "etcdserver: request is too large") &&
         exchange.operation.body.size() <= kRequestBytesMax &&
         exchange.operation.body.size() > kRequestBytesMax - kEnvelopeBytesMax &&
         exchange.gavel.message.empty() && IsWhole(gavel->header(), exchange.terms.revision) &&
         gavel->deleted() == 0 && gavel->prev_kvs().empty() && Settle(exchange);
}

bool MalformedMethod(Exchange& exchange) {
  return exchange.etcd.code == kResourceExhausted &&
         Is(exchange.gavel, kUnimplemented,
            "malformed method name: \"" + exchange.operation.method + "\"") &&
         exchange.gavel.message == exchange.etcd.message && Settle(exchange);
}

bool AlarmHeader(Exchange& exchange) {
  const auto* etcd = dynamic_cast<const etcdserverpb::AlarmResponse*>(exchange.etcd.body.get());
  auto* gavel = dynamic_cast<etcdserverpb::AlarmResponse*>(exchange.gavel.body.get());
  if (etcd == nullptr || gavel == nullptr || etcd->has_header() || !gavel->has_header()) {
    return false;
  }
  if (!IsWhole(gavel->header(), exchange.terms.revision)) return false;
  gavel->clear_header();
  return true;
}

bool StatusFields(Exchange& exchange) {
  const auto* etcd = dynamic_cast<const etcdserverpb::StatusResponse*>(exchange.etcd.body.get());
  auto* gavel = dynamic_cast<etcdserverpb::StatusResponse*>(exchange.gavel.body.get());
  if (etcd == nullptr || gavel == nullptr || gavel->storageversion() != "3.7.0" ||
      !gavel->has_downgradeinfo() || gavel->downgradeinfo().enabled() ||
      !gavel->downgradeinfo().targetversion().empty() || gavel->dbsizequota() != kDefaultQuota) {
    return false;
  }
  gavel->clear_storageversion();
  gavel->clear_dbsizequota();
  gavel->clear_downgradeinfo();
  return true;
}

bool HashRevision(Exchange& exchange) {
  const auto* etcd = dynamic_cast<const etcdserverpb::HashKVResponse*>(exchange.etcd.body.get());
  auto* gavel = dynamic_cast<etcdserverpb::HashKVResponse*>(exchange.gavel.body.get());
  const auto* request = dynamic_cast<const etcdserverpb::HashKVRequest*>(exchange.request.get());
  if (etcd == nullptr || gavel == nullptr || request == nullptr || etcd->hash_revision() != 0) {
    return false;
  }
  const int64_t asked = request->revision();
  if (gavel->hash_revision() != (asked > 0 ? asked : gavel->header().revision())) return false;
  gavel->clear_hash_revision();
  return true;
}

bool HashAtCompacted(Exchange& exchange) {
  const auto* gavel = dynamic_cast<const etcdserverpb::HashKVResponse*>(exchange.gavel.body.get());
  const auto* request = dynamic_cast<const etcdserverpb::HashKVRequest*>(exchange.request.get());
  return gavel != nullptr && request != nullptr && Is(exchange.etcd, kOutOfRange, kCompacted) &&
         request->revision() > 0 && gavel->compact_revision() == request->revision() &&
         gavel->hash_revision() == request->revision() &&
         IsWhole(gavel->header(), exchange.terms.revision) && exchange.gavel.message.empty() &&
         Settle(exchange);
}

// The range of a stream whose answer etcd's Range gave, or null.
const RangeRequest* StreamedRange(const Exchange& exchange) {
  if (exchange.operation.method != kStreamMethod) return nullptr;
  // Sound in itself, and refused at most for the revision.
  if (exchange.etcd.code != 0 && exchange.etcd.code != kOutOfRange) return nullptr;
  return dynamic_cast<const RangeRequest*>(exchange.request.get());
}

bool StreamSorted(Exchange& exchange) {
  const RangeRequest* range = StreamedRange(exchange);
  return range != nullptr && Is(exchange.gavel, kUnimplemented, kStreamSort) &&
         (range->sort_order() == RangeRequest::DESCEND ||
          range->sort_target() != RangeRequest::KEY) &&
         Settle(exchange);
}

bool StreamFiltered(Exchange& exchange) {
  const RangeRequest* range = StreamedRange(exchange);
  return range != nullptr && Is(exchange.gavel, kUnimplemented, kStreamFilter) &&
         (range->min_mod_revision() != 0 || range->max_mod_revision() != 0 ||
          range->min_create_revision() != 0 || range->max_create_revision() != 0) &&
         Settle(exchange);
}

bool LockOfAnEndedLease(Exchange& exchange) {
  const auto* etcd = dynamic_cast<const v3lockpb::LockResponse*>(exchange.etcd.body.get());
  return exchange.operation.expired && etcd != nullptr && exchange.etcd.code == 0 &&
         Is(exchange.gavel, kUnknown, "mutex: session is expired") && Settle(exchange);
}

bool NotServed(Exchange& exchange) {
  const std::string& name = exchange.operation.method;  // "/service/method"
  const size_t slash = name.rfind('/');
  if (!name.starts_with("/etcdserverpb.Auth/")) return false;
  return Is(exchange.gavel, kUnimplemented,
            "unknown method " + name.substr(slash + 1) + " for service " +
                name.substr(1, slash - 1)) &&
         exchange.etcd.code != kUnimplemented && Settle(exchange);
}

constexpr AcceptedDifference kAccepted[] = {
    {"sort target unknown",
     "etcd 3.4 ends its process; as 3.7 does, Gavel answers \"invalid sort option\"",
     SortTargetUnknown},
    {"sort order unknown", "etcd 3.4 takes it for none; as 3.7 does, Gavel refuses it",
     SortOrderUnknown},
    {"order of equal rows",
     "etcd sorts more than 12 rows with a sort that is not stable; Gavel keeps key order",
     SettleTiedRows},
    {"which of two faults is told",
     "etcd 3.4 checks all puts of a transaction before all ranges; as 3.6 does, Gavel checks the "
     "operations in their order",
     PutsBeforeRanges},
    {"text of a malformed request",
     "it names the parser's own trouble, which differs between Go and C++", UnmarshalText},
    {"wrong wire type",
     "the parser of etcd 3.4 refuses it; that of 3.7, as protobuf's rules ask, takes the field "
     "for an unknown one",
     WrongWireType},
    {"unmatched group",
     "the parser of etcd 3.4 skips an unknown group up to any end of a group; protobuf's rules, "
     "and the parser of 3.7, ask for the end of that group",
     UnmatchedGroup},
    {"bytes of a request",
     "etcd counts its own envelope of some 20 bytes too; Gavel allows the request all of the limit",
     RequestBytes},
    {"code of a malformed method name",
     "RESOURCE_EXHAUSTED in the gRPC of etcd 3.4, UNIMPLEMENTED in that of 3.7", MalformedMethod},
    {"header of alarms", "etcd 3.4 sends none, on which its etcdctl crashes; 3.7 sends one",
     AlarmHeader},
    {"fields of the status", "storageVersion, dbSizeQuota and downgradeInfo came with 3.6",
     StatusFields},
    {"hash_revision", "came with 3.6", HashRevision},
    {"hash at the compacted revision",
     "etcd 3.4 takes it for compacted; since 3.6 it can be hashed, as it can be read",
     HashAtCompacted},
    {"stream in another order",
     "RangeStream came with 3.7, where it refuses what Range would have to sort", StreamSorted},
    {"stream with filters", "RangeStream came with 3.7, where it refuses filters by revision",
     StreamFiltered},
    {"time left of a lease",
     "each server counts from the moment it granted or renewed the lease, and rounds",
     SettleTimeLeft, true},
    {"order of a lease's keys", "chance in etcd; Gavel keeps key order", SettleLeaseKeys, true},
    {"order of leases",
     "both sort them by their end, Gavel by whole milliseconds and then by id, and the ends of two "
     "leases can be nearer than that, or than the time that a request takes",
     SettleLeases, true},
    {"lock of a lease that has ended",
     "etcd 3.4 says that it is held; as 3.7 does, Gavel looks whether its key is still there",
     LockOfAnEndedLease, true},
    {"not served", "users are not served by this release", NotServed},
};

}  // namespace

std::span<const AcceptedDifference> AcceptedDifferences() { return kAccepted; }

}  // namespace gavel::conformance
