// How answers are written, one class for each --write-out.
//
// Answers that etcdctl has too look as etcdctl 3.6 writes them; README.md lists what differs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/cluster.h"
#include "client/ctl/output.h"
#include "client/ctl/settings.h"
#include "client/kv.h"
#include "client/lease.h"
#include "client/maintenance.h"
#include "client/watch.h"

namespace gavel::client::ctl {

template <class Response>
struct AtEndpoint {
  std::string endpoint;
  Response response;
};

struct FoundKey {
  std::string key;
  std::optional<KeyValue> kv;
};

struct HistoryEntry {
  int64_t revision = 0;
  std::optional<KeyValue> kv;  // Nothing: deleted at this revision.
};

struct KeyHistory {
  std::string key;
  std::vector<HistoryEntry> entries;  // The newest first.
  int64_t newest_revision = 0;        // The first that was looked at.
  int64_t oldest_revision = 0;        // The oldest that can be read.
  // Where to go on if there was no time to look further back.
  std::optional<int64_t> unread_revision = {};
};

// A change of members that was carried out.
struct MemberChange {
  uint64_t id = 0;   // Of the member that the command names or that is new.
  std::string what;  // What became of it, up to the cluster: "added to".
  ResponseHeader header = {};
  std::optional<Member> member = {};  // The new one.
  std::vector<Member> members = {};   // As they are afterwards.
};

// A command checks that its format is supported before it asks for anything, so a method that a
// format lacks is never called.
class Printer {
 public:
  virtual ~Printer() = default;

  virtual void Put(const PutResponse& response) = 0;
  virtual void Get(const RangeResponse& response, bool value_only) = 0;
  virtual void Delete(const DeleteResponse& response) = 0;
  virtual void Txn(const TxnResponse& response) = 0;
  virtual void MemberList(const MemberListResponse& response) = 0;
  virtual void MemberChanged(const MemberChange& change) = 0;
  virtual void Alarms(const AlarmResponse& response) = 0;
  virtual void EndpointHealth(const std::vector<AtEndpoint<HealthResponse>>& list) = 0;
  virtual void EndpointStatus(const std::vector<AtEndpoint<StatusResponse>>& list) = 0;
  virtual void EndpointHashKv(const std::vector<AtEndpoint<HashKvResponse>>& list) = 0;

  virtual void Watch(const WatchBatch& batch) = 0;
  // The watch has ended; for formats that programs read.
  virtual void WatchCanceled(int64_t compact_revision) = 0;
  virtual void LeaseGrant(const LeaseGrantResponse& response) = 0;
  virtual void LeaseRevoke(int64_t lease, const LeaseRevokeResponse& response) = 0;
  // `keys`: the attached keys were asked for.
  virtual void LeaseTimeToLive(const LeaseTimeToLiveResponse& response, bool keys) = 0;
  virtual void LeaseList(const LeaseListResponse& response) = 0;
  virtual void LeaseKeepAlive(const LeaseKeepAliveResponse& response) = 0;

  virtual void Exists(std::string_view key, bool exists) = 0;
  virtual void Increment(const IncrementResponse& response) = 0;
  virtual void GetMany(const ResponseHeader& header, const std::vector<FoundKey>& found) = 0;
  virtual void PutMany(const TxnResponse& response) = 0;
  virtual void PutIfAbsent(const PutIfAbsentResponse& response) = 0;
  virtual void History(const KeyHistory& history) = 0;
};

std::unique_ptr<Printer> MakePrinter(Format format, bool hex, Output* output);

std::unique_ptr<Printer> MakeSimplePrinter(bool hex, Output* output);
std::unique_ptr<Printer> MakeFieldsPrinter(bool hex, Output* output);
std::unique_ptr<Printer> MakeJsonPrinter(bool hex, Output* output);
std::unique_ptr<Printer> MakeTablePrinter(Output* output);
std::unique_ptr<Printer> MakeProtobufPrinter(Output* output);

}  // namespace gavel::client::ctl
