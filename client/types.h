// Keys, ranges, and the requests and responses of the key-value service.
//
// Plain values with etcd's fields and etcd's defaults; a field that is not set is not sent. Keys
// and values are bytes. Nothing here talks to anybody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gavel::client {

// What every response begins with. In the responses within a transaction only the revision is set.
struct ResponseHeader {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  int64_t revision = 0;  // Of the store when the request was carried out; 0 from Cluster calls.
  uint64_t raft_term = 0;

  friend bool operator==(const ResponseHeader&, const ResponseHeader&) = default;
};

struct KeyValue {
  std::string key = {};
  std::string value = {};
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;  // Changes since the key was created; 1 for a new one.
  int64_t lease = 0;    // 0: none.

  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

// The keys a request is about: [key, end), where an empty end means the one key and an end of one
// zero byte means all keys from `key` on.
struct KeyRange {
  std::string key = {};
  std::string end = {};

  KeyRange() = default;
  // The one key. Implicit, so that a key can be given where a range is asked for.
  KeyRange(std::string one_key) : key(std::move(one_key)) {}  // NOLINT
  KeyRange(std::string_view one_key) : key(one_key) {}        // NOLINT
  KeyRange(const char* one_key) : key(one_key) {}             // NOLINT
  KeyRange(std::string first, std::string past_the_last)
      : key(std::move(first)), end(std::move(past_the_last)) {}

  // All keys that begin with `prefix`; all keys for an empty one.
  static KeyRange Prefix(std::string_view prefix);
  // All keys from `first` on.
  static KeyRange From(std::string_view first);
  // first <= key < past_the_last.
  static KeyRange Between(std::string_view first, std::string_view past_the_last);
  static KeyRange All();

  bool single() const { return end.empty(); }
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

enum class SortOrder : int { kNone = 0, kAscend = 1, kDescend = 2 };
enum class SortTarget : int { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };

struct RangeRequest {
  KeyRange range = {};
  int64_t limit = 0;     // 0: none.
  int64_t revision = 0;  // 0: the newest.
  SortOrder sort_order = SortOrder::kNone;
  SortTarget sort_target = SortTarget::kKey;
  bool serializable = false;  // Answered from one member's copy, which may be behind.
  bool keys_only = false;
  bool count_only = false;
  // 0: no bound. Filters count before the limit and do not change `count`.
  int64_t min_mod_revision = 0;
  int64_t max_mod_revision = 0;
  int64_t min_create_revision = 0;
  int64_t max_create_revision = 0;
};

struct RangeResponse {
  ResponseHeader header = {};
  std::vector<KeyValue> kvs = {};
  bool more = false;  // Rows beyond the limit exist.
  int64_t count = 0;  // Keys in the range, whatever the limit and the filters.
};

struct PutRequest {
  std::string key = {};
  std::string value = {};
  int64_t lease = 0;          // 0 detaches the key from the lease it has.
  bool prev_kv = false;       // Answer with what was there before.
  bool ignore_value = false;  // Keep the value; only for a key that exists.
  bool ignore_lease = false;  // Keep the lease; only for a key that exists.
};

struct PutResponse {
  ResponseHeader header = {};
  std::optional<KeyValue> prev_kv = {};  // Only if asked for and there was one.
};

struct DeleteRequest {
  KeyRange range = {};
  bool prev_kv = false;  // Answer with what was deleted.
};

struct DeleteResponse {
  ResponseHeader header = {};
  int64_t deleted = 0;
  std::vector<KeyValue> prev_kvs = {};
};

struct CompactRequest {
  int64_t revision = 0;   // History below it is given up; it stays readable itself.
  bool physical = false;  // Answer only when the member has deleted what was given up.
};

struct CompactResponse {
  ResponseHeader header = {};
};

}  // namespace gavel::client
