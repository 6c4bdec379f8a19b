#include "server/peer/grpc_connection.h"

#include <grpc/support/time.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "server/peer/frame_stream.h"
#include "server/url.h"

namespace gavel::server {
namespace {

std::string Hex(raft::NodeId id) { return absl::StrFormat("%x", id.value()); }

grpc::ChannelArguments ChannelArguments(const GrpcTransportOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   static_cast<int>(options.reconnect_ms_min));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, static_cast<int>(options.reconnect_ms_max));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(options.reconnect_ms_max));
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS,
                   static_cast<int>(options.reconnect_ms_max));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive_ms));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(options.keepalive_timeout_ms));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return arguments;
}

// A slice that owns `bytes` without copying them.
grpc::Slice OwningSlice(std::string bytes) {
  auto owner = std::make_unique<std::string>(std::move(bytes));
  char* const data = owner->data();
  const size_t size = owner->size();
  return grpc::Slice(
      data, size, [](void* held) { std::unique_ptr<std::string>(static_cast<std::string*>(held)); },
      owner.release());
}

}  // namespace

// The completion of one operation of a call.
class GrpcConnection::CallOperation final : public GrpcOperation {
 public:
  enum class Kind : uint8_t { kStart, kWrite, kRead, kFinish };
  CallOperation(Kind kind, Call& call) : kind_(kind), call_(call) {}
  void OnComplete(bool ok) override;
  // Called when the operation is handed to gRPC.
  void* Begin();

 private:
  const Kind kind_;
  Call& call_;
  std::shared_ptr<Call> keep_alive_;
};

struct GrpcConnection::Call : std::enable_shared_from_this<GrpcConnection::Call> {
  explicit Call(std::shared_ptr<GrpcConnection> owner) : connection(std::move(owner)) {}

  const std::shared_ptr<GrpcConnection> connection;
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
  grpc::ByteBuffer incoming;
  grpc::Status status;
  bool writing = false;
  bool finishing = false;
  CallOperation start{CallOperation::Kind::kStart, *this};
  CallOperation write{CallOperation::Kind::kWrite, *this};
  CallOperation read{CallOperation::Kind::kRead, *this};
  CallOperation finish{CallOperation::Kind::kFinish, *this};
};

// The completion of the retry alarm.
class GrpcConnection::AlarmOperation final : public GrpcOperation {
 public:
  explicit AlarmOperation(std::shared_ptr<GrpcConnection> connection)
      : connection_(std::move(connection)) {}
  void OnComplete(bool) override {
    const std::unique_ptr<AlarmOperation> self(this);
    connection_->OnAlarm();
  }

 private:
  const std::shared_ptr<GrpcConnection> connection_;
};

void* GrpcConnection::CallOperation::Begin() {
  keep_alive_ = call_.shared_from_this();
  // Only steps of the connection begin operations.
  call_.connection->mutex_.AssumeHeld();
  ++call_.connection->operations_;
  return static_cast<GrpcOperation*>(this);
}

void GrpcConnection::CallOperation::OnComplete(bool ok) {
  const std::shared_ptr<Call> call = std::move(keep_alive_);
  GrpcConnection& connection = *call->connection;
  Reports reports;
  {
    const MutexLock lock(connection.mutex_);
    --connection.operations_;
    switch (kind_) {
      case Kind::kStart:
        connection.OnStarted(*call, ok, reports);
        break;
      case Kind::kWrite:
        connection.OnWritten(*call, ok);
        break;
      case Kind::kRead:
        connection.OnRead(*call, ok);
        break;
      case Kind::kFinish:
        connection.OnFinished(*call, reports);
        break;
    }
  }
  connection.Report(std::move(reports));
}

GrpcConnection::GrpcConnection(std::shared_ptr<GrpcTransportShared> shared,
                               raft::MemberAddress address)
    : shared_(std::move(shared)),
      address_(std::move(address)),
      send_failures_(shared_->metrics->AddCounter("etcd_network_peer_sent_failures_total",
                                                  "Frames to a peer that were dropped.",
                                                  {{"To", Hex(address_.id)}})),
      disconnects_(shared_->metrics->AddCounter(
          "etcd_network_disconnected_peers_total", "Connections to a peer that were lost.",
          {{"Local", Hex(shared_->self)}, {"Remote", Hex(address_.id)}})),
      active_(shared_->metrics->AddGauge(
          "etcd_network_active_peers", "1 while a peer is connected.",
          {{"Local", Hex(shared_->self)}, {"Remote", Hex(address_.id)}})),
      known_(shared_->metrics->AddGauge(
          "etcd_network_known_peers", "1 while a peer belongs to the cluster.",
          {{"Local", Hex(shared_->self)}, {"Remote", Hex(address_.id)}})) {
  known_.Set(1);
}

void GrpcConnection::Start() {
  const MutexLock lock(mutex_);
  OpenChannel();
  Connect();
}

void GrpcConnection::OpenChannel() {
  if (address_.peer_urls.empty()) return;
  const absl::StatusOr<Url> url = ParseUrl(address_.peer_urls[next_url_]);
  next_url_ = (next_url_ + 1) % address_.peer_urls.size();
  if (!url.ok()) {
    shared_->logger->Error(
        "cannot reach a peer: its URL is not valid",
        {{"peer", Hex(address_.id)}, {"error", std::string(url.status().message())}});
    return;
  }
  channel_ = grpc::CreateCustomChannel(url->GrpcAddress(), grpc::InsecureChannelCredentials(),
                                       ChannelArguments(shared_->options));
  stub_ = std::make_unique<grpc::GenericStub>(channel_);
}

void GrpcConnection::Connect() {
  if (stub_ == nullptr) {
    state_ = State::kDown;
    return;
  }
  state_ = State::kConnecting;
  call_ = std::make_shared<Call>(shared_from_this());
  call_->context.AddMetadata(kPeerUrlsKey, absl::StrJoin(shared_->options.peer_urls, ","));
  call_->stream =
      stub_->PrepareCall(&call_->context, std::string(kPeerFramesMethod), shared_->queue);
  call_->stream->StartCall(call_->start.Begin());
}

void GrpcConnection::Send(std::string frame) {
  Reports reports;
  {
    const MutexLock lock(mutex_);
    if (state_ == State::kClosed) return;
    const GrpcTransportOptions& options = shared_->options;
    const bool full =
        frames_.size() >= options.queue_frames_max || frames_bytes_ >= options.queue_bytes_max;
    if (state_ == State::kDown || full) {
      send_failures_.Increment();
      reports.push_back(shared_->events.on_unreachable);
    } else {
      frames_bytes_ += frame.size();
      frames_.push_back(std::move(frame));
      if (state_ == State::kUp && !call_->writing) WriteNext(*call_);
    }
  }
  Report(std::move(reports));
}

void GrpcConnection::WriteNext(Call& call) {
  if (frames_.empty() || call.finishing) return;
  std::vector<grpc::Slice> slices;
  size_t bytes = 0;
  while (!frames_.empty() && bytes < shared_->options.write_bytes_max) {
    std::string length;
    AppendFrameLength(frames_.front().size(), &length);
    bytes += frames_.front().size();
    slices.emplace_back(length);
    slices.push_back(OwningSlice(std::move(frames_.front())));
    frames_.pop_front();
  }
  frames_bytes_ -= bytes;
  call.writing = true;
  call.stream->Write(grpc::ByteBuffer(slices.data(), slices.size()), call.write.Begin());
}

void GrpcConnection::DropQueue(Reports& reports) {
  if (frames_.empty()) return;
  send_failures_.Increment(static_cast<double>(frames_.size()));
  frames_.clear();
  frames_bytes_ = 0;
  reports.push_back(shared_->events.on_unreachable);
}

void GrpcConnection::OnStarted(Call& call, bool ok, Reports& reports) {
  if (!ok || state_ == State::kClosed) {
    call.finishing = true;
    call.stream->Finish(&call.status, call.finish.Begin());
    return;
  }
  state_ = State::kUp;
  active_.Set(1);
  ever_up_ = true;
  was_up_ = true;
  lost_reported_ = false;
  retry_ms_ = 0;
  reports.push_back(shared_->events.on_connected);
  call.stream->Read(&call.incoming, call.read.Begin());
  WriteNext(call);
}

void GrpcConnection::OnWritten(Call& call, bool ok) {
  call.writing = false;
  // A write that failed is followed by the end of the stream, which the read sees.
  if (ok && state_ == State::kUp) WriteNext(call);
}

void GrpcConnection::OnRead(Call& call, bool ok) {
  if (ok) {
    call.stream->Read(&call.incoming, call.read.Begin());
    return;
  }
  call.finishing = true;
  call.stream->Finish(&call.status, call.finish.Begin());
}

void GrpcConnection::OnFinished(Call& call, Reports& reports) {
  DropQueue(reports);
  if (call_.get() == &call) call_.reset();
  if (state_ == State::kClosed) return;
  active_.Set(0);
  LogEnd(call.status);
  const bool refused = call.status.error_code() == grpc::StatusCode::FAILED_PRECONDITION;
  if (refused) {
    reports.push_back([this, reason = call.status.error_message()](raft::NodeId peer) {
      if (shared_->events.on_refused) shared_->events.on_refused(peer, reason);
    });
  }
  if (std::exchange(was_up_, false)) {
    // The peer may only have been restarted: one attempt before anyone is told.
    reports.push_back(shared_->events.on_unreachable);
    if (!refused) {
      grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
      Connect();
      return;
    }
  }
  if (!lost_reported_) {
    lost_reported_ = true;
    if (ever_up_ && !refused) {
      disconnects_.Increment();
      shared_->logger->Warn(
          "lost the connection to a peer",
          {{"peer", Hex(address_.id)}, {"reason", std::string_view(call.status.error_message())}});
    }
    reports.push_back(shared_->events.on_connection_lost);
  }
  state_ = State::kDown;
  if (address_.peer_urls.size() > 1) OpenChannel();
  // Only an operator can change a refusal, so asking again often would only fill the logs.
  if (refused) retry_ms_ = shared_->options.refused_ms;
  SetRetryAlarm();
}

void GrpcConnection::LogEnd(const grpc::Status& status) {
  // The peer's own words about why it does not take our frames.
  if (status.error_code() != grpc::StatusCode::FAILED_PRECONDITION &&
      status.error_code() != grpc::StatusCode::UNIMPLEMENTED) {
    return;
  }
  if (status.error_message() == last_logged_) return;
  last_logged_ = status.error_message();
  shared_->logger->Error("a peer refuses what this member sends",
                         {{"peer", Hex(address_.id)}, {"reason", std::string_view(last_logged_)}});
}

void GrpcConnection::SetRetryAlarm() {
  if (alarm_set_) return;
  const GrpcTransportOptions& options = shared_->options;
  if (retry_ms_ != options.refused_ms) {
    retry_ms_ = std::clamp(retry_ms_ * 2, options.reconnect_ms_min, options.reconnect_ms_max);
  }
  alarm_set_ = true;
  ++operations_;
  auto operation = std::make_unique<AlarmOperation>(shared_from_this());
  alarm_.Set(
      shared_->queue,
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(retry_ms_, GPR_TIMESPAN)),
      static_cast<GrpcOperation*>(operation.release()));
}

void GrpcConnection::OnAlarm() {
  const MutexLock lock(mutex_);
  --operations_;
  alarm_set_ = false;
  if (state_ == State::kDown) Connect();
}

void GrpcConnection::OnHeardFrom() {
  const MutexLock lock(mutex_);
  if (state_ != State::kDown || channel_ == nullptr) return;
  grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
  if (alarm_set_) alarm_.Cancel();  // Its completion connects.
}

void GrpcConnection::Close() {
  const MutexLock lock(mutex_);
  state_ = State::kClosed;
  active_.Set(0);
  known_.Set(0);
  frames_.clear();
  frames_bytes_ = 0;
  if (call_ != nullptr) call_->context.TryCancel();
  if (alarm_set_) alarm_.Cancel();
}

bool GrpcConnection::drained() const {
  const MutexLock lock(mutex_);
  return operations_ == 0;
}

void GrpcConnection::Report(Reports reports) {
  for (const auto& report : reports) {
    if (report) report(address_.id);
  }
}

}  // namespace gavel::server
