// The front's parts that need no socket.

#include <sys/uio.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "server/http2/abuse_guard.h"
#include "server/http2/grpc_text.h"
#include "server/http2/messages.h"
#include "server/http2/out_buffer.h"
#include "server/http2/timer_queue.h"

namespace gavel::server {
namespace {

std::string Contents(const OutBuffer& buffer) {
  std::vector<iovec> parts(1000);
  const int count = buffer.Parts(parts.data(), 1000);
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  }
  return bytes;
}

TEST(GrpcTextTest, TimeoutsHaveAUnitAndUpToEightDigits) {
  EXPECT_EQ(ParseGrpcTimeout("1H"), 3600 * kNsPerSecond);
  EXPECT_EQ(ParseGrpcTimeout("2M"), 120 * kNsPerSecond);
  EXPECT_EQ(ParseGrpcTimeout("3S"), 3 * kNsPerSecond);
  EXPECT_EQ(ParseGrpcTimeout("00000004m"), 4 * kNsPerMs);
  EXPECT_EQ(ParseGrpcTimeout("5u"), 5000);
  EXPECT_EQ(ParseGrpcTimeout("99999999n"), 99999999);
  EXPECT_EQ(ParseGrpcTimeout("0n"), 0);
  EXPECT_GT(ParseGrpcTimeout("99999999H").value_or(0), int64_t{3600} * 24 * 365 * kNsPerSecond);
  for (const char* bad :
       {"", "S", "5", "5s", "123456789S", "-1S", "+1S", " 1S", "1 S", "1.5S", "0x1S", "1SS"}) {
    EXPECT_EQ(ParseGrpcTimeout(bad), std::nullopt) << bad;
  }
}

TEST(GrpcTextTest, MessagesAreEncodedAsPrintableAscii) {
  EXPECT_EQ(PercentEncode("etcdserver: no leader"), "etcdserver: no leader");
  EXPECT_EQ(PercentEncode("100%\n\x7f\xE2\x82\xAC~"), "100%25%0A%7F%E2%82%AC~");
}

TEST(GrpcTextTest, BinaryMetadataIsBase64WithOrWithoutPadding) {
  EXPECT_EQ(DecodeBinaryMetadata(""), "");
  EXPECT_EQ(DecodeBinaryMetadata("AA=="), std::string(1, '\0'));
  EXPECT_EQ(DecodeBinaryMetadata("AA"), std::string(1, '\0'));
  EXPECT_EQ(DecodeBinaryMetadata("Zm9vYg"), "foob");
  EXPECT_EQ(DecodeBinaryMetadata("Zm9vYmE="), "fooba");
  EXPECT_EQ(DecodeBinaryMetadata("Zm9vYmFy"), "foobar");
  EXPECT_EQ(DecodeBinaryMetadata("/+8"), "\xff\xef");
  for (const char* bad : {"A", "AAAAA", "A===", "AA=A", "Zm9v!mFy", "Zm9v YmFy", "-_8"}) {
    EXPECT_EQ(DecodeBinaryMetadata(bad), std::nullopt) << bad;
  }
}

TEST(GrpcTextTest, ContentTypesOfGrpc) {
  EXPECT_TRUE(IsGrpcContentType("application/grpc"));
  EXPECT_TRUE(IsGrpcContentType("application/grpc+proto"));
  EXPECT_TRUE(IsGrpcContentType("application/grpc;charset=utf-8"));
  EXPECT_FALSE(IsGrpcContentType("application/grpc-web"));
  EXPECT_FALSE(IsGrpcContentType("application/json"));
  EXPECT_FALSE(IsGrpcContentType(""));
}

TEST(OutBufferTest, SmallAndLargePiecesLeaveInOrderHoweverTheyAreTaken) {
  raft::Random random(1);
  OutBuffer buffer;
  std::string expected;
  for (int round = 0; round < 3000; ++round) {
    const size_t size = random.Next() % (round % 7 == 0 ? 9000 : 50);
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(random.Next());
    if (random.Next() % 2 == 0) {
      buffer.Append(bytes);
      expected += bytes;
    } else {
      const size_t offset = size / 3;
      const auto whole = std::make_shared<const std::string>(bytes);
      buffer.AppendShared(whole, std::string_view(*whole).substr(offset, size - offset));
      expected += bytes.substr(offset);
    }
    ASSERT_EQ(buffer.bytes(), expected.size());
    if (round % 5 != 0) continue;
    ASSERT_EQ(Contents(buffer), expected);
    const size_t gone =
        random.Next() % 3 == 0 ? expected.size() : random.Next() % (expected.size() + 1);
    buffer.Drop(gone);
    expected.erase(0, gone);
  }
  EXPECT_EQ(Contents(buffer), expected);
}

TEST(OutBufferTest, WhatHasLeftIsLetGo) {
  OutBuffer buffer;
  auto large = std::make_shared<const std::string>(10000, 'x');
  buffer.AppendShared(large, std::string_view(*large).substr(0, 10000));
  buffer.Append("tail");
  EXPECT_EQ(large.use_count(), 2);
  buffer.Drop(10000);
  EXPECT_EQ(large.use_count(), 1);
  EXPECT_EQ(Contents(buffer), "tail");
}

TEST(MessagesTest, MessagesSurviveAnyCuttingOnTheirWay) {
  raft::Random random(2);
  MessageQueue queue;
  std::vector<std::string> messages;
  for (int i = 0; i < 300; ++i) {
    Encoded encoded;
    std::string whole;
    for (uint64_t slice = random.Next() % 4; slice > 0; --slice) {
      std::string bytes(random.Next() % (i % 9 == 0 ? 5000 : 20), static_cast<char>('a' + i % 26));
      whole += bytes;
      encoded.Append(std::make_shared<const std::string>(std::move(bytes)));
    }
    messages.push_back(whole);
    if (random.Next() % 2 == 0) {
      queue.Push(std::move(encoded));
      continue;
    }
    // The same, framed, perhaps with another behind it.
    server::MessageBlock block;
    block.Begin(whole.size());
    for (const Encoded::Slice& slice : encoded.slices()) {
      block.AppendShared(slice.owner, slice.bytes);
    }
    if (random.Next() % 2 == 0) {
      messages.emplace_back("more");
      block.Begin(4);
      block.Append("more");
    }
    queue.PushFramed(block.TakeFramed());
  }
  MessageReader reader;
  std::vector<std::string> read;
  while (!queue.empty()) {
    OutBuffer out;
    const size_t part = std::min<size_t>(queue.bytes(), 1 + random.Next() % 700);
    queue.MoveTo(out, part);
    const std::string bytes = Contents(out);
    ASSERT_EQ(bytes.size(), part);
    std::string_view rest = bytes;
    while (!rest.empty()) {
      if (reader.Take(&rest, 100000) == MessageReader::Step::kMessage) {
        read.push_back(reader.TakeMessage());
      }
    }
  }
  EXPECT_FALSE(reader.within_message());
  EXPECT_FALSE(queue.within_message());
  EXPECT_EQ(read, messages);
}

TEST(MessagesTest, ALengthAloneTakesNoRoom) {
  MessageReader reader;
  std::string_view prefix("\0\x7f\xff\xff\xff", 5);
  EXPECT_EQ(reader.Take(&prefix, ~uint64_t{0}), MessageReader::Step::kMore);
  EXPECT_EQ(reader.announced(), 0x7fffffffu);
  EXPECT_EQ(reader.held(), 0u);
}

TEST(MessagesTest, TheLimitAndTheFlagAreJudgedByThePrefix) {
  MessageReader reader;
  std::string_view large("\0\0\0\0\x0b", 5);
  EXPECT_EQ(reader.Take(&large, 10), MessageReader::Step::kTooLarge);
  for (const char flag : {'\1', '\2', '\xff'}) {
    const std::string prefix = std::string(1, flag) + std::string(4, '\0');
    std::string_view bytes = prefix;
    EXPECT_EQ(MessageReader().Take(&bytes, 10), MessageReader::Step::kCompressed);
  }
}

class Recorded final : public Timer {
 public:
  Recorded(int number, std::vector<int>& fired) : number_(number), fired_(fired) {}
  void OnTimer(MonotonicNs) override { fired_.push_back(number_); }

 private:
  const int number_;
  std::vector<int>& fired_;
};

TEST(TimerQueueTest, TimersRunInOrderUnlessCanceledOrMoved) {
  raft::Random random(3);
  TimerQueue queue;
  std::vector<int> fired;
  std::vector<std::unique_ptr<Recorded>> timers;
  std::vector<MonotonicNs> at(500, -1);
  for (int i = 0; i < 500; ++i) timers.push_back(std::make_unique<Recorded>(i, fired));
  for (int step = 0; step < 5000; ++step) {
    const size_t i = random.Next() % timers.size();
    if (random.Next() % 3 == 0) {
      queue.Cancel(*timers[i]);
      at[i] = -1;
    } else {
      at[i] = static_cast<MonotonicNs>(random.Next() % 1000);
      queue.Set(*timers[i], at[i]);
    }
  }
  for (MonotonicNs now = 0; now < 1000; now += 100) {
    fired.clear();
    queue.RunDue(now);
    MonotonicNs last = -1;
    for (const int i : fired) {
      EXPECT_FALSE(timers[i]->set());
      EXPECT_LE(at[i], now);
      EXPECT_GE(at[i], last);
      last = at[i];
      at[i] = -1;
    }
    for (const MonotonicNs left : at) EXPECT_TRUE(left == -1 || left > now);
    EXPECT_TRUE(queue.empty() || queue.next() > now);
  }
  queue.RunDue(1000);
  EXPECT_TRUE(queue.empty());
}

TEST(AbuseGuardTest, ABucketRefillsAtItsRate) {
  TokenBucket bucket(3, 10);
  MonotonicNs now = 5 * kNsPerSecond;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.Take(now));
  EXPECT_FALSE(bucket.Take(now));
  now += kNsPerSecond / 5;
  EXPECT_TRUE(bucket.Take(now));
  EXPECT_TRUE(bucket.Take(now));
  EXPECT_FALSE(bucket.Take(now));
  now += 100 * kNsPerSecond;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.Take(now));
  EXPECT_FALSE(bucket.Take(now));
}

TEST(AbuseGuardTest, TheThirdEarlyPingIsOneTooMany) {
  PingGuard guard(5 * kNsPerSecond);
  MonotonicNs now = 100 * kNsPerSecond;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(guard.OnPing(now += 5 * kNsPerSecond));
  EXPECT_TRUE(guard.OnPing(now += kNsPerSecond));
  EXPECT_TRUE(guard.OnPing(now += kNsPerSecond));
  guard.OnSent();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(guard.OnPing(now += kNsPerSecond));
  EXPECT_FALSE(guard.OnPing(now += kNsPerSecond));
}

}  // namespace
}  // namespace gavel::server
