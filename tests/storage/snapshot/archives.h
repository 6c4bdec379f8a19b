// Stores worth writing into an archive, and archives as whole strings.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "storage/snapshot/archive_reader.h"
#include "storage/snapshot/archive_writer.h"
#include "storage/snapshot/installer.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {

inline constexpr storage::ArchiveOrigin kOrigin = {0xc1, raft::NodeId(1)};

// Keys with several versions, deleted and made again; leases, some renewed; a compaction that is
// above some of it.
void Fill(Store& store);

std::string WriteArchive(const Store& store);
absl::StatusOr<storage::ArchiveSummary> ReadArchive(std::string_view archive,
                                                    storage::ArchiveReaderOptions options = {});
// In pieces of `piece` bytes.
absl::StatusOr<storage::ArchiveSummary> Install(std::string_view archive, storage::Engine& engine,
                                                size_t piece = 1000);

}  // namespace gavel::testing
