#include "storage/engine/rocks_status.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rocksdb/listener.h"
#include "rocksdb/status.h"

namespace gavel::storage {
namespace {

const char* ReasonName(rocksdb::BackgroundErrorReason reason) {
  switch (reason) {
    case rocksdb::BackgroundErrorReason::kFlush:
    case rocksdb::BackgroundErrorReason::kFlushNoWAL:
      return "flush";
    case rocksdb::BackgroundErrorReason::kCompaction:
      return "compaction";
    case rocksdb::BackgroundErrorReason::kWriteCallback:
    case rocksdb::BackgroundErrorReason::kMemTable:
      return "write";
    case rocksdb::BackgroundErrorReason::kManifestWrite:
    case rocksdb::BackgroundErrorReason::kManifestWriteNoWAL:
      return "manifest write";
  }
  return "background work";
}

class RocksListener final : public rocksdb::EventListener {
 public:
  RocksListener(HealthLatch& health, FlushEvents& events, std::function<void()> on_flushed)
      : health_(health), events_(events), on_flushed_(std::move(on_flushed)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    Latch(*error, ReasonName(reason));
    events_.OnError();
  }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override {
    if (!info.new_bg_error.ok()) Latch(info.new_bg_error, "recovery from a full disk");
    if (!info.new_bg_error.ok()) events_.OnError();
  }
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
    events_.OnFlushed(info.largest_seqno);
    if (on_flushed_) on_flushed_();
  }

 private:
  void Latch(const rocksdb::Status& error, std::string_view what) {
    const absl::Status status = FromRocks(error, what);
    if (IsTerminal(status)) health_.Fail(status);
  }

  HealthLatch& health_;
  FlushEvents& events_;
  const std::function<void()> on_flushed_;
};

}  // namespace

absl::Status FromRocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text =
      absl::StrCat("state engine: ", std::string(what), ": ", status.ToString());
  if (status.IsNotFound()) return absl::NotFoundError(text);
  if (status.IsNoSpace() || status.IsIncomplete() || status.IsBusy()) {
    return absl::ResourceExhaustedError(text);
  }
  if (status.IsShutdownInProgress() || status.IsAborted()) return absl::CancelledError(text);
  if (status.IsCorruption()) return absl::DataLossError(text);
  return absl::InternalError(text);
}

bool IsTerminal(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInternal(status);
}

std::shared_ptr<rocksdb::EventListener> NewRocksListener(HealthLatch& health, FlushEvents& events,
                                                         std::function<void()> on_flushed) {
  return std::make_shared<RocksListener>(health, events, std::move(on_flushed));
}

}  // namespace gavel::storage
