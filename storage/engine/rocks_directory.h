// A RocksDB store as a directory: to be thrown away, or put in the place of another.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace gavel::storage {

// Throws away the store at `path`, if there is one. Requires: it is not open.
absl::Status RemoveRocksDirectory(const std::string& path);

// Puts the store at `from` in the place of the one at `to`, which is thrown away; durable on
// return. Nothing if there is none at `from`: then an earlier call has done it. A crash in between
// leaves `from` where it was, or at `to`. Requires: neither is open, and both are on one file
// system.
absl::Status ReplaceRocksDirectory(const std::string& from, const std::string& to);

}  // namespace gavel::storage
