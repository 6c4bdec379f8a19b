#include "storage/engine/rocks_manifest.h"

#include <cstdint>
#include <memory>

#include "absl/strings/str_cat.h"
#include "rocksdb/env.h"
#include "storage/disk/crc32c.h"
#include "storage/engine/rocks_status.h"

namespace gavel::storage {
namespace {

// RocksDB's log format: blocks of 32 KiB with records of a masked CRC-32C over type and payload
// (4 bytes), the payload's size (2) and the type (1): a whole record, or its first, middle or
// last part. Fewer bytes than a header at the end of a block are padding.
constexpr size_t kBlock = 32768;
constexpr size_t kHeader = 7;
enum : uint8_t { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

// A record may end in one zero of its own.
constexpr size_t kTornZerosMin = 2;

uint8_t ByteAt(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

// Returns the size of the good record at `at` with its header; 0 if there is none.
size_t GoodRecord(std::string_view file, size_t at) {
  if (at + kHeader > file.size() || kBlock - at % kBlock < kHeader) return 0;
  const uint8_t type = ByteAt(file, at + 6);
  const size_t size = ByteAt(file, at + 4) | static_cast<size_t>(ByteAt(file, at + 5)) << 8;
  if (type < kFull || type > kLast || at % kBlock + kHeader + size > kBlock ||
      at + kHeader + size > file.size()) {
    return 0;
  }
  uint32_t stored = 0;
  for (int i = 3; i >= 0; --i) stored = stored << 8 | ByteAt(file, at + i);
  const uint32_t crc = Crc32c(file.substr(at + 6, size + 1));
  return stored == ((crc >> 15 | crc << 17) + 0xa282ead8U) ? kHeader + size : 0;
}

}  // namespace

std::optional<size_t> FindTornTail(std::string_view manifest) {
  size_t whole = 0;  // End of the last record of which all parts are there.
  size_t at = 0;
  while (at < manifest.size()) {
    if (kBlock - at % kBlock < kHeader) {
      at += kBlock - at % kBlock;
      continue;
    }
    const size_t size = GoodRecord(manifest, at);
    if (size == 0) break;
    const uint8_t type = ByteAt(manifest, at + 6);
    at += size;
    if (type == kFull || type == kLast) whole = at;
  }
  if (at >= manifest.size() || whole == 0) return std::nullopt;
  const size_t last = manifest.find_last_not_of('\0');
  if (last + 1 + kTornZerosMin > manifest.size()) return std::nullopt;
  // A good record after the damage would mean that the damage is not at the end.
  for (size_t later = at + 1; later < manifest.size(); ++later) {
    if (GoodRecord(manifest, later) != 0) return std::nullopt;
  }
  return whole;
}

absl::StatusOr<std::string> CutTornManifest(rocksdb::Env& env, const std::string& directory) {
  std::string name;
  rocksdb::Status status = rocksdb::ReadFileToString(&env, directory + "/CURRENT", &name);
  while (!name.empty() && name.back() == '\n') name.pop_back();
  std::string manifest;
  const std::string path = directory + "/" + name;
  if (status.ok() && !name.empty()) status = rocksdb::ReadFileToString(&env, path, &manifest);
  // What cannot be read is for RocksDB's own opening to report.
  if (!status.ok()) return std::string();
  const std::optional<size_t> cut = FindTornTail(manifest);
  if (!cut) return std::string();

  const std::string rewritten = directory + "/000000.dbtmp";  // RocksDB removes such files.
  std::unique_ptr<rocksdb::Directory> entries;
  status = rocksdb::WriteStringToFile(&env, rocksdb::Slice(manifest.data(), *cut), rewritten,
                                      /*should_sync=*/true);
  if (status.ok()) status = env.RenameFile(rewritten, path);
  if (status.ok()) status = env.NewDirectory(directory, &entries);
  if (status.ok()) status = entries->Fsync();
  if (!status.ok()) return FromRocks(status, absl::StrCat("cutting ", path));
  return absl::StrCat(path, ": cut ", manifest.size() - *cut, " bytes of a torn record at offset ",
                      *cut, "; the state is that of the flush before it");
}

}  // namespace gavel::storage
