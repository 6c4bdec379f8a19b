// A power cut while RocksDB appends to its MANIFEST may leave zeros where the end of the record
// was to be, and RocksDB does not open such a file. Nobody was told that record was durable, so
// it can be cut off.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace gavel::storage {

// Returns where to cut a MANIFEST with these bytes: the end of its last whole record, if all that
// follows is one damaged record that ends in zeros. Any other damage is not ours to repair.
std::optional<size_t> FindTornTail(std::string_view manifest);

// Cuts a torn record off the MANIFEST in use in `directory`, durably. Returns what an operator
// should know of it, or nothing if there was nothing to do.
absl::StatusOr<std::string> CutTornManifest(rocksdb::Env& env, const std::string& directory);

}  // namespace gavel::storage
