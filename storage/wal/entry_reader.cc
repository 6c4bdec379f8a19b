#include "storage/wal/entry_reader.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "storage/disk/path.h"
#include "storage/status_macros.h"
#include "storage/wal/format.h"
#include "storage/wal/segment_reader.h"

namespace gavel::storage::wal {
namespace {

// Walks the records of runs; keeps the segment of the newest run open.
class RunReader {
 public:
  RunReader(Disk& disk, const std::string& directory, const EntryRange& range)
      : disk_(disk), directory_(directory), range_(range) {}

  // Reads the entries from `run` up to `end`. Returns false when enough has been read.
  absl::StatusOr<bool> Read(const Run& run, raft::Index end);

  std::vector<raft::Entry> TakeEntries() { return std::move(entries_); }

 private:
  absl::Status OpenSegment(uint64_t segment);
  absl::Status Take(const Record& record, uint64_t offset, raft::Index expected);

  Disk& disk_;
  const std::string& directory_;
  const EntryRange& range_;
  uint64_t segment_ = 0;
  std::string path_;
  std::unique_ptr<File> file_;
  std::optional<SegmentReader> reader_;
  std::vector<raft::Entry> entries_;
  size_t bytes_ = 0;
};

absl::Status RunReader::OpenSegment(uint64_t segment) {
  if (segment == segment_) return absl::OkStatus();
  path_ = JoinPath(directory_, SegmentName(segment));
  GAVEL_ASSIGN_OR_RETURN(file_, disk_.Open(path_, OpenMode::kReadOnly));
  GAVEL_ASSIGN_OR_RETURN(const uint64_t size, file_->Size());
  reader_.emplace(*file_, size);
  segment_ = segment;
  return absl::OkStatus();
}

absl::Status RunReader::Take(const Record& record, uint64_t offset, raft::Index expected) {
  const char* damage = RecordDamage(record.bytes, segment_, record.header.sequence);
  std::optional<raft::Entry> entry;
  if (damage == nullptr) entry = DecodeEntry(record.header.detail, record.body);
  if (!entry || entry->index != expected) {
    return absl::DataLossError(absl::StrCat(path_, ": damaged at offset ", offset, ", at entry ",
                                            expected.value(), ": ",
                                            damage != nullptr ? damage : "another entry"));
  }
  bytes_ += entry->payload_bytes();
  entries_.push_back(*std::move(entry));
  return absl::OkStatus();
}

absl::StatusOr<bool> RunReader::Read(const Run& run, raft::Index end) {
  GAVEL_RETURN_IF_ERROR(OpenSegment(run.segment));
  uint64_t offset = run.offset;
  for (raft::Index next = run.first; next < end;) {
    GAVEL_ASSIGN_OR_RETURN(const auto record, reader_->ReadRecord(offset, reader_->size()));
    // A header of zeros would make the walk stand at the end of the data for ever.
    if (!record || record->header.type == 0) {
      return absl::DataLossError(absl::StrCat(path_, ": damaged at offset ", offset, ", at entry ",
                                              next.value(), ": no record"));
    }
    if (record->header.type == static_cast<uint8_t>(RecordType::kEntry)) {
      if (next >= range_.from) {
        GAVEL_RETURN_IF_ERROR(Take(*record, offset, next));
        if (bytes_ >= range_.bytes_max) return false;
      }
      next = next.Next();
    }
    offset += record->bytes.size();
  }
  return true;
}

}  // namespace

absl::StatusOr<std::vector<raft::Entry>> ReadEntries(Disk& disk, const std::string& directory,
                                                     const std::vector<Run>& runs,
                                                     const EntryRange& range) {
  RunReader reader(disk, directory, range);
  for (size_t i = 0; i < runs.size(); ++i) {
    const raft::Index end = i + 1 < runs.size() ? runs[i + 1].first : range.end;
    GAVEL_ASSIGN_OR_RETURN(const bool more, reader.Read(runs[i], end));
    if (!more) break;
  }
  return reader.TakeEntries();
}

}  // namespace gavel::storage::wal
