#include "server/watch/watch_batch.h"

namespace gavel::server {

absl::Status WatchBatch::LoadPrevious(const storage::ReadView& view) const {
  if (previous_wanted_ == 0 || previous_loaded_.load(std::memory_order_acquire)) {
    return absl::OkStatus();
  }
  const std::vector<uint8_t>& wanted = wanted_[1];
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == 0) continue;
    if (absl::Status status = portion_->LoadPrevious(i, view); !status.ok()) return status;
  }
  // The portion still knows what has been compacted since it was read for somebody else.
  previous_compacted_.store(view.published_compacted->load(), std::memory_order_relaxed);
  previous_loaded_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

const std::shared_ptr<const EventBytes>& WatchBatch::Events(bool with_previous) const {
  const size_t which = with_previous ? 1 : 0;
  std::call_once(encoded_once_[which], [this, which] {
    encoded_[which] = EventBytes::Encode(*portion_, wanted_[which], which == 1,
                                         previous_compacted_.load(std::memory_order_relaxed));
  });
  return encoded_[which];
}

void BatchBuilder::Begin(uint64_t number) {
  number_ = number;
  events_ = 0;
  previous_wanted_ = 0;
  runs_.clear();
  for (std::vector<uint8_t>& wanted : wanted_) wanted.clear();
}

std::shared_ptr<const WatchBatch> BatchBuilder::Finish(std::shared_ptr<const Portion> portion) {
  const size_t changes = portion->changes().size();
  auto batch = std::make_shared<WatchBatch>(std::move(portion));
  batch->runs_ = runs_;
  for (size_t which = 0; which < 2; ++which) {
    batch->wanted_[which] = wanted_[which];
    batch->wanted_[which].resize(changes);
  }
  batch->previous_wanted_ = previous_wanted_;
  return batch;
}

}  // namespace gavel::server
