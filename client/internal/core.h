// The heart of a Client: carries calls to endpoints, and decides about retries and failover.
//
// A call goes through the states of Call::State. Whoever moves it on holds the mutex and collects
// the calls that ended, whose callbacks run after the mutex was let go. A stream is a call whose
// one attempt lasts.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/completion_queue.h>

#include "client/client.h"
#include "client/internal/call.h"
#include "client/internal/deadline.h"
#include "client/internal/endpoint.h"
#include "client/internal/local_mutex.h"
#include "client/internal/stream.h"
#include "client/options.h"
#include "client/status.h"

namespace gavel::client::internal {

class Renewals;
class WatchHub;

// A member that answered that it cannot serve right now is avoided for this long.
inline constexpr MonotonicUs kAvoidBusy = 500'000;

std::string ToString(const grpc::ByteBuffer& buffer);

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
  // Ends every call and stream, and returns when their callbacks have run. Later calls end at once.
  void Close();

  // --- Streams (stream_flow.cc) -----------------------------------------------------------------

  // Null if the Core was closed; no event comes before this returns.
  StreamPtr OpenStream(StreamSpec spec, StreamEvents events);
  // Sends a message, or keeps it until the stream is open. Void on a stream that has ended.
  void Send(const StreamPtr& stream, std::string message);
  // Says that nothing more will be sent.
  void HalfClose(const StreamPtr& stream);
  // Lets one more message in.
  void ReadOn(const StreamPtr& stream);
  // Ends it; the event `ended` follows.
  void CancelStream(const StreamPtr& stream);
  // The same for one whose server owes an answer, and may be dead. Returns false, and does nothing,
  // if there is no other endpoint to turn to.
  bool LeaveSilentStream(const StreamPtr& stream);

  // --- Timers (stream_flow.cc) ------------------------------------------------------------------

  // Runs `run` on the Core's thread, unless it is cancelled before. When the Core is closed it runs
  // at once if `even_if_closing`, else not at all. Null if the Core was closed.
  TimerPtr StartTimer(MonotonicUs at, std::function<void()> run, bool even_if_closing = false);
  // It may still run if its time has come. Null is allowed.
  void CancelTimer(const TimerPtr& timer);
  // Runs `run` on the Core's thread soon. Close waits for it. False, and void, if the Core was
  // closed.
  bool Post(std::function<void()> run);
  // How long to wait before a try that comes after this many failures in a row: at first not at
  // all, then longer each time, half of it at random.
  MonotonicUs BackOffDelay(int failures);

  // What uses streams and timers, and is closed with the Core.
  const std::shared_ptr<WatchHub>& watches() const { return watches_; }
  const std::shared_ptr<Renewals>& renewals() const { return renewals_; }

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
  void OnStreamOpened(const StreamPtr& stream, bool ok);
  void OnMessageRead(const StreamPtr& stream, bool ok);
  void OnMessageSent(const StreamPtr& stream, bool ok);
  void OnStreamFinished(const StreamPtr& stream);
  void OnTimerFired(const TimerPtr& timer, const std::function<void()>& run);

  // Steps of a call.
  void Advance(const CallPtr& call, EndedCalls* ended) GAVEL_REQUIRES(mutex_);
  void StartAttempt(const CallPtr& call, const EndpointPtr& endpoint) GAVEL_REQUIRES(mutex_);
  void SetUpContext(const Call& call, grpc::ClientContext* context) const GAVEL_REQUIRES(mutex_);
  void StartStream(const CallPtr& call, const EndpointPtr& endpoint) GAVEL_REQUIRES(mutex_);
  // Begins whatever the stream can do next.
  void MoveStream(const StreamPtr& stream) GAVEL_REQUIRES(mutex_);
  void StopStream(const StreamPtr& stream) GAVEL_REQUIRES(mutex_);
  TimerPtr NewTimer(MonotonicUs at, bool even_if_closing, std::function<void()> run)
      GAVEL_REQUIRES(mutex_);
  void JudgeAttempt(const CallPtr& call, const EndpointPtr& endpoint, Status status,
                    EndedCalls* ended) GAVEL_REQUIRES(mutex_);
  void NoteAnswer(const EndpointPtr& endpoint, const Status& status, bool constrained)
      GAVEL_REQUIRES(mutex_);
  bool MayRetry(const Call& call, const Status& status) const GAVEL_REQUIRES(mutex_);
  void BackOff(const CallPtr& call, EndedCalls* ended) GAVEL_REQUIRES(mutex_);
  MonotonicUs NextDelay(int failures) GAVEL_REQUIRES(mutex_);
  void Wait(const CallPtr& call, EndedCalls* ended) GAVEL_REQUIRES(mutex_);
  void DialAll(Call* call) GAVEL_REQUIRES(mutex_);
  bool TryLeaveWaiting(const CallPtr& call) GAVEL_REQUIRES(mutex_);
  void Watch(const EndpointPtr& endpoint) GAVEL_REQUIRES(mutex_);
  // Nobody can be reached: what is known tells why, or Explain finds out.
  void EndUnreachable(const CallPtr& call, EndedCalls* ended) GAVEL_REQUIRES(mutex_);
  void Explain(const CallPtr& call, EndedCalls* ended) GAVEL_REQUIRES(mutex_);
  void EndExplained(const CallPtr& call, EndedCalls* ended) GAVEL_REQUIRES(mutex_);
  void EndOutOfTime(const CallPtr& call, EndedCalls* ended) GAVEL_REQUIRES(mutex_);
  void End(const CallPtr& call, Status status, std::string response, EndedCalls* ended)
      GAVEL_REQUIRES(mutex_);
  void SetTimer(const CallPtr& call, MonotonicUs at) GAVEL_REQUIRES(mutex_);
  std::vector<EndpointPtr> Candidates(const Call& call) const GAVEL_REQUIRES(mutex_);

  const ClientOptions options_;
  const std::shared_ptr<WatchHub> watches_;
  const std::shared_ptr<Renewals> renewals_;
  grpc::CompletionQueue queue_;
  std::thread thread_;

  mutable LocalMutex mutex_;
  bool closing_ GAVEL_GUARDED_BY(mutex_) = false;
  EndpointSet endpoints_ GAVEL_GUARDED_BY(mutex_);
  std::set<CallPtr> calls_ GAVEL_GUARDED_BY(mutex_);    // All that have not ended.
  std::set<CallPtr> waiting_ GAVEL_GUARDED_BY(mutex_);  // Those in kWaiting.
  // Operations may have to be begun for them even while closing.
  size_t open_streams_ GAVEL_GUARDED_BY(mutex_) = 0;
  std::set<TimerPtr> timers_ GAVEL_GUARDED_BY(mutex_);  // Those of StartTimer that are to run.
  uint64_t jitter_ GAVEL_GUARDED_BY(mutex_);
};

}  // namespace gavel::client::internal
