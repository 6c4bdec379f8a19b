// One peer of the gRPC transport: a stream that is opened again whenever it ends.
//
// For grpc_transport.cc alone.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/peer/grpc_queue.h"
#include "server/peer/grpc_transport.h"
#include "storage/mutex.h"

namespace gavel::server {

// What all connections of a transport share; constant while they live.
struct GrpcTransportShared {
  GrpcTransportOptions options;
  raft::NodeId self;
  PeerEvents events;
  Logger* logger = nullptr;
  Metrics* metrics = nullptr;
  grpc::CompletionQueue* queue = nullptr;
};

class GrpcConnection;

// Thread-safe. Invariant: at most one call and one alarm are under way.
//
//   connecting: a call has been started; frames wait for it.
//   up:         frames go out, one write at a time.
//   down:       frames are dropped and reported; an alarm or a frame from the peer ends it.
class GrpcConnection : public std::enable_shared_from_this<GrpcConnection> {
 public:
  GrpcConnection(std::shared_ptr<GrpcTransportShared> shared, raft::MemberAddress address);

  void Start();
  void Send(std::string frame);
  void OnHeardFrom();
  // No event comes after. Completions that are still due are waited for by the transport.
  void Close();
  // True once no operation is under way; for a closed connection it stays true.
  bool drained() const;

  const raft::MemberAddress& address() const { return address_; }

 private:
  enum class State : uint8_t { kIdle, kConnecting, kUp, kDown, kClosed };
  struct Call;
  class CallOperation;
  class AlarmOperation;
  // Events to report once the lock is released.
  using Reports = std::vector<std::function<void(raft::NodeId)>>;

  void OpenChannel() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Connect() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext(Call& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropQueue(Reports& reports) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnStarted(Call& call, bool ok, Reports& reports) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnWritten(Call& call, bool ok) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnRead(Call& call, bool ok) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnFinished(Call& call, Reports& reports) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnAlarm();
  void SetRetryAlarm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LogEnd(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Report(Reports reports);

  const std::shared_ptr<GrpcTransportShared> shared_;
  const raft::MemberAddress address_;
  Counter& send_failures_;
  Counter& disconnects_;
  Gauge& active_;
  Gauge& known_;

  mutable Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kIdle;
  size_t next_url_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::GenericStub> stub_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Call> call_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> frames_ ABSL_GUARDED_BY(mutex_);
  size_t frames_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t retry_ms_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ever_up_ ABSL_GUARDED_BY(mutex_) = false;
  // The call before this one was up: its end is not yet reported.
  bool was_up_ ABSL_GUARDED_BY(mutex_) = false;
  bool lost_reported_ ABSL_GUARDED_BY(mutex_) = false;  // on_connection_lost, since it was up last.
  // The last reason logged, to log each once in a row.
  std::string last_logged_ ABSL_GUARDED_BY(mutex_);
  grpc::Alarm alarm_ ABSL_GUARDED_BY(mutex_);
  bool alarm_set_ ABSL_GUARDED_BY(mutex_) = false;
  size_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace gavel::server
