// The key-value service, and the helpers that make one request or one guarded transaction of what
// programs often need.
//
// Every operation blocks, or starts and returns a Pending with "Async" in its name. What is
// retried: a request that was dropped for certain, on this or another endpoint, and any read;
// until the call's time is up. A write whose outcome is unknown is never sent again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/options.h"
#include "client/pager.h"
#include "client/pending.h"
#include "client/range_stream.h"
#include "client/status.h"
#include "client/txn.h"
#include "client/types.h"

namespace gavel::client {
namespace internal {
class Core;
}

// Get: the key, or nothing.
struct GetResponse {
  ResponseHeader header = {};
  std::optional<KeyValue> kv = {};
};

struct GetManyResponse {
  ResponseHeader header = {};
  std::vector<std::optional<KeyValue>> kvs = {};  // One for each key asked for, in that order.
};

// What the helpers that write put besides the value.
struct WriteOptions {
  int64_t lease = 0;          // 0: none.
  bool ignore_lease = false;  // Keep the lease of an existing key.
};

struct PutIfAbsentResponse {
  ResponseHeader header = {};
  bool created = false;
  std::optional<KeyValue> existing = {};  // What was there, if !created.
};

struct CompareAndSwapResponse {
  ResponseHeader header = {};
  bool swapped = false;
  std::optional<KeyValue> current =
      {};  // If !swapped: what is there, or nothing if no such key is.
};

struct IncrementResponse {
  ResponseHeader header = {};
  int64_t value = 0;  // After the increment.
};

struct AppendResponse {
  ResponseHeader header = {};
  std::string value = {};  // After the append.
};

// Thread-safe; a copy costs a pointer. Usable while its Client lives: later calls end with
// Reason::kCancelled.
class Kv {
 public:
  explicit Kv(std::shared_ptr<internal::Core> core) : core_(std::move(core)) {}

  // --- etcd's requests, with all their options ----------------------------------------------

  Result<RangeResponse> Range(RangeRequest request, CallOptions options = {}) const;
  Result<PutResponse> Put(PutRequest request, CallOptions options = {}) const;
  Result<DeleteResponse> Delete(DeleteRequest request, CallOptions options = {}) const;
  // Retried like a read if it is read_only().
  Result<TxnResponse> Commit(Txn txn, CallOptions options = {}) const;
  Result<CompactResponse> Compact(CompactRequest request, CallOptions options = {}) const;

  Pending<RangeResponse> RangeAsync(RangeRequest request, CallOptions options = {}) const;
  Pending<PutResponse> PutAsync(PutRequest request, CallOptions options = {}) const;
  Pending<DeleteResponse> DeleteAsync(DeleteRequest request, CallOptions options = {}) const;
  Pending<TxnResponse> CommitAsync(Txn txn, CallOptions options = {}) const;
  Pending<CompactResponse> CompactAsync(CompactRequest request, CallOptions options = {}) const;

  // --- The same for one key -----------------------------------------------------------------

  // A key that is not there is no error.
  Result<GetResponse> Get(std::string_view key, CallOptions options = {}) const;
  Result<PutResponse> Put(std::string_view key, std::string_view value,
                          CallOptions options = {}) const;
  Result<DeleteResponse> Delete(std::string_view key, CallOptions options = {}) const;

  Pending<GetResponse> GetAsync(std::string_view key, CallOptions options = {}) const;
  Pending<PutResponse> PutAsync(std::string_view key, std::string_view value,
                                CallOptions options = {}) const;
  Pending<DeleteResponse> DeleteAsync(std::string_view key, CallOptions options = {}) const;

  // --- Helpers that are one request ---------------------------------------------------------

  // Whether the key is there, as of some moment during the call. One linearizable Range that
  // carries no value; fails as a read does.
  Result<bool> Exists(std::string_view key, CallOptions options = {}) const;
  Pending<bool> ExistsAsync(std::string_view key, CallOptions options = {}) const;

  // All keys as they were at one revision. One transaction of reads, so at most as many keys as
  // the server allows operations (128): more are refused with Reason::kTooManyOperations. Fails
  // as a read does; none of the keys being there is no error. No keys at all are
  // Reason::kInvalidOptions.
  Result<GetManyResponse> GetMany(std::vector<std::string> keys, CallOptions options = {}) const;
  Pending<GetManyResponse> GetManyAsync(std::vector<std::string> keys,
                                        CallOptions options = {}) const;

  // Puts all or none, at one revision. One transaction, so at most as many as the server allows
  // operations (128), and no key twice (Reason::kDuplicateKey). Fails as a write does: if the
  // class is kUnknown, either all were put or none. No keys are Reason::kInvalidOptions.
  Result<TxnResponse> PutMany(std::vector<std::pair<std::string, std::string>> pairs,
                              WriteOptions write = {}, CallOptions options = {}) const;
  Pending<TxnResponse> PutManyAsync(std::vector<std::pair<std::string, std::string>> pairs,
                                    WriteOptions write = {}, CallOptions options = {}) const;

  // Puts the key only if it is not there. One transaction guarded by create revision 0. That the
  // key was there is a response, not an error. Fails as a write does: if the class is kUnknown,
  // the key may have been put; asking again then may answer "not created" for one's own put.
  Result<PutIfAbsentResponse> PutIfAbsent(std::string_view key, std::string_view value,
                                          WriteOptions write = {}, CallOptions options = {}) const;
  Pending<PutIfAbsentResponse> PutIfAbsentAsync(std::string_view key, std::string_view value,
                                                WriteOptions write = {},
                                                CallOptions options = {}) const;

  // Puts the key only if its mod revision is `mod_revision`; 0: only if it is not there. One
  // guarded transaction. A lost comparison is a response that carries what is there. Fails as a
  // write does: if the class is kUnknown, read the key: one's own value at a revision above
  // `mod_revision` may be the swap.
  Result<CompareAndSwapResponse> CompareAndSwap(std::string_view key, int64_t mod_revision,
                                                std::string_view value, WriteOptions write = {},
                                                CallOptions options = {}) const;
  Pending<CompareAndSwapResponse> CompareAndSwapAsync(std::string_view key, int64_t mod_revision,
                                                      std::string_view value,
                                                      WriteOptions write = {},
                                                      CallOptions options = {}) const;

  // --- Helpers that read and then make one guarded transaction ------------------------------

  // Adds `delta` to the decimal number in the key; one that is not there counts as 0. A lease
  // stays. Reads, then puts guarded by the mod revision read; a lost guard has done nothing and
  // brings the newer value, with which it is tried again, at most 64 times
  // (Reason::kContention, class kDropped). A value that is no number (Reason::kNotANumber) or a
  // sum beyond 64 bits (Reason::kOverflow) changes nothing. If the class is kUnknown, it was
  // added once or not at all.
  Result<IncrementResponse> Increment(std::string_view key, int64_t delta = 1,
                                      CallOptions options = {}) const;
  Pending<IncrementResponse> IncrementAsync(std::string_view key, int64_t delta = 1,
                                            CallOptions options = {}) const;

  // Adds `suffix` to the end of the value; a key that is not there counts as empty. Otherwise as
  // Increment. A value that grows too large is refused with Reason::kRequestTooLarge.
  Result<AppendResponse> Append(std::string_view key, std::string_view suffix,
                                CallOptions options = {}) const;
  Pending<AppendResponse> AppendAsync(std::string_view key, std::string_view suffix,
                                      CallOptions options = {}) const;

  // Reads a range of any size in pages at one revision: see RangePager.
  RangePager Pages(RangeRequest request, PageOptions page = {}, CallOptions options = {}) const;
  // Reads a range of any size as one stream at one revision: see RangeStream.
  RangeStream Stream(RangeRequest request, CallOptions options = {}) const;

 private:
  std::shared_ptr<internal::Core> core_;
};

}  // namespace gavel::client
