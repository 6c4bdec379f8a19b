// A server of watches that notes what is asked, and what the tests of watchers share.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "client/client.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "tests/client/client_test_support.h"
#include "tests/client/scripted_streams.h"

namespace gavel::client::testing {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

inline constexpr int64_t kServerRevision = 100;

inline WatchResponse Created(const WatchRequest& request) {
  WatchResponse response;
  response.mutable_header()->set_revision(kServerRevision);
  response.mutable_header()->set_cluster_id(7);
  response.set_watch_id(request.create_request().watch_id());
  response.set_created(true);
  return response;
}

inline WatchResponse Events(int64_t watch_id, const std::vector<int64_t>& revisions,
                            size_t value_size = 1) {
  WatchResponse response;
  response.set_watch_id(watch_id);
  for (const int64_t revision : revisions) {
    response.mutable_header()->set_revision(revision);
    mvccpb::KeyValue& kv = *response.add_events()->mutable_kv();
    kv.set_key("k");
    kv.set_value(std::string(value_size, 'v'));
    kv.set_mod_revision(revision);
  }
  return response;
}

// A server that notes what is asked and, unless told otherwise, says "created".
class WatchServer {
 public:
  using OnCreate = std::function<void(const ScriptedStreamPtr&, const WatchRequest&)>;

  explicit WatchServer(OnCreate on_create = nullptr, int port = 0)
      : on_create_(std::move(on_create)),
        server_([this](const ScriptedStreamPtr& stream,
                       const std::string& bytes) { Handle(stream, bytes); },
                port) {}

  std::string target() const { return server_.target(); }
  std::vector<ScriptedStreamPtr> streams() const { return server_.streams(); }
  std::vector<WatchRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::vector<WatchRequest> creations() const {
    std::vector<WatchRequest> all;
    for (const WatchRequest& request : requests()) {
      if (request.has_create_request()) all.push_back(request);
    }
    return all;
  }
  std::vector<int64_t> cancelled() const {
    std::vector<int64_t> all;
    for (const WatchRequest& request : requests()) {
      if (request.has_cancel_request()) all.push_back(request.cancel_request().watch_id());
    }
    return all;
  }
  size_t progress_requests() const {
    size_t count = 0;
    for (const WatchRequest& request : requests()) count += request.has_progress_request();
    return count;
  }

 private:
  void Handle(const ScriptedStreamPtr& stream, const std::string& bytes) {
    WatchRequest request;
    EXPECT_TRUE(request.ParseFromString(bytes));
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    if (!request.has_create_request()) return;
    if (on_create_) return on_create_(stream, request);
    stream->Send(Created(request));
  }

  const OnCreate on_create_;
  mutable std::mutex mutex_;
  std::vector<WatchRequest> requests_;  // Guarded by mutex_.
  StreamServer server_;
};

inline void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(milliseconds(2));
}

inline std::vector<int64_t> RevisionsOf(const Result<WatchBatch>& batch) {
  if (!batch.ok()) {
    ADD_FAILURE() << batch.status().ToString();
    return {};
  }
  std::vector<int64_t> revisions;
  for (const WatchEvent& event : batch->events) revisions.push_back(event.kv.mod_revision);
  return revisions;
}

}  // namespace gavel::client::testing
