#include "server/peer/grpc_listener.h"

#include <grpc/support/time.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "server/listening_sockets.h"
#include "server/options.h"
#include "server/peer/frame_stream.h"

namespace gavel::server {
namespace {

// A message holds many frames, and a frame at least one entry of any size.
constexpr int kMessageBytesMax = 1 << 30;
static_assert(kRequestBytesMax + kRequestBytesSpare <= kMessageBytesMax);
// A peer needs one, and another while the first ends.
constexpr int kStreamsMax = 16;
// Of each connection; a peer that pings more often is disconnected.
constexpr int kPingIntervalMsMin = 1000;

void Configure(grpc::ServerBuilder& builder) {
  // Two servers on one port would each get some of the streams.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsMax);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMsMin);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

// Why gRPC could not listen on `address`, which it only logs: as far as a second try tells.
absl::Status WhyNot(const std::string& address) {
  absl::StatusOr<ListeningSockets> sockets = ListenOn(address);
  if (!sockets.ok()) return sockets.status();
  sockets->Close();
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", address, ": its port was taken a moment ago; try again"));
}

}  // namespace

// One stream, with exactly one operation under way: it waits for a peer, reads, or ends.
class GrpcListener::Stream final : public GrpcOperation {
 public:
  explicit Stream(GrpcListener& listener) : listener_(listener) {
    listener_.service_.RequestCall(&context_, &stream_, listener_.queue_->get(),
                                   listener_.queue_->get(), static_cast<GrpcOperation*>(this));
  }

  void OnComplete(bool ok) override {
    switch (state_) {
      case State::kArmed:
        if (!ok) return listener_.Remove(this);
        OnArrived();
        break;
      case State::kReading:
        // The end of what the peer sends, or of the connection.
        if (!ok) return Finish(grpc::Status::OK);
        OnMessage();
        break;
      case State::kFinishing:
        listener_.Remove(this);
        break;
    }
  }

  void Cancel() {
    if (state_ != State::kArmed) context_.TryCancel();
  }

 private:
  enum class State : uint8_t { kArmed, kReading, kFinishing };

  void OnArrived() {
    if (listener_.closing_) return Finish({grpc::StatusCode::UNAVAILABLE, "member stopped"});
    listener_.Arm();
    if (context_.method() == kPeerClusterMethod && listener_.on_asked_) return Answer();
    if (context_.method() != kPeerFramesMethod) {
      return Finish(
          {grpc::StatusCode::UNIMPLEMENTED,
           absl::StrCat("unknown method ", context_.method(), ": this port is for peers")});
    }
    const auto urls = context_.client_metadata().find(kPeerUrlsKey);
    if (urls != context_.client_metadata().end() && !urls->second.empty()) {
      sender_.peer_urls =
          absl::StrSplit(absl::string_view(urls->second.data(), urls->second.size()), ',');
    }
    Read();
  }

  // What a member asks for that wants to join.
  void Answer() {
    state_ = State::kFinishing;
    const grpc::Slice bytes(listener_.on_asked_());
    stream_.WriteAndFinish(grpc::ByteBuffer(&bytes, 1), grpc::WriteOptions(), grpc::Status::OK,
                           static_cast<GrpcOperation*>(this));
  }

  void Read() {
    state_ = State::kReading;
    stream_.Read(&received_, static_cast<GrpcOperation*>(this));
  }

  void OnMessage() {
    grpc::Slice bytes;
    if (!received_.TrySingleSlice(&bytes).ok()) received_.DumpToSingleSlice(&bytes);
    const absl::Status status =
        SplitFrames({reinterpret_cast<const char*>(bytes.begin()), bytes.size()},
                    [this](std::string_view frame) { return listener_.on_frame_(frame, sender_); });
    if (!status.ok()) {
      // A sender that is refused does not come back soon.
      const auto code = listener_.closing_ ? grpc::StatusCode::UNAVAILABLE
                                           : grpc::StatusCode::FAILED_PRECONDITION;
      return Finish({code, std::string(status.message())});
    }
    Read();
  }

  void Finish(const grpc::Status& status) {
    state_ = State::kFinishing;
    stream_.Finish(status, static_cast<GrpcOperation*>(this));
  }

  GrpcListener& listener_;
  State state_ = State::kArmed;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer received_;
  StreamSender sender_;
};

absl::StatusOr<std::unique_ptr<GrpcListener>> GrpcListener::Listen(
    const std::vector<std::string>& addresses) {
  std::unique_ptr<GrpcListener> listener(new GrpcListener());
  grpc::ServerBuilder builder;
  Configure(builder);
  std::vector<int>& ports = listener->ports_;
  ports.assign(addresses.size(), 0);
  for (size_t i = 0; i < addresses.size(); ++i) {
    builder.AddListeningPort(addresses[i], grpc::InsecureServerCredentials(), &ports[i]);
  }
  builder.RegisterAsyncGenericService(&listener->service_);
  listener->queue_ = std::make_unique<GrpcQueue>(builder.AddCompletionQueue());
  listener->server_ = builder.BuildAndStart();
  if (listener->server_ == nullptr) {
    const auto failed = std::find(ports.begin(), ports.end(), 0);
    if (failed == ports.end()) {
      return absl::UnavailableError("cannot listen on (no address): there is none");
    }
    return WhyNot(addresses[failed - ports.begin()]);
  }
  return listener;
}

GrpcListener::~GrpcListener() {
  if (server_ == nullptr) return;
  Stop();
  for (const auto& stream : streams_) stream->Cancel();
  // The server's end waits for streams that are still to be let go of here, and one that arrives
  // meanwhile begins something on the queue, which therefore must outlast all of them.
  std::thread shutdown([this] {
    server_->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));
    queue_->Wake();
  });
  while (!streams_.empty()) queue_->Poll(std::nullopt);
  shutdown.join();
}

void GrpcListener::Serve(OnFrame on_frame, OnAsked on_asked) {
  on_frame_ = std::move(on_frame);
  on_asked_ = std::move(on_asked);
  Arm();
}

void GrpcListener::Stop() {
  closing_ = true;
  on_frame_ = [](std::string_view, StreamSender&) {
    return absl::UnavailableError("member stopped");
  };
  on_asked_ = nullptr;
}

void GrpcListener::Arm() { streams_.push_back(std::make_unique<Stream>(*this)); }

void GrpcListener::Remove(Stream* stream) {
  std::erase_if(streams_, [stream](const auto& held) { return held.get() == stream; });
}

}  // namespace gavel::server
