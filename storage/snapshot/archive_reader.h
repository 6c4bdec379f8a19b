// Reads an archive as its bytes come in, and believes nothing that it has not checked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/snapshot/format.h"

namespace gavel::storage {

struct ArchiveSummary {
  ArchiveHeader header;
  ArchiveTotals totals;
  uint64_t bytes = 0;  // Of the whole archive.
};

struct ArchiveReaderOptions {
  // Leaves out only the comparison with the SHA-256 at the end; every block is checked all the
  // same.
  bool skip_digest = false;
};

// Shown the rows while they are read, in the order of the archive: families as
// archive::kFamilyOrder, each by key. The views are valid during the call; an error ends the
// reading. Rows may be shown of an archive that turns out to be damaged later.
using OnArchiveRow =
    std::function<absl::Status(Family family, std::string_view key, std::string_view value)>;

// Passive, one thread. Holds at most one block, and of a block only what its checked header says.
//
// Errors: DataLoss names the offset and what is damaged there; FailedPrecondition is a newer
// version, by number. After an error every call returns it again.
class ArchiveReader {
 public:
  // `on_row` may be null.
  explicit ArchiveReader(OnArchiveRow on_row, ArchiveReaderOptions options = {});
  ~ArchiveReader();

  // Takes the next bytes of the archive, however they are cut.
  absl::Status Feed(std::string_view bytes);
  // Nothing more comes. OK only if the archive was whole, down to its digest.
  absl::StatusOr<ArchiveSummary> Finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::storage
