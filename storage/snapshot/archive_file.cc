#include "storage/snapshot/archive_file.h"

#include <memory>
#include <span>

#include "absl/strings/str_cat.h"

#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

}  // namespace

absl::Status ForEachPiece(Disk& disk, const std::string& path,
                          const std::function<absl::Status(std::string_view)>& take) {
  // Errors of the disk name the path already.
  GAVEL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.Open(path, OpenMode::kReadOnly));
  std::string piece(kPieceBytes, '\0');
  for (uint64_t offset = 0;;) {
    GAVEL_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(offset, std::span<char>(piece)));
    if (got == 0) return absl::OkStatus();
    if (absl::Status status = take(std::string_view(piece).substr(0, got)); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
    }
    offset += got;
  }
}

}  // namespace gavel::storage
