// A block of messages is on the wire what its messages would be one by one.

#include "server/rpc/message_block.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using server::MessageBlock;

// The same messages in two blocks.
struct Blocks {
  explicit Blocks(uint64_t seed) {
    raft::Random random(seed);
    for (uint64_t n = random.Between(1, 30); n > 0; --n) {
      std::vector<std::string> parts;
      std::string whole;
      for (uint64_t p = random.Below(4); p > 0; --p) {
        parts.emplace_back(random.Below(random.OneIn(4) ? 5000 : 20), static_cast<char>('a' + n));
        whole += parts.back();
      }
      for (MessageBlock* block : {&one, &other}) {
        block->Begin(whole.size());
        for (const std::string& part : parts) {
          if (part.size() < 1000) {
            block->Append(part);
          } else {
            const auto shared = std::make_shared<const std::string>(part);
            block->AppendShared(shared, *shared);
          }
        }
      }
      messages.push_back(std::move(whole));
    }
  }

  MessageBlock one;
  MessageBlock other;
  std::vector<std::string> messages;
};

TEST(RpcMessageBlockTest, HoldsItsMessagesFramedOrOneByOne) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Blocks blocks(seed);
    EXPECT_EQ(blocks.one.messages(), blocks.messages.size());
    std::string expected;
    for (const std::string& message : blocks.messages) {
      expected += std::string(1, '\0');
      for (int shift = 24; shift >= 0; shift -= 8) {
        expected += static_cast<char>(message.size() >> shift);
      }
      expected += message;
    }
    EXPECT_EQ(blocks.one.bytes(), expected.size());
    EXPECT_EQ(Bytes(blocks.one.TakeFramed()), expected);
    EXPECT_TRUE(blocks.one.empty());
    std::vector<std::string> messages;
    for (const server::Encoded& message : blocks.other.TakeMessages()) {
      messages.push_back(Bytes(message));
    }
    EXPECT_EQ(messages, blocks.messages);
  }
}

}  // namespace
}  // namespace gavel::testing
