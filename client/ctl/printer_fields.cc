// --write-out=fields: one "Name" : value in a line.
#include <memory>

#include "client/ctl/printer.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

class FieldsPrinter : public Printer {
 public:
  FieldsPrinter(bool hex, Output* output) : hex_(hex), output_(*output) {}

  void Put(const PutResponse& response) override {
    Header(response.header);
    if (response.prev_kv) Kv("Prev", *response.prev_kv);
  }

  void Get(const RangeResponse& response, bool) override {
    Header(response.header);
    for (const KeyValue& kv : response.kvs) Kv("", kv);
    Field("More", Text(response.more));
    Field("Count", std::to_string(response.count));
  }

  void Delete(const DeleteResponse& response) override {
    Header(response.header);
    Field("Deleted", std::to_string(response.deleted));
    for (const KeyValue& kv : response.prev_kvs) Kv("Prev", kv);
  }

  void Txn(const TxnResponse& response) override {
    Header(response.header);
    Field("Succeeded", Text(response.succeeded));
    for (const OpResponse& op : response.responses) {
      if (op.range() != nullptr) Get(*op.range(), false);
      if (op.put() != nullptr) Put(*op.put());
      if (op.del() != nullptr) Delete(*op.del());
      if (op.txn() != nullptr) Txn(*op.txn());
    }
  }

  void MemberList(const MemberListResponse& response) override {
    Header(response.header);
    Members(response.members);
  }

  void MemberChanged(const MemberChange& change) override {
    Header(change.header);
    if (change.member) Field("NewMemberID", Id(change.member->id));
    Members(change.members);
  }

  void Alarms(const AlarmResponse& response) override {
    if (response.header.cluster_id != 0) Header(response.header);
    for (const Alarm& alarm : response.alarms) {
      Field("MemberID", std::to_string(alarm.member_id));
      Field("AlarmType", AlarmName(alarm.type));
      output_.Line("");
    }
  }

  void EndpointHealth(const std::vector<AtEndpoint<HealthResponse>>& list) override {
    for (const auto& [endpoint, health] : list) {
      Field("Endpoint", Quote(endpoint));
      Field("Health", Text(health.healthy));
      Field("Took", FormatDuration(health.took));
      Field("Error", health.error);
      output_.Line("");
    }
  }

  void EndpointStatus(const std::vector<AtEndpoint<StatusResponse>>& list) override {
    for (const auto& [endpoint, status] : list) {
      Header(status.header);
      Field("Version", Quote(status.version));
      Field("StorageVersion", Quote(status.storage_version));
      Field("DBSize", std::to_string(status.db_size));
      Field("DBSizeInUse", std::to_string(status.db_size_in_use));
      Field("DBSizeQuota", std::to_string(status.db_size_quota));
      Field("Leader", std::to_string(status.leader));
      Field("IsLearner", Text(status.is_learner));
      Field("RaftIndex", std::to_string(status.raft_index));
      Field("RaftTerm", std::to_string(status.raft_term));
      Field("RaftAppliedIndex", std::to_string(status.raft_applied_index));
      Field("Errors", "[" + Join(status.errors, " ") + "]");
      Field("Endpoint", Quote(endpoint));
      Field("DowngradeTargetVersion", Quote(status.downgrade_target_version));
      Field("DowngradeEnabled", Text(status.downgrade_enabled));
      output_.Line("");
    }
  }

  void EndpointHashKv(const std::vector<AtEndpoint<HashKvResponse>>& list) override {
    for (const auto& [endpoint, response] : list) {
      Header(response.header);
      Field("Endpoint", Quote(endpoint));
      Field("Hash", std::to_string(response.hash));
      Field("HashRevision", std::to_string(response.hash_revision));
      output_.Line("");
    }
  }

  void Watch(const WatchBatch& batch) override {
    Header(batch.header);
    for (const WatchEvent& event : batch.events) {
      Field("Type", event.type == EventType::kPut ? "PUT" : "DELETE");
      if (event.prev_kv) Kv("Prev", *event.prev_kv);
      Kv("", event.kv);
    }
  }
  void WatchCanceled(int64_t) override {}

  void LeaseGrant(const LeaseGrantResponse& response) override {
    Header(response.header);
    Field("ID", Lease(response.id));
    Field("TTL", std::to_string(response.ttl.count()));
  }
  void LeaseRevoke(int64_t, const LeaseRevokeResponse& response) override {
    Header(response.header);
  }
  void LeaseTimeToLive(const LeaseTimeToLiveResponse& response, bool) override {
    Header(response.header);
    Field("ID", Lease(response.id));
    Field("TTL", std::to_string(response.remaining.count()));
    Field("GrantedTTL", std::to_string(response.granted.count()));
    for (const std::string& key : response.keys) Field("Key", Quote(key));
  }
  void LeaseList(const LeaseListResponse& response) override {
    Header(response.header);
    for (const int64_t id : response.ids) Field("ID", Lease(id));
  }
  void LeaseKeepAlive(const LeaseKeepAliveResponse& response) override {
    Header(response.header);
    Field("ID", Lease(response.id));
    Field("TTL", std::to_string(response.ttl.count()));
  }

  void Exists(std::string_view key, bool exists) override {
    Field("Key", Quote(key));
    Field("Exists", Text(exists));
  }
  void Increment(const IncrementResponse& response) override {
    Header(response.header);
    Field("Value", std::to_string(response.value));
  }
  void GetMany(const ResponseHeader& header, const std::vector<FoundKey>& found) override {
    Header(header);
    for (const FoundKey& entry : found) {
      if (entry.kv) {
        Kv("", *entry.kv);
      } else {
        Field("MissingKey", Quote(entry.key));
      }
    }
  }
  void PutMany(const TxnResponse& response) override { Header(response.header); }
  void PutIfAbsent(const PutIfAbsentResponse& response) override {
    Header(response.header);
    Field("Created", Text(response.created));
    if (response.existing) Kv("", *response.existing);
  }

  void History(const KeyHistory& history) override {
    Field("Key", Quote(history.key));
    Field("OldestRevision", std::to_string(history.oldest_revision));
    for (const HistoryEntry& entry : history.entries) {
      if (entry.kv) {
        Kv("", *entry.kv);
      } else {
        Field("DeleteRevision", std::to_string(entry.revision));
      }
    }
  }

 private:
  void Field(std::string_view name, std::string_view value) {
    output_.Write("\"");
    output_.Write(name);
    output_.Write("\" : ");
    output_.Line(value);
  }

  static std::string Text(bool value) { return value ? "true" : "false"; }
  std::string Id(uint64_t id) const { return hex_ ? Hex(id) : std::to_string(id); }
  std::string Lease(int64_t id) const {
    return hex_ ? Hex16(static_cast<uint64_t>(id)) : std::to_string(id);
  }

  void Header(const ResponseHeader& header) {
    Field("ClusterID", Id(header.cluster_id));
    Field("MemberID", Id(header.member_id));
    // Calls about the cluster have no revision.
    if (header.revision > 0) Field("Revision", std::to_string(header.revision));
    Field("RaftTerm", std::to_string(header.raft_term));
  }

  void Members(const std::vector<Member>& members) {
    for (const Member& member : members) {
      Field("ID", Id(member.id));
      Field("Name", Quote(member.name));
      for (const std::string& url : member.peer_urls) Field("PeerURL", Quote(url));
      for (const std::string& url : member.client_urls) Field("ClientURL", Quote(url));
      Field("IsLearner", Text(member.learner));
      output_.Line("");
    }
  }

  void Kv(const std::string& prefix, const KeyValue& kv) {
    Field(prefix + "Key", Quote(kv.key));
    Field(prefix + "CreateRevision", std::to_string(kv.create_revision));
    Field(prefix + "ModRevision", std::to_string(kv.mod_revision));
    Field(prefix + "Version", std::to_string(kv.version));
    Field(prefix + "Value", Quote(kv.value));
    Field(prefix + "Lease", Lease(kv.lease));
  }

  const bool hex_;
  Output& output_;
};

}  // namespace

std::unique_ptr<Printer> MakeFieldsPrinter(bool hex, Output* output) {
  return std::make_unique<FieldsPrinter>(hex, output);
}

}  // namespace gavel::client::ctl
