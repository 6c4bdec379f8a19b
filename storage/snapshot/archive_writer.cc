#include "storage/snapshot/archive_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "storage/disk/crc32c.h"
#include "storage/mvcc/varint.h"
#include "storage/snapshot/compression.h"
#include "storage/snapshot/row_filter.h"
#include "storage/snapshot/sha256.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

using archive::Compression;
using archive::FrameHeader;
using archive::FrameType;

// Rows looked at in one step, kept or not.
constexpr int64_t kRowsPerStep = 4096;

absl::StatusOr<std::string> MetaRow(const Engine& engine, const ReadOptions& options,
                                    std::string_view name) {
  std::string row;
  const absl::Status status = engine.Get(Family::kMeta, name, &row, options);
  if (absl::IsNotFound(status)) {
    return absl::DataLossError(
        absl::StrCat("meta: no ", absl::string_view(name.data(), name.size())));
  }
  if (!status.ok()) return status;
  return row;
}

absl::StatusOr<ArchiveHeader> ReadHeader(const Engine& engine, const EngineSnapshot& snapshot,
                                         const ArchiveOrigin& origin) {
  ReadOptions options;
  options.snapshot = &snapshot;
  ArchiveHeader header;
  header.cluster_id = origin.cluster_id;
  header.member_id = origin.member_id;
  GAVEL_ASSIGN_OR_RETURN(const std::string format, MetaRow(engine, options, kMetaFormat));
  if (!DecodeMetaFormat(format, &header.format)) {
    return absl::DataLossError("meta: damaged format");
  }
  GAVEL_ASSIGN_OR_RETURN(const std::string state, MetaRow(engine, options, kMetaState));
  if (!DecodeMetaState(state, &header.state)) return absl::DataLossError("meta: damaged state");
  GAVEL_ASSIGN_OR_RETURN(const std::string bytes, MetaRow(engine, options, kMetaConfiguration));
  GAVEL_ASSIGN_OR_RETURN(header.configuration, raft::DecodeConfiguration(bytes));
  GAVEL_ASSIGN_OR_RETURN(header.members, ReadMembers(engine, options));
  return header;
}

}  // namespace

class ArchiveWriter::Impl {
 public:
  Impl(std::shared_ptr<const Engine> engine, std::shared_ptr<const EngineSnapshot> snapshot,
       ArchiveHeader header)
      : engine_(std::move(engine)),
        snapshot_(std::move(snapshot)),
        header_(std::move(header)),
        filter_(header_.state.totals.compacted) {}

  absl::StatusOr<bool> Step(std::string* out) {
    if (stage_ == Stage::kDone) return false;
    if (stage_ == Stage::kHeader) {
      Append(archive::EncodePreamble(), out);
      AppendFrame(FrameType::kHeader, archive::EncodeHeader(header_), out);
      stage_ = Stage::kRows;
    } else if (family_ < archive::kFamilyOrder.size()) {
      if (absl::Status status = AddRows(out); !status.ok()) return status;
    } else {
      End(out);
      stage_ = Stage::kDone;
    }
    return stage_ != Stage::kDone;
  }

  raft::EntryId last() const { return {header_.state.applied, header_.state.applied_term}; }

  uint64_t remaining_bytes() const {
    if (stage_ == Stage::kDone) return 0;
    const Totals& totals = header_.state.totals;
    const uint64_t all = static_cast<uint64_t>(totals.live_bytes + totals.superseded_total -
                                               totals.superseded_compacted);
    uint64_t left = all - std::min(all, totals_.row_bytes);
    if (totals_.row_bytes > 0) {
      left = static_cast<uint64_t>(static_cast<double>(left) * static_cast<double>(hashed_) /
                                   static_cast<double>(totals_.row_bytes));
    }
    return left + kEndBytes;
  }

 private:
  enum class Stage : uint8_t { kHeader, kRows, kDone };
  // About what the end of an archive takes.
  static constexpr uint64_t kEndBytes = archive::kPageBytes + kSha256Bytes;

  // Takes rows of the current family until a block is full, the family ends, or the step is long
  // enough.
  absl::Status AddRows(std::string* out) {
    const Family family = archive::kFamilyOrder[family_];
    if (iterator_ == nullptr) {
      ReadOptions options;
      options.snapshot = snapshot_.get();
      options.fill_cache = false;
      iterator_ = engine_->NewIterator(family, options);
      iterator_->SeekToFirst();
    }
    for (int64_t rows = 0; rows < kRowsPerStep && iterator_->Valid(); ++rows) {
      GAVEL_ASSIGN_OR_RETURN(const bool keeps,
                             filter_.Keeps(family, iterator_->key(), iterator_->value()));
      if (keeps) AddRow(family);
      iterator_->Next();
      if (block_.size() >= archive::kBlockBytes) break;
    }
    if (!iterator_->status().ok()) return iterator_->status();
    const bool ended = !iterator_->Valid();
    if (!block_.empty() && (ended || block_.size() >= archive::kBlockBytes)) {
      AppendFrame(FrameType::kRows, std::exchange(block_, {}), out);
    }
    if (ended) {
      iterator_.reset();
      ++family_;
    }
    return absl::OkStatus();
  }

  void AddRow(Family family) {
    const std::string_view key = iterator_->key();
    const std::string_view value = iterator_->value();
    if (block_.empty()) block_.push_back(static_cast<char>(archive::FamilyCode(family)));
    AppendBytes(key, &block_);
    AppendBytes(value, &block_);
    ++totals_.rows[family_];
    totals_.row_bytes += key.size() + value.size();
    totals_.contents = archive::AddToContents(totals_.contents, family, key, value);
  }

  void End(std::string* out) {
    AppendFrame(FrameType::kTrailer, archive::EncodeTotals(totals_), out);
    const uint64_t past = hashed_ % archive::kPageBytes;
    if (past > 0) Append(std::string(archive::kPageBytes - past, '\0'), out);
    *out += sha_.Finish();
    snapshot_.reset();
  }

  void AppendFrame(FrameType type, const std::string& body, std::string* out) {
    FrameHeader header;
    header.type = type;
    header.number = frames_++;
    header.body_bytes = static_cast<uint32_t>(body.size());
    const bool smaller = type == FrameType::kRows && compressor_.Compress(body, &compressed_);
    const std::string& stored = smaller ? compressed_ : body;
    header.compression = smaller ? Compression::kZstd : Compression::kNone;
    header.stored_bytes = static_cast<uint32_t>(stored.size());
    header.body_checksum = Crc32c(stored);
    std::string bytes;
    archive::AppendFrameHeader(header, &bytes);
    Append(bytes, out);
    Append(stored, out);
  }

  void Append(std::string_view bytes, std::string* out) {
    sha_.Add(bytes);
    hashed_ += bytes.size();
    *out += bytes;
  }

  const std::shared_ptr<const Engine> engine_;
  std::shared_ptr<const EngineSnapshot> snapshot_;
  const ArchiveHeader header_;
  RowFilter filter_;
  Compressor compressor_;
  Sha256 sha_;
  Stage stage_ = Stage::kHeader;
  size_t family_ = 0;  // Place in archive::kFamilyOrder.
  std::unique_ptr<Iterator> iterator_;
  std::string block_;  // Body of the block under way.
  std::string compressed_;
  ArchiveTotals totals_;
  uint32_t frames_ = 0;
  uint64_t hashed_ = 0;  // Bytes of the archive so far, but for the digest.
};

absl::StatusOr<std::unique_ptr<ArchiveWriter>> ArchiveWriter::Create(
    std::shared_ptr<const Engine> engine, const ArchiveOrigin& origin) {
  std::shared_ptr<const EngineSnapshot> snapshot = engine->Snapshot();
  GAVEL_ASSIGN_OR_RETURN(ArchiveHeader header, ReadHeader(*engine, *snapshot, origin));
  return std::unique_ptr<ArchiveWriter>(new ArchiveWriter(
      std::make_unique<Impl>(std::move(engine), std::move(snapshot), std::move(header))));
}

ArchiveWriter::ArchiveWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ArchiveWriter::~ArchiveWriter() = default;
absl::StatusOr<bool> ArchiveWriter::Step(std::string* out) { return impl_->Step(out); }
raft::EntryId ArchiveWriter::last() const { return impl_->last(); }
uint64_t ArchiveWriter::remaining_bytes() const { return impl_->remaining_bytes(); }

}  // namespace gavel::storage
