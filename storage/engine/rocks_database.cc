#include "storage/engine/rocks_database.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/listener.h"
#include "storage/disk/advice.h"
#include "storage/engine/rocks_manifest.h"
#include "storage/engine/rocks_status.h"

namespace gavel::storage {
namespace {

std::string WhatToDo() {
  return absl::StrCat("Keep the directory for inspection. To bring the member back, ",
                      kReplaceMember, ", or restore a snapshot.");
}

absl::Status Damaged(const std::string& path, std::string_view why) {
  return absl::DataLossError(absl::StrCat("the state database in ", path,
                                          " is damaged: ", std::string(why), ". ", WhatToDo()));
}

// An error of opening, with the path and what to do about it.
absl::Status ExplainOpenError(const rocksdb::Status& status, const std::string& path) {
  const std::string text = status.ToString();
  // What RocksDB says of a lock that another process, or this one, has. The path may say anything.
  if (absl::StrContains(text, "While lock file: ") ||
      absl::StrContains(text, "lock hold by current process")) {
    return absl::FailedPreconditionError(
        absl::StrCat("the state database in ", path,
                     " is in use by another process or engine; stop that one first (", text, ")"));
  }
  if (status.IsNoSpace()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the disk that holds ", path, " is full; free some space and start again (", text, ")"));
  }
  if (status.IsNotSupported()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the state database in ", path,
                     " was written by a newer version; use that version (", text, ")"));
  }
  if (status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound() ||
      absl::StrContains(text, "No such file")) {
    return Damaged(path, text);
  }
  return absl::InternalError(absl::StrCat("cannot open the state database in ", path, ": ", text,
                                          ". Check the directory's permissions and the disk."));
}

}  // namespace

RocksDatabase::RocksDatabase(Private, const RocksOptions& options)
    : cache_(NewRocksCache(options)) {
  if (options.file_system != nullptr) env_ = rocksdb::NewCompositeEnv(options.file_system);
}

absl::StatusOr<std::unique_ptr<RocksDatabase>> RocksDatabase::Open(const RocksOptions& options,
                                                                   HealthLatch& health,
                                                                   FlushEvents& events) {
  auto database = std::make_unique<RocksDatabase>(Private{}, options);
  if (absl::Status opened = database->OpenFiles(options, health, events); !opened.ok())
    return opened;
  return database;
}

// Refuses what RocksDB would take for an empty directory, or would open in part; repairs what a
// power cut explains.
absl::Status RocksDatabase::CheckBeforeOpen(const RocksOptions& options, bool* fresh) const {
  rocksdb::Env* env = env_ != nullptr ? env_.get() : rocksdb::Env::Default();
  *fresh = false;
  if (!env->FileExists(options.path + "/CURRENT").ok()) {
    std::vector<std::string> names;
    const rocksdb::Status listed = env->GetChildren(options.path, &names);
    if (!listed.ok() && !listed.IsNotFound() && !listed.IsPathNotFound()) {
      return ExplainOpenError(listed, options.path);
    }
    for (const std::string& name : names) {
      if (absl::EndsWith(name, ".sst")) {
        return Damaged(options.path, "there are data files, but the file CURRENT is missing");
      }
    }
    if (!options.create_if_missing || options.read_only) {
      return absl::NotFoundError(absl::StrCat("there is no state database in ", options.path));
    }
    *fresh = true;
    // RocksDB would make it too, but lists it before and complains that it is not there.
    const rocksdb::Status made = env->CreateDirIfMissing(options.path);
    return made.ok() ? absl::OkStatus() : ExplainOpenError(made, options.path);
  }
  if (!options.read_only) {
    absl::StatusOr<std::string> cut = CutTornManifest(*env, options.path);
    if (!cut.ok()) return cut.status();
    if (!cut->empty() && options.on_warning) options.on_warning(*cut);
  }
  rocksdb::DBOptions list_options;
  list_options.env = env;
  std::vector<std::string> families;
  const rocksdb::Status listed =
      rocksdb::DB::ListColumnFamilies(list_options, options.path, &families);
  if (!listed.ok()) return ExplainOpenError(listed, options.path);
  for (const std::string& name : families) {
    if (name == rocksdb::kDefaultColumnFamilyName) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "the state database in ", options.path, " has a column family \"", name,
        "\" that this version does not know: it was written by a newer one; use that version"));
  }
  return absl::OkStatus();
}

absl::Status RocksDatabase::OpenFiles(const RocksOptions& options, HealthLatch& health,
                                      FlushEvents& events) {
  bool fresh = false;
  if (absl::Status checked = CheckBeforeOpen(options, &fresh); !checked.ok()) return checked;

  rocksdb::Options rocks = MakeRocksOptions(options, cache_);
  if (env_ != nullptr) rocks.env = env_.get();
  rocks.listeners.push_back(NewRocksListener(health, events, options.on_flushed));
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = options.read_only
                                     ? rocksdb::DB::OpenForReadOnly(rocks, options.path, &db)
                                     : rocksdb::DB::Open(rocks, options.path, &db);
  if (!opened.ok()) return ExplainOpenError(opened, options.path);
  db_.reset(db);
  return fresh ? SyncParentDirectory(options.path) : absl::OkStatus();
}

RocksDatabase::~RocksDatabase() {
  if (db_ == nullptr) return;
  // Whatever fails here was not flushed, and nobody was told it was.
  db_->Close().PermitUncheckedError();
}

absl::Status RocksDatabase::SyncParentDirectory(const std::string& path) const {
  const size_t slash = path.find_last_of('/', path.size() < 2 ? path.size() : path.size() - 2);
  const std::string parent = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  rocksdb::Env* env = env_ != nullptr ? env_.get() : rocksdb::Env::Default();
  std::unique_ptr<rocksdb::Directory> directory;
  rocksdb::Status status = env->NewDirectory(parent, &directory);
  if (status.ok()) status = directory->Fsync();
  return FromRocks(status, absl::StrCat("sync of directory ", parent));
}

}  // namespace gavel::storage
