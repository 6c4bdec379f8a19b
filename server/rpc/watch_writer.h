// Tells a client's stream what its watchers see, as WatchResponses.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "proto/etcdserverpb/watch.pb.h"
#include "server/rpc/message_block.h"
#include "server/rpc/service.h"
#include "server/rpc/service_support.h"
#include "server/watch/watch_batch.h"
#include "server/watch/watch_types.h"

namespace gavel::server {

class WatchWriter final : public WatchSink {
 public:
  // A response of `fragment_bytes` or more is split for those who asked for it.
  WatchWriter(Gate& gate, uint64_t fragment_bytes, std::shared_ptr<StreamWriter> writer)
      : gate_(gate), fragment_bytes_(fragment_bytes), writer_(std::move(writer)) {}

  void OnCreated(WatchId id, storage::Revision revision) override;
  void OnRefused(WatchRefusal why, storage::Revision revision) override;
  WatchSent OnEvents(const WatchDelivery& delivery) override;
  void OnCanceled(WatchId id, storage::Revision revision) override;
  void OnCompacted(WatchId id, storage::Revision compacted) override;
  void OnProgress(WatchId id, storage::Revision revision) override;
  void OnFailed(const absl::Status& status) override;

 private:
  void Write(storage::Revision revision, etcdserverpb::WatchResponse response);
  // The field `header` of a response.
  std::string Header(storage::Revision revision) const;
  // Adds the response for one watcher.
  void AddResponse(const WatchDelivery& delivery, const WatchPart& part, WatchSent& sent);
  void AddFragments(const WatchDelivery& delivery, const WatchPart& part);
  void AddEvents(const std::shared_ptr<const EventBytes>& events, uint32_t begin, uint32_t end);

  Gate& gate_;
  const uint64_t fragment_bytes_;
  const std::shared_ptr<StreamWriter> writer_;
  bool ended_ = false;

  // Of the delivery under way.
  std::string head_;  // What its responses begin with.
  MessageBlock block_;
};

}  // namespace gavel::server
