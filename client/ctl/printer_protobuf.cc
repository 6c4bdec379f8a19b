// --write-out=protobuf: the bytes of etcd's messages, for programs.
#include <cstdlib>
#include <memory>

#include "client/ctl/printer.h"
#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/etcdserverpb/watch.pb.h"

namespace gavel::client::ctl {
namespace {

void Fill(const ResponseHeader& header, etcdserverpb::ResponseHeader* message) {
  message->set_cluster_id(header.cluster_id);
  message->set_member_id(header.member_id);
  message->set_revision(header.revision);
  message->set_raft_term(header.raft_term);
}

void Fill(const KeyValue& kv, mvccpb::KeyValue* message) {
  message->set_key(kv.key);
  message->set_create_revision(kv.create_revision);
  message->set_mod_revision(kv.mod_revision);
  message->set_version(kv.version);
  message->set_value(kv.value);
  message->set_lease(kv.lease);
}

void Fill(const PutResponse& response, etcdserverpb::PutResponse* message) {
  Fill(response.header, message->mutable_header());
  if (response.prev_kv) Fill(*response.prev_kv, message->mutable_prev_kv());
}

void Fill(const RangeResponse& response, etcdserverpb::RangeResponse* message) {
  Fill(response.header, message->mutable_header());
  for (const KeyValue& kv : response.kvs) Fill(kv, message->add_kvs());
  message->set_more(response.more);
  message->set_count(response.count);
}

void Fill(const DeleteResponse& response, etcdserverpb::DeleteRangeResponse* message) {
  Fill(response.header, message->mutable_header());
  message->set_deleted(response.deleted);
  for (const KeyValue& kv : response.prev_kvs) Fill(kv, message->add_prev_kvs());
}

void Fill(const TxnResponse& response, etcdserverpb::TxnResponse* message) {
  Fill(response.header, message->mutable_header());
  message->set_succeeded(response.succeeded);
  for (const OpResponse& op : response.responses) {
    etcdserverpb::ResponseOp* const one = message->add_responses();
    if (op.range() != nullptr) Fill(*op.range(), one->mutable_response_range());
    if (op.put() != nullptr) Fill(*op.put(), one->mutable_response_put());
    if (op.del() != nullptr) Fill(*op.del(), one->mutable_response_delete_range());
    if (op.txn() != nullptr) Fill(*op.txn(), one->mutable_response_txn());
  }
}

void Fill(const WatchBatch& batch, etcdserverpb::WatchResponse* message) {
  Fill(batch.header, message->mutable_header());
  for (const WatchEvent& event : batch.events) {
    mvccpb::Event* const one = message->add_events();
    one->set_type(event.type == EventType::kPut ? mvccpb::Event::PUT : mvccpb::Event::DELETE);
    Fill(event.kv, one->mutable_kv());
    if (event.prev_kv) Fill(*event.prev_kv, one->mutable_prev_kv());
  }
}

void Fill(const LeaseGrantResponse& response, etcdserverpb::LeaseGrantResponse* message) {
  Fill(response.header, message->mutable_header());
  message->set_id(response.id);
  message->set_ttl(response.ttl.count());
}

void Fill(const LeaseRevokeResponse& response, etcdserverpb::LeaseRevokeResponse* message) {
  Fill(response.header, message->mutable_header());
}

void Fill(const LeaseTimeToLiveResponse& response, etcdserverpb::LeaseTimeToLiveResponse* message) {
  Fill(response.header, message->mutable_header());
  message->set_id(response.id);
  message->set_ttl(response.remaining.count());
  message->set_grantedttl(response.granted.count());
  for (const std::string& key : response.keys) message->add_keys(key);
}

void Fill(const LeaseListResponse& response, etcdserverpb::LeaseLeasesResponse* message) {
  Fill(response.header, message->mutable_header());
  for (const int64_t id : response.ids) message->add_leases()->set_id(id);
}

void Fill(const LeaseKeepAliveResponse& response, etcdserverpb::LeaseKeepAliveResponse* message) {
  Fill(response.header, message->mutable_header());
  message->set_id(response.id);
  message->set_ttl(response.ttl.count());
}

void Fill(const Member& member, etcdserverpb::Member* message) {
  message->set_id(member.id);
  message->set_name(member.name);
  for (const std::string& url : member.peer_urls) message->add_peerurls(url);
  for (const std::string& url : member.client_urls) message->add_clienturls(url);
  message->set_islearner(member.learner);
}

void Fill(const MemberListResponse& response, etcdserverpb::MemberListResponse* message) {
  Fill(response.header, message->mutable_header());
  for (const Member& member : response.members) Fill(member, message->add_members());
}

void Fill(const MemberChange& change, etcdserverpb::MemberAddResponse* message) {
  Fill(change.header, message->mutable_header());
  Fill(*change.member, message->mutable_member());
  for (const Member& member : change.members) Fill(member, message->add_members());
}

void Fill(const MemberChange& change, etcdserverpb::MemberRemoveResponse* message) {
  Fill(change.header, message->mutable_header());
  for (const Member& member : change.members) Fill(member, message->add_members());
}

class ProtobufPrinter : public Printer {
 public:
  explicit ProtobufPrinter(Output* output) : output_(*output) {}

  void Put(const PutResponse& response) override { Write<etcdserverpb::PutResponse>(response); }
  void Get(const RangeResponse& response, bool) override {
    Write<etcdserverpb::RangeResponse>(response);
  }
  void Delete(const DeleteResponse& response) override {
    Write<etcdserverpb::DeleteRangeResponse>(response);
  }
  void Txn(const TxnResponse& response) override { Write<etcdserverpb::TxnResponse>(response); }
  void MemberList(const MemberListResponse& response) override {
    Write<etcdserverpb::MemberListResponse>(response);
  }
  // All changes that bring a member have one form, and all others another.
  void MemberChanged(const MemberChange& change) override {
    if (change.member) return Write<etcdserverpb::MemberAddResponse>(change);
    Write<etcdserverpb::MemberRemoveResponse>(change);
  }

  void Alarms(const AlarmResponse& response) override {
    etcdserverpb::AlarmResponse message;
    if (response.header.cluster_id != 0) Fill(response.header, message.mutable_header());
    for (const Alarm& alarm : response.alarms) {
      etcdserverpb::AlarmMember* const one = message.add_alarms();
      one->set_memberid(alarm.member_id);
      one->set_alarm(static_cast<etcdserverpb::AlarmType>(alarm.type));
    }
    output_.Write(message.SerializeAsString());
  }

  void Watch(const WatchBatch& batch) override { Write<etcdserverpb::WatchResponse>(batch); }
  void WatchCanceled(int64_t compact_revision) override {
    etcdserverpb::WatchResponse message;
    message.set_canceled(true);
    message.set_compact_revision(compact_revision);
    output_.Write(message.SerializeAsString());
  }
  void LeaseGrant(const LeaseGrantResponse& response) override {
    Write<etcdserverpb::LeaseGrantResponse>(response);
  }
  void LeaseRevoke(int64_t, const LeaseRevokeResponse& response) override {
    Write<etcdserverpb::LeaseRevokeResponse>(response);
  }
  void LeaseTimeToLive(const LeaseTimeToLiveResponse& response, bool) override {
    Write<etcdserverpb::LeaseTimeToLiveResponse>(response);
  }
  void LeaseList(const LeaseListResponse& response) override {
    Write<etcdserverpb::LeaseLeasesResponse>(response);
  }
  void LeaseKeepAlive(const LeaseKeepAliveResponse& response) override {
    Write<etcdserverpb::LeaseKeepAliveResponse>(response);
  }

  void EndpointHealth(const std::vector<AtEndpoint<HealthResponse>>&) override { std::abort(); }
  void EndpointStatus(const std::vector<AtEndpoint<StatusResponse>>&) override { std::abort(); }
  void EndpointHashKv(const std::vector<AtEndpoint<HashKvResponse>>&) override { std::abort(); }
  void Exists(std::string_view, bool) override { std::abort(); }
  void Increment(const IncrementResponse&) override { std::abort(); }
  void GetMany(const ResponseHeader&, const std::vector<FoundKey>&) override { std::abort(); }
  void PutMany(const TxnResponse&) override { std::abort(); }
  void PutIfAbsent(const PutIfAbsentResponse&) override { std::abort(); }
  void History(const KeyHistory&) override { std::abort(); }

 private:
  template <class Message>
  void Write(const auto& response) {
    Message message;
    Fill(response, &message);
    output_.Write(message.SerializeAsString());
  }

  Output& output_;
};

}  // namespace

std::unique_ptr<Printer> MakeProtobufPrinter(Output* output) {
  return std::make_unique<ProtobufPrinter>(output);
}

std::unique_ptr<Printer> MakePrinter(Format format, bool hex, Output* output) {
  switch (format) {
    case Format::kSimple:
      return MakeSimplePrinter(hex, output);
    case Format::kFields:
      return MakeFieldsPrinter(hex, output);
    case Format::kJson:
      return MakeJsonPrinter(hex, output);
    case Format::kTable:
      return MakeTablePrinter(output);
    case Format::kProtobuf:
      break;
  }
  return MakeProtobufPrinter(output);
}

}  // namespace gavel::client::ctl
