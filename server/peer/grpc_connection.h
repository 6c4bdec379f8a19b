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
#include <mutex>
#include <string>
#include <vector>

#include "server/peer/grpc_queue.h"
#include "server/peer/grpc_transport.h"

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

  void OpenChannel();
  void Connect();
  void WriteNext(Call& call);
  void DropQueue(Reports& reports);
  void OnStarted(Call& call, bool ok, Reports& reports);
  void OnWritten(Call& call, bool ok);
  void OnRead(Call& call, bool ok);
  void OnFinished(Call& call, Reports& reports);
  void OnAlarm();
  void SetRetryAlarm();
  void LogEnd(const grpc::Status& status);
  void Report(Reports reports);

  const std::shared_ptr<GrpcTransportShared> shared_;
  const raft::MemberAddress address_;
  Counter& send_failures_;
  Counter& disconnects_;
  Gauge& active_;
  Gauge& known_;

  mutable std::mutex mutex_;  // Guards all below.
  State state_ = State::kIdle;
  size_t next_url_ = 0;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::shared_ptr<Call> call_;
  std::deque<std::string> frames_;
  size_t frames_bytes_ = 0;
  int64_t retry_ms_ = 0;
  bool ever_up_ = false;
  bool was_up_ = false;         // The call before this one was up: its end is not yet reported.
  bool lost_reported_ = false;  // on_connection_lost, since it was up last.
  std::string last_logged_;     // The last reason logged, to log each once in a row.
  grpc::Alarm alarm_;
  bool alarm_set_ = false;
  size_t operations_ = 0;
};

}  // namespace gavel::server
