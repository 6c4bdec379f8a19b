// One I/O thread of the HTTP/2 front: an epoll, timers, connections and their calls.
//
// One turn reads each socket that is ready once, runs what other threads have left, and then
// writes once for each connection that has something to send. Other threads leave their work in
// lists; the thread is woken only if it sleeps, so that a batch costs one wake.
#pragma once

#include <sys/epoll.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"

#include "server/http2/http2_options.h"
#include "server/http2/out_buffer.h"
#include "server/http2/timer_queue.h"
#include "server/rpc/service.h"
#include "storage/mutex.h"

namespace gavel::server {

class ByteStream;
class Call;
class Connection;
class Http2StreamWriter;

// Something whose descriptor a loop watches.
class PollTarget {
 public:
  // `events` as epoll has them.
  virtual void OnReady(uint32_t events) = 0;

 protected:
  ~PollTarget() = default;
};

class IoLoop final : public Executor, public std::enable_shared_from_this<IoLoop> {
 public:
  explicit IoLoop(std::shared_ptr<Http2Shared> shared);
  ~IoLoop() override;

  absl::Status Start();
  // Answers what is new with GOAWAY and ends open-ended streams; the rest goes on.
  void Drain();
  // Waits until nothing is left to do after Drain, or `timeout` has passed.
  void AwaitDrained(MonotonicNs timeout);
  // Ends what is left; returns when the thread has ended.
  void Stop();

  // Any thread; dropped when the loop has stopped.
  void Run(absl::AnyInvocable<void()> work) override;
  // Answers a unary call.
  void Reply(Call* call, RpcStatus status, Encoded message);
  // Sends what `writer` has queued.
  void Pump(std::shared_ptr<Http2StreamWriter> writer);

  // The rest is for the loop's thread.

  bool InThread() const;
  Http2Shared& shared() { return *shared_; }
  TimerQueue& timers() { return timers_; }
  // Of the turn; at most as old as what runs in it.
  MonotonicNs now() const { return now_; }
  bool draining() const { return draining_; }

  bool Watch(int fd, uint32_t events, PollTarget& target);
  void Rewatch(int fd, uint32_t events, PollTarget& target);
  void Unwatch(int fd);

  // Takes over a connection for which there is room (Http2Shared::AddConnection).
  void Adopt(std::unique_ptr<ByteStream> stream);
  // `connection` has something to send at the end of the turn.
  void SetDirty(Connection& connection);
  // `connection` has more to work off; one such connection has its turn in each of the loop's.
  void AddSlow(Connection& connection) { slow_.push_back(&connection); }
  // `connection` is over; it is destroyed at the end of the turn.
  void Bury(Connection& connection);

  Call* NewCall();
  // `call` is over and nobody refers to it.
  void Recycle(Call* call);

  // Room for one read, and for the bytes of a connection that is being written.
  std::vector<char>& read_buffer() { return read_buffer_; }
  OutBuffer& write_buffer() { return write_buffer_; }

 private:
  struct Posted {
    // Answered calls, linked through themselves in the order they came.
    Call* first_reply = nullptr;
    Call* last_reply = nullptr;
    std::vector<std::shared_ptr<Http2StreamWriter>> writers;
    std::vector<absl::AnyInvocable<void()>> work;

    bool empty() const { return first_reply == nullptr && writers.empty() && work.empty(); }
  };

  void Main();
  // Waits for events, unless there is something to do already.
  int Poll(epoll_event* events, int max);
  int TimeoutMs();
  void RunPosted();
  void RunSlow();
  void FlushDirty();
  void BuryDead();
  void BeginDrain();
  void EndAll();
  // Wakes the thread, which sleeps. Without the lock, which the thread takes first of all.
  void Wake();

  const std::shared_ptr<Http2Shared> shared_;
  int epoll_ = -1;
  int wake_ = -1;
  std::thread thread_;

  // Of the loop's thread alone.
  TimerQueue timers_;
  MonotonicNs now_ = 0;
  bool draining_ = false;
  std::vector<std::unique_ptr<Connection>> connections_;  // Each knows its place.
  std::vector<Connection*> dirty_;
  std::deque<Connection*> slow_;
  std::vector<std::unique_ptr<Connection>> dead_;
  std::vector<std::unique_ptr<Call>> calls_;  // Each knows its place.
  std::vector<Call*> free_calls_;
  std::vector<char> read_buffer_;
  OutBuffer write_buffer_;
  Posted running_;

  Mutex mutex_;
  Posted posted_ ABSL_GUARDED_BY(mutex_);
  bool sleeping_ ABSL_GUARDED_BY(mutex_) = false;  // Waits in epoll, and has to be woken.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool drained_ ABSL_GUARDED_BY(mutex_) = false;
  std::condition_variable drained_changed_;
};

}  // namespace gavel::server
