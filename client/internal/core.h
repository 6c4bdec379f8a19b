// The heart of a Client: carries calls to endpoints, and decides about retries and failover.
//
// A call goes through the states of Call::State. Whoever moves it on holds the mutex and collects
// the calls that ended, whose callbacks run after the mutex was let go.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/completion_queue.h>

#include "client/client.h"
#include "client/internal/call.h"
#include "client/internal/deadline.h"
#include "client/internal/endpoint.h"
#include "client/options.h"
#include "client/status.h"

namespace gavel::client::internal {

// Thread-safe. Close must be called before the last reference goes.
class Core : public std::enable_shared_from_this<Core> {
 public:
  // Requires: addresses come from ParseEndpoints.
  static std::shared_ptr<Core> Create(const ClientOptions& options,
                                      const std::vector<std::string>& addresses);
  Core(const ClientOptions& options, const std::vector<std::string>& addresses);

  // Starts a call. `done` runs on the Core's thread, or before this returns if the call cannot
  // even begin.
  CallPtr Start(CallSpec spec, CallDone done);
  void Cancel(const CallPtr& call);
  // Ends every call, and returns when their callbacks have run. Later calls end at once.
  void Close();

  const ClientOptions& options() const { return options_; }
  std::vector<EndpointState> Endpoints() const;
  void SetEndpoints(const std::vector<std::string>& addresses);

 private:
  struct Ended {
    CallPtr call;
    Status status;
    std::string response;
  };
  using EndedCalls = std::vector<Ended>;

  void Loop();
  void* NewEvent(std::function<void(bool)> run);
  void RunEnded(EndedCalls ended);

  // What the thread is told; these take the mutex.
  void OnAttemptDone(const CallPtr& call);
  void OnTimer(const CallPtr& call, const Event* timer);
  void OnEndpointChanged(const EndpointPtr& endpoint, bool changed);
  void OnProbeDone(const CallPtr& call);

  // Steps of a call; these need the mutex.
  void Advance(const CallPtr& call, EndedCalls* ended);
  void StartAttempt(const CallPtr& call, const EndpointPtr& endpoint);
  void JudgeAttempt(const CallPtr& call, const EndpointPtr& endpoint, Status status,
                    EndedCalls* ended);
  void NoteAnswer(const EndpointPtr& endpoint, const Status& status, bool constrained);
  bool MayRetry(const Call& call, const Status& status) const;
  void BackOff(const CallPtr& call, EndedCalls* ended);
  void Wait(const CallPtr& call, EndedCalls* ended);
  void DialAll(Call* call);
  bool TryLeaveWaiting(const CallPtr& call);
  void Watch(const EndpointPtr& endpoint);
  void Explain(const CallPtr& call, EndedCalls* ended);
  void EndExplained(const CallPtr& call, EndedCalls* ended);
  void EndOutOfTime(const CallPtr& call, EndedCalls* ended);
  void End(const CallPtr& call, Status status, std::string response, EndedCalls* ended);
  void SetTimer(const CallPtr& call, MonotonicUs at);
  std::vector<EndpointPtr> Candidates(const Call& call) const;

  const ClientOptions options_;
  grpc::CompletionQueue queue_;
  std::thread thread_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  bool closing_ = false;
  EndpointSet endpoints_;
  std::set<CallPtr> calls_;    // All that have not ended.
  std::set<CallPtr> waiting_;  // Those in kWaiting.
  uint64_t jitter_;
};

}  // namespace gavel::client::internal
