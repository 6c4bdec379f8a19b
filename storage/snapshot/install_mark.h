// The one file that says that a received snapshot takes the place of a member's state.
//
// A member that has received an archive whole and filled a store with it, and whose core wants it,
// writes the mark and starts again; the start puts the store in the place of the old one. So a
// crash at any moment leaves the old state or the new one.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/disk/disk.h"

namespace gavel::storage {

// The store that was received is to become the state; it holds everything up to `last`. Durable on
// return. `path`: of the mark; its directory must be there.
absl::Status WriteInstallMark(Disk& disk, const std::string& path, raft::EntryId last);

// Nothing if there is no mark. DataLoss: damaged; the message names the file and what to do.
// FailedPrecondition: of a newer version.
absl::StatusOr<std::optional<raft::EntryId>> ReadInstallMark(Disk& disk, const std::string& path);

// Durable on return. NotFound: there is none.
absl::Status RemoveInstallMark(Disk& disk, const std::string& path);

}  // namespace gavel::storage
