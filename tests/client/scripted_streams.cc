#include "tests/client/scripted_streams.h"

#include <utility>

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "raft/check.h"

namespace gavel::client::testing {
namespace {

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

}  // namespace

class StreamReactor : public grpc::ServerGenericBidiReactor {
 public:
  StreamReactor(StreamServer* server, ScriptedStreamPtr stream)
      : server_(server), stream_(std::move(stream)) {
    {
      const std::lock_guard lock(stream_->mutex_);
      stream_->reactor_ = this;
    }
    StartRead(&buffer_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      const std::lock_guard lock(stream_->mutex_);
      stream_->half_closed_ = true;
      return;
    }
    server_->Handle(stream_, ToString(buffer_));
    StartRead(&buffer_);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(stream_->mutex_);
    stream_->writing_ = false;
    if (!stream_->outgoing_.empty()) stream_->outgoing_.pop_front();
    if (ok) {
      ++stream_->sent_;
    } else {
      stream_->outgoing_.clear();
    }
    stream_->Move();
  }
  void OnCancel() override { stream_->Finish(grpc::StatusCode::CANCELLED); }
  void OnDone() override {
    {
      const std::lock_guard lock(stream_->mutex_);
      stream_->reactor_ = nullptr;
      stream_->ended_ = true;
    }
    const std::unique_ptr<StreamReactor> self(this);
  }

 private:
  StreamServer* const server_;
  const ScriptedStreamPtr stream_;
  grpc::ByteBuffer buffer_;
};

void ScriptedStream::Send(std::string message) {
  const grpc::Slice slice(message);
  const std::lock_guard lock(mutex_);
  if (finish_wanted_) return;
  outgoing_.emplace_back(&slice, 1);
  Move();
}

void ScriptedStream::Finish(grpc::StatusCode code, std::string text) {
  const std::lock_guard lock(mutex_);
  if (code == grpc::StatusCode::CANCELLED) {
    // What is being written still belongs to gRPC.
    while (outgoing_.size() > (writing_ ? 1u : 0u)) outgoing_.pop_back();
  }
  if (!finish_wanted_) status_ = grpc::Status(code, std::move(text));
  finish_wanted_ = true;
  Move();
}

void ScriptedStream::Move() {
  if (!reactor_ || writing_ || finished_) return;
  if (!outgoing_.empty()) {
    writing_ = true;
    reactor_->StartWrite(&outgoing_.front());
  } else if (finish_wanted_) {
    finished_ = true;
    reactor_->Finish(status_);
  }
}

size_t ScriptedStream::sent() const {
  const std::lock_guard lock(mutex_);
  return sent_;
}

bool ScriptedStream::half_closed() const {
  const std::lock_guard lock(mutex_);
  return half_closed_;
}

bool ScriptedStream::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

class StreamServer::Service : public grpc::CallbackGenericService {
 public:
  explicit Service(StreamServer* server) : server_(server) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return std::make_unique<StreamReactor>(server_, server_->Accept(context)).release();
  }

 private:
  StreamServer* const server_;
};

StreamServer::StreamServer(Handler handler, int port)
    : handler_(std::move(handler)), service_(std::make_unique<Service>(this)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                           &port_);
  // As etcd's servers do, it allows pings on quiet streams.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.RegisterCallbackGenericService(service_.get());
  server_ = builder.BuildAndStart();
  GAVEL_CHECK(server_ != nullptr) << "the scripted server does not start";
}

StreamServer::~StreamServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

ScriptedStreamPtr StreamServer::Accept(grpc::GenericCallbackServerContext* context) {
  std::string method = context->method();
  std::multimap<std::string, std::string> metadata;
  for (const auto& [key, value] : context->client_metadata()) {
    metadata.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  auto stream =
      std::make_shared<ScriptedStream>(method.substr(method.rfind('/') + 1), std::move(metadata));
  const std::lock_guard lock(mutex_);
  streams_.push_back(stream);
  return stream;
}

std::vector<ScriptedStreamPtr> StreamServer::streams() const {
  const std::lock_guard lock(mutex_);
  return streams_;
}

std::vector<ScriptedStreamPtr> StreamServer::streams(const std::string& method) const {
  std::vector<ScriptedStreamPtr> of_method;
  for (const ScriptedStreamPtr& stream : streams()) {
    if (stream->method() == method) of_method.push_back(stream);
  }
  return of_method;
}

}  // namespace gavel::client::testing
