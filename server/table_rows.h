// For tables that are looked up by the values of an enumeration.
#pragma once

#include <cstddef>

namespace gavel::server {

// Whether row i is that of the value i, by the rows' member `key`, up to the value `last`.
template <class Row, size_t N, class Key>
constexpr bool RowsFollow(const Row (&rows)[N], Key Row::* key, Key last) {
  for (size_t i = 0; i < N; ++i) {
    if (static_cast<size_t>(rows[i].*key) != i) return false;
  }
  return N == static_cast<size_t>(last) + 1;
}

}  // namespace gavel::server
