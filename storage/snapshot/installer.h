// Fills an empty engine from an archive.
#pragma once

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/snapshot/archive_reader.h"

namespace gavel::storage {

// The rows of `meta` are written last, in one batch, when the whole archive has been checked: an
// engine without them is no store (StateMachine::Open refuses it), so a crash leaves a whole one or
// none. What is left of none must be thrown away.
//
// Passive, one thread, the engine's only writer. Memory does not grow with the archive.
class ArchiveInstaller {
 public:
  // FailedPrecondition: the engine is not empty. It must outlive the installer.
  static absl::StatusOr<std::unique_ptr<ArchiveInstaller>> Create(
      Engine& engine, ArchiveReaderOptions options = {});
  ~ArchiveInstaller();

  // Takes the next bytes. Errors are those of ArchiveReader and of the engine; an engine that
  // stalls is flushed, which blocks, and tried again.
  absl::Status Feed(std::string_view bytes);
  // Nothing more comes: the store is whole and durable when this returns OK.
  absl::StatusOr<ArchiveSummary> Finish();

 private:
  class Impl;
  explicit ArchiveInstaller(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::storage
