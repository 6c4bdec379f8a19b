#include "storage/engine/rocks_directory.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

#include "storage/disk/path.h"
#include "storage/disk/posix_disk.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

absl::Status Failed(const char* call, const std::string& path, const std::error_code& error) {
  return absl::InternalError(absl::StrCat(call, " ", path, ": ", error.message()));
}

}  // namespace

absl::Status RemoveRocksDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return Failed("remove", path, error);
  return absl::OkStatus();
}

absl::Status ReplaceRocksDirectory(const std::string& from, const std::string& to) {
  std::error_code error;
  if (!std::filesystem::exists(from, error)) {
    return error ? Failed("stat", from, error) : absl::OkStatus();
  }
  GAVEL_RETURN_IF_ERROR(RemoveRocksDirectory(to));
  std::filesystem::rename(from, to, error);
  if (error) return Failed("rename", from, error);
  PosixDisk disk;
  GAVEL_RETURN_IF_ERROR(disk.SyncDirectory(ParentPath(to)));
  return disk.SyncDirectory(ParentPath(from));
}

}  // namespace gavel::storage
