#include "tests/support/powercut/restore.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <utility>

#include "raft/random.h"
#include "tests/support/powercut/image.h"

namespace gavel::powercut {
namespace {

class Restoration {
 public:
  Restoration(std::string directory, const std::string& shadow, Cut cut, uint64_t seed)
      : directory_(std::move(directory)), image_(shadow), random_(seed) {
    constexpr Cut kConcrete[] = {Cut::kLose, Cut::kTear512, Cut::kTear4096, Cut::kTear512,
                                 Cut::kKeep};
    result_.cut = cut == Cut::kAny ? kConcrete[random_.Below(std::size(kConcrete))] : cut;
  }

  RestoreResult Run() {
    if (!image_.exists()) {
      // The process was gone before its first call, so nothing has changed.
      std::filesystem::remove_all(image_.folder());
      return result_;
    }
    result_.followed = true;
    FindLive(directory_);
    const std::string restored = directory_ + ".restored";
    std::filesystem::remove_all(restored);
    Build(kRootId, directory_, restored);
    const std::string before = directory_ + ".before-cut";
    std::filesystem::remove_all(before);
    if (rename(directory_.c_str(), before.c_str()) != 0 ||
        rename(restored.c_str(), directory_.c_str()) != 0) {
      Die("cannot exchange " + directory_);
    }
    std::filesystem::remove_all(image_.folder());
    return result_;
  }

 private:
  bool tears() const { return result_.cut == Cut::kTear512 || result_.cut == Cut::kTear4096; }
  // Whether something unsynced is kept.
  bool Keeps() { return result_.cut == Cut::kKeep || (tears() && random_.OneIn(2)); }

  // Learns where the objects are that still have a name.
  void FindLive(const std::string& path) {
    for (const std::string& name : ListDirectory(path)) {
      const std::string child = path + "/" + name;
      struct stat info;
      if (lstat(child.c_str(), &info) != 0) Die("cannot stat " + child);
      if (S_ISDIR(info.st_mode)) FindLive(child);
      const std::optional<ObjectId> object = image_.Identify(child);
      if (object && object->directory == S_ISDIR(info.st_mode)) live_[object->id] = child;
    }
  }

  Entries LiveEntries(const std::string& path) {
    Entries entries;
    for (const std::string& name : ListDirectory(path)) {
      // The process died before it could tell of one without an id: that one is lost.
      if (const auto object = image_.Identify(path + "/" + name)) entries[name] = *object;
    }
    return entries;
  }

  // Makes directory `id`, which is at `live_path` if that is not empty, at `path`.
  void Build(uint64_t id, const std::string& live_path, const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0) Die("cannot make " + path);
    Entries entries = image_.ReadEntries(id);
    if (!live_path.empty() && Keeps()) {
      entries = LiveEntries(live_path);
    } else if (!live_path.empty() && LiveEntries(live_path) != entries) {
      ++result_.files_changed;
    }
    for (const auto& [name, object] : entries) {
      const auto live = live_.find(object.id);
      const std::string live_child = live == live_.end() ? "" : live->second;
      if (object.directory) {
        Build(object.id, live_child, path + "/" + name);
      } else {
        ++result_.files;
        ReplaceFile(path + "/" + name, Contents(object.id, live_child));
      }
    }
  }

  // The bytes of a file after the cut. A file with two names must look the same under both.
  const std::string& Contents(uint64_t id, const std::string& live_path) {
    const auto known = contents_.find(id);
    if (known != contents_.end()) return known->second;
    std::string durable = ReadFile(image_.FilePath(id)).value_or("");
    if (live_path.empty()) return contents_[id] = std::move(durable);
    const std::string live = ReadFile(live_path).value_or("");
    std::string bytes = Mix(durable, live);
    if (bytes != live) ++result_.files_changed;
    return contents_[id] = std::move(bytes);
  }

  std::string Mix(const std::string& durable, const std::string& live) {
    if (durable == live || result_.cut == Cut::kKeep) return live;
    const size_t sector = result_.cut == Cut::kTear4096 ? 4096 : 512;
    // Some files lose all, some nothing, and some any part.
    const uint64_t likely = tears() ? random_.Below(3) : 0;
    const auto keeps = [&] { return likely == 2 || (likely == 1 && random_.OneIn(2)); };
    size_t size = keeps() ? live.size() : durable.size();
    if (likely == 1 && random_.OneIn(2)) {
      const size_t low = std::min(live.size(), durable.size());
      const size_t high = std::max(live.size(), durable.size());
      size = low + (random_.Below(high - low + 1) / sector) * sector;
    }
    std::string bytes(size, '\0');
    for (size_t at = 0; at < std::max(size, live.size()); at += sector) {
      const auto part = [&](const std::string& whole) {
        return at < whole.size() ? whole.substr(at, sector) : std::string();
      };
      const std::string mine = part(live);
      const std::string kept = mine == part(durable) || keeps() ? mine : part(durable);
      if (at < size) {
        bytes.replace(at, std::min(kept.size(), size - at), kept, 0, size - at);
      }
      if (at >= size || kept != mine) result_.bytes_lost += mine.size();
    }
    return bytes;
  }

  const std::string directory_;
  const Image image_;
  raft::Random random_;
  RestoreResult result_;
  std::map<uint64_t, std::string> live_;      // Where an object is in the live directory.
  std::map<uint64_t, std::string> contents_;  // Decided so far.
};

}  // namespace

std::optional<Cut> ParseCut(const std::string& text) {
  if (text == "lose") return Cut::kLose;
  if (text == "keep") return Cut::kKeep;
  if (text == "tear512") return Cut::kTear512;
  if (text == "tear4096") return Cut::kTear4096;
  if (text == "any") return Cut::kAny;
  return std::nullopt;
}

RestoreResult Restore(const std::string& directory, const std::string& shadow, Cut cut,
                      uint64_t seed) {
  return Restoration(directory, shadow, cut, seed).Run();
}

}  // namespace gavel::powercut
