// --write-out=simple: what people read and scripts cut.
#include <memory>

#include "client/ctl/printer.h"
#include "client/ctl/rows.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

class SimplePrinter : public Printer {
 public:
  SimplePrinter(bool hex, Output* output) : hex_(hex), output_(*output) {}

  void Put(const PutResponse& response) override {
    output_.Line("OK");
    if (response.prev_kv) WriteKv(*response.prev_kv, false);
  }

  void Get(const RangeResponse& response, bool value_only) override {
    for (const KeyValue& kv : response.kvs) WriteKv(kv, value_only);
  }

  void Delete(const DeleteResponse& response) override {
    output_.Line(std::to_string(response.deleted));
    for (const KeyValue& kv : response.prev_kvs) WriteKv(kv, false);
  }

  void Txn(const TxnResponse& response) override {
    output_.Line(response.succeeded ? output_.Paint(Colour::kGreen, "SUCCESS")
                                    : output_.Paint(Colour::kYellow, "FAILURE"));
    for (const OpResponse& op : response.responses) {
      output_.Line("");
      if (op.range() != nullptr) Get(*op.range(), false);
      if (op.put() != nullptr) Put(*op.put());
      if (op.del() != nullptr) Delete(*op.del());
      if (op.txn() != nullptr) Txn(*op.txn());
    }
  }

  void MemberList(const MemberListResponse& response) override {
    WriteRows(MemberRows(response.members));
  }
  void MemberChanged(const MemberChange& change) override {
    output_.Line("Member " + PaddedHex(change.id) + " " + change.what + " cluster " +
                 PaddedHex(change.header.cluster_id));
  }

  // What is zero is left out, and each part ends with a space.
  void Alarms(const AlarmResponse& response) override {
    for (const Alarm& alarm : response.alarms) {
      std::string line;
      if (alarm.member_id != 0) line += "memberID:" + std::to_string(alarm.member_id) + " ";
      if (alarm.type != AlarmType::kNone) line += "alarm:" + AlarmName(alarm.type) + " ";
      output_.Line(line);
    }
  }

  void EndpointHealth(const std::vector<AtEndpoint<HealthResponse>>& list) override {
    for (const auto& [endpoint, health] : list) {
      if (health.healthy) {
        output_.Line(endpoint + " is " + output_.Paint(Colour::kGreen, "healthy") +
                     ": successfully committed proposal: took = " + FormatDuration(health.took));
      } else {
        output_.Complain(endpoint + " is unhealthy: failed to commit proposal: " + health.error);
      }
    }
  }

  void EndpointStatus(const std::vector<AtEndpoint<StatusResponse>>& list) override {
    WriteRows(StatusRows(list));
  }
  void EndpointHashKv(const std::vector<AtEndpoint<HashKvResponse>>& list) override {
    WriteRows(HashKvRows(list));
  }

  void Watch(const WatchBatch& batch) override {
    for (const WatchEvent& event : batch.events) {
      output_.Line(event.type == EventType::kPut ? output_.Paint(Colour::kGreen, "PUT")
                                                 : output_.Paint(Colour::kRed, "DELETE"));
      if (event.prev_kv) WriteKv(*event.prev_kv, false);
      WriteKv(event.kv, false);
    }
  }
  void WatchCanceled(int64_t) override {}

  void LeaseGrant(const LeaseGrantResponse& response) override {
    output_.Line(LeaseName(response.id) + " granted with TTL(" +
                 std::to_string(response.ttl.count()) + "s)");
  }
  void LeaseRevoke(int64_t lease, const LeaseRevokeResponse&) override {
    output_.Line(LeaseName(lease) + " revoked");
  }
  void LeaseTimeToLive(const LeaseTimeToLiveResponse& response, bool keys) override {
    if (!response.exists()) {
      output_.Line(LeaseName(response.id) + " already expired");
      return;
    }
    std::string line = LeaseName(response.id) + " granted with TTL(" +
                       std::to_string(response.granted.count()) + "s), remaining(" +
                       std::to_string(response.remaining.count()) + "s)";
    if (keys) line += ", attached keys([" + Join(response.keys, " ") + "])";
    output_.Line(output_.Shown(line, /*multi_line=*/false));
  }
  void LeaseList(const LeaseListResponse& response) override {
    output_.Line("found " + std::to_string(response.ids.size()) + " leases");
    for (const int64_t id : response.ids) output_.Line(Hex16(static_cast<uint64_t>(id)));
  }
  void LeaseKeepAlive(const LeaseKeepAliveResponse& response) override {
    output_.Line(LeaseName(response.id) + " keepalived with TTL(" +
                 std::to_string(response.ttl.count()) + ")");
  }

  void Exists(std::string_view, bool exists) override { output_.Line(exists ? "true" : "false"); }
  void Increment(const IncrementResponse& response) override {
    output_.Line(std::to_string(response.value));
  }
  void GetMany(const ResponseHeader&, const std::vector<FoundKey>& found) override {
    for (const FoundKey& entry : found) {
      if (entry.kv) WriteKv(*entry.kv, false);
    }
  }
  void PutMany(const TxnResponse&) override { output_.Line("OK"); }
  void PutIfAbsent(const PutIfAbsentResponse& response) override {
    output_.Line(response.created ? "true" : "false");
    if (response.existing) WriteKv(*response.existing, false);
  }

  void History(const KeyHistory& history) override {
    for (const HistoryEntry& entry : history.entries) {
      const std::string at = "revision " + std::to_string(entry.revision) + ": ";
      if (entry.kv) {
        output_.Line(at + "version " + std::to_string(entry.kv->version) + " " +
                     (hex_ ? HexEscape(entry.kv->value) : Quote(entry.kv->value)));
      } else {
        output_.Line(at + output_.Paint(Colour::kRed, "deleted"));
      }
    }
  }

 private:
  static std::string LeaseName(int64_t lease) {
    return "lease " + Hex16(static_cast<uint64_t>(lease));
  }

  void WriteKv(const KeyValue& kv, bool value_only) {
    if (!value_only) {
      output_.Line(output_.Paint(
          Colour::kCyan, hex_ ? HexEscape(kv.key) : output_.Shown(kv.key, /*multi_line=*/false)));
    }
    output_.Line(hex_ ? HexEscape(kv.value) : output_.Shown(kv.value, /*multi_line=*/true));
  }

  void WriteRows(const Table& table) {
    for (const std::vector<std::string>& row : table.rows) {
      output_.Line(output_.Shown(Join(row, ", "), /*multi_line=*/false));
    }
  }

  const bool hex_;
  Output& output_;
};

}  // namespace

std::unique_ptr<Printer> MakeSimplePrinter(bool hex, Output* output) {
  return std::make_unique<SimplePrinter>(hex, output);
}

}  // namespace gavel::client::ctl
