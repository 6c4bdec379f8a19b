// The gRPC transport over loopback: order, reconnection, refusal, bounds.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/peer/cluster_view.h"
#include "server/peer/grpc_transport.h"
#include "tests/support/held_port.h"

namespace gavel::server {
namespace {

constexpr raft::NodeId kSelf(1);
constexpr raft::NodeId kPeer(2);

// Polls a transport on a thread of its own, as the core's thread does.
class Polled {
 public:
  explicit Polled(std::unique_ptr<GrpcPeerTransport> transport)
      : transport_(std::move(transport)), thread_([this] {
          while (!stop_) transport_->Poll(std::nullopt);
        }) {}
  ~Polled() {
    stop_ = true;
    transport_->Wake();
    thread_.join();
  }
  GrpcPeerTransport* operator->() { return transport_.get(); }

 private:
  const std::unique_ptr<GrpcPeerTransport> transport_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// A receiver on a port, which can be closed and opened again.
class Listener {
 public:
  explicit Listener(std::function<absl::Status(std::string_view)> on_frame)
      : on_frame_(std::move(on_frame)) {
    Open();
  }
  void Open() {
    GrpcTransportOptions options;
    options.listen = {absl::StrCat("127.0.0.1:", port_.number())};
    auto transport = GrpcPeerTransport::Listen(options, *logger_, metrics_);
    ASSERT_TRUE(transport.ok()) << transport.status();
    PeerEvents events;
    events.on_frame = [this](std::string_view frame, StreamSender& sender) {
      urls = sender.peer_urls;
      return on_frame_(frame);
    };
    events.on_asked = [] {
      ClusterView view;
      view.cluster_id = 5;
      view.members = {{kPeer, "two", {"http://two:1"}, false}};
      return EncodeClusterView(view);
    };
    (*transport)->Begin(kPeer, std::move(events));
    transport_.emplace(*std::move(transport));
  }
  void Close() { transport_.reset(); }
  std::string url() const { return "http://" + address(); }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_.number()); }

  std::vector<std::string> urls;  // Of the sender of the newest frame.

 private:
  const testing::HeldPort port_;
  const std::function<absl::Status(std::string_view)> on_frame_;
  std::unique_ptr<Logger> logger_ = NullLogger();
  Metrics metrics_;
  std::optional<Polled> transport_;
};

class GrpcTransportTest : public ::testing::Test {
 protected:
  absl::Status OnFrame(std::string_view frame) {
    const std::lock_guard lock(mutex_);
    received_.emplace_back(frame);
    changed_.notify_all();
    return refusal_;
  }
  std::function<void(raft::NodeId)> Count(int& counter) {
    return [this, &counter](raft::NodeId peer) {
      EXPECT_EQ(peer, kPeer);
      const std::lock_guard lock(mutex_);
      ++counter;
      changed_.notify_all();
    };
  }
  // Waits until `done` holds; looks at the counters under the lock.
  bool Await(const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), done);
  }
  void Open(GrpcTransportOptions options = {}) {
    PeerEvents events;
    events.on_unreachable = Count(unreachable_);
    events.on_connection_lost = Count(lost_);
    events.on_connected = Count(connected_);
    events.on_refused = [this](raft::NodeId peer, std::string_view reason) {
      EXPECT_EQ(peer, kPeer);
      const std::lock_guard lock(mutex_);
      refused_ = reason;
      changed_.notify_all();
    };
    options.listen = {"127.0.0.1:0"};
    auto transport = GrpcPeerTransport::Listen(options, *logger_, metrics_);
    ASSERT_TRUE(transport.ok()) << transport.status();
    (*transport)->Begin(kSelf, std::move(events));
    transport_.emplace(*std::move(transport));
    (*transport_)->SetPeers({{kSelf, {"http://127.0.0.1:1"}}, {kPeer, {listener_.url()}}});
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> received_;
  absl::Status refusal_;
  std::string refused_;
  int unreachable_ = 0;
  int lost_ = 0;
  int connected_ = 0;
  std::unique_ptr<Logger> logger_ = NullLogger();
  Metrics metrics_;
  Listener listener_{[this](std::string_view frame) { return OnFrame(frame); }};
  std::optional<Polled> transport_;
};

TEST_F(GrpcTransportTest, FramesArriveWholeAndInOrder) {
  Open();
  constexpr size_t kFrames = 2000;
  std::vector<std::string> sent;
  for (size_t i = 0; i < kFrames; ++i) {
    sent.push_back(absl::StrCat(i, ":", std::string(i % 700, 'x')));
    (*transport_)->Send(kPeer, sent.back());
  }
  EXPECT_TRUE(Await([&] { return received_.size() == kFrames; }));
  EXPECT_EQ(received_, sent);
  EXPECT_EQ(unreachable_, 0);
}

// The receiver may not know by its log where the sender is reached.
TEST_F(GrpcTransportTest, WhoOpensAStreamSaysWhereItIsReached) {
  GrpcTransportOptions options;
  options.peer_urls = {"http://a:1", "http://b:2"};
  Open(options);
  (*transport_)->Send(kPeer, "frame");
  ASSERT_TRUE(Await([&] { return received_.size() == 1; }));
  EXPECT_EQ(listener_.urls, options.peer_urls);
}

TEST_F(GrpcTransportTest, TheReasonOfARefusalIsToldToTheSender) {
  refusal_ = absl::FailedPreconditionError("you were removed");
  Open();
  (*transport_)->Send(kPeer, "frame");
  EXPECT_TRUE(Await([&] { return refused_ == "you were removed"; }));
}

TEST_F(GrpcTransportTest, AMemberAnswersWhoWantsToJoin) {
  const auto view = AskForCluster(listener_.address(), std::chrono::seconds(20));
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->cluster_id, 5u);
  ASSERT_EQ(view->members.size(), 1u);
  EXPECT_EQ(view->members[0].name, "two");
  listener_.Close();
  EXPECT_EQ(AskForCluster(listener_.address(), std::chrono::seconds(20)).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(GrpcTransportTest, AFrameOfManyMegabytesArrives) {
  Open();
  const std::string large(20 << 20, 'y');
  (*transport_)->Send(kPeer, large);
  EXPECT_TRUE(Await([&] { return received_.size() == 1; }));
  EXPECT_EQ(received_[0], large);
}

TEST_F(GrpcTransportTest, FramesSentBeforeThePeerIsThereAreReported) {
  listener_.Close();
  Open();
  (*transport_)->Send(kPeer, "lost");
  EXPECT_TRUE(Await([&] { return unreachable_ > 0 && lost_ == 1; }));
  listener_.Open();
  EXPECT_TRUE(Await([&] { return connected_ == 1; }));
  (*transport_)->Send(kPeer, "found");
  EXPECT_TRUE(Await([&] { return !received_.empty(); }));
  EXPECT_EQ(received_, std::vector<std::string>{"found"});
}

TEST_F(GrpcTransportTest, TheEndOfAPeerIsNoticedAtOnceAndItsReturnSoon) {
  Open();
  EXPECT_TRUE(Await([&] { return connected_ == 1; }));
  listener_.Close();
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(Await([&] { return lost_ == 1; }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(2));
  // While it closes a listener may still take a connection, so there can be more than one before.
  int before = 0;
  EXPECT_TRUE(Await([&] {
    before = connected_;
    return true;
  }));
  listener_.Open();
  EXPECT_TRUE(Await([&] { return connected_ > before; }));
  EXPECT_EQ(lost_, 1);
}

TEST_F(GrpcTransportTest, AFullQueueDropsAndReports) {
  GrpcTransportOptions options;
  options.queue_bytes_max = 1 << 20;
  listener_.Close();  // Frames wait while the connection is being opened.
  Open(options);
  for (int i = 0; i < 50; ++i) (*transport_)->Send(kPeer, std::string(100 << 10, 'z'));
  EXPECT_TRUE(Await([&] { return unreachable_ >= 39; }));
}

// An entry that the log takes must reach the other members, however large it is.
TEST_F(GrpcTransportTest, AFrameLargerThanTheQueueIsSent) {
  GrpcTransportOptions options;
  options.queue_bytes_max = 1 << 20;
  Open(options);
  EXPECT_TRUE(Await([&] { return connected_ >= 1; }));
  (*transport_)->Send(kPeer, std::string(5 << 20, 'z'));
  EXPECT_TRUE(Await([&] { return received_.size() == 1; }));
  EXPECT_EQ(unreachable_, 0);
}

TEST_F(GrpcTransportTest, ARefusingPeerIsTriedAgainWithoutHaste) {
  {
    const std::lock_guard lock(mutex_);
    refusal_ = absl::FailedPreconditionError("other cluster");
  }
  Open();
  EXPECT_TRUE(Await([&] { return connected_ >= 1; }));
  (*transport_)->Send(kPeer, "hello");
  EXPECT_TRUE(Await([&] { return lost_ >= 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const std::lock_guard lock(mutex_);
  EXPECT_LE(connected_, 8);
}

// A port that closes must begin nothing on a completion queue that has shut down, whatever arrives
// meanwhile: gRPC aborts the process for it.
TEST_F(GrpcTransportTest, AListenerThatClosesUnderLoadEndsCleanly) {
  Open();
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 50; ++i) (*transport_)->Send(kPeer, std::string(2000, 'r'));
    listener_.Close();
    listener_.Open();
    int before = 0;
    Await([&] {
      before = connected_;
      return true;
    });
    if (round % 3 == 0) Await([&] { return connected_ > before; });
  }
}

// What a member waits for besides its peers ends the wait by Wake.
TEST_F(GrpcTransportTest, AWakeFromAnyThreadEndsAPoll) {
  GrpcTransportOptions options;
  options.listen = {"127.0.0.1:0"};
  auto transport = GrpcPeerTransport::Listen(options, *logger_, metrics_);
  ASSERT_TRUE(transport.ok()) << transport.status();
  std::atomic<int> turn = 0;
  std::thread waker([&] {
    for (int i = 1; i <= 2000; ++i) {
      (*transport)->Wake();
      while (turn < i) std::this_thread::yield();
    }
  });
  for (int i = 1; i <= 2000; ++i) {
    (*transport)->Poll(std::nullopt);
    turn = i;
  }
  waker.join();
}

TEST_F(GrpcTransportTest, ATakenPortIsNamed) {
  GrpcTransportOptions options;
  options.listen = {listener_.url().substr(7)};
  const auto transport = GrpcPeerTransport::Listen(options, *logger_, metrics_);
  EXPECT_EQ(std::string(transport.status().message()),
            "cannot listen on " + options.listen[0] + ": Address already in use");
}

TEST_F(GrpcTransportTest, ClosesWhileAllIsUnderWay) {
  for (int round = 0; round < 10; ++round) {
    Open();
    for (int i = 0; i < 100; ++i) (*transport_)->Send(kPeer, std::string(10000, 'q'));
    if (round % 2 == 0) Await([&] { return connected_ > round / 2; });
    transport_.reset();
  }
}

}  // namespace
}  // namespace gavel::server
