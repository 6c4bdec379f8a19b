// What a request must be before anything is done with it. One function per rule.
//
// Each returns the error to answer with, or nothing. The rules are etcd's; a refused request has
// had no effect.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/etcdserverpb/kv.pb.h"
#include "server/rpc/error_map.h"

namespace gavel::server {

// kEmptyKey if there is none.
std::optional<Error> CheckKey(std::string_view key);

// kInvalidSortOption for numbers outside the two enumerations (proto3 lets them through).
std::optional<Error> CheckSortOption(const etcdserverpb::RangeRequest& request);

std::optional<Error> CheckRange(const etcdserverpb::RangeRequest& request);

// What RangeStream refuses beyond CheckRange: sorting and revision filters.
std::optional<Error> CheckRangeStream(const etcdserverpb::RangeRequest& request);

std::optional<Error> CheckPut(const etcdserverpb::PutRequest& request);

std::optional<Error> CheckDeleteRange(const etcdserverpb::DeleteRangeRequest& request);

// The shape of a transaction and all it holds: `ops_max` bounds the longest of its three lists,
// and what is nested gets what is left of it; compares name keys; every operation is one.
std::optional<Error> CheckTxnShape(const etcdserverpb::TxnRequest& request, int64_t ops_max);

// kDuplicateKey if one branch puts a key twice, or puts a key inside an interval that it deletes.
//
// Branches are looked at with what is nested in them; the two branches of a nested transaction
// exclude one another, so both may put a key. Requires: the shape is right.
std::optional<Error> CheckDuplicateKeys(const etcdserverpb::TxnRequest& request);

// Both of the above.
std::optional<Error> CheckTxn(const etcdserverpb::TxnRequest& request, int64_t ops_max);

// kRequestTooLarge for what is too large to be replicated.
std::optional<Error> CheckRequestBytes(uint64_t bytes, uint64_t bytes_max);

// kInvalidClientApiVersion unless the metadata value is UTF-8.
std::optional<Error> CheckClientApiVersion(std::string_view version);

}  // namespace gavel::server
