#include "storage/snapshot/installer.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

constexpr size_t kBatchBytes = 1 << 20;
// How often a batch is tried again after a flush: a stall passes with that, a full disk does not.
constexpr int kWriteAttempts = 3;

}  // namespace

class ArchiveInstaller::Impl {
 public:
  Impl(Engine& engine, ArchiveReaderOptions options)
      : engine_(engine),
        reader_([this](Family family, std::string_view key,
                       std::string_view value) { return Add(family, key, value); },
                options) {}

  absl::Status CheckEmpty() const {
    for (int number = 0; number < kFamilyCount; ++number) {
      const std::unique_ptr<Iterator> iterator = engine_.NewIterator(static_cast<Family>(number));
      iterator->SeekToFirst();
      GAVEL_RETURN_IF_ERROR(iterator->status());
      if (iterator->Valid()) {
        return absl::FailedPreconditionError(
            "a snapshot can only be installed in an empty store, and this one holds rows");
      }
    }
    return absl::OkStatus();
  }

  absl::Status Feed(std::string_view bytes) { return reader_.Feed(bytes); }

  absl::StatusOr<ArchiveSummary> Finish() {
    GAVEL_ASSIGN_OR_RETURN(ArchiveSummary summary, reader_.Finish());
    GAVEL_RETURN_IF_ERROR(Write(rows_));
    // The rows first: what makes them a store must not be durable before them.
    GAVEL_RETURN_IF_ERROR(engine_.Flush());
    GAVEL_RETURN_IF_ERROR(Write(meta_));
    GAVEL_RETURN_IF_ERROR(engine_.Flush());
    return summary;
  }

 private:
  absl::Status Add(Family family, std::string_view key, std::string_view value) {
    if (family == Family::kMeta) {
      meta_.Put(family, key, value);
      return absl::OkStatus();
    }
    rows_.Put(family, key, value);
    return rows_.bytes() < kBatchBytes ? absl::OkStatus() : Write(rows_);
  }

  absl::Status Write(WriteBatch& batch) {
    if (batch.empty()) return absl::OkStatus();
    absl::Status status;
    for (int attempt = 0; attempt < kWriteAttempts; ++attempt) {
      status = engine_.Write(batch);
      if (!absl::IsResourceExhausted(status)) break;
      GAVEL_RETURN_IF_ERROR(engine_.Flush());
    }
    if (status.ok()) batch.Clear();
    return status;
  }

  Engine& engine_;
  WriteBatch rows_;
  WriteBatch meta_;
  ArchiveReader reader_;
};

absl::StatusOr<std::unique_ptr<ArchiveInstaller>> ArchiveInstaller::Create(
    Engine& engine, ArchiveReaderOptions options) {
  auto impl = std::make_unique<Impl>(engine, options);
  GAVEL_RETURN_IF_ERROR(impl->CheckEmpty());
  return std::unique_ptr<ArchiveInstaller>(new ArchiveInstaller(std::move(impl)));
}

ArchiveInstaller::ArchiveInstaller(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ArchiveInstaller::~ArchiveInstaller() = default;
absl::Status ArchiveInstaller::Feed(std::string_view bytes) { return impl_->Feed(bytes); }
absl::StatusOr<ArchiveSummary> ArchiveInstaller::Finish() { return impl_->Finish(); }

}  // namespace gavel::storage
