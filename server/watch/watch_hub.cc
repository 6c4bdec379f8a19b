#include "server/watch/watch_hub.h"

#include <utility>

#include "raft/check.h"
#include "server/watch/hub_impl.h"

namespace gavel::server {
namespace {

// Tells an in-process watcher.
class LocalSink final : public WatchSink {
 public:
  explicit LocalSink(WatchHub::Tell tell) : tell_(std::move(tell)) {}

  void OnCreated(WatchId, storage::Revision) override {}
  void OnRefused(WatchRefusal why, storage::Revision) override {
    GAVEL_CHECK(why == WatchRefusal::kTotalLimit) << "an in-process watcher of nothing";
    WatchNews news;
    news.refused = true;
    tell_(news);
  }
  WatchSent OnEvents(const WatchDelivery& delivery) override {
    WatchNews news;
    WatchSent sent;
    for (const WatchPart& part : delivery.parts) {
      delivery.batch.ForEachRun(part, [&](uint32_t begin, uint32_t end) {
        for (uint32_t i = begin; i < end; ++i) news.changes.push_back(&delivery.batch.change(i));
      });
    }
    sent.events = news.changes.size();
    news.revision = delivery.revision;
    tell_(news);
    return sent;
  }
  void OnCanceled(WatchId, storage::Revision) override {}
  void OnCompacted(WatchId, storage::Revision compacted) override {
    WatchNews news;
    news.compacted = compacted;
    tell_(news);
  }
  void OnProgress(WatchId, storage::Revision) override {}
  void OnFailed(const absl::Status& status) override {
    WatchNews news;
    news.failure = status;
    tell_(news);
  }

 private:
  const WatchHub::Tell tell_;
};

}  // namespace

WatchHub::WatchHub(const WatchLimits& limits, Surroundings surroundings)
    : impl_(std::make_shared<Impl>(limits, std::move(surroundings))) {}
WatchHub::~WatchHub() { impl_->Shutdown(); }

bool WatchHub::wants_changes() const { return impl_->wants_changes(); }
void WatchHub::OnApplied(std::vector<storage::KeyChange> changes, bool asked,
                         const storage::ReadView& view) {
  impl_->OnApplied(std::move(changes), asked, view);
}
void WatchHub::OnInstalled(const storage::ReadView& view) { impl_->OnInstalled(view); }
WatchCounts WatchHub::counts() const { return impl_->counts(); }

std::unique_ptr<WatchStream> WatchHub::Open(std::shared_ptr<WatchSink> sink,
                                            std::shared_ptr<Executor> executor) {
  std::shared_ptr<WatchStream::State> state = impl_->Open(std::move(sink), std::move(executor));
  return std::unique_ptr<WatchStream>(new WatchStream(impl_, std::move(state)));
}

std::unique_ptr<LocalWatch> WatchHub::Watch(WatchOptions options, Tell tell,
                                            std::shared_ptr<Executor> executor) {
  options.id = 0;
  options.prev_kv = options.progress = options.fragment = false;
  auto stream = Open(std::make_shared<LocalSink>(std::move(tell)), std::move(executor));
  stream->Create(options);
  return std::make_unique<LocalWatch>(std::move(stream));
}

WatchStream::WatchStream(std::shared_ptr<WatchHub::Impl> hub, std::shared_ptr<State> state)
    : hub_(std::move(hub)), state_(std::move(state)) {}
WatchStream::~WatchStream() { hub_->Close(state_); }

void WatchStream::Create(const WatchOptions& options) { hub_->Create(state_, options); }
void WatchStream::Cancel(WatchId id) { hub_->Cancel(state_, id); }
void WatchStream::RequestProgress() { hub_->RequestProgress(state_); }
void WatchStream::OnWritable() { hub_->OnWritable(state_); }

LocalWatch::LocalWatch(std::unique_ptr<WatchStream> stream) : stream_(std::move(stream)) {}
LocalWatch::~LocalWatch() = default;

}  // namespace gavel::server
