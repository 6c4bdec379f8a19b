#include "storage/wal/batch_writer.h"

namespace gavel::storage::wal {
namespace {

// A buffer grown past this by one large batch is given back after it.
constexpr size_t kKeptBytesMax = 4 << 20;

}  // namespace

void BatchWriter::AddMark(const raft::SnapshotMeta& mark, bool starts_anew) {
  if (starts_anew) changes_.push_back({RecordType::kMark, mark.index, buffer_.size()});
  AppendMark(buffer_, mark, starts_anew);
  ++records_;
}

void BatchWriter::AddHardState(const raft::HardState& state) {
  AppendHardState(buffer_, state);
  ++records_;
}

void BatchWriter::AddTruncate(raft::Index from) {
  changes_.push_back({RecordType::kTruncate, from, buffer_.size()});
  AppendTruncate(buffer_, from);
  ++records_;
}

void BatchWriter::AddEntry(const raft::Entry& entry) {
  changes_.push_back({RecordType::kEntry, entry.index, buffer_.size()});
  AppendEntry(buffer_, entry);
  ++records_;
}

std::string_view BatchWriter::Finish(Position& at, const Position& mark) {
  BatchBody body;
  body.bytes = buffer_.size();
  body.records = records_;
  body.chain_before = at.chain;
  body.mark = mark;
  uint32_t chain = at.chain;
  const uint64_t first_sequence = at.sequence;
  uint64_t sequence = first_sequence + 1;
  for (size_t offset = kBatchRecordBytes; offset < buffer_.size();) {
    char* record = buffer_.data() + offset;
    const uint64_t bytes = RecordBytes(DecodeHeader(record).length);
    chain = Chain(chain, SealRecord(record, bytes, at.segment, sequence++));
    offset += bytes;
  }
  body.records_chain = chain;
  std::string lead;
  AppendRecord(lead, RecordType::kBatch, 0, EncodeBatchBody(body));
  buffer_.replace(0, kBatchRecordBytes, lead);
  at.chain =
      Chain(chain, SealRecord(buffer_.data(), kBatchRecordBytes, at.segment, first_sequence));
  at.sequence = sequence;
  at.offset += buffer_.size();
  return buffer_;
}

void BatchWriter::Clear() {
  if (buffer_.capacity() > kKeptBytesMax) std::string().swap(buffer_);
  buffer_.assign(kBatchRecordBytes, '\0');
  records_ = 0;
  changes_.clear();
}

}  // namespace gavel::storage::wal
