#include "storage/wal/segment_preparer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "storage/disk/path.h"
#include "storage/status_macros.h"

namespace gavel::storage::wal {

SegmentPreparer::SegmentPreparer(Disk& disk, const WalOptions& options)
    : disk_(disk),
      segment_bytes_(options.segment_bytes),
      step_bytes_(std::max<uint64_t>(options.zero_step_bytes, 1)),
      directory_(options.directory) {}

absl::StatusOr<bool> SegmentPreparer::Step() {
  std::optional<PreparedFile> prepared;
  {
    const MutexLock lock(mutex_);
    GAVEL_CHECK(!stepping_);
    if (prepared_ && prepared_->bytes >= segment_bytes_) return false;
    prepared = std::exchange(prepared_, std::nullopt);
    stepping_ = true;
  }
  absl::Status status;
  if (!prepared) {
    const std::string path = JoinPath(directory_, absl::StrCat("prepared-", ++files_, ".tmp"));
    auto file = disk_.Open(path, OpenMode::kCreate);
    status = file.status();
    if (file.ok()) prepared = PreparedFile{*std::move(file), path, 0};
  }
  if (status.ok()) status = Extend(*prepared);
  if (!status.ok() && prepared) {
    // Give back the space that was got: the state engine may need it more.
    const std::string path = std::exchange(prepared, std::nullopt)->path;
    const absl::Status removed = disk_.Remove(path);
    if (absl::IsResourceExhausted(status) && !removed.ok()) status = removed;
  }
  const MutexLock lock(mutex_);
  stepping_ = false;
  if (!status.ok()) return status;
  const bool more = prepared->bytes < segment_bytes_;
  prepared_ = std::move(prepared);
  return more;
}

absl::Status SegmentPreparer::Extend(PreparedFile& prepared) {
  const uint64_t count = std::min(step_bytes_, segment_bytes_ - prepared.bytes);
  GAVEL_RETURN_IF_ERROR(prepared.file->WriteAt(prepared.bytes, std::string(count, '\0')));
  // A sync at each step keeps the writeback small that the log's own syncs may have to wait for.
  GAVEL_RETURN_IF_ERROR(prepared.file->SyncData());
  prepared.bytes += count;
  return absl::OkStatus();
}

std::optional<PreparedFile> SegmentPreparer::Take() {
  const MutexLock lock(mutex_);
  if (!prepared_ || prepared_->bytes < segment_bytes_) return std::nullopt;
  return std::exchange(prepared_, std::nullopt);
}

uint64_t SegmentPreparer::ready_bytes() const {
  const MutexLock lock(mutex_);
  return prepared_ && prepared_->bytes >= segment_bytes_ ? prepared_->bytes : 0;
}

}  // namespace gavel::storage::wal
