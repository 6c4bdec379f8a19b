// The bytes of an archive of the state (FORMAT.md): preamble, frames and their bodies.
//
// Pure functions over byte ranges; no file and no engine is touched here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "raft/configuration.h"
#include "raft/types.h"
#include "storage/engine/engine.h"
#include "storage/state/members.h"
#include "storage/state/meta.h"

namespace gavel::storage::archive {

inline constexpr uint32_t kFormatVersion = 1;

// The same in every version.
inline constexpr size_t kPreambleBytes = 16;

inline constexpr size_t kFrameHeaderBytes = 24;

// Rows of a block take about this much before compression; a longer row has a block of its own.
inline constexpr size_t kBlockBytes = 128 << 10;
// Longest body, before and after compression: a log entry, which is at most 1 GiB, and some more.
inline constexpr uint64_t kBodyBytesMax = (uint64_t{1} << 30) + (1 << 20);

// Without its digest an archive has a multiple of this many bytes. etcd's clients look at that.
inline constexpr size_t kPageBytes = 512;

enum class FrameType : uint8_t { kHeader = 1, kRows = 2, kTrailer = 3 };
enum class Compression : uint8_t { kNone = 0, kZstd = 1 };

struct FrameHeader {
  uint32_t body_checksum = 0;  // Of the body as it is stored.
  uint32_t stored_bytes = 0;   // Of the body as it is stored.
  uint32_t body_bytes = 0;     // Of the body itself.
  uint32_t number = 0;         // Counts frames from 0.
  FrameType type = FrameType::kHeader;
  Compression compression = Compression::kNone;
};

// The families in the order of an archive. Rows of `meta` are last: they make a store whole.
inline constexpr std::array<Family, kFamilyCount> kFamilyOrder = {
    Family::kVersions, Family::kChanges, Family::kLeases,        Family::kLeaseKeys, Family::kAuth,
    Family::kMembers,  Family::kAlarms,  Family::kLeaseRenewals, Family::kMeta};

// The number by which an archive names a family, and back.
uint8_t FamilyCode(Family family);
std::optional<Family> FamilyOf(uint64_t code);

std::string EncodePreamble();
// DataLoss: not a preamble. FailedPrecondition: a newer version; the message names both.
// Requires: kPreambleBytes bytes.
absl::Status CheckPreamble(std::string_view bytes);

void AppendFrameHeader(const FrameHeader& header, std::string* out);
// Nothing if the checksum differs. Requires: kFrameHeaderBytes bytes.
std::optional<FrameHeader> DecodeFrameHeader(std::string_view bytes);

}  // namespace gavel::storage::archive

namespace gavel::storage {

// What an archive says of itself at its front.
struct ArchiveHeader {
  MetaFormat format;  // Of the state.
  uint64_t cluster_id = 0;
  raft::NodeId member_id;  // Who wrote it.
  MetaState state;
  raft::Configuration configuration;
  MemberTable members;

  friend bool operator==(const ArchiveHeader&, const ArchiveHeader&) = default;
};

// What an archive held, as its end says.
struct ArchiveTotals {
  // In the order of archive::kFamilyOrder.
  std::array<uint64_t, kFamilyCount> rows = {};
  uint64_t row_bytes = 0;  // Of keys and values.
  // CRC-32C over all rows: equal for archives of equal states, however they were cut into blocks.
  uint32_t contents = 0;

  uint64_t all_rows() const;
  friend bool operator==(const ArchiveTotals&, const ArchiveTotals&) = default;
};

namespace archive {

std::string EncodeHeader(const ArchiveHeader& header);
// DataLoss: damaged. FailedPrecondition: the state is of a newer format or semantics version; the
// message names both.
absl::Status DecodeHeader(std::string_view body, ArchiveHeader* header);

std::string EncodeTotals(const ArchiveTotals& totals);
bool DecodeTotals(std::string_view body, ArchiveTotals* totals);

// The contents checksum with one more row.
uint32_t AddToContents(uint32_t contents, Family family, std::string_view key,
                       std::string_view value);

}  // namespace archive
}  // namespace gavel::storage
