#include "client/ctl/config_history.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "client/ctl/config_changes.h"

namespace gavel::client::ctl {
namespace {

struct AtRevision {
  int64_t revision = 0;
  std::optional<KeyValue> kv;
};

// The key, without its value, at `from` and at the revisions below, down to `last` or as far as one
// request goes: with its value it would be sent once for each of them.
Expected<std::vector<AtRevision>> ReadDownwards(const Kv& kv, const std::string& key, int64_t from,
                                                int64_t last) {
  const int64_t count = std::min<int64_t>(from - last + 1, kTxnOperations);
  Txn txn;
  for (int64_t i = 0; i < count; ++i) {
    txn.Then(RangeRequest{.range = key, .revision = from - i, .keys_only = true});
  }
  const Result<TxnResponse> response = kv.Commit(std::move(txn));
  if (!response.ok()) return FromStatus(response.status());
  std::vector<AtRevision> read;
  for (const OpResponse& op : response->responses) {
    read.push_back({from - static_cast<int64_t>(read.size()), std::nullopt});
    if (op.range() != nullptr && !op.range()->kvs.empty()) {
      read.back().kv = op.range()->kvs.front();
    }
  }
  return read;
}

Expected<std::optional<KeyValue>> ReadOne(const Kv& kv, const std::string& key, int64_t revision) {
  const Result<RangeResponse> response = kv.Range(RangeRequest{.range = key, .revision = revision});
  if (!response.ok()) return FromStatus(response.status());
  if (response->kvs.empty()) return std::optional<KeyValue>();
  return std::optional<KeyValue>(response->kvs.front());
}

// The newest revision up to `from` at which the key was there; nothing if it was at none.
Expected<std::optional<AtRevision>> FindBelow(const Kv& kv, const std::string& key, int64_t from,
                                              int64_t last) {
  while (from >= last) {
    Expected<std::vector<AtRevision>> read = ReadDownwards(kv, key, from, last);
    if (!read.ok()) return read.failure();
    for (AtRevision& at : *read) {
      if (!at.kv) continue;
      Expected<std::optional<KeyValue>> whole = ReadOne(kv, key, at.revision);
      if (!whole.ok()) return whole.failure();
      at.kv = *std::move(whole);
      return std::optional<AtRevision>(std::move(at));
    }
    from -= static_cast<int64_t>(read->size());
  }
  return std::optional<AtRevision>();
}

}  // namespace

Expected<int64_t> OldestRevision(const Kv& kv, int64_t newest) {
  int64_t low = 1;  // All below cannot be read.
  int64_t high = newest;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const Result<RangeResponse> response = kv.Range(
        RangeRequest{.range = KeyRange::All(), .limit = 1, .revision = middle, .keys_only = true});
    if (response.ok()) {
      high = middle;
    } else if (response.status().reason() == Reason::kCompacted) {
      low = middle + 1;
    } else {
      return FromStatus(response.status());
    }
  }
  return low;
}

Expected<KeyHistory> ReadHistory(const Kv& kv, const std::string& key, int64_t limit) {
  const Result<GetResponse> now = kv.Get(key);
  if (!now.ok()) return FromStatus(now.status());
  const int64_t newest = now->header.revision;
  const Expected<int64_t> oldest = OldestRevision(kv, newest);
  if (!oldest.ok()) return oldest.failure();
  KeyHistory history{.key = key, .entries = {}, .oldest_revision = *oldest};
  std::optional<KeyValue> version = now->kv;
  int64_t revision = newest;
  const auto full = [&] {
    return limit > 0 && static_cast<int64_t>(history.entries.size()) >= limit;
  };
  while (revision >= *oldest && !full()) {
    if (!version) {
      Expected<std::optional<AtRevision>> found = FindBelow(kv, key, revision, *oldest);
      if (!found.ok()) return found.failure();
      if (!*found) break;
      // It is there at this revision and not at the next one.
      if ((*found)->revision < newest) {
        history.entries.push_back({(*found)->revision + 1, std::nullopt});
      }
      version = std::move((*found)->kv);
      continue;
    }
    history.entries.push_back({version->mod_revision, version});
    revision = version->mod_revision - 1;
    if (revision < *oldest) break;
    Expected<std::optional<KeyValue>> before = ReadOne(kv, key, revision);
    if (!before.ok()) return before.failure();
    version = *std::move(before);
  }
  return history;
}

}  // namespace gavel::client::ctl
