#include "server/util/commands.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/options.h"
#include "server/util/restore.h"
#include "storage/disk/data_directory.h"
#include "storage/disk/path.h"
#include "storage/engine/rocks_engine.h"
#include "storage/mvcc/hash.h"
#include "storage/snapshot/archive_file.h"
#include "storage/snapshot/archive_reader.h"
#include "storage/state/state_machine.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

constexpr int64_t kHashRowsPerStep = 65536;

PrintedValue Number(std::string column, std::string field, std::string key, int64_t value) {
  const std::string text = absl::StrCat(value);
  return {std::move(column), std::move(field), std::move(key), text, text};
}

absl::StatusOr<uint64_t> FileBytes(storage::Disk& disk, const std::string& path) {
  GAVEL_ASSIGN_OR_RETURN(const auto file, disk.Open(path, storage::OpenMode::kReadOnly));
  return file->Size();
}

// Told bytes done, shows how far that is, each time a percent more.
class ProgressLine {
 public:
  ProgressLine(const UtilSurroundings& surroundings, std::string what, uint64_t all)
      : surroundings_(surroundings), what_(std::move(what)), all_(all) {}

  void operator()(uint64_t bytes) {
    const uint64_t percent = all_ == 0 ? 100 : bytes * 100 / all_;
    if (!surroundings_.tell_progress || percent == shown_) return;
    shown_ = percent;
    surroundings_.tell_progress(
        absl::StrCat(what_, " ", percent, "% of ", ShownBytes(all_), percent == 100 ? "\n" : ""));
  }

 private:
  const UtilSurroundings& surroundings_;
  const std::string what_;
  const uint64_t all_;
  uint64_t shown_ = UINT64_MAX;
};

absl::StatusOr<std::shared_ptr<storage::Engine>> OpenEngine(const std::string& path,
                                                            bool read_only) {
  storage::RocksOptions options;
  options.path = path;
  options.read_only = read_only;
  options.create_if_missing = !read_only;
  return storage::OpenRocksEngine(std::move(options));
}

}  // namespace

absl::StatusOr<std::string> SnapshotStatus(const UtilSurroundings& surroundings,
                                           const std::string& path, PrintFormat format) {
  GAVEL_ASSIGN_OR_RETURN(const uint64_t bytes, FileBytes(surroundings.disk, path));
  ProgressLine progress(surroundings, "checking", bytes);
  storage::ArchiveReader reader(nullptr);
  uint64_t read = 0;
  GAVEL_RETURN_IF_ERROR(storage::ForEachPiece(surroundings.disk, path, [&](std::string_view piece) {
    progress(read += piece.size());
    return reader.Feed(piece);
  }));
  const auto summary = reader.Finish();
  if (!summary.ok()) {
    return absl::Status(summary.status().code(),
                        absl::StrCat(path, ": ", summary.status().message()));
  }
  const storage::MetaFormat& state = summary->header.format;
  const std::string version = absl::StrCat(state.format, ".", state.semantics);
  const uint32_t hash = summary->totals.contents;
  return PrintRow(
      format,
      {{"hash", "Hash", "hash", absl::StrFormat("%x", hash), absl::StrCat(hash)},
       Number("revision", "Revision", "revision", summary->header.state.totals.revision),
       Number("total keys", "Keys", "totalKey", static_cast<int64_t>(summary->totals.all_rows())),
       {"total size", "Size", "totalSize", ShownBytes(summary->bytes),
        absl::StrCat(summary->bytes)},
       {"storage version", "Version", "version", version, version, true}});
}

absl::StatusOr<std::string> SnapshotRestore(const UtilSurroundings& surroundings,
                                            const RestoreFlags& flags) {
  if (flags.bump_revision < 0) {
    return absl::InvalidArgumentError("--bump-revision: must not be negative");
  }
  if ((flags.bump_revision > 0) != flags.mark_compacted) {
    return absl::InvalidArgumentError(
        "--bump-revision above 0 and --mark-compacted go together: clients that know the old "
        "revisions must be told that they are gone");
  }
  // The flags mean what they mean to gaveld, and no variable counts.
  GAVEL_ASSIGN_OR_RETURN(const ParsedOptions parsed, ParseOptions(flags.member, {}));
  const ServerOptions& options = parsed.options;
  RestoreRequest request;
  request.snapshot = flags.snapshot;
  request.place = PlaceOf(options);
  request.bump_revision = flags.bump_revision;
  request.skip_digest = flags.skip_hash_check;
  GAVEL_ASSIGN_OR_RETURN(const uint64_t bytes, FileBytes(surroundings.disk, flags.snapshot));
  GAVEL_ASSIGN_OR_RETURN(
      const Restored restored,
      Restore(
          surroundings.disk, [](const std::string& path) { return OpenEngine(path, false); },
          request, ProgressLine(surroundings, "restoring", bytes)));
  const storage::ArchiveHeader& header = restored.snapshot.header;
  if (header.cluster_id == restored.member.cluster_id) {
    surroundings.tell(
        "Warning: the new cluster has the id of the one that the snapshot was taken from. Members "
        "of "
        "that one must never run beside it; another --initial-cluster-token would keep them "
        "apart.");
  }
  return absl::StrFormat("Restored snapshot %s to %s: member %x of cluster %x, revision %d\n",
                         flags.snapshot, options.data_dir, restored.member.id.value(),
                         restored.member.cluster_id,
                         header.state.totals.revision + flags.bump_revision);
}

absl::StatusOr<std::string> HashKvOffline(const UtilSurroundings& surroundings,
                                          const std::string& data_dir, int64_t revision,
                                          PrintFormat format) {
  // Opening a directory makes it: a mistyped name should not.
  const std::string member = storage::JoinPath(data_dir, "member");
  GAVEL_ASSIGN_OR_RETURN(const bool exists,
                         surroundings.disk.Exists(storage::JoinPath(member, "identity")));
  if (!exists) {
    return absl::NotFoundError(
        absl::StrCat(data_dir, " is no data directory of a member: it holds no member/identity"));
  }
  GAVEL_ASSIGN_OR_RETURN(const storage::DataDirectory directory,
                         storage::DataDirectory::Open(surroundings.disk, data_dir));
  GAVEL_ASSIGN_OR_RETURN(const std::shared_ptr<storage::Engine> engine,
                         OpenEngine(directory.state_path(), true));
  GAVEL_ASSIGN_OR_RETURN(const std::unique_ptr<storage::StateMachine> machine,
                         storage::StateMachine::Open(engine, {}, {}));
  storage::HashCursor cursor(machine->view(), revision);
  while (!cursor.Step(kHashRowsPerStep)) {
  }
  if (!cursor.status().ok()) return cursor.status();
  if (cursor.error() != storage::RequestError::kNone) {
    const bool future = cursor.error() == storage::RequestError::kFutureRevision;
    return absl::OutOfRangeError(
        future ? absl::StrCat("revision ", revision, " is not there yet: the newest on disk is ",
                              machine->view()->revision)
               : absl::StrCat("revision ", revision, " has been compacted: the oldest is ",
                              cursor.compact_revision()));
  }
  return PrintRow(format,
                  {Number("hash", "Hash", "hash", cursor.hash()),
                   Number("hash revision", "HashRevision", "hashRevision", cursor.hash_revision()),
                   Number("compact revision", "CompactRevision", "compactRevision",
                          cursor.compact_revision())});
}

}  // namespace gavel::server
