// The services that keep something for a client from one message to the next: watches, leases,
// locks, elections. Whatever is sent on however many streams, what is told keeps its promises, and
// nothing is left of it in the end.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "raft/check.h"
#include "server/rpc/client_services.h"
#include "server/rpc/key_line.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/service_requests.h"
#include "tests/server/rpc/test_gate.h"

namespace gavel::fuzz {
namespace {

using google::protobuf::MessageLite;
using server::Encoded;
using server::RpcStatus;
using server::StreamShape;
using testing::TestGate;

constexpr size_t kStreamsMax = 24;
constexpr int kActsMax = 200;
constexpr size_t kHighMark = 2000;

// Keeps what is written.
class Writer final : public server::StreamWriter {
 public:
  size_t Write(Encoded message) override {
    GAVEL_CHECK(!ended) << "written after the end";
    queued_ += message.bytes();
    std::string& bytes = messages.emplace_back();
    for (const auto& slice : message.slices()) bytes += slice.bytes;
    return queued_;
  }
  size_t high_mark() const override { return kHighMark; }
  void Finish(RpcStatus) override {
    GAVEL_CHECK(!ended) << "finished twice";
    ended = true;
  }
  void Drain() { queued_ = 0; }

  std::vector<std::string> messages;
  bool ended = false;

 private:
  size_t queued_ = 0;
};

// What one watch was told.
struct Told {
  int64_t revision = 0;
  bool in_pieces = false;  // The revision may go on: the last message was a fragment.
  bool ended = false;      // By a compaction; its id is held until the client cancels it.
};

struct Stream {
  StreamKind kind = kWatch;
  std::shared_ptr<Writer> writer;
  std::shared_ptr<server::StreamHandler> handler;
  size_t taken = 0;
  bool half_closed = false;
  bool canceled = false;
  int64_t sent = 0;
  std::string name;  // Of the line.

  std::map<int64_t, Told> watches;
  int64_t leader_created = 0;
  int64_t leader_told = 0;

  bool over() const { return canceled || writer->ended; }
};

template <class Message>
Message Parsed(const std::string& bytes) {
  Message message;
  GAVEL_CHECK(message.ParseFromString(bytes)) << "what is sent is no message";
  return message;
}

// One member's services, and the clients that use them.
class World {
 public:
  World() : services_(gate_, metrics_, {}) {}

  ~World() {
    gate_.HoldBackground(false);
    for (Stream& stream : streams_) {
      if (!stream.over()) Cancel(stream);
    }
    streams_.clear();
    const server::WatchCounts counts = gate_.watches().counts();
    GAVEL_CHECK(counts.streams == 0 && counts.watchers == 0)
        << counts.streams << " streams and " << counts.watchers << " watchers are left";
  }

  void Act(Choices& choices) {
    switch (choices.Below(12)) {
      case 0:
      case 1:
        Open(choices);
        break;
      case 2:
      case 3:
      case 4:
        Send(choices);
        break;
      case 5:
      case 6:
      case 7:
        Ask(static_cast<UnaryKind>(choices.Below(kUnaryKinds)), choices);
        break;
      case 8:
        End(choices);
        break;
      case 9:
        Drain(choices);
        break;
      case 10:
        gate_.HoldBackground(choices.Below(2) == 0);
        break;
      default:
        gate_.PassTime(static_cast<server::MonotonicNs>(choices.Below(100)) * server::kNsPerSecond);
    }
    for (Stream& stream : streams_) CheckStream(stream);
  }

 private:
  void Open(Choices& choices) {
    if (streams_.size() == kStreamsMax) return;
    Stream stream;
    const uint64_t kind = choices.Below(kStreamKinds + 5);  // More of them are of watches.
    stream.kind = kind < kStreamKinds ? static_cast<StreamKind>(kind) : kWatch;
    stream.writer = std::make_shared<Writer>();
    const auto& method = services_.router()->streams().at(kStreamMethods[stream.kind]);
    const bool one_message =
        method.shape == StreamShape::kUnary || method.shape == StreamShape::kServerStream;
    stream.handler = method.method({}, stream.writer);
    streams_.push_back(std::move(stream));
    if (!one_message) return;
    Message(streams_.back(), choices);
    if (streams_.back().over()) return;
    streams_.back().half_closed = true;
    streams_.back().handler->OnHalfClose();
  }

  void Message(Stream& stream, Choices& choices) {
    ++stream.sent;
    std::string message = choices.Below(8) == 0 ? std::string(choices.Bytes(choices.Below(30)))
                                                : MakeRequest(stream.kind, choices);
    stream.name = LineOf(stream.kind, message);
    stream.handler->OnMessage(std::move(message));
  }

  Stream* Some(Choices& choices) {
    if (streams_.empty()) return nullptr;
    Stream& stream = streams_[choices.Below(streams_.size())];
    return stream.over() ? nullptr : &stream;
  }

  void Send(Choices& choices) {
    Stream* stream = Some(choices);
    if (stream != nullptr && !stream->half_closed) Message(*stream, choices);
  }

  void End(Choices& choices) {
    Stream* stream = Some(choices);
    if (stream == nullptr) return;
    if (!stream->half_closed && choices.Below(2) == 0) {
      stream->half_closed = true;
      stream->handler->OnHalfClose();
    } else {
      Cancel(*stream);
    }
  }

  void Cancel(Stream& stream) {
    stream.canceled = true;
    stream.handler->OnCancel();
  }

  void Drain(Choices& choices) {
    Stream* stream = Some(choices);
    if (stream == nullptr) return;
    stream->writer->Drain();
    stream->handler->OnWritable();
  }

  void Ask(UnaryKind kind, Choices& choices) {
    const server::UnaryMethod* method = services_.router()->FindUnary(kUnaryMethods[kind]);
    const bool raw = choices.Below(8) == 0;
    (*method)(raw ? std::string(choices.Bytes(choices.Below(30))) : MakeUnary(kind, choices), {},
              [](const RpcStatus&, const Encoded&) {});
  }

  void CheckStream(Stream& stream) {
    for (; stream.taken < stream.writer->messages.size(); ++stream.taken) {
      const std::string& bytes = stream.writer->messages[stream.taken];
      switch (stream.kind) {
        case kWatch:
          CheckWatch(stream, Parsed<etcdserverpb::WatchResponse>(bytes));
          break;
        case kKeepAlive:
          Parsed<etcdserverpb::LeaseKeepAliveResponse>(bytes);
          GAVEL_CHECK(static_cast<int64_t>(stream.taken) < stream.sent) << "an answer to nothing";
          break;
        case kLock:
          CheckFirst(stream, Parsed<v3lockpb::LockResponse>(bytes).key());
          break;
        case kCampaign:
          CheckFirst(stream, Parsed<v3electionpb::CampaignResponse>(bytes).leader().key());
          break;
        case kObserve:
          CheckObserved(stream, Parsed<v3electionpb::LeaderResponse>(bytes));
          break;
        default:
          break;
      }
    }
  }

  void CheckWatch(Stream& stream, const etcdserverpb::WatchResponse& response) {
    if (response.created()) {
      if (!response.canceled()) {
        const bool added = stream.watches.try_emplace(response.watch_id()).second;
        GAVEL_CHECK(added) << "id " << response.watch_id() << " is given twice";
      }
      return;
    }
    // Progress of all; -1 may also be the id of one.
    if (response.watch_id() == -1 && !response.canceled() && response.events_size() == 0) {
      for (const auto& [id, told] : stream.watches) {
        GAVEL_CHECK(response.header().revision() >= told.revision) << "progress goes back";
      }
      return;
    }
    const auto watch = stream.watches.find(response.watch_id());
    GAVEL_CHECK(watch != stream.watches.end()) << response.watch_id() << " is no watch";
    Told& told = watch->second;
    GAVEL_CHECK(!told.ended || response.canceled()) << "told after its end";
    for (int i = 0; i < response.events_size(); ++i) {
      const int64_t revision = response.events(i).kv().mod_revision();
      const bool goes_on = i > 0 || told.in_pieces;
      GAVEL_CHECK(revision > told.revision || (goes_on && revision == told.revision))
          << "revision " << revision << " after " << told.revision;
      told.revision = revision;
    }
    told.in_pieces = response.fragment();
    GAVEL_CHECK(response.canceled() || response.header().revision() >= told.revision);
    if (response.compact_revision() != 0) {
      told.ended = true;
    } else if (response.canceled()) {
      stream.watches.erase(watch);
    }
  }

  // Who is told to hold the lock, or to be elected, is the first of its line.
  void CheckFirst(const Stream& stream, const std::string& key) {
    etcdserverpb::TxnRequest request;
    etcdserverpb::RangeRequest range;
    server::AskForFirst(stream.name, &range);
    std::optional<etcdserverpb::RangeResponse> seen;
    const server::UnaryMethod* method = services_.router()->FindUnary("/etcdserverpb.KV/Range");
    (*method)(range.SerializeAsString(), {}, [&](const RpcStatus& status, const Encoded& message) {
      if (!status.ok()) return;
      std::string bytes;
      for (const auto& slice : message.slices()) bytes += slice.bytes;
      seen = Parsed<etcdserverpb::RangeResponse>(bytes);
    });
    if (!seen) return;
    GAVEL_CHECK(seen->kvs_size() == 1 && seen->kvs(0).key() == key)
        << key << " is told to be the first, which it is not";
    int64_t& token = tokens_[stream.name];
    GAVEL_CHECK(seen->kvs(0).create_revision() >= token) << "tokens go back";
    token = seen->kvs(0).create_revision();
  }

  void CheckObserved(Stream& stream, const v3electionpb::LeaderResponse& response) {
    GAVEL_CHECK(response.kv().create_revision() >= stream.leader_created) << "leaders go back";
    GAVEL_CHECK(response.header().revision() >= stream.leader_told) << "what is told goes back";
    stream.leader_created = response.kv().create_revision();
    stream.leader_told = response.header().revision();
  }

  server::Metrics metrics_;
  TestGate gate_;
  server::ClientServices services_;
  std::vector<Stream> streams_;
  std::map<std::string, int64_t> tokens_;  // By line: of the last who was its first.
};

}  // namespace

void OneInput(std::string_view input) {
  GTEST_FLAG_SET(break_on_failure, true);  // What the gate expects is a finding as well.
  Choices choices(input);
  World world;
  for (int acts = 0; acts < kActsMax && !choices.empty(); ++acts) world.Act(choices);
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  raft::Random random(1);
  for (int length = 20; length <= 1500; length += 20) {
    std::string& seed = seeds.emplace_back();
    for (int i = 0; i < length; ++i) seed += static_cast<char>(random.Below(256));
  }
  return seeds;
}

void Mend(std::string&, raft::Random&) {}

}  // namespace gavel::fuzz
