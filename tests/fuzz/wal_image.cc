#include "tests/fuzz/wal_image.h"

#include <algorithm>
#include <utility>

#include "storage/disk/crc32c.h"
#include "storage/disk/double_block.h"
#include "storage/disk/little_endian.h"
#include "storage/wal/format.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {
namespace {

using storage::Crc32c;
using storage::LoadLittleEndian;
using storage::StoreLittleEndian;
using storage::wal::RecordHeader;
using storage::wal::RecordType;

// Offsets inside bodies that FORMAT.md gives.
constexpr size_t kStartChainAt = 8;
constexpr size_t kBatchRecordsAt = 8;
constexpr size_t kBatchRecordsChainAt = 12;
constexpr size_t kBatchChainBeforeAt = 16;
constexpr size_t kBatchMarkAt = 20;

constexpr size_t kFileBytesMax = 1 << 16;
constexpr size_t kZerosMin = 24;

// What ties the records of a log together, on the way from the first to the last.
struct Thread {
  uint64_t previous_end = 0;
  uint64_t sequence = 1;
  uint32_t chain = 0;
};

void MendDoubleBlock(std::string& file) {
  for (size_t at = 0; at + storage::DoubleBlock::kSlotBytes <= file.size();
       at += storage::DoubleBlock::kSlotBytes) {
    char* slot = file.data() + at;
    const size_t length = std::min<size_t>(LoadLittleEndian<uint32_t>(slot + 12),
                                           storage::DoubleBlock::kBodyBytesMax);
    StoreLittleEndian(slot + 12, static_cast<uint32_t>(length));
    const uint32_t head = Crc32c({slot, 24});
    StoreLittleEndian(slot + 24, Crc32c({slot + 28, length}, head));
  }
}

// Walks the records of one segment and seals each again.
class SegmentMender {
 public:
  SegmentMender(std::string& file, uint8_t segment, Thread& thread, bool chains)
      : file_(file), segment_(segment), thread_(thread), chains_(chains) {}

  void Run() {
    if (file_.size() < storage::wal::kPreambleBytes) return;
    StoreLittleEndian(file_.data() + 12, Crc32c({file_.data(), 12}));
    size_t at = storage::wal::kPreambleBytes;
    bool first = true;
    while (RecordAt(at)) {
      if (chains_ && first) {
        at += MendStart(at);
      } else if (chains_ && Header(at).type == static_cast<uint8_t>(RecordType::kBatch)) {
        at += MendBatch(at);
      } else {
        Seal(at, Header(at).sequence);
        at += Bytes(at);
      }
      first = false;
    }
    thread_.previous_end = at;
  }

 private:
  RecordHeader Header(size_t at) const { return storage::wal::DecodeHeader(file_.data() + at); }
  uint64_t Bytes(size_t at) const { return storage::wal::RecordBytes(Header(at).length); }
  char* Body(size_t at) { return file_.data() + at + storage::wal::kRecordHeaderBytes; }

  // True if a whole record with a type stands there.
  bool RecordAt(size_t at) const {
    return at + storage::wal::kRecordHeaderBytes <= file_.size() && Header(at).type != 0 &&
           at + Bytes(at) <= file_.size();
  }

  uint32_t Seal(size_t at, uint64_t sequence) {
    return storage::wal::SealRecord(file_.data() + at, Bytes(at),
                                    chains_ ? segment_ : Header(at).segment, sequence);
  }

  size_t MendStart(size_t at) {
    if (Header(at).length >= storage::wal::kSegmentStartPrefixBytes) {
      StoreLittleEndian(Body(at), thread_.previous_end);
      StoreLittleEndian(Body(at) + kStartChainAt, thread_.chain);
    }
    thread_.chain = storage::wal::Chain(thread_.chain, Seal(at, thread_.sequence++));
    return Bytes(at);
  }

  size_t MendBatch(size_t at) {
    if (Header(at).length < storage::wal::kBatchBodyBytes) {
      Seal(at, thread_.sequence++);
      return Bytes(at);
    }
    const uint64_t batch_sequence = thread_.sequence;
    const uint32_t chain_before = thread_.chain;
    uint32_t chain = chain_before;
    const uint32_t wanted = LoadLittleEndian<uint32_t>(Body(at) + kBatchRecordsAt);
    uint32_t records = 0;
    size_t next = at + Bytes(at);
    while (records < wanted && RecordAt(next)) {
      chain = storage::wal::Chain(chain, Seal(next, batch_sequence + ++records));
      next += Bytes(next);
    }
    char* body = Body(at);
    StoreLittleEndian(body, uint64_t{next - at});
    StoreLittleEndian(body + kBatchRecordsAt, records);
    StoreLittleEndian(body + kBatchRecordsChainAt, chain);
    StoreLittleEndian(body + kBatchChainBeforeAt, chain_before);
    StoreLittleEndian(body + kBatchMarkAt, chain_before);
    StoreLittleEndian(body + kBatchMarkAt + 4, uint64_t{segment_});
    StoreLittleEndian(body + kBatchMarkAt + 12, uint64_t{at});
    StoreLittleEndian(body + kBatchMarkAt + 28, batch_sequence);
    thread_.chain = storage::wal::Chain(chain, Seal(at, batch_sequence));
    thread_.sequence = batch_sequence + 1 + records;
    return next - at;
  }

  std::string& file_;
  const uint8_t segment_;
  Thread& thread_;
  const bool chains_;
};

}  // namespace

WalImage ParseWalImage(std::string_view input) {
  Choices choices(input);
  WalImage image;
  image.keep_from = choices.Byte();
  while (!choices.empty() && image.files.size() <= kSegmentsMax) {
    const uint8_t name = static_cast<uint8_t>(choices.Below(kSegmentsMax + 1));
    std::string bytes;
    for (uint8_t pieces = choices.Byte(); pieces > 0; --pieces) {
      bytes.append(choices.Number(2), '\0');
      bytes += choices.Bytes(choices.Number(2));
      if (bytes.size() > kFileBytesMax) bytes.resize(kFileBytesMax);
    }
    image.files[name] = std::move(bytes);
  }
  return image;
}

std::string EncodeWalImage(const WalImage& image) {
  std::string input(1, static_cast<char>(image.keep_from));
  for (const auto& [name, bytes] : image.files) {
    std::string pieces;
    uint8_t count = 0;
    for (size_t at = 0; at < bytes.size() && count < UINT8_MAX; ++count) {
      const size_t begin =
          std::min({bytes.find_first_not_of('\0', at), bytes.size(), at + UINT16_MAX});
      size_t end = begin;
      // Short runs of zeros stay inside a piece.
      while (end < bytes.size() && end - begin < UINT16_MAX &&
             bytes.find_first_not_of('\0', end) < std::min(end + kZerosMin, bytes.size())) {
        ++end;
      }
      storage::AppendLittleEndian(pieces, static_cast<uint16_t>(begin - at));
      storage::AppendLittleEndian(pieces, static_cast<uint16_t>(end - begin));
      pieces += bytes.substr(begin, end - begin);
      at = end;
    }
    input += static_cast<char>(name);
    input += static_cast<char>(count);
    input += pieces;
  }
  return input;
}

void MendWalImage(WalImage& image, bool chains) {
  Thread thread;
  for (auto& [name, bytes] : image.files) {
    if (name == 0) {
      MendDoubleBlock(bytes);
    } else {
      SegmentMender(bytes, name, thread, chains).Run();
    }
  }
}

}  // namespace gavel::fuzz
