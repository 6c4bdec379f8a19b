#include "client/ctl/contender.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr std::chrono::milliseconds kBeforeNextTry{200};

// The newest key that is older than the place, and the place's own, both at one revision.
Txn LookAround(const Place& place) {
  Txn txn;
  txn.Then(RangeRequest{.range = KeyRange::Prefix(place.prefix),
                        .limit = 1,
                        .sort_order = SortOrder::kDescend,
                        .sort_target = SortTarget::kCreate,
                        .keys_only = true,
                        .max_create_revision = place.created - 1});
  txn.Then(RangeRequest{.range = place.key});
  return txn;
}

// Until `key` is deleted at or after `revision`.
Status AwaitDeletion(const Client& client, const std::string& key, int64_t revision,
                     const std::stop_token& stop) {
  Watcher watcher = client.watch().Start(
      {.range = key, .start_revision = revision, .no_put = true, .stop = stop});
  while (true) {
    const Result<WatchBatch> batch = watcher.Next();
    if (!batch.ok()) return batch.status();
    if (!batch->progress()) return Status();
  }
}

}  // namespace

std::string ContendersPrefix(std::string_view name) { return std::string(name) + "/"; }

bool WaitOut(const Status& status, std::stop_token stop) {
  if (status.error_class() == ErrorClass::kRejected) return false;
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, kBeforeNextTry, [] { return false; });
  return !stop.stop_requested();
}

Result<Place> TakePlace(const Client& client, std::string_view name, std::string_view value,
                        int64_t lease, std::stop_token stop) {
  Place place{.prefix = ContendersPrefix(name)};
  place.key = place.prefix + Hex(static_cast<uint64_t>(lease));
  Txn txn;
  txn.If(Compare::Missing(place.key))
      .Then(PutRequest{.key = place.key, .value = std::string(value), .lease = lease})
      .Else(RangeRequest{.range = place.key, .keys_only = true});
  while (true) {
    const Result<TxnResponse> response = client.kv().Commit(txn, {.stop = stop});
    if (response.ok()) {
      place.created = response->succeeded ? response->header.revision
                                          : response->responses[0].range()->kvs[0].create_revision;
      return place;
    }
    if (!WaitOut(response.status(), stop)) return response.status();
  }
}

Result<RangeResponse> AwaitTurn(const Client& client, const Place& place, std::stop_token stop) {
  const Txn look = LookAround(place);
  while (true) {
    const Result<TxnResponse> seen = client.kv().Commit(look, {.stop = stop});
    if (!seen.ok()) {
      if (WaitOut(seen.status(), stop)) continue;
      return seen.status();
    }
    RangeResponse own = *seen->responses[1].range();
    own.header = seen->header;
    const std::vector<KeyValue>& older = seen->responses[0].range()->kvs;
    if (own.kvs.empty() || older.empty()) return own;
    const Status deleted = AwaitDeletion(client, older[0].key, seen->header.revision + 1, stop);
    // After a compaction a look tells what the history no longer can.
    if (!deleted.ok() && deleted.reason() != Reason::kCompacted && !WaitOut(deleted, stop)) {
      return deleted;
    }
  }
}

Result<RangeResponse> FirstInQueue(const Client& client, const std::string& prefix,
                                   std::stop_token stop) {
  return client.kv().Range({.range = KeyRange::Prefix(prefix),
                            .limit = 1,
                            .sort_order = SortOrder::kAscend,
                            .sort_target = SortTarget::kCreate},
                           {.stop = std::move(stop)});
}

}  // namespace gavel::client::ctl
