#include "storage/wal/high_water.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "storage/disk/little_endian.h"
#include "storage/disk/path.h"
#include "storage/status_macros.h"

namespace gavel::storage::wal {
namespace {

constexpr BlockFormat kFormat = {.magic = "GAVELHWM", .version = 1};
constexpr size_t kBodyBytes = 36;

std::string Encode(const Position& position) {
  std::string body;
  AppendLittleEndian(body, position.segment);
  AppendLittleEndian(body, position.offset);
  AppendLittleEndian(body, position.sequence);
  AppendLittleEndian(body, position.last_index.value());
  AppendLittleEndian(body, position.chain);
  return body;
}

Position Decode(const std::string& body) {
  const char* bytes = body.data();
  return {.segment = LoadLittleEndian<uint64_t>(bytes),
          .offset = LoadLittleEndian<uint64_t>(bytes + 8),
          .sequence = LoadLittleEndian<uint64_t>(bytes + 16),
          .chain = LoadLittleEndian<uint32_t>(bytes + 32),
          .last_index = raft::Index(LoadLittleEndian<uint64_t>(bytes + 24))};
}

}  // namespace

absl::StatusOr<HighWater> HighWater::Create(Disk& disk, const std::string& directory) {
  GAVEL_ASSIGN_OR_RETURN(
      DoubleBlock block,
      DoubleBlock::Create(disk, JoinPath(directory, kHighWaterName), kFormat, Encode(Position())));
  return HighWater(std::move(block), Position());
}

absl::StatusOr<HighWater> HighWater::Open(Disk& disk, const std::string& directory) {
  const std::string path = JoinPath(directory, kHighWaterName);
  GAVEL_ASSIGN_OR_RETURN(DoubleBlock block, DoubleBlock::Open(disk, path, kFormat));
  if (block.body().size() != kBodyBytes) {
    return absl::DataLossError(absl::StrCat(path, ": a mark of the wrong size"));
  }
  const Position position = Decode(block.body());
  return HighWater(std::move(block), position);
}

absl::Status HighWater::Write(const Position& position) {
  if (position == position_ && !repair_) return absl::OkStatus();
  GAVEL_RETURN_IF_ERROR(block_.Write(Encode(position)));
  position_ = position;
  repair_ = false;
  return absl::OkStatus();
}

}  // namespace gavel::storage::wal
