// The file a MapEngine's checkpoint consists of.
//
// DIRECTORY/MAP: "GVLMAP01"; for each family in the order of the enum a u64 count and as many
// (u32 key size, u32 value size, key, value); a u64 FNV-1a hash of all before. Little endian.
#pragma once

#include <array>
#include <string>

#include "absl/status/status.h"

#include "storage/disk/disk.h"
#include "storage/engine/engine.h"
#include "storage/engine/persistent_map.h"

namespace gavel::storage {

// Creates `directory`, durably. AlreadyExists if it is there.
absl::Status WriteMapCheckpoint(Disk& disk, const std::string& directory,
                                const std::array<PersistentMap, kFamilyCount>& families);

// DataLoss if the file is not whole.
absl::Status ReadMapCheckpoint(Disk& disk, const std::string& directory,
                               std::array<PersistentMap, kFamilyCount>& families);

}  // namespace gavel::storage
