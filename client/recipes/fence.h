// What a lock is worth to those whom it protects: a fencing token, and a guard for transactions.
//
// Whoever holds a lock can be paused, and go on when the lock has long been another's. No lock of
// any kind helps against that; only the protected resource can, by refusing whoever is late. If it
// is in the same store, put the guard into each transaction: it fails once the lock was lost. If it
// is elsewhere, hand it the token, which grows with each holder, and let it refuse a smaller one
// than it has seen.
#pragma once

#include <cstdint>
#include <string>

#include "client/txn.h"

namespace gavel::client::recipes {

struct Fence {
  std::string key = {};  // Exists as long as the lock is held.
  int64_t token = 0;     // The key's create revision.

  Compare guard() const { return Compare::CreateRevision(key).Equal(token); }
  friend bool operator==(const Fence&, const Fence&) = default;
};

}  // namespace gavel::client::recipes
