// Archives in files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "storage/disk/disk.h"

namespace gavel::storage {

// Gives the bytes of the file at `path` to `take` in order, a bounded piece at a time. Errors are
// those of the disk and of `take`, with the path before them.
absl::Status ForEachPiece(Disk& disk, const std::string& path,
                          const std::function<absl::Status(std::string_view)>& take);

}  // namespace gavel::storage
