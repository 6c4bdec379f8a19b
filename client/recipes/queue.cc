#include "client/recipes/queue.h"

#include <cstdio>
#include <utility>

#include "client/recipes/waiting.h"

namespace gavel::client::recipes {

Queue::Queue(const Client& client, std::string name)
    : kv_(client.kv()), watch_(client.watch()), prefix_(std::move(name) + "/") {}

Status Queue::Enqueue(std::string_view value, CallOptions options) {
  while (true) {
    if (began_ == 0) {
      const Result<GetResponse> now = kv_.Get(prefix_, options);
      if (!now.ok()) return now.status();
      began_ = now->header.revision;
    }
    char name[40];
    std::snprintf(name, sizeof name, "%016llx-%llx", static_cast<unsigned long long>(began_),
                  static_cast<unsigned long long>(++made_));
    const Result<PutIfAbsentResponse> put = kv_.PutIfAbsent(prefix_ + name, value, {}, options);
    if (!put.ok() || put->created) return put.status();
    // Another producer began at the same revision; it has moved that on.
    began_ = put->header.revision;
    made_ = 0;
  }
}

Result<std::string> Queue::Dequeue(WaitOptions wait) {
  const Waiting waiting(std::move(wait), nullptr);
  while (true) {
    const Result<RangeResponse> oldest = waiting.Range(kv_, {.range = KeyRange::Prefix(prefix_),
                                                             .limit = 1,
                                                             .sort_order = SortOrder::kAscend,
                                                             .sort_target = SortTarget::kMod});
    if (!oldest.ok()) return oldest.status();
    if (oldest->kvs.empty()) {
      Watcher watcher = watch_.Start({.range = KeyRange::Prefix(prefix_),
                                      .start_revision = oldest->header.revision + 1,
                                      .no_delete = true});
      const Result<WatchBatch> batch = waiting.Await(watcher.NextAsync());
      if (!batch.ok() && batch.status().reason() != Reason::kCompacted) return batch.status();
      continue;
    }
    const KeyValue& item = oldest->kvs[0];
    Txn take;
    take.If(Compare::ModRevision(item.key).Equal(item.mod_revision))
        .Then(DeleteRequest{.range = item.key});
    if (Status over = waiting.Check(); !over.ok()) return over;
    // Not asked twice: whether it was this consumer that took it would not be known. Nor ended with
    // the wait, which would lose an item on its way here.
    const Result<TxnResponse> taken = kv_.Commit(take);
    if (!taken.ok()) return taken.status();
    if (taken->succeeded) return item.value;
  }
}

}  // namespace gavel::client::recipes
