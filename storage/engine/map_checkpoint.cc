#include "storage/engine/map_checkpoint.h"

#include <cstdint>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace gavel::storage {
namespace {

constexpr std::string_view kMagic = "GVLMAP01";

void AppendNumber(std::string& out, uint64_t number, int size) {
  for (int i = 0; i < size; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
}

uint64_t HashOf(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

// Takes fields off the front; `ok` is false once one was missing.
struct Reader {
  std::string_view rest;
  bool ok = true;

  std::string_view Bytes(uint64_t size) {
    if (size > rest.size()) {
      ok = false;
      return {};
    }
    const std::string_view taken = rest.substr(0, size);
    rest.remove_prefix(size);
    return taken;
  }
  uint64_t Number(int size) {
    uint64_t number = 0;
    const std::string_view bytes = Bytes(size);
    for (size_t i = 0; i < bytes.size(); ++i) {
      number |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    }
    return number;
  }
};

std::string Encode(const std::array<PersistentMap, kFamilyCount>& families) {
  std::string bytes(kMagic);
  for (const PersistentMap& map : families) {
    uint64_t count = 0;
    std::string rows;
    PersistentMap::Cursor cursor(map);
    for (cursor.SeekToFirst(); cursor.Valid(); cursor.Next(), ++count) {
      const PersistentMap::Entry& entry = cursor.entry();
      AppendNumber(rows, entry.key.size(), 4);
      AppendNumber(rows, entry.value.size(), 4);
      rows += entry.key;
      rows += entry.value;
    }
    AppendNumber(bytes, count, 8);
    bytes += rows;
  }
  AppendNumber(bytes, HashOf(bytes), 8);
  return bytes;
}

bool Decode(std::string_view bytes, std::array<PersistentMap, kFamilyCount>& families) {
  if (bytes.size() < kMagic.size() + 8 || bytes.substr(0, kMagic.size()) != kMagic) return false;
  Reader end{bytes.substr(bytes.size() - 8)};
  bytes.remove_suffix(8);
  if (end.Number(8) != HashOf(bytes)) return false;
  Reader reader{bytes.substr(kMagic.size())};
  for (PersistentMap& map : families) {
    for (uint64_t count = reader.Number(8); reader.ok && count > 0; --count) {
      const uint64_t key_size = reader.Number(4);
      const uint64_t value_size = reader.Number(4);
      const std::string_view key = reader.Bytes(key_size);
      map = map.Put(key, reader.Bytes(value_size));
    }
  }
  return reader.ok && reader.rest.empty();
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::Status WriteMapCheckpoint(Disk& disk, const std::string& directory,
                                const std::array<PersistentMap, kFamilyCount>& families) {
  absl::StatusOr<bool> exists = disk.Exists(directory);
  if (!exists.ok()) return exists.status();
  if (*exists) return absl::AlreadyExistsError(absl::StrCat(directory, " is already there"));
  absl::Status status = disk.CreateDirectories(directory);
  if (!status.ok()) return status;
  auto file = disk.Open(directory + "/MAP", OpenMode::kCreate);
  if (!file.ok()) return file.status();
  status = (*file)->WriteAt(0, Encode(families));
  if (status.ok()) status = (*file)->SyncData();
  if (status.ok()) status = disk.SyncDirectory(directory);
  if (status.ok()) status = disk.SyncDirectory(ParentOf(directory));
  return status;
}

absl::Status ReadMapCheckpoint(Disk& disk, const std::string& directory,
                               std::array<PersistentMap, kFamilyCount>& families) {
  const std::string path = directory + "/MAP";
  auto file = disk.Open(path, OpenMode::kReadOnly);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  std::string bytes(*size, '\0');
  auto read = (*file)->ReadAt(0, bytes);
  if (!read.ok()) return read.status();
  bytes.resize(*read);
  if (!Decode(bytes, families)) {
    return absl::DataLossError(absl::StrCat(path, " is not a whole checkpoint of a map engine"));
  }
  return absl::OkStatus();
}

}  // namespace gavel::storage
