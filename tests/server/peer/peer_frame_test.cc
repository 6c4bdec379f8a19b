// Frames: what is written is read, and nothing else gets through.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/internal/peer.pb.h"
#include "raft/random.h"
#include "server/peer/cluster_view.h"
#include "server/peer/frame.h"
#include "server/peer/frame_exchange.h"
#include "server/peer/frame_stream.h"
#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"
#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using raft::EntryId;
using raft::Index;
using raft::Message;
using raft::NodeId;
using raft::Term;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr NodeId kA(0xa);
constexpr NodeId kB(0xb);
constexpr FrameAddress kAddress{77, kA, kB, raft::Incarnation(5), 6};

raft::Payload Bytes(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

template <class Body>
Message Of(Body body) {
  return {kA, kB, Term(9), std::move(body)};
}

// One of each kind, with every field different from its default.
std::vector<Message> OneOfEach() {
  raft::AppendRequest append{EntryId{Index(4), Term(3)}, {}, Index(2), Index(1)};
  append.entries.push_back({Index(5), Term(3), raft::EntryKind::kEmpty, nullptr});
  append.entries.push_back({Index(6), Term(9), raft::EntryKind::kCommand, Bytes("payload")});
  append.entries.push_back({Index(7), Term(9), raft::EntryKind::kCommand, Bytes("")});
  raft::ForwardProposals forward{Term(9), {}};
  forward.proposals.push_back({{kA, raft::Incarnation(5), 300}, Bytes(std::string(1000, '\0'))});
  raft::SnapshotMeta meta{Index(50), Term(8), {}};
  meta.configuration.members = {{kA, {"http://a:1"}}, {kB, {"http://b:1"}}};
  meta.configuration.voters = {kA, kB};
  return {
      Of(append),
      Of(raft::AppendReply{true, Index(3), Index(2), EntryId{Index(1), Term(1)}}),
      Of(raft::Heartbeat{raft::Round(4), Index(5), Index(6)}),
      Of(raft::HeartbeatReply{raft::Round(4)}),
      Of(raft::VoteRequest{true, Term(10), EntryId{Index(8), Term(7)}, true, raft::Incarnation(5)}),
      Of(raft::VoteReply{true, Term(10), true, raft::Incarnation(6)}),
      Of(raft::ReadRequest{raft::ReadId(11), raft::Incarnation(5)}),
      Of(raft::ReadReply{raft::ReadId(11), raft::Incarnation(5), true, Index(12)}),
      Of(forward),
      Of(raft::ProposalsDropped{{{kA, raft::Incarnation(5), 300}}, "why", 17}),
      Of(raft::TimeoutNow{}),
      Of(raft::InstallSnapshot{meta})};
}

// A frame around `frame`, with a checksum that fits.
std::string Seal(const internal::PeerFrame& frame) {
  const std::string body = frame.SerializeAsString();
  std::string bytes;
  storage::AppendLittleEndian(bytes, storage::Crc32c(body));
  return bytes + body;
}

TEST(FrameTest, EveryMessageComesBackAsItWas) {
  const std::vector<Message> messages = OneOfEach();
  ASSERT_EQ(messages.size(), std::variant_size_v<decltype(Message::body)>);
  const std::string bytes = EncodeFrame(kAddress, messages);
  ASSERT_OK_AND_ASSIGN(const Frame frame, DecodeFrame(bytes));
  EXPECT_EQ(frame.address.cluster_id, 77u);
  EXPECT_EQ(frame.address.from, kA);
  EXPECT_EQ(frame.address.to, kB);
  EXPECT_EQ(frame.address.incarnation, raft::Incarnation(5));
  EXPECT_EQ(frame.address.semantics, 6u);
  ASSERT_EQ(frame.messages.size(), messages.size());
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(frame.messages[i].body.index(), i);
    EXPECT_EQ(frame.messages[i].from, kA);
    EXPECT_EQ(frame.messages[i].to, kB);
    EXPECT_EQ(frame.messages[i].term, Term(9));
  }
  // What was decoded encodes to the same bytes: no field is lost or swapped.
  EXPECT_EQ(EncodeFrame(frame.address, frame.messages), bytes);

  const auto& append = std::get<raft::AppendRequest>(frame.messages[0].body);
  EXPECT_EQ(append.previous, (EntryId{Index(4), Term(3)}));
  EXPECT_EQ(append.commit, Index(2));
  EXPECT_EQ(append.replicated_everywhere, Index(1));
  ASSERT_EQ(append.entries.size(), 3u);
  EXPECT_EQ(append.entries[0].payload, nullptr);
  EXPECT_EQ(*append.entries[1].payload, "payload");
  ASSERT_NE(append.entries[2].payload, nullptr);
  EXPECT_EQ(*append.entries[2].payload, "");
  const auto& vote = std::get<raft::VoteRequest>(frame.messages[4].body);
  EXPECT_TRUE(vote.pre && vote.transfer);
  EXPECT_EQ(vote.last, (EntryId{Index(8), Term(7)}));
  const auto& forward = std::get<raft::ForwardProposals>(frame.messages[8].body);
  EXPECT_EQ(forward.leader_term, Term(9));
  EXPECT_EQ(forward.proposals[0].payload->size(), 1000u);
  const auto& install = std::get<raft::InstallSnapshot>(frame.messages[11].body);
  EXPECT_EQ(install.meta.configuration.voters, (std::vector<NodeId>{kA, kB}));
}

// What is written by hand must be what protobuf itself would write and read.
TEST(FrameTest, IsPlainProtobufBehindTheChecksum) {
  const std::string bytes = EncodeFrame(kAddress, OneOfEach());
  internal::PeerFrame frame;
  ASSERT_TRUE(frame.ParseFromString(bytes.substr(4)));
  EXPECT_EQ(frame.format(), kFrameFormat);
  EXPECT_EQ(frame.messages(0).entries(1).payload(), "payload");
  EXPECT_EQ(frame.messages(8).proposals(0).sequence(), 300u);
}

TEST(FrameTest, EveryFlippedBitIsNoticed) {
  const std::string bytes = EncodeFrame(kAddress, OneOfEach());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(DecodeFrame(damaged), StatusIs(absl::StatusCode::kDataLoss)) << bit;
  }
}

TEST(FrameTest, EveryShorterFrameIsRefused) {
  const std::string bytes = EncodeFrame(kAddress, OneOfEach());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(DecodeFrame(std::string_view(bytes).substr(0, length)).ok()) << length;
  }
}

// Garbage with a checksum that fits reaches the decoder, which must refuse or decode it, no more.
TEST(FrameTest, GarbageWithAGoodChecksumIsHarmless) {
  raft::Random random(5);
  const std::string good = EncodeFrame(kAddress, OneOfEach()).substr(4);
  for (int i = 0; i < 20000; ++i) {
    std::string body = good;
    for (uint64_t n = random.Between(1, 8); n > 0; --n) {
      body[random.Below(body.size())] = static_cast<char>(random.Next());
    }
    if (random.OneIn(4)) body.resize(random.Below(body.size()));
    std::string bytes;
    storage::AppendLittleEndian(bytes, storage::Crc32c(body));
    const absl::StatusOr<Frame> decoded = DecodeFrame(bytes + body);
    if (!decoded.ok()) continue;
    for (const Message& message : decoded->messages) {
      if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
        for (const raft::Entry& entry : append->entries) {
          EXPECT_EQ(entry.payload == nullptr, entry.kind == raft::EntryKind::kEmpty);
        }
      }
    }
  }
}

TEST(FrameTest, ANewerFormatIsRefusedByName) {
  internal::PeerFrame frame;
  frame.set_format(kFrameFormat + 1);
  EXPECT_THAT(DecodeFrame(Seal(frame)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("format 2 is newer")));
  frame.set_format(0);
  EXPECT_THAT(DecodeFrame(Seal(frame)), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FrameTest, UnknownKindsAreRefused) {
  internal::PeerFrame frame;
  frame.set_format(kFrameFormat);
  frame.add_messages()->set_term(1);
  EXPECT_THAT(DecodeFrame(Seal(frame)), StatusIs(absl::StatusCode::kInvalidArgument));
  frame.mutable_messages(0)->mutable_append();
  EXPECT_OK(DecodeFrame(Seal(frame)));
  frame.mutable_messages(0)->add_entries()->set_kind(3);
  EXPECT_THAT(DecodeFrame(Seal(frame)), StatusIs(absl::StatusCode::kInvalidArgument));
}

// Keeps the lines it is given.
class LineLogger final : public Logger {
 public:
  void Write(LogLevel, std::string_view message, std::initializer_list<LogField> fields) override {
    std::string line(message);
    for (const LogField& field : fields) line += " " + field.value;
    lines.push_back(line);
  }
  void Flush() override {}

  std::vector<std::string> lines;
};

class ReceiverTest : public ::testing::Test {
 protected:
  static std::string FrameFrom(FrameAddress address) {
    return EncodeFrame(address, {Of(raft::TimeoutNow{})});
  }

  // Each on a stream of its own.
  absl::Status Receive(std::string_view frame) {
    StreamSender stream;
    return receiver_.Receive(frame, stream);
  }

  LineLogger logger_;
  Metrics metrics_;
  int delivered_ = 0;
  FrameReceiver receiver_{{77, kB, NodeId(), raft::Incarnation(1)},
                          logger_,
                          metrics_,
                          [this](NodeId, std::vector<Message> messages) {
                            delivered_ += static_cast<int>(messages.size());
                            return true;
                          },
                          [this](NodeId, const SnapshotMessage&) { ++delivered_; },
                          [](NodeId member) { return member == kRemoved; }};
  static constexpr NodeId kRemoved{0xd};
};

TEST_F(ReceiverTest, DeliversWhatIsForThisMember) {
  EXPECT_OK(Receive(FrameFrom(kAddress)));
  EXPECT_EQ(delivered_, 1);
  EXPECT_TRUE(logger_.lines.empty());
}

TEST_F(ReceiverTest, RefusesAnotherClusterAndSaysSoOnce) {
  FrameAddress other = kAddress;
  other.cluster_id = 0x99;
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(Receive(FrameFrom(other)),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cluster 99")));
  }
  EXPECT_EQ(delivered_, 0);
  ASSERT_EQ(logger_.lines.size(), 1u);
  EXPECT_THAT(logger_.lines[0], HasSubstr("cluster 4d"));  // 77, this member's.
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("etcd_network_peer_received_failures_total{From=\"0\"} 5"));
}

TEST_F(ReceiverTest, RefusesAFrameForAnotherMember) {
  FrameAddress other = kAddress;
  other.to = NodeId(0xc);
  EXPECT_THAT(Receive(FrameFrom(other)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("for member c")));
  EXPECT_EQ(delivered_, 0);
}

TEST_F(ReceiverTest, RefusesItsOwnIdentity) {
  FrameAddress other = kAddress;
  other.from = kB;
  EXPECT_THAT(Receive(FrameFrom(other)), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(delivered_, 0);
}

// Leftovers of an ended life are dropped quietly; a member that lives in an earlier life again has
// lost its data.
TEST_F(ReceiverTest, DropsAnEarlierLifeAndRefusesItWhenItGoesOn) {
  EXPECT_OK(Receive(FrameFrom(kAddress)));
  FrameAddress earlier = kAddress;
  earlier.incarnation = raft::Incarnation(4);
  for (int i = 0; i < FrameReceiver::kOldLifeFramesMax; ++i) {
    EXPECT_OK(Receive(FrameFrom(earlier)));
  }
  EXPECT_EQ(delivered_, 1);
  EXPECT_TRUE(logger_.lines.empty());
  EXPECT_THAT(Receive(FrameFrom(earlier)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("back in life 4")));
  EXPECT_EQ(logger_.lines.size(), 1u);
  EXPECT_EQ(delivered_, 1);
}

// It would ask for ever. All else it may say: who leaves goes on for a moment.
TEST_F(ReceiverTest, WhoWasRemovedIsToldWhenItAsksForVotes) {
  FrameAddress removed = kAddress;
  removed.from = kRemoved;
  EXPECT_OK(Receive(FrameFrom(removed)));
  EXPECT_EQ(delivered_, 1);
  for (const bool pre : {true, false}) {
    raft::VoteRequest vote;
    vote.pre = pre;
    EXPECT_THAT(
        Receive(EncodeFrame(removed, {Of(raft::TimeoutNow{}), Of(vote)})),
        StatusIs(absl::StatusCode::kFailedPrecondition, "member d was removed from the cluster"));
    EXPECT_OK(Receive(EncodeFrame(kAddress, {Of(vote)})));
  }
  EXPECT_THAT(Receive(EncodeFrame(removed, {})), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                          "member d was removed from the cluster"))
      << "who has no vote knocks";
  EXPECT_OK(Receive(EncodeFrame(kAddress, {})));
  EXPECT_EQ(delivered_, 3);
  EXPECT_EQ(RemovedText(kRemoved), "member d was removed from the cluster");
}

TEST(ClusterViewTest, ItIsReadAsItWasWritten) {
  ClusterView view;
  view.cluster_id = 0xfedcba9876543210;
  view.members = {{NodeId(1), "one", {"http://a:1", "http://b:1"}, false},
                  {NodeId(2), "", {"http://c:1"}, true, true}};
  view.founders = {{NodeId(1), "one", {"http://a:1"}, false}};
  const auto read = DecodeClusterView(EncodeClusterView(view));
  ASSERT_OK(read.status());
  EXPECT_EQ(*read, view);
}

TEST(ClusterViewTest, WhatIsNoneIsRefused) {
  EXPECT_THAT(DecodeClusterView(""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodeClusterView("garbage"), StatusIs(absl::StatusCode::kInvalidArgument));
  internal::ClusterView newer;
  newer.set_format(2);
  EXPECT_THAT(DecodeClusterView(newer.SerializeAsString()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("format 2; this build reads up to 1")));
}

// On a stream one member sends: whoever began it.
TEST_F(ReceiverTest, RefusesAnotherSenderOnTheStreamOfOne) {
  StreamSender stream;
  FrameAddress other = kAddress;
  other.from = NodeId(0xc);
  EXPECT_OK(receiver_.Receive(FrameFrom(kAddress), stream));
  EXPECT_OK(receiver_.Receive(FrameFrom(kAddress), stream));
  EXPECT_THAT(receiver_.Receive(FrameFrom(other), stream),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("a frame of member c came on the stream of a")));
  EXPECT_EQ(delivered_, 2);
  EXPECT_OK(Receive(FrameFrom(other)));
  // What is refused begins no stream.
  StreamSender refused;
  other.cluster_id = 1;
  EXPECT_FALSE(receiver_.Receive(FrameFrom(other), refused).ok());
  EXPECT_OK(receiver_.Receive(FrameFrom(kAddress), refused));
}

// Ids are free to whoever can reach the port, memory is not.
TEST_F(ReceiverTest, TheNumberOfSendersIsBounded) {
  for (size_t i = 1; i <= FrameReceiver::kSendersMax; ++i) {
    FrameAddress address = kAddress;
    address.from = NodeId(100 + i);
    EXPECT_OK(Receive(FrameFrom(address)));
  }
  FrameAddress known = kAddress;
  known.from = NodeId(101);
  EXPECT_OK(Receive(FrameFrom(known)));
  EXPECT_THAT(Receive(FrameFrom(kAddress)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("different senders")));
}

// Nobody installs the snapshot that such a message names, so the core must not hear of it. The rest
// of the frame is good.
TEST_F(ReceiverTest, SnapshotsAreTakenOutCountedAndToldOnce) {
  for (int i = 0; i < 5; ++i) EXPECT_OK(Receive(EncodeFrame(kAddress, OneOfEach())));
  EXPECT_EQ(delivered_, 5 * static_cast<int>(OneOfEach().size() - 1));
  ASSERT_EQ(logger_.lines.size(), 1u);
  EXPECT_THAT(logger_.lines[0], HasSubstr("a snapshot"));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("etcd_network_peer_received_failures_total{From=\"a\"} 5"));
}

TEST_F(ReceiverTest, GarbageIsRefusedAndLoggedOnce) {
  raft::Random random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string garbage(random.Below(300), '\0');
    for (char& byte : garbage) byte = static_cast<char>(random.Next());
    EXPECT_FALSE(Receive(garbage).ok());
  }
  EXPECT_EQ(delivered_, 0);
  EXPECT_LE(logger_.lines.size(), 2u);
}

// Keeps what is sent.
class KeepingTransport final : public PeerTransport {
 public:
  void SetPeers(const std::vector<raft::MemberAddress>&) override {}
  void Send(NodeId peer, std::string frame) override { frames[peer].push_back(std::move(frame)); }
  void OnHeardFrom(NodeId) override {}
  void Poll(std::optional<std::chrono::nanoseconds>) override {}
  void Wake() override {}

  std::map<NodeId, std::vector<std::string>> frames;
};

TEST(FrameSenderTest, PacksMessagesOfOneReceiverInOrder) {
  KeepingTransport transport;
  Metrics metrics;
  FrameSender sender({77, kA, NodeId(), raft::Incarnation(1)}, transport, metrics);
  const NodeId c(0xc);
  std::vector<Message> messages;
  for (uint64_t round = 1; round <= 6; ++round) {
    messages.push_back(
        {kA, round % 2 == 0 ? kB : c, Term(1), raft::Heartbeat{raft::Round(round), {}, {}}});
  }
  sender.Send(std::move(messages));
  ASSERT_EQ(transport.frames[kB].size(), 1u);
  ASSERT_EQ(transport.frames[c].size(), 1u);
  ASSERT_OK_AND_ASSIGN(const Frame frame, DecodeFrame(transport.frames[kB][0]));
  std::vector<uint64_t> rounds;
  for (const Message& message : frame.messages) {
    rounds.push_back(std::get<raft::Heartbeat>(message.body).round.value());
  }
  EXPECT_EQ(rounds, (std::vector<uint64_t>{2, 4, 6}));
  EXPECT_THAT(metrics.Text(), HasSubstr("etcd_network_peer_sent_bytes_total{To=\"b\"}"));
}

TEST(FrameSenderTest, SplitsWhatIsLarge) {
  KeepingTransport transport;
  Metrics metrics;
  FrameSender sender({77, kA, NodeId(), raft::Incarnation(1)}, transport, metrics);
  std::vector<Message> messages;
  for (uint64_t i = 1; i <= 4; ++i) {
    raft::AppendRequest append;
    append.entries.push_back(
        {Index(i), Term(1), raft::EntryKind::kCommand, Bytes(std::string(1 << 20, 'x'))});
    messages.push_back({kA, kB, Term(1), std::move(append)});
  }
  sender.Send(std::move(messages));
  EXPECT_EQ(transport.frames[kB].size(), 4u);
}

TEST(FrameStreamTest, SplitsARunOfFrames) {
  std::string message;
  for (const std::string frame : {"one", "", "three"}) {
    AppendFrameLength(frame.size(), &message);
    message += frame;
  }
  std::vector<std::string> frames;
  const auto keep = [&frames](std::string_view frame) {
    frames.emplace_back(frame);
    return absl::OkStatus();
  };
  EXPECT_OK(SplitFrames(message, keep));
  EXPECT_EQ(frames, (std::vector<std::string>{"one", "", "three"}));
  EXPECT_THAT(SplitFrames("abc", keep), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(SplitFrames("\xff\xff\xff\xff", keep), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(SplitFrames(message.substr(0, message.size() - 1), keep),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gavel::server
