#include "server/rpc/watch_writer.h"

#include <algorithm>
#include <utility>

#include "server/rpc/error_map.h"
#include "storage/mvcc/varint.h"

namespace gavel::server {

using etcdserverpb::WatchResponse;
using storage::Revision;

namespace {

// Tags of WatchResponse: (field number << 3) | wire type.
constexpr char kHeaderTag = 1 << 3 | 2;
constexpr char kWatchIdTag = 2 << 3;
constexpr char kFragmentTag = 7 << 3;

// Events up to this size are copied: that is cheaper than to share them.
constexpr size_t kCopyBytesMax = 1024;
// Room for what a response has besides its events.
constexpr size_t kResponseRoom = 64;
constexpr size_t kRoomMax = 1 << 20;

void AppendWatchId(WatchId id, std::string* out) {
  if (id == 0) return;
  out->push_back(kWatchIdTag);
  storage::AppendVarint(static_cast<uint64_t>(id), out);
}

}  // namespace

std::string WatchWriter::Header(Revision revision) const {
  etcdserverpb::ResponseHeader header;
  FillHeader(gate_, gate_.term(), &header);
  header.set_revision(revision);
  std::string field(1, kHeaderTag);
  storage::AppendBytes(header.SerializeAsString(), &field);
  return field;
}

void WatchWriter::Write(Revision revision, WatchResponse response) {
  if (ended_) return;
  FillHeader(gate_, gate_.term(), response.mutable_header());
  response.mutable_header()->set_revision(revision);
  writer_->Write(Encode(response));
}

void WatchWriter::OnCreated(WatchId id, Revision revision) {
  WatchResponse response;
  response.set_watch_id(id);
  response.set_created(true);
  Write(revision, std::move(response));
}

void WatchWriter::OnRefused(WatchRefusal why, Revision revision) {
  WatchResponse response;
  response.set_watch_id(kWholeStream);
  response.set_created(true);
  response.set_canceled(true);
  response.set_cancel_reason(WatchRefusalText(why));
  Write(revision, std::move(response));
}

void WatchWriter::OnCanceled(WatchId id, Revision revision) {
  WatchResponse response;
  response.set_watch_id(id);
  response.set_canceled(true);
  Write(revision, std::move(response));
}

// Clients tell a compaction by the revision; there is no reason, and the header has none either.
void WatchWriter::OnCompacted(WatchId id, Revision compacted) {
  WatchResponse response;
  response.set_watch_id(id);
  response.set_canceled(true);
  response.set_compact_revision(compacted);
  Write(0, std::move(response));
}

void WatchWriter::OnProgress(WatchId id, Revision revision) {
  WatchResponse response;
  response.set_watch_id(id);
  Write(revision, std::move(response));
}

void WatchWriter::OnFailed(const absl::Status& status) {
  if (std::exchange(ended_, true)) return;
  writer_->Finish(InternalError(status.ToString()));
}

WatchSent WatchWriter::OnEvents(const WatchDelivery& delivery) {
  WatchSent sent;
  if (ended_) return sent;
  head_ = Header(delivery.revision);
  const size_t portion = std::min(delivery.batch.portion().bytes(), kCopyBytesMax);
  block_ = MessageBlock(
      std::min(delivery.parts.size() * (portion + kResponseRoom + head_.size()), kRoomMax));
  for (const WatchPart& part : delivery.parts) AddResponse(delivery, part, sent);
  sent.bytes = block_.bytes();
  // In this order: the mark is that of the last write.
  const size_t queued = writer_->WriteBlock(std::move(block_));
  sent.full = queued > writer_->high_mark();
  return sent;
}

void WatchWriter::AddResponse(const WatchDelivery& delivery, const WatchPart& part,
                              WatchSent& sent) {
  const std::shared_ptr<const EventBytes>& events = delivery.batch.Events(part.prev_kv);
  size_t bytes = 0;
  uint64_t count = 0;
  delivery.batch.ForEachRun(part, [&](uint32_t begin, uint32_t end) {
    bytes += events->Get(begin, end).size();
    count += end - begin;
  });
  sent.events += count;
  const size_t head_bytes = head_.size();
  AppendWatchId(part.id, &head_);
  if (part.fragment && count > 1 && head_.size() + bytes >= fragment_bytes_) {
    AddFragments(delivery, part);
  } else {
    block_.Begin(head_.size() + bytes);
    block_.Append(head_);
    delivery.batch.ForEachRun(part,
                              [&](uint32_t begin, uint32_t end) { AddEvents(events, begin, end); });
  }
  head_.resize(head_bytes);
}

void WatchWriter::AddEvents(const std::shared_ptr<const EventBytes>& events, uint32_t begin,
                            uint32_t end) {
  const std::string_view bytes = events->Get(begin, end);
  if (bytes.size() <= kCopyBytesMax) {
    block_.Append(bytes);
  } else {
    block_.AppendShared(events, bytes);
  }
}

// As many events in each response as stay below the limit, and one at least.
void WatchWriter::AddFragments(const WatchDelivery& delivery, const WatchPart& part) {
  const std::shared_ptr<const EventBytes>& events = delivery.batch.Events(part.prev_kv);
  std::vector<uint32_t> numbers;
  delivery.batch.ForEachRun(part, [&](uint32_t begin, uint32_t end) {
    for (uint32_t i = begin; i < end; ++i) numbers.push_back(i);
  });
  const std::string flag = {kFragmentTag, 1};
  for (size_t begin = 0; begin < numbers.size();) {
    size_t end = begin;
    size_t bytes = 0;
    while (end < numbers.size()) {
      const size_t more = events->Get(numbers[end], numbers[end] + 1).size();
      if (end > begin && head_.size() + flag.size() + bytes + more >= fragment_bytes_) break;
      bytes += more;
      ++end;
    }
    const bool last = end == numbers.size();
    block_.Begin(head_.size() + (last ? 0 : flag.size()) + bytes);
    block_.Append(head_);
    if (!last) block_.Append(flag);
    for (; begin < end; ++begin) AddEvents(events, numbers[begin], numbers[begin] + 1);
  }
}

}  // namespace gavel::server
