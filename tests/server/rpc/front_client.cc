#include "tests/server/rpc/front_client.h"

#include <chrono>
#include <utility>

#include "gtest/gtest.h"

namespace gavel::testing {

void KeptLog::Write(server::LogLevel, std::string_view message,
                    std::initializer_list<server::LogField> fields) {
  std::string line(message);
  for (const server::LogField& field : fields) {
    line += " " + std::string(field.key) + "=" + field.value;
  }
  std::lock_guard lock(mutex_);
  lines_.push_back(std::move(line));
}

std::vector<std::string> KeptLog::lines() {
  std::lock_guard lock(mutex_);
  return lines_;
}

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

ClientAnswer CallUnary(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                       const std::string& request, int timeout_ms, const ClientMetadata& metadata) {
  grpc::ClientContext context;
  if (timeout_ms > 0) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
  }
  for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  ClientAnswer answer;
  grpc::ByteBuffer response;
  const auto call = stub.PrepareUnaryCall(&context, method, ToBuffer(request), &queue);
  call->StartCall();
  call->Finish(&response, &answer.status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  EXPECT_TRUE(queue.Next(&tag, &ok));
  answer.response = ToString(response);
  return answer;
}

ClientStream::ClientStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method)
    : stub_(channel) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  stream_ = stub_.PrepareCall(&context_, method, &queue_);
  stream_->StartCall(this);
  Wait();
}

ClientStream::~ClientStream() {
  context_.TryCancel();
  queue_.Shutdown();
  while (Wait()) {
  }
}

bool ClientStream::Wait() {
  void* tag = nullptr;
  bool ok = false;
  return queue_.Next(&tag, &ok) && ok;
}

bool ClientStream::Write(const std::string& message) {
  stream_->Write(ToBuffer(message), this);
  return Wait();
}

bool ClientStream::HalfClose() {
  stream_->WritesDone(this);
  return Wait();
}

bool ClientStream::Read(std::string* message) {
  grpc::ByteBuffer buffer;
  stream_->Read(&buffer, this);
  if (!Wait()) return false;
  *message = ToString(buffer);
  return true;
}

grpc::Status ClientStream::Finish() {
  grpc::Status status;
  stream_->Finish(&status, this);
  Wait();
  return status;
}

std::shared_ptr<grpc::Channel> Connect(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                   grpc::InsecureChannelCredentials(), arguments);
}

FrontFixture::FrontFixture(std::shared_ptr<const server::Router> router,
                           server::Http2FrontOptions options) {
  if (options.addresses.empty()) options.addresses = {"127.0.0.1:0"};
  auto started = server::Http2Front::Start(options, std::move(router), clock, log, metrics);
  EXPECT_TRUE(started.ok()) << started.status();
  if (started.ok()) front = *std::move(started);
}

void Signal::Set() {
  std::lock_guard lock(mutex_);
  set_ = true;
  changed_.notify_all();
}

bool Signal::Wait() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [this] { return set_; });
}

}  // namespace gavel::testing
