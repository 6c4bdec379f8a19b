// A Watch stream without a transport: requests in and responses out as messages.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/watch.pb.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {

inline constexpr char kWatchMethod[] = "/etcdserverpb.Watch/Watch";

class WatchCaller {
 public:
  explicit WatchCaller(ServiceCaller& caller, server::CallContext context = {},
                       size_t high = 1 << 30)
      : writer(std::make_shared<KeptWriter>(high)) {
    handler = (*caller.services.router()->FindStream(kWatchMethod))(std::move(context), writer);
  }
  ~WatchCaller() { handler->OnCancel(); }

  void Create(const etcdserverpb::WatchCreateRequest& create) {
    etcdserverpb::WatchRequest request;
    *request.mutable_create_request() = create;
    handler->OnMessage(request.SerializeAsString());
  }
  void Create(const std::string& key, const std::string& range_end = "", int64_t start = 0) {
    Create(Request(key, range_end, start));
  }
  void Cancel(int64_t id) {
    etcdserverpb::WatchRequest request;
    request.mutable_cancel_request()->set_watch_id(id);
    handler->OnMessage(request.SerializeAsString());
  }
  void AskForProgress() {
    etcdserverpb::WatchRequest request;
    request.mutable_progress_request();
    handler->OnMessage(request.SerializeAsString());
  }
  // There is room again.
  void Drain() {
    writer->Drain();
    handler->OnWritable();
  }

  static etcdserverpb::WatchCreateRequest Request(const std::string& key,
                                                  const std::string& range_end = "",
                                                  int64_t start = 0) {
    etcdserverpb::WatchCreateRequest create;
    create.set_key(key);
    create.set_range_end(range_end);
    create.set_start_revision(start);
    return create;
  }

  // What has come since the last call.
  std::vector<etcdserverpb::WatchResponse> Take() {
    std::vector<etcdserverpb::WatchResponse> responses;
    for (; taken < writer->messages.size(); ++taken) {
      EXPECT_TRUE(responses.emplace_back().ParseFromString(writer->messages[taken]));
    }
    return responses;
  }
  // The same; fails unless it is exactly one.
  etcdserverpb::WatchResponse TakeOne() {
    std::vector<etcdserverpb::WatchResponse> responses = Take();
    EXPECT_EQ(responses.size(), 1u);
    return responses.empty() ? etcdserverpb::WatchResponse() : responses.front();
  }

  const std::shared_ptr<KeptWriter> writer;
  std::shared_ptr<server::StreamHandler> handler;
  size_t taken = 0;
};

}  // namespace gavel::testing
