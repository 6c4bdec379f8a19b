#include "client/ctl/config_changes.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

KeyValue Kv(std::string key, std::string value, int64_t mod_revision) {
  return {.key = std::move(key), .value = std::move(value), .mod_revision = mod_revision};
}

ConfigState State(std::vector<KeyValue> kvs) {
  ConfigState state{.range = KeyRange::Prefix("a/"), .revision = 9, .keys = {}};
  for (KeyValue& kv : kvs) state.keys.emplace(kv.key, kv);
  return state;
}

TEST(ConfigChangesTest, FindsWhatComesGoesAndChanges) {
  const ConfigState state =
      State({Kv("a/gone", "g", 2), Kv("a/kept", "k", 3), Kv("a/other", "old", 4)});
  const std::vector<Change> changes = FindChanges(
      state, {{"a/kept", "k"}, {"a/other", "new"}, {"a/come", ""}}, /*keep_others=*/false);
  ASSERT_THAT(changes, SizeIs(3));
  EXPECT_EQ(changes[0].key, "a/come");
  EXPECT_EQ(changes[0].before, std::nullopt);
  EXPECT_EQ(changes[0].mod_revision, 0);
  EXPECT_EQ(changes[1].key, "a/gone");
  EXPECT_EQ(changes[1].after, std::nullopt);
  EXPECT_EQ(changes[1].mod_revision, 2);
  EXPECT_EQ(changes[2].after, "new");
  EXPECT_EQ(KeysAfter(state, changes), 3);
  EXPECT_THAT(FindChanges(state, {{"a/kept", "k"}}, /*keep_others=*/true), IsEmpty());
}

TEST(ConfigChangesTest, TxnIsGuardedByAllThatWasRead) {
  const ConfigState state = State({Kv("a/gone", "g", 2), Kv("a/kept", "k", 3)});
  const std::vector<Change> changes = FindChanges(state, {{"a/kept", "k"}, {"a/come", "c"}}, false);
  const Txn txn = GuardedTxn(state, changes);
  ASSERT_THAT(txn.compares, SizeIs(4));
  // Nothing in the range is newer than what was read.
  EXPECT_EQ(txn.compares[0].range, state.range);
  EXPECT_EQ(txn.compares[0].target, CompareTarget::kMod);
  EXPECT_EQ(txn.compares[0].result, CompareResult::kLess);
  EXPECT_EQ(txn.compares[0].number, 10);
  const auto guard = [&](size_t i) {
    EXPECT_EQ(txn.compares[i].target, CompareTarget::kMod);
    EXPECT_EQ(txn.compares[i].result, CompareResult::kEqual);
    return std::make_pair(txn.compares[i].range.key, txn.compares[i].number);
  };
  EXPECT_EQ(guard(1), std::make_pair(std::string("a/come"), int64_t{0}));
  EXPECT_EQ(guard(2), std::make_pair(std::string("a/gone"), int64_t{2}));
  EXPECT_EQ(guard(3), std::make_pair(std::string("a/kept"), int64_t{3}));
  ASSERT_THAT(txn.success, SizeIs(3));  // put, delete, count.
  EXPECT_TRUE(std::get<RangeRequest>(txn.success[2].request).count_only);
  ASSERT_THAT(txn.failure, SizeIs(1));
}

// A key's lease is not part of a file, so it stays; a key that comes has none.
TEST(ConfigChangesTest, LeasesStay) {
  const ConfigState state = State({Kv("a/x", "1", 2)});
  const Txn txn = GuardedTxn(state, FindChanges(state, {{"a/x", "2"}, {"a/y", "3"}}, false));
  EXPECT_TRUE(std::get<PutRequest>(txn.success[0].request).ignore_lease);
  EXPECT_FALSE(std::get<PutRequest>(txn.success[1].request).ignore_lease);
}

TEST(ConfigChangesTest, ComparesStayWithinOneTransaction) {
  std::vector<KeyValue> kvs;
  for (int i = 0; i < 500; ++i) kvs.push_back(Kv("a/" + std::to_string(i), "v", 2 + i % 7));
  const ConfigState state = State(std::move(kvs));
  std::map<std::string, std::string> wanted;
  for (const auto& [key, kv] : state.keys) wanted[key] = kv.value;
  wanted["a/499"] = "new";
  const Txn txn = GuardedTxn(state, FindChanges(state, wanted, false));
  EXPECT_THAT(txn.compares, SizeIs(kTxnOperations));
  EXPECT_EQ(txn.compares[1].range, KeyRange("a/499"));
}

TEST(ConfigChangesTest, SaysWhatOthersDid) {
  const ConfigState state = State({Kv("a/1", "", 2), Kv("a/2", "", 3), Kv("a/3", "", 4)});
  RangeResponse found;
  found.kvs = {Kv("a/1", "", 2), Kv("a/2", "", 10), Kv("a/4", "", 11)};
  EXPECT_THAT(DescribeOthers(state, found),
              ElementsAre("\"a/2\" was changed at revision 10",
                          "\"a/4\" was created at revision 11", "\"a/3\" was deleted"));
}

}  // namespace
}  // namespace gavel::client::ctl
