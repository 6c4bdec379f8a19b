// --write-out=json: the messages with etcd's field names, keys and values in base64, zero fields
// left out.
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "client/ctl/printer.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

using Json = nlohmann::ordered_json;

// Go leaves zero values out.
template <class T>
void Add(Json* object, const char* name, const T& value) {
  if (value != T()) (*object)[name] = value;
}

Json HeaderJson(const ResponseHeader& header, bool hex = false) {
  Json json = Json::object();
  if (hex) {
    json["cluster_id"] = Hex(header.cluster_id);
    json["member_id"] = Hex(header.member_id);
  } else {
    Add(&json, "cluster_id", header.cluster_id);
    Add(&json, "member_id", header.member_id);
  }
  Add(&json, "revision", header.revision);
  Add(&json, "raft_term", header.raft_term);
  return json;
}

Json KvJson(const KeyValue& kv) {
  Json json = Json::object();
  Add(&json, "key", Base64(kv.key));
  Add(&json, "create_revision", kv.create_revision);
  Add(&json, "mod_revision", kv.mod_revision);
  Add(&json, "version", kv.version);
  Add(&json, "value", Base64(kv.value));
  Add(&json, "lease", kv.lease);
  return json;
}

void AddKvs(Json* json, const char* name, const std::vector<KeyValue>& kvs) {
  for (const KeyValue& kv : kvs) (*json)[name].push_back(KvJson(kv));
}

Json PutJson(const PutResponse& response) {
  Json json = {{"header", HeaderJson(response.header)}};
  if (response.prev_kv) json["prev_kv"] = KvJson(*response.prev_kv);
  return json;
}

Json RangeJson(const RangeResponse& response) {
  Json json = {{"header", HeaderJson(response.header)}};
  AddKvs(&json, "kvs", response.kvs);
  Add(&json, "more", response.more);
  Add(&json, "count", response.count);
  return json;
}

Json DeleteJson(const DeleteResponse& response) {
  Json json = {{"header", HeaderJson(response.header)}};
  Add(&json, "deleted", response.deleted);
  AddKvs(&json, "prev_kvs", response.prev_kvs);
  return json;
}

Json TxnJson(const TxnResponse& response) {
  Json json = {{"header", HeaderJson(response.header)}};
  Add(&json, "succeeded", response.succeeded);
  for (const OpResponse& op : response.responses) {
    Json one;
    if (op.range() != nullptr) one["response_range"] = RangeJson(*op.range());
    if (op.put() != nullptr) one["response_put"] = PutJson(*op.put());
    if (op.del() != nullptr) one["response_delete_range"] = DeleteJson(*op.del());
    if (op.txn() != nullptr) one["response_txn"] = TxnJson(*op.txn());
    json["responses"].push_back({{"Response", std::move(one)}});
  }
  return json;
}

Json StatusJson(const StatusResponse& status) {
  Json json = {{"header", HeaderJson(status.header)}};
  Add(&json, "version", status.version);
  Add(&json, "dbSize", status.db_size);
  Add(&json, "leader", status.leader);
  Add(&json, "raftIndex", status.raft_index);
  Add(&json, "raftTerm", status.raft_term);
  Add(&json, "raftAppliedIndex", status.raft_applied_index);
  Add(&json, "errors", status.errors);
  Add(&json, "dbSizeInUse", status.db_size_in_use);
  Add(&json, "isLearner", status.is_learner);
  Add(&json, "storageVersion", status.storage_version);
  Add(&json, "dbSizeQuota", status.db_size_quota);
  Json downgrade = Json::object();
  Add(&downgrade, "enabled", status.downgrade_enabled);
  Add(&downgrade, "targetVersion", status.downgrade_target_version);
  json["downgradeInfo"] = std::move(downgrade);
  return json;
}

Json MemberJson(const Member& member, bool hex) {
  Json json = Json::object();
  if (hex) {
    json["ID"] = Hex(member.id);
  } else {
    Add(&json, "ID", member.id);
  }
  Add(&json, "name", member.name);
  Add(&json, "peerURLs", member.peer_urls);
  Add(&json, "clientURLs", member.client_urls);
  Add(&json, "isLearner", member.learner);
  return json;
}

void AddMembers(Json* json, const std::vector<Member>& members, bool hex) {
  for (const Member& member : members) (*json)["members"].push_back(MemberJson(member, hex));
}

// etcd's client has a form of its own for a watch's messages, with Go's names.
Json WatchJson(const ResponseHeader& header, const std::vector<WatchEvent>& events) {
  Json json = {{"Header", HeaderJson(header)}, {"Events", Json::array()}};
  for (const WatchEvent& event : events) {
    Json one = Json::object();
    Add(&one, "type", static_cast<int>(event.type));
    one["kv"] = KvJson(event.kv);
    if (event.prev_kv) one["prev_kv"] = KvJson(*event.prev_kv);
    json["Events"].push_back(std::move(one));
  }
  json["CompactRevision"] = 0;
  json["Canceled"] = false;
  json["Created"] = false;
  return json;
}

class JsonPrinter : public Printer {
 public:
  JsonPrinter(bool hex, Output* output) : hex_(hex), output_(*output) {}

  void Put(const PutResponse& response) override { Write(PutJson(response)); }
  void Get(const RangeResponse& response, bool) override { Write(RangeJson(response)); }
  void Delete(const DeleteResponse& response) override { Write(DeleteJson(response)); }
  void Txn(const TxnResponse& response) override { Write(TxnJson(response)); }

  void MemberList(const MemberListResponse& response) override {
    Json json = {{"header", HeaderJson(response.header, hex_)}};
    AddMembers(&json, response.members, hex_);
    Write(json);
  }
  void MemberChanged(const MemberChange& change) override {
    Json json = {{"header", HeaderJson(change.header, hex_)}};
    if (change.member) json["member"] = MemberJson(*change.member, hex_);
    AddMembers(&json, change.members, hex_);
    Write(json);
  }

  // The answer of etcd 3.4, and that of several requests together, has no header.
  void Alarms(const AlarmResponse& response) override {
    Json json = Json::object();
    if (response.header.cluster_id != 0) json["header"] = HeaderJson(response.header);
    for (const Alarm& alarm : response.alarms) {
      Json one = Json::object();
      Add(&one, "memberID", alarm.member_id);
      Add(&one, "alarm", static_cast<int>(alarm.type));
      json["alarms"].push_back(std::move(one));
    }
    Write(json);
  }

  void EndpointHealth(const std::vector<AtEndpoint<HealthResponse>>& list) override {
    Json json = Json::array();
    for (const auto& [endpoint, health] : list) {
      Json one = {{"endpoint", endpoint},
                  {"health", health.healthy},
                  {"took", FormatDuration(health.took)}};
      Add(&one, "error", health.error);
      json.push_back(std::move(one));
    }
    Write(json);
  }

  void EndpointStatus(const std::vector<AtEndpoint<StatusResponse>>& list) override {
    Json json = Json::array();
    for (const auto& [endpoint, status] : list) {
      json.push_back({{"Endpoint", endpoint}, {"Status", StatusJson(status)}});
    }
    Write(json);
  }

  void EndpointHashKv(const std::vector<AtEndpoint<HashKvResponse>>& list) override {
    Json json = Json::array();
    for (const auto& [endpoint, response] : list) {
      Json hash = {{"header", HeaderJson(response.header)}};
      Add(&hash, "hash", response.hash);
      Add(&hash, "compact_revision", response.compact_revision);
      Add(&hash, "hash_revision", response.hash_revision);
      json.push_back({{"Endpoint", endpoint}, {"HashKV", std::move(hash)}});
    }
    Write(json);
  }

  void Watch(const WatchBatch& batch) override { Write(WatchJson(batch.header, batch.events)); }
  void WatchCanceled(int64_t compact_revision) override {
    Json json = WatchJson({}, {});
    json["CompactRevision"] = compact_revision;
    json["Canceled"] = true;
    Write(json);
  }

  // Of leases etcd's client spreads the header's fields among the others.
  void LeaseGrant(const LeaseGrantResponse& response) override {
    Json json = HeaderJson(response.header);
    json["ID"] = response.id;
    json["TTL"] = response.ttl.count();
    json["Error"] = "";
    Write(json);
  }
  void LeaseRevoke(int64_t, const LeaseRevokeResponse& response) override {
    Write({{"header", HeaderJson(response.header)}});
  }
  void LeaseTimeToLive(const LeaseTimeToLiveResponse& response, bool) override {
    Json json = HeaderJson(response.header);
    json["id"] = response.id;
    json["ttl"] = response.remaining.count();
    json["granted-ttl"] = response.granted.count();
    json["keys"] = nullptr;
    for (const std::string& key : response.keys) json["keys"].push_back(Base64(key));
    Write(json);
  }
  void LeaseList(const LeaseListResponse& response) override {
    Json json = HeaderJson(response.header);
    json["leases"] = Json::array();
    for (const int64_t id : response.ids) {
      Json one = Json::object();
      one["id"] = id;
      json["leases"].push_back(std::move(one));
    }
    Write(json);
  }
  void LeaseKeepAlive(const LeaseKeepAliveResponse& response) override {
    Json json = HeaderJson(response.header);
    json["ID"] = response.id;
    json["TTL"] = response.ttl.count();
    Write(json);
  }

  void Exists(std::string_view key, bool exists) override {
    Write({{"key", Base64(key)}, {"exists", exists}});
  }
  void Increment(const IncrementResponse& response) override {
    Write({{"header", HeaderJson(response.header)}, {"value", response.value}});
  }
  void GetMany(const ResponseHeader& header, const std::vector<FoundKey>& found) override {
    Json json = {{"header", HeaderJson(header)}, {"kvs", Json::array()}};
    for (const FoundKey& entry : found) {
      json["kvs"].push_back(entry.kv ? KvJson(*entry.kv) : Json());
    }
    Write(json);
  }
  void PutMany(const TxnResponse& response) override {
    Write({{"header", HeaderJson(response.header)}});
  }
  void PutIfAbsent(const PutIfAbsentResponse& response) override {
    Json json = {{"header", HeaderJson(response.header)}, {"created", response.created}};
    if (response.existing) json["existing"] = KvJson(*response.existing);
    Write(json);
  }

  void History(const KeyHistory& history) override {
    Json json = {{"key", Base64(history.key)},
                 {"oldest_revision", history.oldest_revision},
                 {"history", Json::array()}};
    for (const HistoryEntry& entry : history.entries) {
      Json one = {{"revision", entry.revision}};
      if (entry.kv) {
        one["kv"] = KvJson(*entry.kv);
      } else {
        one["deleted"] = true;
      }
      json["history"].push_back(std::move(one));
    }
    Write(json);
  }

 private:
  // Go escapes what HTML would read; none of the three stands outside of strings.
  void Write(const Json& json) {
    std::string escaped;
    for (const char c : json.dump(-1, ' ', false, Json::error_handler_t::replace)) {
      if (c == '<') {
        escaped += "\\u003c";
      } else if (c == '>') {
        escaped += "\\u003e";
      } else if (c == '&') {
        escaped += "\\u0026";
      } else {
        escaped += c;
      }
    }
    output_.Line(escaped);
  }

  const bool hex_;
  Output& output_;
};

}  // namespace

std::unique_ptr<Printer> MakeJsonPrinter(bool hex, Output* output) {
  return std::make_unique<JsonPrinter>(hex, output);
}

}  // namespace gavel::client::ctl
