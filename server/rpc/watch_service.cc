#include "server/rpc/watch_service.h"

#include <memory>
#include <string>
#include <utility>

#include "proto/etcdserverpb/watch.pb.h"
#include "server/rpc/error_map.h"
#include "server/rpc/watch_writer.h"
#include "server/watch/watch_hub.h"

namespace gavel::server {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;

// A response is split from the size that the transport takes for a request.
constexpr uint64_t kFragmentBytesMore = 512 << 10;

WatchOptions OptionsOf(WatchCreateRequest&& request) {
  WatchOptions options;
  options.key = std::move(*request.mutable_key());
  options.range_end = std::move(*request.mutable_range_end());
  options.start = request.start_revision();
  options.id = request.watch_id();
  for (const int filter : request.filters()) {
    options.no_put |= filter == WatchCreateRequest::NOPUT;
    options.no_delete |= filter == WatchCreateRequest::NODELETE;
  }
  options.prev_kv = request.prev_kv();
  options.progress = request.progress_notify();
  options.fragment = request.fragment();
  return options;
}

// Hands requests to the hub, which answers through the writer. Goes on when the client has said
// all it wants to.
class WatchCall final : public StreamHandler {
 public:
  WatchCall(const ServiceSurroundings& surroundings, const CallContext& context,
            std::shared_ptr<StreamWriter> writer)
      : writer_(std::move(writer)) {
    auto sink = std::make_shared<WatchWriter>(
        *surroundings.gate, surroundings.limits.request_bytes_max + kFragmentBytesMore, writer_);
    stream_ = surroundings.gate->watches().Open(std::move(sink), context.executor);
  }

  void OnMessage(std::string message) override {
    if (stream_ == nullptr) return;
    WatchRequest request;
    if (!ParseRequest(message, &request)) {
      stream_.reset();
      writer_->Finish(MalformedMessage());
      return;
    }
    switch (request.request_union_case()) {
      case WatchRequest::kCreateRequest:
        stream_->Create(OptionsOf(std::move(*request.mutable_create_request())));
        break;
      case WatchRequest::kCancelRequest:
        stream_->Cancel(request.cancel_request().watch_id());
        break;
      case WatchRequest::kProgressRequest:
        stream_->RequestProgress();
        break;
      case WatchRequest::REQUEST_UNION_NOT_SET:
        break;  // Of a later release, perhaps.
    }
  }

  void OnWritable() override {
    if (stream_ != nullptr) stream_->OnWritable();
  }

  void OnCancel() override { stream_.reset(); }

 private:
  const std::shared_ptr<StreamWriter> writer_;
  std::unique_ptr<WatchStream> stream_;
};

}  // namespace

void AddWatchService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                     Router& router) {
  router.AddStream(
      "/etcdserverpb.Watch/Watch",
      guard.Stream(CallGuard::Learner::kServes,
                   [surroundings](CallContext context, std::shared_ptr<StreamWriter> writer) {
                     return std::make_shared<WatchCall>(surroundings, context, std::move(writer));
                   }));
}

}  // namespace gavel::server
