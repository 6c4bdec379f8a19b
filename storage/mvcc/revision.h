// Revisions: the store's own count of changes.
#pragma once

#include <compare>
#include <cstdint>

namespace gavel::storage {

// The store-wide counter: 1 for a fresh store, +1 for each transaction that changes something.
using Revision = int64_t;

// One change: the transaction's revision, and the change's place in it.
struct ChangeId {
  Revision main = 0;
  int32_t sub = 0;

  friend auto operator<=>(const ChangeId&, const ChangeId&) = default;
};

}  // namespace gavel::storage
