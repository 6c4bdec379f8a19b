// Valid requests of the key-value service, drawn at random.
#pragma once

#include "proto/etcdserverpb/kv.pb.h"
#include "tests/conformance/vocabulary.h"

namespace gavel::conformance {

etcdserverpb::RangeRequest NewRange(Vocabulary& words);
etcdserverpb::PutRequest NewPut(Vocabulary& words);
etcdserverpb::DeleteRangeRequest NewDelete(Vocabulary& words);
etcdserverpb::Compare NewCompare(Vocabulary& words);
// Nested up to `depth` levels below itself.
etcdserverpb::TxnRequest NewTxn(Vocabulary& words, int depth);
// Nested transactions of one level that put, delete and read one key after one another.
etcdserverpb::TxnRequest NewSiblings(Vocabulary& words);

// etcd ends its process when a transaction deletes a key by an interval without an end and then
// puts it with ignore_value or ignore_lease. Takes these two from a transaction that has such an
// interval; true if it had both.
bool KeepEtcdAlive(etcdserverpb::TxnRequest* txn);

}  // namespace gavel::conformance
