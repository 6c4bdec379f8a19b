#include "tests/conformance/client_stream.h"

#include <deque>
#include <utility>

#include <grpcpp/grpcpp.h>

namespace gavel::conformance {
namespace {

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

void Arrivals::Tell() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++told_;
  changed_.notify_all();
}

uint64_t Arrivals::Wait(uint64_t seen, std::chrono::steady_clock::time_point deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return told_ != seen; });
  return told_;
}

uint64_t Arrivals::told() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return told_;
}

class ClientStream::Reactor final
    : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Reactor(grpc::GenericStub& stub, const std::string& method, Arrivals& arrivals)
      : arrivals_(arrivals) {
    stub.PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), this);
    // Writes begin outside of reactions, so the call is held until reading has ended.
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  ~Reactor() override {
    Cancel();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return ended_.has_value(); });
  }

  void Send(std::string_view body) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (over_ || half_closed_) return;
    const grpc::Slice slice(body.data(), body.size());
    outgoing_.emplace_back(&slice, 1);
    if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
  }

  void HalfClose() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (over_ || half_closed_) return;
    half_closed_ = true;
    if (outgoing_.empty()) StartWritesDone();
  }

  void Cancel() { context_.TryCancel(); }

  Arrived Take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return {std::exchange(messages_, {}), ended_};
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        over_ = true;
      }
      RemoveHold();
      return;
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      messages_.push_back(Bytes(incoming_));
    }
    arrivals_.Tell();
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    outgoing_.pop_front();
    if (!ok || over_) return;
    if (!outgoing_.empty()) {
      StartWrite(&outgoing_.front());
    } else if (half_closed_) {
      StartWritesDone();
    }
  }

  void OnDone(const grpc::Status& status) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = Answer{status.error_code(), status.error_message(), ""};
    arrivals_.Tell();
    done_.notify_all();
  }

 private:
  Arrivals& arrivals_;
  grpc::ClientContext context_;
  grpc::ByteBuffer incoming_;
  std::mutex mutex_;
  std::condition_variable done_;
  std::deque<grpc::ByteBuffer> outgoing_;  // The first is being written.
  std::vector<std::string> messages_;
  std::optional<Answer> ended_;
  bool half_closed_ = false;
  bool over_ = false;  // Nothing more can be written.
};

ClientStream::ClientStream(grpc::GenericStub& stub, const std::string& method, Arrivals& arrivals)
    : reactor_(std::make_unique<Reactor>(stub, method, arrivals)) {}

ClientStream::~ClientStream() = default;

void ClientStream::Send(std::string_view body) { reactor_->Send(body); }
void ClientStream::HalfClose() { reactor_->HalfClose(); }
void ClientStream::Cancel() { reactor_->Cancel(); }
ClientStream::Arrived ClientStream::Take() { return reactor_->Take(); }

}  // namespace gavel::conformance
