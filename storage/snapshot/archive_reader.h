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

// Who is told what the archive holds, while it is read. Either may be empty; an error ends the
// reading.
struct ArchiveVisitor {
  std::function<absl::Status(const ArchiveHeader& header)> on_header;
  // Rows come in the order of the archive: families as archive::kFamilyOrder, each by key. The
  // views are valid during the call. Rows may be shown of an archive that turns out to be damaged
  // later.
  std::function<absl::Status(Family family, std::string_view key, std::string_view value)> on_row;
};

// Passive, one thread. Holds at most one block, and of a block only what its checked header says.
//
// Errors: DataLoss names the offset and what is damaged there; FailedPrecondition is a newer
// version, by number. After an error every call returns it again.
class ArchiveReader {
 public:
  explicit ArchiveReader(ArchiveVisitor visitor, ArchiveReaderOptions options = {});
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
