// Transactions, with all that may be nested in them, made from the bytes of an input.
#pragma once

#include "proto/etcdserverpb/kv.pb.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {

// Uses few keys, so that they meet; now and then one that no request may have.
etcdserverpb::TxnRequest MakeTxn(Choices& choices);
etcdserverpb::PutRequest MakePut(Choices& choices);
etcdserverpb::RangeRequest MakeRange(Choices& choices);
etcdserverpb::DeleteRangeRequest MakeDelete(Choices& choices);

}  // namespace gavel::fuzz
