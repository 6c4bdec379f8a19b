#include "storage/disk/double_block.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "raft/sim_point.h"
#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"
#include "storage/disk/path.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

constexpr size_t kVersionAt = 8;
constexpr size_t kLengthAt = 12;
constexpr size_t kGenerationAt = 16;
constexpr size_t kChecksumAt = 24;
constexpr size_t kBodyAt = 28;

struct Slot {
  uint32_t version = 0;
  uint64_t generation = 0;
  std::string body;
};

uint32_t Checksum(std::string_view slot, size_t length) {
  return Crc32c(slot.substr(kBodyAt, length), Crc32c(slot.substr(0, kChecksumAt)));
}

std::optional<Slot> DecodeSlot(std::string_view bytes, std::string_view magic) {
  if (bytes.size() != DoubleBlock::kSlotBytes || !bytes.starts_with(magic)) return std::nullopt;
  const auto length = LoadLittleEndian<uint32_t>(bytes.data() + kLengthAt);
  if (length > DoubleBlock::kBodyBytesMax) return std::nullopt;
  if (Checksum(bytes, length) != LoadLittleEndian<uint32_t>(bytes.data() + kChecksumAt)) {
    return std::nullopt;
  }
  return Slot{LoadLittleEndian<uint32_t>(bytes.data() + kVersionAt),
              LoadLittleEndian<uint64_t>(bytes.data() + kGenerationAt),
              std::string(bytes.substr(kBodyAt, length))};
}

}  // namespace

absl::StatusOr<DoubleBlock> DoubleBlock::Create(Disk& disk, const std::string& path,
                                                BlockFormat format, std::string_view body) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  GAVEL_ASSIGN_OR_RETURN(const bool left_over, disk.Exists(temporary));
  if (left_over) GAVEL_RETURN_IF_ERROR(disk.Remove(temporary));
  GAVEL_ASSIGN_OR_RETURN(auto file, disk.Open(temporary, OpenMode::kCreate));
  DoubleBlock block(std::move(file), format);
  GAVEL_RETURN_IF_ERROR(block.WriteSlot(body));
  GAVEL_RETURN_IF_ERROR(block.WriteSlot(body));
  GAVEL_RETURN_IF_ERROR(block.file_->SyncData());
  GAVEL_SIM_POINT("block made, not named");
  GAVEL_RETURN_IF_ERROR(disk.Rename(temporary, path));
  GAVEL_RETURN_IF_ERROR(disk.SyncDirectory(ParentPath(path)));
  block.body_ = body;
  return block;
}

absl::StatusOr<DoubleBlock> DoubleBlock::Open(Disk& disk, const std::string& path,
                                              BlockFormat format) {
  GAVEL_ASSIGN_OR_RETURN(auto file, disk.Open(path, OpenMode::kReadWrite));
  std::string bytes(2 * kSlotBytes, '\0');
  GAVEL_ASSIGN_OR_RETURN(const size_t size, file->ReadAt(0, bytes));
  bytes.resize(size);
  DoubleBlock block(std::move(file), format);
  int found = 0;
  for (int i = 0; i < 2; ++i) {
    if (bytes.size() < static_cast<size_t>(i) * kSlotBytes) break;
    std::optional<Slot> slot =
        DecodeSlot(std::string_view(bytes).substr(i * kSlotBytes, kSlotBytes), format.magic);
    if (!slot) continue;
    if (slot->version > format.version) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": format version ", slot->version,
                                                        ", but this program knows versions up to ",
                                                        format.version, ": start a newer gaveld"));
    }
    if (found++ == 0 || slot->generation > block.generation_) {
      block.generation_ = slot->generation;
      block.body_ = std::move(slot->body);
      block.next_slot_ = 1 - i;
    }
  }
  if (found == 0) return absl::DataLossError(absl::StrCat(path, ": both slots are damaged"));
  block.slot_lost_ = found == 1;
  return block;
}

absl::Status DoubleBlock::Write(std::string_view body) {
  GAVEL_RETURN_IF_ERROR(WriteSlot(body));
  GAVEL_SIM_POINT("block written, not synced");
  GAVEL_RETURN_IF_ERROR(file_->SyncData());
  body_ = body;
  return absl::OkStatus();
}

absl::Status DoubleBlock::WriteSlot(std::string_view body) {
  GAVEL_CHECK(body.size() <= kBodyBytesMax && format_.magic.size() == kVersionAt);
  std::string slot(kSlotBytes, '\0');
  slot.replace(0, kVersionAt, format_.magic);
  StoreLittleEndian(slot.data() + kVersionAt, format_.version);
  StoreLittleEndian(slot.data() + kLengthAt, static_cast<uint32_t>(body.size()));
  StoreLittleEndian(slot.data() + kGenerationAt, ++generation_);
  slot.replace(kBodyAt, body.size(), body);
  StoreLittleEndian(slot.data() + kChecksumAt, Checksum(slot, body.size()));
  GAVEL_RETURN_IF_ERROR(file_->WriteAt(static_cast<uint64_t>(next_slot_) * kSlotBytes, slot));
  next_slot_ = 1 - next_slot_;
  return absl::OkStatus();
}

}  // namespace gavel::storage
