#include "tests/sim/client_streams.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "tests/sim/random_streams.h"
#include "tests/sim/world.h"

namespace gavel::sim {

using server::kNsPerMs;

namespace {

constexpr size_t kLoops = 2;  // I/O threads of a member.

}  // namespace

// An I/O thread of a member: what it is given runs in order, some time later.
class ClientStreams::Loop final : public server::Executor {
 public:
  Loop(World& world, int index, raft::Random random)
      : world_(world), index_(index), starts_(world.machine(index).starts), random_(random) {}

  void Run(absl::AnyInvocable<void()> work) override {
    if (closed_) return;
    work_.push_back(std::move(work));
    if (work_.size() > 1) return;
    Schedule();
  }
  // The thread has stopped: what it was to run is dropped, undone.
  void Close() {
    closed_ = true;
    work_.clear();
  }
  void SetSelf(std::weak_ptr<Loop> self) { self_ = std::move(self); }
  // Sooner than it was to be; false if there is nothing.
  bool RunBeside() {
    if (closed_ || work_.empty()) return false;
    RunFront();
    return true;
  }

 private:
  void Schedule() {
    const auto takes = static_cast<int64_t>(
        1 + random_.Below(static_cast<uint64_t>(random_.OneIn(16) ? 5 * kNsPerMs : 100'000)));
    world_.At(world_.now() + takes, EventKind::kCall, index_, [self = self_] {
      if (const auto loop = self.lock()) loop->RunNext();
    });
  }
  void RunNext() {
    // What it was to do may have been done beside a stage.
    if (closed_ || work_.empty() || world_.machine(index_).starts != starts_) return;
    if (!world_.WhenAwake(index_, [self = self_] {
          if (const auto loop = self.lock()) loop->RunNext();
        })) {
      return;
    }
    RunFront();
    if (!closed_ && !work_.empty()) Schedule();
  }
  void RunFront() {
    absl::AnyInvocable<void()> work = std::move(work_.front());
    work();
    if (!closed_) work_.pop_front();
  }

  World& world_;
  const int index_;
  const uint64_t starts_;
  raft::Random random_;
  std::weak_ptr<Loop> self_;
  std::deque<absl::AnyInvocable<void()>> work_;
  bool closed_ = false;
};

// The end of a stream that its handler holds.
class ClientStreams::Writer final : public server::StreamWriter {
 public:
  Writer(ClientStreams& streams, uint64_t stream, size_t high_mark)
      : streams_(streams), stream_(stream), high_mark_(high_mark) {}

  size_t Write(server::Encoded message) override {
    std::string bytes;
    for (const auto& slice : message.slices()) bytes += slice.bytes;
    return streams_.OnWrite(stream_, std::move(bytes));
  }
  size_t high_mark() const override { return high_mark_; }
  void Finish(server::RpcStatus status) override { streams_.OnFinish(stream_, status); }

 private:
  ClientStreams& streams_;
  const uint64_t stream_;
  const size_t high_mark_;
};

ClientStreams::ClientStreams(World& world)
    : world_(world), random_(sim::Stream(world.plan().seed, "client-streams")) {}

ClientStreams::~ClientStreams() { Clear(); }

void ClientStreams::Clear() {
  for (auto& [index, loops] : loops_) {
    for (const auto& loop : loops) loop->Close();
  }
  loops_.clear();
  // What a handler does as it ends finds no stream.
  const std::map<uint64_t, Stream> streams = std::move(streams_);
  streams_.clear();
}

int64_t ClientStreams::Hop() { return static_cast<int64_t>(1 + random_.Below(2 * kNsPerMs)); }

int ClientStreams::MemberOf(uint64_t stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? -1 : found->second.index;
}

uint64_t ClientStreams::Open(int index, const char* method, Client client) {
  const uint64_t number = next_stream_++;
  Stream& stream = streams_[number];
  stream.index = index;
  stream.client = std::move(client);
  stream.high_mark = static_cast<size_t>(world_.plan().stream_high_mark);
  stream.pause_max = kNsPerMs;
  Later(number, [this, number, method] { Begin(number, method); });
  return number;
}

void ClientStreams::Begin(uint64_t number, const char* method) {
  Stream& stream = streams_.at(number);
  Machine& machine = world_.machine(stream.index);
  if (!machine.up()) {
    stream.status = {server::StatusCode::kUnavailable, kRefusedConnection};
    return Break(number);
  }
  const server::StreamMethod* found = machine.services->router()->FindStream(method);
  if (found == nullptr) return world_.Fail(absl::StrCat("a method is not served: ", method));
  world_.Record(EventKind::kCall, stream.index, 0, number, method);
  auto& loops = loops_[stream.index];
  for (size_t i = loops.size(); i < kLoops; ++i) {
    loops.push_back(std::make_shared<Loop>(world_, stream.index, raft::Random(random_.Next())));
    loops.back()->SetSelf(loops.back());
  }
  server::CallContext context;
  context.peer = "client";
  context.executor = loops[random_.Below(kLoops)];
  auto handler =
      (*found)(std::move(context), std::make_shared<Writer>(*this, number, stream.high_mark));
  streams_.at(number).handler = std::move(handler);
}

void ClientStreams::Later(uint64_t number, std::function<void()> work) {
  Stream& stream = streams_.at(number);
  stream.last_sent = std::max(stream.last_sent, world_.now() + Hop());
  stream.arriving.push_back(std::move(work));
  world_.At(stream.last_sent, EventKind::kCall, stream.index, [this, number] { Arrive(number); });
}

void ClientStreams::Arrive(uint64_t number) {
  const auto found = streams_.find(number);
  // It may have arrived sooner, beside a stage.
  if (found == streams_.end() || found->second.broken || found->second.arriving.empty()) return;
  found->second.inbox.push_back(std::move(found->second.arriving.front()));
  found->second.arriving.pop_front();
  Pump(number);
}

// Runs what has arrived, in order; while the machine is paused it waits.
void ClientStreams::Pump(uint64_t number) {
  for (;;) {
    const auto found = streams_.find(number);
    if (found == streams_.end() || found->second.broken || found->second.inbox.empty()) return;
    if (!world_.WhenAwake(found->second.index, [this, number] { Pump(number); })) return;
    const std::function<void()> work = std::move(found->second.inbox.front());
    found->second.inbox.pop_front();
    work();
  }
}

void ClientStreams::Tell(uint64_t number, const std::function<void(server::StreamHandler&)>& what) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.finished || found->second.handler == nullptr) return;
  const std::shared_ptr<server::StreamHandler> handler = found->second.handler;
  what(*handler);
}

void ClientStreams::Send(uint64_t number, std::string message,
                         std::function<void(int64_t revision)> arrived) {
  if (!streams_.contains(number)) return;
  Later(number, [this, number, message = std::move(message), arrived = std::move(arrived)] {
    Tell(number, [&](server::StreamHandler& handler) {
      const Machine& machine = world_.machine(streams_.at(number).index);
      if (arrived) arrived(machine.node->gate().view()->revision);
      handler.OnMessage(message);
    });
  });
}

void ClientStreams::Hurry(uint64_t number) {
  while (streams_.contains(number) && !streams_.at(number).arriving.empty()) Arrive(number);
}

void ClientStreams::HalfClose(uint64_t number) {
  if (!streams_.contains(number)) return;
  Later(number, [this, number] {
    Tell(number, [](server::StreamHandler& handler) { handler.OnHalfClose(); });
  });
}

void ClientStreams::Drop(uint64_t number) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  found->second.client = {};
  if (found->second.broken) {
    streams_.erase(found);
    return;
  }
  Later(number, [this, number] {
    const std::shared_ptr<server::StreamHandler> handler = streams_.at(number).handler;
    streams_.erase(number);
    if (handler != nullptr) handler->OnCancel();
  });
}

void ClientStreams::SetReading(uint64_t stream, int64_t pause_max) {
  const auto found = streams_.find(stream);
  if (found != streams_.end()) found->second.pause_max = std::max<int64_t>(1, pause_max);
}

size_t ClientStreams::OnWrite(uint64_t number, std::string bytes) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.broken) return 0;
  Stream& stream = found->second;
  const Machine& machine = world_.machine(stream.index);
  // What a machine says after its crash is never heard.
  if (machine.must_die || machine.disk->crashed() || !machine.up()) return 0;
  if (stream.finished) {
    world_.Fail("a stream goes on after its end");
    return 0;
  }
  const auto view = machine.node->gate().view();
  stream.queued += bytes.size();
  stream.unread.push_back({std::move(bytes), view->revision, view->published_compacted->load(),
                           world_.ledger().committed().value()});
  Schedule(number);
  return stream.queued;
}

void ClientStreams::OnFinish(uint64_t number, const server::RpcStatus& status) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.broken) return;
  const Machine& machine = world_.machine(found->second.index);
  if (machine.must_die || machine.disk->crashed() || !machine.up()) return;
  if (std::exchange(found->second.finished, true)) return world_.Fail("a stream ends twice");
  found->second.status = status;
  Schedule(number);
}

void ClientStreams::Schedule(uint64_t number) {
  Stream& stream = streams_.at(number);
  if (stream.reading) return;
  if (stream.unread.empty() && !stream.finished && !stream.broken) return;
  stream.reading = true;
  const auto takes =
      static_cast<int64_t>(1 + random_.Below(static_cast<uint64_t>(stream.pause_max)));
  world_.At(world_.now() + takes, EventKind::kAnswer, -1, [this, number] { Read(number); });
}

void ClientStreams::Read(uint64_t number) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.reading = false;
  if (stream.unread.empty()) {
    if (!stream.finished && !stream.broken) return;
    const Client client = std::move(stream.client);
    const server::RpcStatus status = stream.status;
    streams_.erase(found);
    if (client.on_end) client.on_end(status);
    return;
  }
  StreamMessage message = std::move(stream.unread.front());
  stream.unread.pop_front();
  const size_t before = std::exchange(stream.queued, stream.queued - message.bytes.size());
  const size_t low = stream.high_mark / 4;
  if (before > low && stream.queued <= low && !stream.broken && stream.handler != nullptr) {
    const int index = stream.index;
    world_.Sometimes("a stream that was full went on");
    world_.At(world_.now() + 1, EventKind::kCall, index, [this, number] {
      const auto at = streams_.find(number);
      if (at == streams_.end() || at->second.broken) return;
      at->second.inbox.push_back([this, number] {
        Tell(number, [](server::StreamHandler& handler) { handler.OnWritable(); });
      });
      Pump(number);
    });
  }
  const auto on_message = stream.client.on_message;
  Schedule(number);
  if (on_message) on_message(std::move(message));
}

bool ClientStreams::RunBeside(int index) {
  if (random_.OneIn(2)) {
    for (const auto& [number, stream] : streams_) {
      if (stream.index != index || stream.handler == nullptr || stream.arriving.empty()) continue;
      Arrive(number);
      return true;
    }
  }
  const auto found = loops_.find(index);
  if (found == loops_.end()) return false;
  // A copy: what runs may end the loops.
  const std::vector<std::shared_ptr<Loop>> loops = found->second;
  return std::any_of(loops.begin(), loops.end(),
                     [](const auto& loop) { return loop->RunBeside(); });
}

// The client finds out in its own time; what had been sent may still arrive.
void ClientStreams::Break(uint64_t number) {
  Stream& stream = streams_.at(number);
  stream.broken = true;
  if (random_.OneIn(2)) {
    stream.unread.clear();
    stream.queued = 0;
  }
  Schedule(number);
}

void ClientStreams::OnDown(int index) {
  if (const auto found = loops_.find(index); found != loops_.end()) {
    for (const auto& loop : found->second) loop->Close();
    loops_.erase(found);
  }
  std::vector<uint64_t> broken;
  for (auto& [number, stream] : streams_) {
    const bool begun = stream.handler != nullptr || !stream.inbox.empty();
    if (stream.index == index && !stream.broken && begun) broken.push_back(number);
  }
  for (const uint64_t number : broken) {
    Stream& stream = streams_.at(number);
    const std::shared_ptr<server::StreamHandler> handler = std::move(stream.handler);
    stream.handler = nullptr;
    if (!stream.finished) {
      stream.status = {server::StatusCode::kUnavailable, "connection lost"};
    }
    Break(number);
  }
}

}  // namespace gavel::sim
