// Maintenance.Snapshot: the blobs of the stream are an archive, in the form that etcd's clients
// take.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/maintenance.pb.h"
#include "server/rpc/error_map.h"
#include "storage/snapshot/archive_reader.h"
#include "tests/server/rpc/service_caller.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using etcdserverpb::SnapshotRequest;
using etcdserverpb::SnapshotResponse;

class RpcSnapshotTest : public ::testing::Test {
 protected:
  // Values that compression does not make much smaller.
  void Fill(int keys) {
    uint64_t number = 1;
    for (int i = 0; i < keys; ++i) {
      std::string value;
      while (value.size() < 1000) {
        number = number * 6364136223846793005u + 1442695040888963407u;
        value.push_back(static_cast<char>(number >> 56));
      }
      caller_.gate.Fill("k" + std::to_string(100000 + i), value);
    }
  }

  std::shared_ptr<server::StreamHandler> Start(const std::shared_ptr<KeptWriter>& writer) {
    const auto handler =
        (*caller_.services.router()->FindStream("/etcdserverpb.Maintenance/Snapshot"))({}, writer);
    handler->OnMessage(SnapshotRequest().SerializeAsString());
    return handler;
  }

  static std::vector<SnapshotResponse> Messages(const KeptWriter& writer) {
    std::vector<SnapshotResponse> messages;
    for (const std::string& bytes : writer.messages) {
      EXPECT_TRUE(messages.emplace_back().ParseFromString(bytes));
    }
    return messages;
  }

  static absl::StatusOr<storage::ArchiveSummary> Read(const KeptWriter& writer) {
    storage::ArchiveReader reader(nullptr);
    for (const SnapshotResponse& message : Messages(writer)) (void)reader.Feed(message.blob());
    return reader.Finish();
  }

  ServiceCaller caller_;
};

TEST_F(RpcSnapshotTest, TheBlobsAreAnArchiveOfThisMember) {
  Fill(500);
  const auto writer = std::make_shared<KeptWriter>();
  Start(writer);
  ASSERT_TRUE(writer->status);
  EXPECT_TRUE(writer->status->ok()) << writer->status->message;
  ASSERT_OK_AND_ASSIGN(const storage::ArchiveSummary summary, Read(*writer));
  EXPECT_EQ(summary.header.cluster_id, TestGate::kCluster);
  EXPECT_EQ(summary.header.member_id, TestGate::kMember);
  EXPECT_EQ(summary.header.state.totals.revision, 501);
  EXPECT_EQ(summary.header.state.totals.keys, 500);
}

// etcd's clients take a stream whose length is not a multiple of 512 and 32 for one without a
// checksum; the last message is that checksum.
TEST_F(RpcSnapshotTest, BlobsAreThoseOfEtcd) {
  Fill(300);
  const auto writer = std::make_shared<KeptWriter>();
  Start(writer);
  const std::vector<SnapshotResponse> messages = Messages(*writer);
  ASSERT_GT(messages.size(), 5u);
  size_t bytes = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    bytes += messages[i].blob().size();
    EXPECT_LE(messages[i].blob().size(), 32u << 10);
    if (i + 2 < messages.size()) {
      EXPECT_EQ(messages[i].blob().size(), 32u << 10);
    }
    EXPECT_EQ(messages[i].version(), "3.7.0");
    EXPECT_FALSE(messages[i].has_header());
  }
  EXPECT_EQ(bytes % 512, 32u);
  EXPECT_EQ(messages.back().blob().size(), 32u);
}

// No bytes remaining is the end. Before it the number comes down to what is really left, and is not
// far from that at any time.
TEST_F(RpcSnapshotTest, RemainingBytesAreHonest) {
  Fill(3000);
  const auto writer = std::make_shared<KeptWriter>();
  Start(writer);
  const std::vector<SnapshotResponse> messages = Messages(*writer);
  uint64_t left = 0;
  for (auto message = messages.rbegin(); message != messages.rend(); ++message) {
    if (left == 0) {
      EXPECT_EQ(message->remaining_bytes(), 0u);
    } else {
      EXPECT_GT(message->remaining_bytes(), 0u);
      EXPECT_NEAR(static_cast<double>(message->remaining_bytes()), static_cast<double>(left),
                  static_cast<double>(left) * 0.2 + 200'000);
    }
    left += message->blob().size();
  }
}

TEST_F(RpcSnapshotTest, AClientThatDoesNotReadHoldsItBack) {
  Fill(3000);
  const auto writer = std::make_shared<KeptWriter>(100000);
  const auto handler = Start(writer);
  EXPECT_FALSE(writer->status);
  const int64_t revision = caller_.gate.view()->revision;
  caller_.gate.Fill("later", "x");
  for (int rounds = 0; !writer->status && rounds < 1000; ++rounds) {
    const size_t before = writer->messages.size();
    writer->Drain();
    handler->OnWritable();
    EXPECT_GT(writer->messages.size(), before);
    EXPECT_LT(writer->messages.size() - before, 12u);
  }
  ASSERT_TRUE(writer->status);
  EXPECT_TRUE(writer->status->ok());
  ASSERT_OK_AND_ASSIGN(const storage::ArchiveSummary summary, Read(*writer));
  EXPECT_EQ(summary.header.state.totals.revision, revision);
}

TEST_F(RpcSnapshotTest, AClientThatStopsReadingLosesItAfterAWhile) {
  Fill(3000);
  const auto readers = [this] { return caller_.gate.view()->engine->stats().readers; };
  const uint32_t before = readers();
  const auto writer = std::make_shared<KeptWriter>(100000);
  const auto handler = Start(writer);
  EXPECT_GT(readers(), before);
  caller_.gate.PassTime(3599 * server::kNsPerSecond);
  EXPECT_FALSE(writer->status);
  caller_.gate.PassTime(2 * server::kNsPerSecond);
  ASSERT_TRUE(writer->status);
  EXPECT_EQ(*writer->status, server::SnapshotTooOld());
  EXPECT_EQ(readers(), before);
  handler->OnWritable();
}

TEST_F(RpcSnapshotTest, ACanceledCallLetsGoOfTheEngine) {
  Fill(3000);
  const auto readers = [this] { return caller_.gate.view()->engine->stats().readers; };
  const uint32_t before = readers();
  const auto writer = std::make_shared<KeptWriter>(100000);
  auto handler = Start(writer);
  EXPECT_GT(readers(), before);
  handler->OnCancel();
  handler.reset();
  EXPECT_EQ(readers(), before);
  EXPECT_FALSE(writer->status);
}

TEST_F(RpcSnapshotTest, ALearnerServesIt) {
  caller_.gate.set_learner(true);
  const auto writer = std::make_shared<KeptWriter>();
  Start(writer);
  ASSERT_TRUE(writer->status);
  EXPECT_TRUE(writer->status->ok());
  EXPECT_OK(Read(*writer));
}

TEST_F(RpcSnapshotTest, WhatIsNoRequestIsRefused) {
  const auto start = [this](const std::shared_ptr<KeptWriter>& writer) {
    return (*caller_.services.router()->FindStream("/etcdserverpb.Maintenance/Snapshot"))({},
                                                                                          writer);
  };
  const auto writer = std::make_shared<KeptWriter>();
  start(writer)->OnMessage("\xff");
  EXPECT_EQ(writer->status, server::MalformedRequest());
  const auto silent = std::make_shared<KeptWriter>();
  start(silent)->OnHalfClose();
  EXPECT_EQ(silent->status, server::MalformedRequest());
}

}  // namespace
}  // namespace gavel::testing
