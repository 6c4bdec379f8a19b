// --write-out=table, for what comes in rows.
#include <cstdlib>
#include <memory>

#include "client/ctl/printer.h"
#include "client/ctl/rows.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

class TablePrinter : public Printer {
 public:
  explicit TablePrinter(Output* output) : output_(*output) {}

  void MemberList(const MemberListResponse& response) override {
    Write(MemberRows(response.members));
  }
  void MemberChanged(const MemberChange& change) override { Write(MemberRows(change.members)); }
  void EndpointHealth(const std::vector<AtEndpoint<HealthResponse>>& list) override {
    Write(HealthRows(list));
  }
  void EndpointStatus(const std::vector<AtEndpoint<StatusResponse>>& list) override {
    Write(StatusRows(list));
  }
  void EndpointHashKv(const std::vector<AtEndpoint<HashKvResponse>>& list) override {
    Write(HashKvRows(list));
  }
  void History(const KeyHistory& history) override { Write(HistoryRows(history)); }

  void Alarms(const AlarmResponse&) override { std::abort(); }
  void Put(const PutResponse&) override { std::abort(); }
  void Get(const RangeResponse&, bool) override { std::abort(); }
  void Delete(const DeleteResponse&) override { std::abort(); }
  void Txn(const TxnResponse&) override { std::abort(); }
  void Watch(const WatchBatch&) override { std::abort(); }
  void WatchCanceled(int64_t) override { std::abort(); }
  void LeaseGrant(const LeaseGrantResponse&) override { std::abort(); }
  void LeaseRevoke(int64_t, const LeaseRevokeResponse&) override { std::abort(); }
  void LeaseTimeToLive(const LeaseTimeToLiveResponse&, bool) override { std::abort(); }
  void LeaseList(const LeaseListResponse&) override { std::abort(); }
  void LeaseKeepAlive(const LeaseKeepAliveResponse&) override { std::abort(); }
  void Exists(std::string_view, bool) override { std::abort(); }
  void Increment(const IncrementResponse&) override { std::abort(); }
  void GetMany(const ResponseHeader&, const std::vector<FoundKey>&) override { std::abort(); }
  void PutMany(const TxnResponse&) override { std::abort(); }
  void PutIfAbsent(const PutIfAbsentResponse&) override { std::abort(); }

 private:
  void Write(Table table) {
    for (std::vector<std::string>& row : table.rows) {
      // A line feed would tear the frame.
      for (std::string& cell : row) cell = SafeText(cell, /*multi_line=*/false);
    }
    output_.Write(Framed(table));
  }

  Output& output_;
};

}  // namespace

std::unique_ptr<Printer> MakeTablePrinter(Output* output) {
  return std::make_unique<TablePrinter>(output);
}

}  // namespace gavel::client::ctl
