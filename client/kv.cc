#include "client/kv.h"

#include <utility>

#include "client/internal/submit.h"
#include "client/internal/update.h"

namespace gavel::client {
namespace {

using internal::Block;
using internal::FromProto;
using internal::kRead;
using internal::kWrite;
using internal::Submit;
using internal::ToProto;

constexpr char kRangeMethod[] = "/etcdserverpb.KV/Range";
constexpr char kPutMethod[] = "/etcdserverpb.KV/Put";
constexpr char kDeleteMethod[] = "/etcdserverpb.KV/DeleteRange";
constexpr char kTxnMethod[] = "/etcdserverpb.KV/Txn";
constexpr char kCompactMethod[] = "/etcdserverpb.KV/Compact";

PutRequest MakePut(std::string_view key, std::string_view value, const WriteOptions& write) {
  return {.key = std::string(key),
          .value = std::string(value),
          .lease = write.lease,
          .ignore_lease = write.ignore_lease};
}

CallOptions WithTimeout(CallOptions options, const internal::Core& core) {
  if (options.timeout.count() <= 0) options.timeout = core.options().timeout;
  return options;
}

// The one row that the only operation of a failed branch read.
std::optional<KeyValue> RowOf(const TxnResponse& response) {
  if (response.responses.size() != 1 || response.responses[0].range() == nullptr) return {};
  const RangeResponse& range = *response.responses[0].range();
  if (range.kvs.empty()) return {};
  return range.kvs[0];
}

// Commits, and makes T of the response.
template <class T>
Pending<T> CommitAs(const std::shared_ptr<internal::Core>& core, const Txn& txn,
                    CallOptions options, std::function<T(TxnResponse)> convert) {
  return Submit<T, etcdserverpb::TxnResponse>(
      core, kTxnMethod, ToProto(txn), txn.read_only(), std::move(options),
      [convert = std::move(convert)](etcdserverpb::TxnResponse* response) {
        return Result<T>(convert(FromProto(response)));
      });
}

}  // namespace

Pending<RangeResponse> Kv::RangeAsync(RangeRequest request, CallOptions options) const {
  return Submit<RangeResponse, etcdserverpb::RangeResponse>(core_, kRangeMethod, ToProto(request),
                                                            kRead, std::move(options));
}

Pending<PutResponse> Kv::PutAsync(PutRequest request, CallOptions options) const {
  return Submit<PutResponse, etcdserverpb::PutResponse>(core_, kPutMethod, ToProto(request), kWrite,
                                                        std::move(options));
}

Pending<DeleteResponse> Kv::DeleteAsync(DeleteRequest request, CallOptions options) const {
  return Submit<DeleteResponse, etcdserverpb::DeleteRangeResponse>(
      core_, kDeleteMethod, ToProto(request), kWrite, std::move(options));
}

Pending<TxnResponse> Kv::CommitAsync(Txn txn, CallOptions options) const {
  return Submit<TxnResponse, etcdserverpb::TxnResponse>(core_, kTxnMethod, ToProto(txn),
                                                        txn.read_only(), std::move(options));
}

Pending<CompactResponse> Kv::CompactAsync(CompactRequest request, CallOptions options) const {
  return Submit<CompactResponse, etcdserverpb::CompactionResponse>(
      core_, kCompactMethod, ToProto(request), kWrite, std::move(options));
}

Pending<GetResponse> Kv::GetAsync(std::string_view key, CallOptions options) const {
  return Submit<GetResponse, etcdserverpb::RangeResponse>(
      core_, kRangeMethod, ToProto(RangeRequest{.range = key}), kRead, std::move(options),
      [](etcdserverpb::RangeResponse* message) {
        RangeResponse range = FromProto(message);
        GetResponse response{.header = range.header, .kv = {}};
        if (!range.kvs.empty()) response.kv = std::move(range.kvs[0]);
        return Result<GetResponse>(std::move(response));
      });
}

Pending<PutResponse> Kv::PutAsync(std::string_view key, std::string_view value,
                                  CallOptions options) const {
  return PutAsync(MakePut(key, value, {}), std::move(options));
}

Pending<DeleteResponse> Kv::DeleteAsync(std::string_view key, CallOptions options) const {
  return DeleteAsync(DeleteRequest{.range = key}, std::move(options));
}

Pending<bool> Kv::ExistsAsync(std::string_view key, CallOptions options) const {
  return Submit<bool, etcdserverpb::RangeResponse>(
      core_, kRangeMethod, ToProto(RangeRequest{.range = key, .count_only = true}), kRead,
      std::move(options),
      [](etcdserverpb::RangeResponse* message) { return Result<bool>(message->count() > 0); });
}

Pending<GetManyResponse> Kv::GetManyAsync(std::vector<std::string> keys,
                                          CallOptions options) const {
  if (keys.empty()) {
    return internal::Ended<GetManyResponse>(internal::InvalidOptions("GetMany: no keys are given"));
  }
  Txn txn;
  for (std::string& key : keys) txn.Then(RangeRequest{.range = std::move(key)});
  return CommitAs<GetManyResponse>(core_, txn, std::move(options), [](TxnResponse response) {
    GetManyResponse many{.header = response.header, .kvs = {}};
    for (const OpResponse& op : response.responses) {
      const RangeResponse* range = op.range();
      many.kvs.push_back(range && !range->kvs.empty() ? std::optional(range->kvs[0])
                                                      : std::nullopt);
    }
    return many;
  });
}

Pending<TxnResponse> Kv::PutManyAsync(std::vector<std::pair<std::string, std::string>> pairs,
                                      WriteOptions write, CallOptions options) const {
  if (pairs.empty()) {
    return internal::Ended<TxnResponse>(internal::InvalidOptions("PutMany: no keys are given"));
  }
  Txn txn;
  for (const auto& [key, value] : pairs) txn.Then(MakePut(key, value, write));
  return CommitAsync(std::move(txn), std::move(options));
}

Pending<PutIfAbsentResponse> Kv::PutIfAbsentAsync(std::string_view key, std::string_view value,
                                                  WriteOptions write, CallOptions options) const {
  Txn txn;
  txn.If(Compare::Missing(key)).Then(MakePut(key, value, write)).Else(RangeRequest{.range = key});
  return CommitAs<PutIfAbsentResponse>(core_, txn, std::move(options), [](TxnResponse response) {
    PutIfAbsentResponse put{
        .header = response.header, .created = response.succeeded, .existing = {}};
    if (!response.succeeded) put.existing = RowOf(response);
    return put;
  });
}

Pending<CompareAndSwapResponse> Kv::CompareAndSwapAsync(std::string_view key, int64_t mod_revision,
                                                        std::string_view value, WriteOptions write,
                                                        CallOptions options) const {
  Txn txn;
  txn.If(Compare::ModRevision(key).Equal(mod_revision))
      .Then(MakePut(key, value, write))
      .Else(RangeRequest{.range = key});
  return CommitAs<CompareAndSwapResponse>(core_, txn, std::move(options), [](TxnResponse response) {
    CompareAndSwapResponse swap{
        .header = response.header, .swapped = response.succeeded, .current = {}};
    if (!response.succeeded) swap.current = RowOf(response);
    return swap;
  });
}

Pending<IncrementResponse> Kv::IncrementAsync(std::string_view key, int64_t delta,
                                              CallOptions options) const {
  return internal::Update<IncrementResponse>(
      *this, key, WithTimeout(std::move(options), *core_),
      [delta](std::string_view value) { return internal::AddToNumber(value, delta); },
      [](const TxnResponse& response, const std::string& value) {
        return IncrementResponse{.header = response.header,
                                 .value = internal::ParseNumber(value).value_or(0)};
      });
}

Pending<AppendResponse> Kv::AppendAsync(std::string_view key, std::string_view suffix,
                                        CallOptions options) const {
  return internal::Update<AppendResponse>(
      *this, key, WithTimeout(std::move(options), *core_),
      [added = std::string(suffix)](std::string_view value) {
        return Result<std::string>(std::string(value) + added);
      },
      [](const TxnResponse& response, const std::string& value) {
        return AppendResponse{.header = response.header, .value = value};
      });
}

RangePager Kv::Pages(RangeRequest request, PageOptions page, CallOptions options) const {
  return RangePager(core_, std::move(request), page, std::move(options));
}

RangeStream Kv::Stream(RangeRequest request, CallOptions options) const {
  return RangeStream(core_, std::move(request), std::move(options));
}

// --- The blocking forms -----------------------------------------------------------------------

Result<RangeResponse> Kv::Range(RangeRequest request, CallOptions options) const {
  return Block([&] { return RangeAsync(std::move(request), std::move(options)); });
}
Result<PutResponse> Kv::Put(PutRequest request, CallOptions options) const {
  return Block([&] { return PutAsync(std::move(request), std::move(options)); });
}
Result<DeleteResponse> Kv::Delete(DeleteRequest request, CallOptions options) const {
  return Block([&] { return DeleteAsync(std::move(request), std::move(options)); });
}
Result<TxnResponse> Kv::Commit(Txn txn, CallOptions options) const {
  return Block([&] { return CommitAsync(std::move(txn), std::move(options)); });
}
Result<CompactResponse> Kv::Compact(CompactRequest request, CallOptions options) const {
  return Block([&] { return CompactAsync(std::move(request), std::move(options)); });
}
Result<GetResponse> Kv::Get(std::string_view key, CallOptions options) const {
  return Block([&] { return GetAsync(key, std::move(options)); });
}
Result<PutResponse> Kv::Put(std::string_view key, std::string_view value,
                            CallOptions options) const {
  return Block([&] { return PutAsync(key, value, std::move(options)); });
}
Result<DeleteResponse> Kv::Delete(std::string_view key, CallOptions options) const {
  return Block([&] { return DeleteAsync(key, std::move(options)); });
}
Result<bool> Kv::Exists(std::string_view key, CallOptions options) const {
  return Block([&] { return ExistsAsync(key, std::move(options)); });
}
Result<GetManyResponse> Kv::GetMany(std::vector<std::string> keys, CallOptions options) const {
  return Block([&] { return GetManyAsync(std::move(keys), std::move(options)); });
}
Result<TxnResponse> Kv::PutMany(std::vector<std::pair<std::string, std::string>> pairs,
                                WriteOptions write, CallOptions options) const {
  return Block([&] { return PutManyAsync(std::move(pairs), write, std::move(options)); });
}
Result<PutIfAbsentResponse> Kv::PutIfAbsent(std::string_view key, std::string_view value,
                                            WriteOptions write, CallOptions options) const {
  return Block([&] { return PutIfAbsentAsync(key, value, write, std::move(options)); });
}
Result<CompareAndSwapResponse> Kv::CompareAndSwap(std::string_view key, int64_t mod_revision,
                                                  std::string_view value, WriteOptions write,
                                                  CallOptions options) const {
  return Block(
      [&] { return CompareAndSwapAsync(key, mod_revision, value, write, std::move(options)); });
}
Result<IncrementResponse> Kv::Increment(std::string_view key, int64_t delta,
                                        CallOptions options) const {
  return Block([&] { return IncrementAsync(key, delta, std::move(options)); });
}
Result<AppendResponse> Kv::Append(std::string_view key, std::string_view suffix,
                                  CallOptions options) const {
  return Block([&] { return AppendAsync(key, suffix, std::move(options)); });
}

}  // namespace gavel::client
