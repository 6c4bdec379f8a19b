#include "tests/support/powercut/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

namespace gavel::powercut {
namespace {

// When the inode at `path` was made, in nanoseconds; 0 where the file system does not tell.
uint64_t BornAt(const std::string& path) {
  struct statx info = {};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BTIME, &info) != 0) return 0;
  if ((info.stx_mask & STATX_BTIME) == 0) return 0;
  return static_cast<uint64_t>(info.stx_btime.tv_sec) * 1000000000u + info.stx_btime.tv_nsec;
}

std::optional<ObjectId> ParseObject(const std::string& text) {
  if (text.size() < 2 || (text[0] != 'f' && text[0] != 'd')) return std::nullopt;
  return ObjectId{text[0] == 'd', strtoull(text.c_str() + 1, nullptr, 10)};
}

std::string InodePath(const std::string& folder, ino_t inode) {
  return folder + "/i" + std::to_string(inode);
}

}  // namespace

std::string ObjectId::Text() const { return (directory ? "d" : "f") + std::to_string(id); }

void Die(const std::string& what) {
  fprintf(stderr, "powercut: %s (%s)\n", what.c_str(), strerror(errno));
  abort();
}

std::optional<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  if (fd < 0) Die("cannot open " + path);
  std::string bytes;
  struct stat info;
  if (fstat(fd, &info) == 0) bytes.resize(static_cast<size_t>(info.st_size));
  size_t done = 0;
  for (;;) {
    if (done == bytes.size()) bytes.resize(done + 4096);
    const ssize_t count = read(fd, bytes.data() + done, bytes.size() - done);
    if (count < 0) Die("cannot read " + path);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  close(fd);
  bytes.resize(done);
  return bytes;
}

void ReplaceFile(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) Die("cannot make " + temporary);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = write(fd, bytes.data() + done, bytes.size() - done);
    if (count < 0) Die("cannot write " + temporary);
    done += static_cast<size_t>(count);
  }
  close(fd);
  if (rename(temporary.c_str(), path.c_str()) != 0) Die("cannot rename " + temporary);
}

void ReplaceLink(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());
  if (symlink(text.c_str(), temporary.c_str()) != 0) Die("cannot make " + temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0) Die("cannot rename " + temporary);
}

std::vector<std::string> ListDirectory(const std::string& directory) {
  std::vector<std::string> names;
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) Die("cannot list " + directory);
  while (const dirent* entry = readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

bool Image::exists() const {
  return access((folder_ + "/d" + std::to_string(kRootId)).c_str(), F_OK) == 0;
}

Entries Image::ReadEntries(uint64_t id) const {
  const std::optional<std::string> text = ReadFile(folder_ + "/d" + std::to_string(id));
  if (!text) Die("the shadow has lost directory " + std::to_string(id));
  Entries entries;
  std::istringstream lines(*text);
  std::string line;
  while (std::getline(lines, line)) {
    const size_t space = line.find(' ');
    const std::optional<ObjectId> object = ParseObject(line.substr(0, space));
    if (space == std::string::npos || !object) Die("the shadow holds nonsense: " + line);
    entries[line.substr(space + 1)] = *object;
  }
  return entries;
}

void Image::WriteEntries(uint64_t id, const Entries& entries) const {
  std::string text;
  for (const auto& [name, object] : entries) text += object.Text() + " " + name + "\n";
  ReplaceFile(folder_ + "/d" + std::to_string(id), text);
}

std::optional<ObjectId> Image::Identify(const std::string& path) const {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return std::nullopt;
  char text[128];
  const ssize_t count = readlink(InodePath(folder_, info.st_ino).c_str(), text, sizeof text - 1);
  if (count < 0) return std::nullopt;
  text[count] = 0;
  const char* colon = strchr(text, ':');
  if (colon == nullptr || strtoull(colon + 1, nullptr, 10) != BornAt(path)) return std::nullopt;
  return ParseObject(text);
}

void Image::Assign(const std::string& path, ino_t inode, ObjectId object) const {
  ReplaceLink(InodePath(folder_, inode), object.Text() + ":" + std::to_string(BornAt(path)));
}

Ranges Image::ReadLost(uint64_t id) const {
  Ranges ranges;
  std::istringstream text(ReadFile(folder_ + "/l" + std::to_string(id)).value_or(""));
  uint64_t offset, end;
  while (text >> offset >> end) ranges.emplace_back(offset, end);
  return ranges;
}

void Image::AddLost(uint64_t id, const Ranges& ranges) const {
  const std::string path = folder_ + "/l" + std::to_string(id);
  std::string text = ReadFile(path).value_or("");
  for (const auto& [offset, end] : ranges) {
    text += std::to_string(offset) + " " + std::to_string(end) + "\n";
  }
  ReplaceFile(path, text);
}

}  // namespace gavel::powercut
