#include "storage/snapshot/archive_reader.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "storage/disk/crc32c.h"
#include "storage/mvcc/varint.h"
#include "storage/snapshot/compression.h"
#include "storage/snapshot/sha256.h"
#include "storage/status_macros.h"

namespace gavel::storage {

using archive::Compression;
using archive::FrameHeader;
using archive::FrameType;

class ArchiveReader::Impl {
 public:
  Impl(OnArchiveRow on_row, ArchiveReaderOptions options)
      : on_row_(std::move(on_row)), options_(options) {}

  absl::Status Feed(std::string_view bytes) {
    while (status_.ok() && !bytes.empty()) {
      if (part_ == Part::kEnd) {
        status_ = Damage("more bytes follow the end of the snapshot");
        break;
      }
      const std::string_view taken = bytes.substr(0, wanted_ - buffer_.size());
      buffer_ += taken;
      bytes.remove_prefix(taken.size());
      if (buffer_.size() == wanted_) status_ = TakePart();
    }
    return status_;
  }

  absl::StatusOr<ArchiveSummary> Finish() {
    if (!status_.ok()) return status_;
    if (part_ != Part::kEnd) {
      status_ = absl::DataLossError(absl::StrCat("cut off at offset ", offset_ + buffer_.size(),
                                                 ", in the ", PartName(), " that begins at offset ",
                                                 offset_));
      return status_;
    }
    return summary_;
  }

 private:
  enum class Part : uint8_t { kPreamble, kFrameHeader, kBody, kPadding, kDigest, kEnd };

  std::string PartName() const {
    switch (part_) {
      case Part::kPreamble:
        return "first bytes";
      case Part::kFrameHeader:
        return absl::StrCat("head of block ", next_frame_);
      case Part::kBody:
        return absl::StrCat("contents of block ", next_frame_);
      case Part::kPadding:
        return "zeros at the end";
      case Part::kDigest:
        return "SHA-256 at the end";
      case Part::kEnd:
        break;
    }
    return "end";
  }

  // DataLoss at the part under way.
  absl::Status Damage(std::string_view what) const {
    return absl::DataLossError(absl::StrCat("damaged at offset ", offset_, ", in the ", PartName(),
                                            ": ", absl::string_view(what.data(), what.size())));
  }
  absl::Status At(const absl::Status& status) const {
    if (!absl::IsDataLoss(status)) return status;
    return Damage({status.message().data(), status.message().size()});
  }

  // The buffer holds the whole part that was wanted.
  absl::Status TakePart() {
    if (part_ != Part::kDigest) sha_.Add(buffer_);
    const uint64_t size = buffer_.size();
    switch (part_) {
      case Part::kPreamble:
        GAVEL_RETURN_IF_ERROR(At(archive::CheckPreamble(buffer_)));
        Want(Part::kFrameHeader, archive::kFrameHeaderBytes);
        break;
      case Part::kFrameHeader:
        GAVEL_RETURN_IF_ERROR(TakeFrameHeader());
        Want(Part::kBody, frame_.stored_bytes);
        break;
      case Part::kBody:
        GAVEL_RETURN_IF_ERROR(TakeBody());
        ++next_frame_;
        if (frame_.type == FrameType::kTrailer) {
          WantPadding(offset_ + size);
        } else {
          Want(Part::kFrameHeader, archive::kFrameHeaderBytes);
        }
        break;
      case Part::kPadding:
        if (buffer_.find_first_not_of('\0') != std::string::npos) return Damage("not all zeros");
        Want(Part::kDigest, kSha256Bytes);
        break;
      case Part::kDigest:
        if (!options_.skip_digest && sha_.Finish() != buffer_) {
          return Damage("the SHA-256 of the snapshot differs");
        }
        Want(Part::kEnd, 0);
        break;
      case Part::kEnd:
        break;
    }
    offset_ += size;
    summary_.bytes = offset_;
    buffer_.clear();
    return absl::OkStatus();
  }

  void Want(Part part, uint64_t bytes) {
    part_ = part;
    wanted_ = bytes;
  }
  void WantPadding(uint64_t from) {
    const uint64_t past = from % archive::kPageBytes;
    if (past > 0) {
      Want(Part::kPadding, archive::kPageBytes - past);
    } else {
      Want(Part::kDigest, kSha256Bytes);
    }
  }

  absl::Status TakeFrameHeader() {
    const std::optional<FrameHeader> header = archive::DecodeFrameHeader(buffer_);
    if (!header) return Damage("its checksum differs");
    frame_ = *header;
    if (frame_.number != next_frame_) {
      return Damage(absl::StrCat("block ", frame_.number, " stands here instead"));
    }
    const bool first = next_frame_ == 0;
    const bool known = frame_.type == FrameType::kRows || frame_.type == FrameType::kTrailer;
    if (first ? frame_.type != FrameType::kHeader : !known) {
      return Damage(
          absl::StrCat("a block of type ", static_cast<int>(frame_.type), " cannot stand here"));
    }
    const bool whole = frame_.compression == Compression::kNone;
    if ((!whole && frame_.compression != Compression::kZstd) || frame_.body_bytes == 0 ||
        frame_.stored_bytes == 0 || frame_.body_bytes > archive::kBodyBytesMax ||
        frame_.stored_bytes > frame_.body_bytes ||
        (whole && frame_.stored_bytes != frame_.body_bytes)) {
      return Damage("its lengths make no sense");
    }
    return absl::OkStatus();
  }

  absl::Status TakeBody() {
    if (Crc32c(buffer_) != frame_.body_checksum) return Damage("their checksum differs");
    std::string_view body = buffer_;
    if (frame_.compression == Compression::kZstd) {
      if (!decompressor_.Decompress(buffer_, frame_.body_bytes, &decompressed_)) {
        return Damage("they cannot be decompressed");
      }
      body = decompressed_;
    }
    switch (frame_.type) {
      case FrameType::kHeader:
        return At(archive::DecodeHeader(body, &summary_.header));
      case FrameType::kRows:
        return TakeRows(body);
      case FrameType::kTrailer:
        return TakeTrailer(body);
    }
    return absl::OkStatus();
  }

  absl::Status TakeRows(std::string_view body) {
    const std::optional<Family> family = archive::FamilyOf(static_cast<uint8_t>(body.front()));
    if (!family) return Damage("they name no family of rows");
    body.remove_prefix(1);
    const auto& order = archive::kFamilyOrder;
    const size_t place =
        static_cast<size_t>(std::find(order.begin(), order.end(), *family) - order.begin());
    if (place < place_) return Damage("their rows are not in order");
    if (place > place_) {
      place_ = place;
      last_key_.reset();
    }
    while (!body.empty()) {
      std::string_view key;
      std::string_view value;
      if (!TakeBytes(&body, &key) || !TakeBytes(&body, &value)) {
        return Damage("a row makes no sense");
      }
      if (last_key_ && key <= *last_key_) return Damage("their rows are not in order");
      last_key_.emplace(key);
      GAVEL_RETURN_IF_ERROR(TakeRow(*family, key, value));
    }
    return absl::OkStatus();
  }

  absl::Status TakeRow(Family family, std::string_view key, std::string_view value) {
    ArchiveTotals& totals = totals_;
    ++totals.rows[place_];
    totals.row_bytes += key.size() + value.size();
    totals.contents = archive::AddToContents(totals.contents, family, key, value);
    GAVEL_RETURN_IF_ERROR(CompareWithHeader(family, key, value));
    return on_row_ ? on_row_(family, key, value) : absl::OkStatus();
  }

  // The header repeats some rows, so that they can be looked at before all has been read.
  absl::Status CompareWithHeader(Family family, std::string_view key, std::string_view value) {
    const ArchiveHeader& header = summary_.header;
    bool equal = true;
    if (family == Family::kMembers) {
      equal = members_ < header.members.size() && key == MemberKey(header.members[members_].id) &&
              value == EncodeMember(header.members[members_]);
      ++members_;
    } else if (family == Family::kMeta && key == kMetaFormat) {
      equal = value == EncodeMetaFormat(header.format);
      ++meta_rows_;
    } else if (family == Family::kMeta && key == kMetaState) {
      equal = value == EncodeMetaState(header.state);
      ++meta_rows_;
    } else if (family == Family::kMeta && key == kMetaConfiguration) {
      equal = value == raft::EncodeConfiguration(header.configuration);
      ++meta_rows_;
    }
    return equal ? absl::OkStatus() : Damage("a row differs from what the header says");
  }

  absl::Status TakeTrailer(std::string_view body) {
    if (!archive::DecodeTotals(body, &summary_.totals)) return Damage("the totals make no sense");
    if (summary_.totals != totals_) return Damage("the totals differ from what was read");
    if (meta_rows_ != kRepeatedMetaRows || members_ != summary_.header.members.size()) {
      return Damage("rows that the header repeats are missing");
    }
    return absl::OkStatus();
  }

  // Of `meta`, in the header: format, state, configuration.
  static constexpr int kRepeatedMetaRows = 3;

  const OnArchiveRow on_row_;
  const ArchiveReaderOptions options_;
  absl::Status status_;
  Sha256 sha_;
  Decompressor decompressor_;

  Part part_ = Part::kPreamble;
  uint64_t wanted_ = archive::kPreambleBytes;
  std::string buffer_;   // Of the part under way.
  uint64_t offset_ = 0;  // Where that begins.
  FrameHeader frame_;
  uint32_t next_frame_ = 0;
  std::string decompressed_;

  size_t place_ = 0;  // Of the family under way in archive::kFamilyOrder.
  std::optional<std::string> last_key_;
  size_t members_ = 0;  // Rows of that family so far.
  int meta_rows_ = 0;   // Those that the header repeats.
  ArchiveTotals totals_;
  ArchiveSummary summary_;
};

ArchiveReader::ArchiveReader(OnArchiveRow on_row, ArchiveReaderOptions options)
    : impl_(std::make_unique<Impl>(std::move(on_row), options)) {}
ArchiveReader::~ArchiveReader() = default;
absl::Status ArchiveReader::Feed(std::string_view bytes) { return impl_->Feed(bytes); }
absl::StatusOr<ArchiveSummary> ArchiveReader::Finish() { return impl_->Finish(); }

}  // namespace gavel::storage
