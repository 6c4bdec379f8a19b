#include "storage/snapshot/install_mark.h"

#include <string_view>

#include "absl/strings/str_cat.h"

#include "storage/disk/double_block.h"
#include "storage/disk/little_endian.h"
#include "storage/disk/path.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

// Body: index and term, eight bytes each.
constexpr BlockFormat kFormat{.magic = "GVLINSTL", .version = 1};
constexpr size_t kBodyBytes = 16;

}  // namespace

absl::Status WriteInstallMark(Disk& disk, const std::string& path, raft::EntryId last) {
  std::string body;
  AppendLittleEndian(body, last.index.value());
  AppendLittleEndian(body, last.term.value());
  return DoubleBlock::Create(disk, path, kFormat, body).status();
}

absl::StatusOr<std::optional<raft::EntryId>> ReadInstallMark(Disk& disk, const std::string& path) {
  GAVEL_ASSIGN_OR_RETURN(const bool exists, disk.Exists(path));
  if (!exists) return std::nullopt;
  GAVEL_ASSIGN_OR_RETURN(const DoubleBlock block, DoubleBlock::Open(disk, path, kFormat));
  if (block.body().size() != kBodyBytes) {
    return absl::DataLossError(absl::StrCat(path, ": ", block.body().size(), " bytes instead of ",
                                            kBodyBytes, ": the file is damaged"));
  }
  const char* const body = block.body().data();
  return raft::EntryId{raft::Index(LoadLittleEndian<uint64_t>(body)),
                       raft::Term(LoadLittleEndian<uint64_t>(body + 8))};
}

absl::Status RemoveInstallMark(Disk& disk, const std::string& path) {
  GAVEL_RETURN_IF_ERROR(disk.Remove(path));
  return disk.SyncDirectory(ParentPath(path));
}

}  // namespace gavel::storage
