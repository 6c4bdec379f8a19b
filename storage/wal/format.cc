#include "storage/wal/format.h"

#include <charconv>
#include <cstring>

#include "absl/strings/str_cat.h"

#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"

namespace gavel::storage::wal {
namespace {

constexpr std::string_view kMagic = "GAVELWAL";
constexpr std::string_view kSegmentSuffix = ".wal";
constexpr size_t kSegmentDigits = 16;

uint64_t U64(std::string_view bytes, size_t at) {
  return LoadLittleEndian<uint64_t>(bytes.data() + at);
}
uint32_t U32(std::string_view bytes, size_t at) {
  return LoadLittleEndian<uint32_t>(bytes.data() + at);
}

// Appends a record header and returns where the record starts.
size_t BeginRecord(std::string& out, RecordType type, uint8_t detail, size_t length) {
  const size_t start = out.size();
  out.resize(start + kRecordHeaderBytes);
  StoreLittleEndian(out.data() + start + 4, static_cast<uint32_t>(length));
  out[start + 24] = static_cast<char>(type);
  out[start + 25] = static_cast<char>(detail);
  return start;
}

void EndRecord(std::string& out, size_t start) {
  out.resize(start + ((out.size() - start + 7) & ~size_t{7}));
}

void AppendHardStateBody(std::string& out, const raft::HardState& state) {
  AppendLittleEndian(out, state.term.value());
  AppendLittleEndian(out, state.voted_for.value_or(raft::NodeId()).value());
  AppendLittleEndian(out, state.commit.value());
}

raft::HardState DecodeHardStateBody(std::string_view body) {
  raft::HardState state;
  state.term = raft::Term(U64(body, 0));
  const raft::NodeId vote(U64(body, 8));
  if (!vote.is_none()) state.voted_for = vote;
  state.commit = raft::Index(U64(body, 16));
  return state;
}

}  // namespace

uint32_t Chain(uint32_t chain, uint32_t checksum) {
  char bytes[4];
  StoreLittleEndian(bytes, checksum);
  return Crc32c({bytes, sizeof(bytes)}, chain);
}

std::string EncodePreamble() {
  std::string out(kMagic);
  AppendLittleEndian(out, kFormatVersion);
  AppendLittleEndian(out, Crc32c(out));
  return out;
}

absl::Status CheckPreamble(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic || Crc32c(bytes.substr(0, 12)) != U32(bytes, 12)) {
    return absl::DataLossError("not the start of a segment");
  }
  const uint32_t version = U32(bytes, 8);
  if (version == 0) return absl::DataLossError("not the start of a segment");
  if (version > kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("write-ahead log of format version ", version, ", but this program knows ",
                     "versions up to ", kFormatVersion, ": start a newer gaveld"));
  }
  return absl::OkStatus();
}

RecordHeader DecodeHeader(const char* bytes) {
  const std::string_view view(bytes, kRecordHeaderBytes);
  return {.checksum = U32(view, 0),
          .length = U32(view, 4),
          .segment = U64(view, 8),
          .sequence = U64(view, 16),
          .type = static_cast<uint8_t>(view[24]),
          .detail = static_cast<uint8_t>(view[25])};
}

uint32_t SealRecord(char* record, uint64_t bytes, uint64_t segment, uint64_t sequence) {
  StoreLittleEndian(record + 8, segment);
  StoreLittleEndian(record + 16, sequence);
  const uint32_t checksum = Crc32c({record + 4, bytes - 4});
  StoreLittleEndian(record, checksum);
  return checksum;
}

const char* RecordDamage(std::string_view record, uint64_t segment, uint64_t sequence) {
  const RecordHeader header = DecodeHeader(record.data());
  if (Crc32c(record.substr(4)) != header.checksum) return "the checksum does not match";
  if (header.segment != segment) return "a record of another segment";
  if (header.sequence != sequence) return "a record out of sequence";
  return nullptr;
}

void AppendRecord(std::string& out, RecordType type, uint8_t detail, std::string_view body) {
  const size_t start = BeginRecord(out, type, detail, body.size());
  out += body;
  EndRecord(out, start);
}

std::string EncodeBatchBody(const BatchBody& body) {
  std::string out;
  AppendLittleEndian(out, body.bytes);
  AppendLittleEndian(out, body.records);
  AppendLittleEndian(out, body.records_chain);
  AppendLittleEndian(out, body.chain_before);
  AppendLittleEndian(out, body.mark.chain);
  AppendLittleEndian(out, body.mark.segment);
  AppendLittleEndian(out, body.mark.offset);
  AppendLittleEndian(out, body.mark.last_index.value());
  AppendLittleEndian(out, body.mark.sequence);
  return out;
}

std::optional<BatchBody> DecodeBatchBody(std::string_view body) {
  if (body.size() != kBatchBodyBytes) return std::nullopt;
  BatchBody batch;
  batch.bytes = U64(body, 0);
  batch.records = U32(body, 8);
  batch.records_chain = U32(body, 12);
  batch.chain_before = U32(body, 16);
  batch.mark.chain = U32(body, 20);
  batch.mark.segment = U64(body, 24);
  batch.mark.offset = U64(body, 32);
  batch.mark.last_index = raft::Index(U64(body, 40));
  batch.mark.sequence = U64(body, 48);
  return batch;
}

std::string EncodeSegmentStartBody(const SegmentStartBody& body) {
  std::string out;
  AppendLittleEndian(out, body.previous_end);
  AppendLittleEndian(out, body.chain_before);
  AppendLittleEndian(out, uint32_t{0});
  AppendLittleEndian(out, body.last.index.value());
  AppendLittleEndian(out, body.last.term.value());
  AppendHardStateBody(out, body.hard_state);
  AppendLittleEndian(out, body.mark.index.value());
  AppendLittleEndian(out, body.mark.term.value());
  out += raft::EncodeConfiguration(body.mark.configuration);
  return out;
}

std::optional<SegmentStartBody> DecodeSegmentStartBody(std::string_view body) {
  if (body.size() < kSegmentStartPrefixBytes) return std::nullopt;
  SegmentStartBody start;
  start.previous_end = U64(body, 0);
  start.chain_before = U32(body, 8);
  start.last.index = raft::Index(U64(body, 16));
  start.last.term = raft::Term(U64(body, 24));
  start.hard_state = DecodeHardStateBody(body.substr(32, kHardStateBodyBytes));
  std::optional<raft::SnapshotMeta> mark =
      DecodeMark(body.substr(kSegmentStartPrefixBytes - kMarkPrefixBytes));
  if (!mark) return std::nullopt;
  start.mark = *std::move(mark);
  return start;
}

void AppendHardState(std::string& out, const raft::HardState& state) {
  const size_t start = BeginRecord(out, RecordType::kHardState, 0, kHardStateBodyBytes);
  AppendHardStateBody(out, state);
  EndRecord(out, start);
}

std::optional<raft::HardState> DecodeHardState(std::string_view body) {
  if (body.size() != kHardStateBodyBytes) return std::nullopt;
  return DecodeHardStateBody(body);
}

void AppendEntry(std::string& out, const raft::Entry& entry) {
  const size_t start = BeginRecord(out, RecordType::kEntry, static_cast<uint8_t>(entry.kind),
                                   kEntryPrefixBytes + entry.payload_bytes());
  AppendLittleEndian(out, entry.index.value());
  AppendLittleEndian(out, entry.term.value());
  if (entry.payload) out += *entry.payload;
  EndRecord(out, start);
}

std::optional<raft::EntryId> DecodeEntryId(std::string_view body) {
  if (body.size() < kEntryPrefixBytes) return std::nullopt;
  return raft::EntryId{raft::Index(U64(body, 0)), raft::Term(U64(body, 8))};
}

std::optional<raft::Entry> DecodeEntry(uint8_t kind, std::string_view body) {
  const std::optional<raft::EntryId> id = DecodeEntryId(body);
  if (!id || kind > static_cast<uint8_t>(raft::EntryKind::kConfiguration)) return std::nullopt;
  raft::Entry entry{.index = id->index,
                    .term = id->term,
                    .kind = static_cast<raft::EntryKind>(kind),
                    .payload = nullptr};
  body.remove_prefix(kEntryPrefixBytes);
  if (entry.kind == raft::EntryKind::kEmpty) {
    if (!body.empty()) return std::nullopt;
  } else {
    entry.payload = std::make_shared<const std::string>(body);
  }
  return entry;
}

void AppendTruncate(std::string& out, raft::Index from) {
  const size_t start = BeginRecord(out, RecordType::kTruncate, 0, kTruncateBodyBytes);
  AppendLittleEndian(out, from.value());
  EndRecord(out, start);
}

std::optional<raft::Index> DecodeTruncate(std::string_view body) {
  if (body.size() != kTruncateBodyBytes || U64(body, 0) == 0) return std::nullopt;
  return raft::Index(U64(body, 0));
}

void AppendMark(std::string& out, const raft::SnapshotMeta& mark, bool starts_anew) {
  const std::string configuration = raft::EncodeConfiguration(mark.configuration);
  const size_t start =
      BeginRecord(out, RecordType::kMark, starts_anew ? kMarkStartsAnew : kMarkKeepsEntries,
                  kMarkPrefixBytes + configuration.size());
  AppendLittleEndian(out, mark.index.value());
  AppendLittleEndian(out, mark.term.value());
  out += configuration;
  EndRecord(out, start);
}

std::optional<raft::SnapshotMeta> DecodeMark(std::string_view body) {
  if (body.size() < kMarkPrefixBytes) return std::nullopt;
  absl::StatusOr<raft::Configuration> configuration =
      raft::DecodeConfiguration(body.substr(kMarkPrefixBytes));
  if (!configuration.ok()) return std::nullopt;
  return raft::SnapshotMeta{raft::Index(U64(body, 0)), raft::Term(U64(body, 8)),
                            *std::move(configuration)};
}

std::string SegmentName(uint64_t segment) {
  std::string name = absl::StrCat(absl::Hex(segment, absl::kZeroPad16));
  name += kSegmentSuffix;
  return name;
}

std::optional<uint64_t> ParseSegmentName(std::string_view name) {
  if (name.size() != kSegmentDigits + kSegmentSuffix.size() || !name.ends_with(kSegmentSuffix)) {
    return std::nullopt;
  }
  uint64_t segment = 0;
  const char* end = name.data() + kSegmentDigits;
  const auto result = std::from_chars(name.data(), end, segment, 16);
  if (result.ec != std::errc() || result.ptr != end || SegmentName(segment) != name) {
    return std::nullopt;
  }
  return segment;
}

}  // namespace gavel::storage::wal
