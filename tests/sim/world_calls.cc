// Requests of clients, and answers in one piece or in many.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "tests/sim/watch_clients.h"
#include "tests/sim/world.h"

namespace gavel::sim {

using server::kNsPerMs;

namespace {

// Bytes that a client has not read yet, beyond which a stream waits.
constexpr size_t kStreamHighMark = 2048;

}  // namespace

void World::Call(int index, const char* method, uint64_t operation, std::string request,
                 int64_t timeout, std::function<void(server::RpcStatus, std::string)> answer) {
  Machine& machine = this->machine(index);
  const uint64_t starts = machine.starts;
  if (!machine.up()) {
    answer({server::StatusCode::kUnavailable, kRefusedConnection}, "");
    return;
  }
  if (now_ < machine.paused_until) {
    Hold(machine, [this, index, method, operation, request, timeout, answer] {
      Call(index, method, operation, request, timeout, answer);
    });
    return;
  }
  Record(EventKind::kCall, index, operation, 0, method);
  server::CallContext context;
  context.deadline = machine.clock.Now() + timeout;
  context.peer = "client";
  const server::UnaryMethod* found = machine.services->router()->FindUnary(method);
  if (found == nullptr) return Fail(absl::StrCat("a method is not served: ", method));
  (*found)(std::move(request), std::move(context),
           [&machine, starts, answer = std::move(answer)](server::RpcStatus status,
                                                          server::Encoded response) {
             // What a machine says after its crash is never heard.
             if (machine.starts != starts || machine.must_die || machine.disk->crashed()) return;
             std::string bytes;
             for (const auto& slice : response.slices()) bytes += slice.bytes;
             answer(status, bytes);
           });
}

void World::OnRevision(int64_t revision) { watch_clients_->OnRevision(revision); }

bool World::WhenAwake(int index, std::function<void()> again) {
  Machine& machine = this->machine(index);
  if (!machine.up() || now_ >= machine.paused_until) return true;
  Hold(machine, std::move(again));
  return false;
}

// The end of a stream that its handler holds.
class World::Writer final : public server::StreamWriter {
 public:
  Writer(World& world, uint64_t stream) : world_(world), stream_(stream) {}

  size_t Write(server::Encoded message) override { return world_.OnMessage(stream_, message); }
  size_t high_mark() const override { return kStreamHighMark; }
  void Finish(server::RpcStatus status) override { world_.OnStreamEnd(stream_, status); }

 private:
  World& world_;
  const uint64_t stream_;
};

void World::CallStream(int index, const char* method, uint64_t operation, std::string request,
                       int64_t timeout,
                       std::function<void(server::RpcStatus, std::vector<std::string>)> done) {
  Machine& machine = this->machine(index);
  if (!machine.up()) {
    done({server::StatusCode::kUnavailable, kRefusedConnection}, {});
    return;
  }
  if (now_ < machine.paused_until) {
    Hold(machine, [this, index, method, operation, request, timeout, done] {
      CallStream(index, method, operation, request, timeout, done);
    });
    return;
  }
  Record(EventKind::kCall, index, operation, 0, method);
  server::CallContext context;
  context.deadline = machine.clock.Now() + timeout;
  context.peer = "client";
  const server::StreamMethod* found = machine.services->router()->FindStream(method);
  if (found == nullptr) return Fail(absl::StrCat("a method is not served: ", method));
  const uint64_t stream = next_stream_++;
  const auto handler = (*found)(std::move(context), std::make_shared<Writer>(*this, stream));
  streams_[stream] = {index, handler, {}, 0, std::move(done)};
  At(now_ + timeout, EventKind::kCall, index, [this, stream] {
    const auto given_up = streams_.find(stream);
    if (given_up == streams_.end()) return;
    const auto held = std::move(given_up->second.handler);
    streams_.erase(given_up);
    held->OnCancel();
  });
  handler->OnMessage(std::move(request));
  handler->OnHalfClose();
}

size_t World::OnMessage(uint64_t stream, const server::Encoded& message) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return 0;
  StreamCall& call = found->second;
  std::string bytes;
  for (const auto& slice : message.slices()) bytes += slice.bytes;
  call.queued += bytes.size();
  // A client reads at once, or takes its time.
  raft::Random& random = machine(call.index).stream_random;
  const int64_t takes =
      1 + static_cast<int64_t>(
              random.Below(static_cast<uint64_t>(random.OneIn(8) ? 300 * kNsPerMs : kNsPerMs)));
  At(now_ + takes, EventKind::kCall, call.index, [this, stream, size = bytes.size()] {
    const auto at = streams_.find(stream);
    if (at == streams_.end()) return;
    const size_t before = std::exchange(at->second.queued, at->second.queued - size);
    if (before <= kStreamHighMark / 4 || at->second.queued > kStreamHighMark / 4) return;
    Sometimes("a stream went on after its client had read");
    const auto held = at->second.handler;
    held->OnWritable();
  });
  call.messages.push_back(std::move(bytes));
  return call.queued;
}

void World::OnStreamEnd(uint64_t stream, const server::RpcStatus& status) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  const Machine& machine = this->machine(found->second.index);
  StreamCall call = std::move(found->second);
  streams_.erase(found);
  // What a machine says after its crash is never heard.
  if (machine.must_die || machine.disk->crashed()) return;
  call.done(status, std::move(call.messages));
}

}  // namespace gavel::sim
