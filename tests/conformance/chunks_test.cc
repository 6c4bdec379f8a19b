// The chunks of a stream are one answer, and those that break a rule of the contract are none.
#include "tests/conformance/chunks.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::RangeResponse;
using etcdserverpb::RangeStreamResponse;
using ::testing::HasSubstr;

RangeResponse Rows(const std::string& keys) {
  RangeResponse part;
  for (const char key : keys) part.add_kvs()->set_key(std::string(1, key));
  return part;
}

RangeResponse Last(const std::string& keys, int64_t count) {
  RangeResponse part = Rows(keys);
  part.mutable_header()->set_revision(7);
  part.set_count(count);
  return part;
}

Answer Merge(const std::vector<RangeResponse>& parts) {
  std::vector<std::string> chunks;
  for (const RangeResponse& part : parts) {
    RangeStreamResponse chunk;
    *chunk.mutable_range_response() = part;
    chunks.push_back(chunk.SerializeAsString());
  }
  return MergeChunks(chunks, 0, "");
}

TEST(ChunksTest, TheyMergeToTheWholeAnswer) {
  EXPECT_EQ(Merge({Rows("ab"), Rows("c"), Last("de", 5)}),
            (Answer{0, "", Last("abcde", 5).SerializeAsString()}));
  EXPECT_EQ(Merge({Last("", 0)}), (Answer{0, "", Last("", 0).SerializeAsString()}));
}

TEST(ChunksTest, AStreamThatFailedIsItsError) {
  EXPECT_EQ(MergeChunks({"what came before"}, 11, "compacted"), (Answer{11, "compacted", ""}));
}

TEST(ChunksTest, EveryRuleOfTheContractIsLookedAt) {
  RangeResponse counted = Rows("a");
  counted.set_count(1);
  RangeResponse headed = Rows("a");
  headed.mutable_header();
  const std::vector<std::vector<RangeResponse>> bad = {
      {Rows("a"), Rows("b")},                // The last has no header.
      {counted, Last("b", 2)},               // What belongs to the last.
      {headed, Last("b", 2)},                //
      {Rows(""), Last("b", 1)},              // Nothing in it.
      {Rows("ab"), Last("b", 2)},            // Twice the same row.
      {Rows("b"), Last("a", 2)},             // Out of order.
      {Rows("abcdefghijk"), Last("l", 12)},  // The first is to come soon.
  };
  for (const auto& parts : bad) {
    const Answer answer = Merge(parts);
    EXPECT_EQ(answer.code, kBadStream);
    EXPECT_THAT(answer.message, HasSubstr("chunk "));
  }
  EXPECT_EQ(MergeChunks({}, 0, "").code, kBadStream);
  EXPECT_EQ(MergeChunks({"\xff"}, 0, "").code, kBadStream);
}

}  // namespace
}  // namespace gavel::conformance
