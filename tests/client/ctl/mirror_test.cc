#include "client/ctl/mirror.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

const MirrorPaths kPaths{.prefix = "a/", .dest_prefix = "z/"};

WatchEvent Put(std::string key, std::string value, int64_t revision) {
  return {.type = EventType::kPut,
          .kv = {.key = std::move(key), .value = std::move(value), .mod_revision = revision}};
}

WatchEvent Delete(std::string key, int64_t revision) {
  return {.type = EventType::kDelete, .kv = {.key = std::move(key), .mod_revision = revision}};
}

// "+key=value" for a put, "-key" for a deletion.
std::vector<std::string> Written(const Txn& txn) {
  std::vector<std::string> written;
  for (const Op& op : txn.success) {
    if (const auto* put = std::get_if<PutRequest>(&op.request)) {
      written.push_back("+" + put->key + "=" + put->value);
    } else if (const auto* del = std::get_if<DeleteRequest>(&op.request)) {
      EXPECT_TRUE(del->range.single());
      written.push_back("-" + del->range.key);
    }
  }
  return written;
}

TEST(MirrorTest, OnePrefixTakesThePlaceOfTheOther) {
  EXPECT_EQ(kPaths.Map("a/a/x"), "z/a/x");
  EXPECT_EQ((MirrorPaths{.prefix = "", .dest_prefix = "z/"}).Map("k"), "z/k");
  EXPECT_EQ((MirrorPaths{.prefix = "a/", .dest_prefix = ""}).Map("a/k"), "k");
}

TEST(MirrorTest, WhatWouldBeMirroredAgainIsALoop) {
  const auto loop = [](const char* prefix, const char* dest_prefix) {
    return MirrorPaths{.prefix = prefix, .dest_prefix = dest_prefix}.Loop();
  };
  EXPECT_TRUE(loop("", "z/"));
  EXPECT_TRUE(loop("a/", "a/b/"));
  EXPECT_TRUE(loop("a/b/", "a/"));
  EXPECT_TRUE(loop("a/", "a/"));
  EXPECT_TRUE(loop("a/", ""));
  EXPECT_FALSE(loop("a/", "z/"));
}

// The destination goes through the states of the source.
TEST(MirrorTest, ARevisionIsATransaction) {
  const std::vector<MirrorStep> steps = MirrorSteps(
      {Put("a/1", "x", 5), Delete("a/2", 5), Put("a/1", "y", 6), Delete("a/1", 9)}, kPaths, 128);
  ASSERT_THAT(steps, SizeIs(3));
  EXPECT_EQ(steps[0].revision, 5);
  EXPECT_THAT(Written(steps[0].txn), ElementsAre("+z/1=x", "-z/2"));
  EXPECT_EQ(steps[1].revision, 6);
  EXPECT_THAT(Written(steps[1].txn), ElementsAre("+z/1=y"));
  EXPECT_EQ(steps[2].revision, 9);
  EXPECT_THAT(Written(steps[2].txn), ElementsAre("-z/1"));
}

TEST(MirrorTest, ALargeRevisionIsSplit) {
  const std::vector<MirrorStep> steps =
      MirrorSteps({Put("a/1", "", 5), Put("a/2", "", 5), Put("a/3", "", 5)}, kPaths, 2);
  ASSERT_THAT(steps, SizeIs(2));
  EXPECT_THAT(Written(steps[0].txn), ElementsAre("+z/1=", "+z/2="));
  EXPECT_THAT(Written(steps[1].txn), ElementsAre("+z/3="));
  EXPECT_EQ(steps[1].revision, 5);
}

// Sibling transactions may put and then delete a key, which one list of requests may not.
TEST(MirrorTest, AKeyThatARevisionChangesTwiceIsWrittenTwice) {
  const std::vector<MirrorStep> steps =
      MirrorSteps({Put("a/1", "x", 5), Put("a/2", "y", 5), Delete("a/1", 5)}, kPaths, 128);
  ASSERT_THAT(steps, SizeIs(2));
  EXPECT_THAT(Written(steps[0].txn), ElementsAre("+z/1=x", "+z/2=y"));
  EXPECT_THAT(Written(steps[1].txn), ElementsAre("-z/1"));
}

TEST(MirrorTest, ACopyKeepsToTheLimitsOfATransaction) {
  std::vector<KeyValue> kvs;
  for (int i = 0; i < 5; ++i) kvs.push_back({.key = "a/" + std::to_string(i), .value = "v"});
  const std::vector<Txn> few = CopyTxns(kvs, kPaths, 2);
  ASSERT_THAT(few, SizeIs(3));
  EXPECT_THAT(Written(few[0]), ElementsAre("+z/0=v", "+z/1=v"));
  EXPECT_THAT(Written(few[2]), ElementsAre("+z/4=v"));
  for (KeyValue& kv : kvs) kv.value = std::string(400'000, 'v');
  EXPECT_THAT(CopyTxns(kvs, kPaths, 128), SizeIs(3));
  for (KeyValue& kv : kvs) kv.value = std::string(1'400'000, 'v');
  EXPECT_THAT(CopyTxns(kvs, kPaths, 128), SizeIs(5));
  EXPECT_THAT(CopyTxns({}, kPaths, 128), SizeIs(0));
}

}  // namespace
}  // namespace gavel::client::ctl
