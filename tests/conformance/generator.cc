#include "tests/conformance/generator.h"

#include <algorithm>
#include <string>

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/parse.h"
#include "tests/conformance/bad_input.h"
#include "tests/conformance/chunks.h"
#include "tests/conformance/requests.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::TxnRequest;

Operation NewOperation(const char* method, const google::protobuf::Message& request) {
  return {method, request.SerializeAsString()};
}

}  // namespace

Generator::Generator(uint64_t seed, bool local)
    : random_(seed), words_(random_, local), members_(words_) {}

Operation Generator::Maintenance() {
  switch (random_.Below(6)) {
    case 0: {
      etcdserverpb::MemberListRequest request;
      request.set_linearizable(words_.Chance(50));
      return NewOperation("/etcdserverpb.Cluster/MemberList", request);
    }
    case 1:
      return NewOperation("/etcdserverpb.Maintenance/Status", etcdserverpb::StatusRequest());
    case 2:
      return NewOperation("/etcdserverpb.Maintenance/Alarm", etcdserverpb::AlarmRequest());
    case 3:
      return NewOperation("/etcdserverpb.Maintenance/Hash", etcdserverpb::HashRequest());
    case 4:
      return NewOperation("/etcdserverpb.Maintenance/Defragment",
                          etcdserverpb::DefragmentRequest());
    default: {
      etcdserverpb::HashKVRequest request;
      if (words_.Chance(70)) request.set_revision(words_.Revision());
      return NewOperation("/etcdserverpb.Maintenance/HashKV", request);
    }
  }
}

Operation Generator::Next() {
  Operation operation = Draw();
  // Whatever a range may be asked, a stream may be asked too.
  if (operation.method == kWholeMethod && words_.Chance(15)) operation.method = kStreamMethod;
  TxnRequest txn;
  if (operation.method == "/etcdserverpb.KV/Txn" &&
      ParseMessage(operation.body, kCommandDepthMax, &txn) && KeepEtcdAlive(&txn)) {
    operation.body = txn.SerializeAsString();
  }
  return operation;
}

Operation Generator::Draw() {
  if (members_.pending()) return members_.Next();
  const uint64_t kind = random_.Below(100);
  if (kind < 25) return NewOperation("/etcdserverpb.KV/Put", NewPut(words_));
  if (kind < 45) return NewOperation("/etcdserverpb.KV/Range", NewRange(words_));
  if (kind < 50) {
    // In the order and without the filters that a stream has.
    etcdserverpb::RangeRequest range = NewRange(words_);
    range.clear_sort_target();
    if (range.sort_order() == etcdserverpb::RangeRequest::DESCEND) range.clear_sort_order();
    range.clear_min_mod_revision();
    range.clear_max_mod_revision();
    range.clear_min_create_revision();
    range.clear_max_create_revision();
    return NewOperation("/etcdserverpb.KV/RangeStream", range);
  }
  if (kind < 58) return NewOperation("/etcdserverpb.KV/DeleteRange", NewDelete(words_));
  if (kind < 83) {
    const TxnRequest txn =
        words_.Chance(10) ? NewSiblings(words_) : NewTxn(words_, words_.Chance(5) ? 6 : 2);
    return NewOperation("/etcdserverpb.KV/Txn", txn);
  }
  if (kind < 86) {
    etcdserverpb::CompactionRequest request;
    request.set_revision(words_.Revision());
    request.set_physical(words_.Chance(50));
    return NewOperation("/etcdserverpb.KV/Compact", request);
  }
  if (kind < 90 && words_.local()) return words_.Chance(50) ? Maintenance() : members_.Next();
  return NewBadInput(words_);
}

void Generator::Learn(const Operation& operation, const Answer& etcd) {
  LearnRevisions(operation, etcd, &words_);
}

void LearnRevisions(const Operation& operation, const Answer& etcd, Vocabulary* words) {
  const auto response = NewResponse(operation.method);
  if (etcd.code != 0 || response == nullptr ||
      !ParseMessage(etcd.body, kCommandDepthMax, response.get())) {
    return;
  }
  const auto* field = response->GetDescriptor()->FindFieldByName("header");
  if (field == nullptr) return;
  const auto& header = dynamic_cast<const etcdserverpb::ResponseHeader&>(
      response->GetReflection()->GetMessage(*response, field));
  // A candidate that has waited is told the revision of its own key.
  words->set_revision(std::max(words->revision(), header.revision()));
  etcdserverpb::CompactionRequest compaction;
  if (operation.method == "/etcdserverpb.KV/Compact" &&
      compaction.ParseFromString(operation.body)) {
    words->set_compacted(compaction.revision());
  }
}

}  // namespace gavel::conformance
