#include "storage/snapshot/format.h"

#include "absl/strings/str_cat.h"

#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"
#include "storage/mvcc/varint.h"
#include "storage/state/semantics.h"

namespace gavel::storage {

uint64_t ArchiveTotals::all_rows() const {
  uint64_t sum = 0;
  for (const uint64_t count : rows) sum += count;
  return sum;
}

namespace archive {
namespace {

constexpr std::string_view kMagic = "GAVELSNP";

absl::Status Newer(std::string_view what, uint64_t has, uint64_t known) {
  return absl::FailedPreconditionError(absl::StrCat(absl::string_view(what.data(), what.size()),
                                                    " ", has, ", and this build reads up to ",
                                                    known, ": use a newer build"));
}

}  // namespace

uint8_t FamilyCode(Family family) {
  switch (family) {
    case Family::kMeta:
      return 1;
    case Family::kVersions:
      return 2;
    case Family::kChanges:
      return 3;
    case Family::kLeases:
      return 4;
    case Family::kLeaseKeys:
      return 5;
    case Family::kAuth:
      return 6;
    case Family::kMembers:
      return 7;
    case Family::kAlarms:
      return 8;
    case Family::kLeaseRenewals:
      return 9;
  }
  return 0;
}

std::optional<Family> FamilyOf(uint64_t code) {
  for (const Family family : kFamilyOrder) {
    if (FamilyCode(family) == code) return family;
  }
  return std::nullopt;
}

std::string EncodePreamble() {
  std::string bytes(kMagic);
  AppendLittleEndian(bytes, kFormatVersion);
  AppendLittleEndian(bytes, Crc32c(bytes));
  return bytes;
}

absl::Status CheckPreamble(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("these are not the first bytes of a Gavel snapshot");
  }
  if (LoadLittleEndian<uint32_t>(bytes.data() + 12) != Crc32c(bytes.substr(0, 12))) {
    return absl::DataLossError("the checksum of the format version differs");
  }
  const auto version = LoadLittleEndian<uint32_t>(bytes.data() + 8);
  if (version > kFormatVersion) return Newer("the snapshot has format version", version, 1);
  if (version == 0) return absl::DataLossError("there is no format version 0");
  return absl::OkStatus();
}

void AppendFrameHeader(const FrameHeader& header, std::string* out) {
  std::string bytes;
  AppendLittleEndian(bytes, header.body_checksum);
  AppendLittleEndian(bytes, header.stored_bytes);
  AppendLittleEndian(bytes, header.body_bytes);
  AppendLittleEndian(bytes, header.number);
  bytes.push_back(static_cast<char>(header.type));
  bytes.push_back(static_cast<char>(header.compression));
  bytes.append(2, '\0');
  AppendLittleEndian(*out, Crc32c(bytes));
  *out += bytes;
}

std::optional<FrameHeader> DecodeFrameHeader(std::string_view bytes) {
  if (LoadLittleEndian<uint32_t>(bytes.data()) != Crc32c(bytes.substr(4))) return std::nullopt;
  FrameHeader header;
  header.body_checksum = LoadLittleEndian<uint32_t>(bytes.data() + 4);
  header.stored_bytes = LoadLittleEndian<uint32_t>(bytes.data() + 8);
  header.body_bytes = LoadLittleEndian<uint32_t>(bytes.data() + 12);
  header.number = LoadLittleEndian<uint32_t>(bytes.data() + 16);
  header.type = static_cast<FrameType>(bytes[20]);
  header.compression = static_cast<Compression>(bytes[21]);
  return header;
}

std::string EncodeHeader(const ArchiveHeader& header) {
  std::string body;
  // Both versions first: they are looked at before anything else.
  AppendVarint(header.format.format, &body);
  AppendVarint(header.format.semantics, &body);
  AppendVarint(header.cluster_id, &body);
  AppendVarint(header.member_id.value(), &body);
  AppendBytes(EncodeMetaState(header.state), &body);
  AppendBytes(raft::EncodeConfiguration(header.configuration), &body);
  AppendVarint(header.members.size(), &body);
  for (const MemberRecord& member : header.members) {
    AppendBytes(MemberKey(member.id), &body);
    AppendBytes(EncodeMember(member), &body);
  }
  return body;
}

absl::Status DecodeHeader(std::string_view body, ArchiveHeader* header) {
  const absl::Status damaged = absl::DataLossError("the header makes no sense");
  if (!TakeVarint(&body, &header->format.format) || !TakeVarint(&body, &header->format.semantics)) {
    return damaged;
  }
  if (header->format.format > storage::kFormatVersion) {
    return Newer("the state in the snapshot has format version", header->format.format,
                 storage::kFormatVersion);
  }
  if (header->format.format < storage::kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the state in the snapshot has format version ", header->format.format,
        "; this build reads ", storage::kFormatVersion, " alone: use the build that wrote it"));
  }
  if (header->format.semantics > SemanticsVersion()) {
    return Newer("the state in the snapshot has semantics version", header->format.semantics,
                 SemanticsVersion());
  }
  uint64_t member = 0;
  uint64_t members = 0;
  std::string_view state;
  std::string_view configuration;
  if (!TakeVarint(&body, &header->cluster_id) || !TakeVarint(&body, &member) ||
      !TakeBytes(&body, &state) || !DecodeMetaState(state, &header->state) ||
      !TakeBytes(&body, &configuration) || !TakeVarint(&body, &members)) {
    return damaged;
  }
  header->member_id = raft::NodeId(member);
  auto decoded = raft::DecodeConfiguration(configuration);
  if (!decoded.ok()) return damaged;
  header->configuration = *std::move(decoded);
  header->members.clear();
  for (uint64_t i = 0; i < members; ++i) {
    std::string_view key;
    std::string_view value;
    MemberRecord record;
    if (!TakeBytes(&body, &key) || !TakeBytes(&body, &value) ||
        !DecodeMember(key, value, &record)) {
      return damaged;
    }
    header->members.push_back(std::move(record));
  }
  return body.empty() ? absl::OkStatus() : damaged;
}

std::string EncodeTotals(const ArchiveTotals& totals) {
  std::string body;
  for (const uint64_t count : totals.rows) AppendVarint(count, &body);
  AppendVarint(totals.row_bytes, &body);
  AppendVarint(totals.contents, &body);
  return body;
}

bool DecodeTotals(std::string_view body, ArchiveTotals* totals) {
  for (uint64_t& count : totals->rows) {
    if (!TakeVarint(&body, &count)) return false;
  }
  uint64_t contents = 0;
  if (!TakeVarint(&body, &totals->row_bytes) || !TakeVarint(&body, &contents)) return false;
  totals->contents = static_cast<uint32_t>(contents);
  return body.empty() && contents <= UINT32_MAX;
}

uint32_t AddToContents(uint32_t contents, Family family, std::string_view key,
                       std::string_view value) {
  char lengths[9];
  lengths[0] = static_cast<char>(FamilyCode(family));
  StoreLittleEndian(lengths + 1, static_cast<uint32_t>(key.size()));
  StoreLittleEndian(lengths + 5, static_cast<uint32_t>(value.size()));
  contents = Crc32c({lengths, sizeof(lengths)}, contents);
  return Crc32c(value, Crc32c(key, contents));
}

}  // namespace archive
}  // namespace gavel::storage
