// Very many watches on one stream of one connection.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include "client/client.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/leftovers.h"
#include "tests/chaos/member_load.h"
#include "tests/chaos/scenario.h"

namespace gavel::chaos {
namespace {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Of the watched keys, so many are written.
constexpr int64_t kPutsMax = 1000;
constexpr seconds kPatience{300};
constexpr char kEveryKey[] = "watched/";

std::string WatchedKey(int64_t watch) { return kEveryKey + std::to_string(watch); }

// Asks for `count` watches with the ids 0 to count - 1, and keeps what comes.
class ManyWatches final : public grpc::ClientBidiReactor<WatchRequest, WatchResponse> {
 public:
  ManyWatches(const std::string& target, int64_t count) : count_(count) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
    grpc::TemplatedGenericStub<WatchRequest, WatchResponse> stub(channel_);
    stub.PrepareBidiStreamingCall(&context_, "/etcdserverpb.Watch/Watch", {}, this);
    AddHold();
    StartRead(&response_);
    AskForNext();
    StartCall();
  }

  ~ManyWatches() override {
    context_.TryCancel();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return over_; });
  }

  // False if there are not so many after kPatience, or something is wrong.
  bool AwaitCreated() {
    return Await([this] { return created_ == count_; });
  }
  bool AwaitEvents(int64_t count) {
    return Await([this, count] { return events_ >= count; });
  }
  std::string error() {
    const std::lock_guard lock(mutex_);
    return std::to_string(created_) + " watches, " + std::to_string(events_) + " events: " + error_;
  }

  void OnWriteDone(bool ok) override {
    if (ok && asked_ < count_) return AskForNext();
    RemoveHold();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    {
      const std::lock_guard lock(mutex_);
      Take();
      changed_.notify_all();
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    const std::lock_guard lock(mutex_);
    if (error_.empty()) error_ = "the stream has ended: " + status.error_message();
    over_ = true;
    changed_.notify_all();
  }

 private:
  void AskForNext() {
    etcdserverpb::WatchCreateRequest& create = *request_.mutable_create_request();
    create.set_watch_id(asked_);
    create.set_key(WatchedKey(asked_++));
    StartWrite(&request_);
  }

  void Take() {
    if (response_.canceled()) {
      error_ = "a watch was canceled: " + response_.cancel_reason();
    } else if (response_.created()) {
      ++created_;
    }
    for (const mvccpb::Event& event : response_.events()) {
      ++events_;
      if (event.kv().key() != WatchedKey(response_.watch_id())) {
        error_ =
            "watch " + std::to_string(response_.watch_id()) + " was told of " + event.kv().key();
      } else if (!told_.insert(event.kv().mod_revision()).second) {
        error_ = "an event was told twice";
      }
    }
  }

  template <class Condition>
  bool Await(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience,
                             [&] { return condition() || over_ || !error_.empty(); }) &&
           error_.empty() && condition();
  }

  const int64_t count_;
  grpc::ClientContext context_;
  std::shared_ptr<grpc::Channel> channel_;
  WatchRequest request_;
  WatchResponse response_;
  int64_t asked_ = 0;
  std::mutex mutex_;  // Guards the rest.
  std::condition_variable changed_;
  int64_t created_ = 0;
  int64_t events_ = 0;
  std::set<int64_t> told_;  // Revisions.
  std::string error_;
  bool over_ = false;
};

ClusterOptions WithMetrics(ClusterOptions options) {
  options.metrics = true;
  return options;
}

class OneStream {
 public:
  explicit OneStream(const ScenarioOptions& options)
      : options_(options), checked_(WithMetrics(options.cluster)) {}

  std::vector<std::string> Run() {
    if (checked_.Start()) Watch();
    if (checked_.problems().empty()) checked_.StopAll();
    return checked_.problems();
  }

 private:
  void Problem(const std::string& what) { checked_.problems().push_back(what); }

  MemberLoad Load() {
    const auto load = ReadLoad(checked_.cluster().metrics_target(0), checked_.cluster().pid(0));
    if (!load) Problem("a member does not tell what it holds");
    return load.value_or(MemberLoad());
  }

  void Watch() {
    const MemberLoad base = Load();
    MemberLoad most;
    {
      const auto start = steady_clock::now();
      ManyWatches watches(checked_.cluster().targets()[0], options_.count);
      if (!watches.AwaitCreated()) return Problem(watches.error());
      const std::chrono::duration<double> took = steady_clock::now() - start;
      most = Load();
      const double bytes = most.resident_bytes - base.resident_bytes;
      std::printf(
          "%lld watches on one stream after %.1f s; resident memory %.1f MiB, then %.1f MiB: %.0f "
          "bytes for each\n",
          static_cast<long long>(options_.count), took.count(), base.resident_bytes / (1 << 20),
          most.resident_bytes / (1 << 20), bytes / static_cast<double>(options_.count));
      std::fflush(stdout);
      if (!Write(watches)) return;
    }
    AwaitNothingLeft(base);
  }

  // Puts keys evenly among the watched, and waits until all are told.
  bool Write(ManyWatches& watches) {
    client::Result<client::Client> client =
        client::Client::Create({.endpoints = checked_.cluster().targets()});
    const int64_t puts = std::min(kPutsMax, options_.count);
    for (int64_t put = 0; client.ok() && put < puts; ++put) {
      const std::string key = WatchedKey(put * (options_.count / puts));
      if (const auto done = client->kv().Put(key, "x"); !done.ok()) {
        Problem(done.status().ToString());
        return false;
      }
    }
    if (client.ok() && watches.AwaitEvents(puts)) return true;
    Problem(watches.error());
    return false;
  }

  void AwaitNothingLeft(const MemberLoad& base) {
    const auto give_up = steady_clock::now() + kPatience;
    std::vector<std::string> left;
    do {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      left = Leftovers({base}, {Load()});
    } while (!left.empty() && steady_clock::now() < give_up && checked_.problems().empty());
    for (const std::string& what : left) Problem(what);
  }

  const ScenarioOptions options_;
  CheckedCluster checked_;
};

}  // namespace

std::vector<std::string> RunOneStream(const ScenarioOptions& options) {
  return OneStream(options).Run();
}

}  // namespace gavel::chaos
