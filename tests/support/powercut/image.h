// The shadow of a data directory: what of it is durable, as plain files in a folder beside it.
//
//   f<id>      the durable bytes of a file
//   d<id>      the durable entries of a directory: one line "f<id> name" or "d<id> name" each
//   i<inode>   a link whose text is "f<id>:<born>" or "d<id>:<born>": which object a live inode is
//   l<id>      "offset end" lines: dirty ranges that a failed sync dropped
//
// Ids are never used twice in one shadow, other than inode numbers, which file systems hand out
// again; <born> is the inode's time of birth and tells a reused number from the one before.
// Written by the preloaded library, read by the restore step. Nothing here throws; an error of
// the shadow's own file system ends the process, since nothing it says later would be true.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gavel::powercut {

inline constexpr uint64_t kRootId = 1;

struct ObjectId {
  bool directory = false;
  uint64_t id = 0;

  std::string Text() const;
  friend bool operator==(const ObjectId&, const ObjectId&) = default;
};

using Entries = std::map<std::string, ObjectId>;
// [offset, end) pairs.
using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

// Ends the process with `what` and the system's reason for it on standard error.
[[noreturn]] void Die(const std::string& what);

// Returns all bytes of the file at `path`; nullopt if there is none.
std::optional<std::string> ReadFile(const std::string& path);
// Replaces the file at `path` in one step.
void ReplaceFile(const std::string& path, const std::string& bytes);
// Makes `path` a link with this text, in place of one that may be there.
void ReplaceLink(const std::string& path, const std::string& text);
// Names in `directory`, without "." and "..", sorted.
std::vector<std::string> ListDirectory(const std::string& directory);

class Image {
 public:
  explicit Image(std::string folder) : folder_(std::move(folder)) {}

  const std::string& folder() const { return folder_; }
  std::string FilePath(uint64_t id) const { return folder_ + "/f" + std::to_string(id); }

  // True if a shadow has been begun here.
  bool exists() const;
  Entries ReadEntries(uint64_t id) const;
  void WriteEntries(uint64_t id, const Entries& entries) const;
  // Which object the live inode at `path` is; nullopt if it was never told.
  std::optional<ObjectId> Identify(const std::string& path) const;
  void Assign(const std::string& path, ino_t inode, ObjectId object) const;
  Ranges ReadLost(uint64_t id) const;
  void AddLost(uint64_t id, const Ranges& ranges) const;

 private:
  std::string folder_;
};

}  // namespace gavel::powercut
