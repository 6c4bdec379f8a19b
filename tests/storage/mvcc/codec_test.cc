// Keys sort as reads need them; records come back as they were; damaged bytes are refused.

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"
#include "storage/mvcc/varint.h"

namespace gavel::storage {
namespace {

constexpr int32_t kMaxSub = std::numeric_limits<int32_t>::max();

std::string RandomKey(raft::Random& random) {
  static constexpr char kBytes[] = {'\x00', '\x01', '\x02', 'a', '\xfe', '\xff'};
  std::string key;
  for (uint64_t i = random.Below(5); i > 0; --i) key.push_back(kBytes[random.Below(6)]);
  return key;
}

ChangeId RandomId(raft::Random& random) {
  const int64_t mains[] = {1, 2, 255, 256, int64_t{1} << 40, std::numeric_limits<int64_t>::max()};
  const int32_t subs[] = {0, 1, 255, 256, kMaxSub};
  return {mains[random.Below(6)], subs[random.Below(5)]};
}

// Every key made of up to three tricky bytes.
std::vector<std::string> AllSmallKeys() {
  std::vector<std::string> keys = {""};
  for (size_t from = 0, round = 0; round < 3; ++round) {
    const size_t to = keys.size();
    for (; from < to; ++from) {
      for (const char byte : {'\x00', '\x01', '\x02', 'a', '\xff'})
        keys.push_back(keys[from] + byte);
    }
  }
  return keys;
}

// User keys in bytewise order, and under one key the newest version first.
TEST(VersionKeyTest, SortsByUserKeyThenNewestFirst) {
  raft::Random random(1);
  for (int i = 0; i < 200000; ++i) {
    const std::string a = RandomKey(random);
    const std::string b = random.OneIn(4) ? a : RandomKey(random);
    const ChangeId id_a = RandomId(random);
    const ChangeId id_b = RandomId(random);
    const auto expected = std::tuple(a, id_b) <=> std::tuple(b, id_a);
    EXPECT_EQ(VersionKey(a, id_a).compare(VersionKey(b, id_b)) <=> 0, expected);
  }
}

TEST(VersionKeyTest, ComesBackWhole) {
  raft::Random random(2);
  for (int i = 0; i < 20000; ++i) {
    const std::string key = RandomKey(random);
    const ChangeId id = RandomId(random);
    const std::string encoded = VersionKey(key, id);
    const auto parts = ParseVersionKey(encoded);
    ASSERT_TRUE(parts.has_value());
    std::string scratch;
    EXPECT_EQ(UserKey(parts->prefix, &scratch), key);
    EXPECT_EQ(parts->id, id);
  }
}

TEST(VersionKeyTest, LooksAsTheHeaderSays) {
  EXPECT_EQ(VersionKey("a", {2, 1}),
            std::string("a\x00\x01\xff\xff\xff\xff\xff\xff\xff\xfd\xff\xff\xff\xfe", 15));
  EXPECT_EQ(VersionKey(std::string_view("\0", 1), {0, 0}).substr(0, 4),
            std::string("\x00\xff\x00\x01", 4));
}

TEST(VersionKeyTest, OtherBytesAreRefused) {
  EXPECT_FALSE(ParseVersionKey("").has_value());
  EXPECT_FALSE(ParseVersionKey(std::string(13, '\x00')).has_value());
  EXPECT_FALSE(ParseVersionKey(std::string(14, 'a')).has_value());
}

// A range's encoded bounds hold all rows of exactly the keys that the request's range holds.
TEST(RangeTest, EncodedBoundsHoldTheSameKeys) {
  const std::vector<std::string> keys = AllSmallKeys();
  raft::Random random(3);
  for (int i = 0; i < 3000; ++i) {
    const std::string& begin = keys[random.Below(keys.size())];
    const std::string& end = keys[random.Below(keys.size())];
    const KeyRange range = KeyRange::FromRequest(begin, end);
    const EncodedRange encoded = EncodeRange(range);
    for (const std::string& key : keys) {
      for (const ChangeId id :
           {ChangeId{1, 0}, ChangeId{std::numeric_limits<int64_t>::max(), kMaxSub},
            ChangeId{0, 0}}) {
        const std::string row = VersionKey(key, id);
        const bool inside = row >= encoded.begin && (!encoded.end || row < *encoded.end);
        ASSERT_EQ(inside, range.Contains(key));
      }
    }
  }
}

TEST(RangeTest, RequestsNameOneKeyAllLaterKeysOrAnInterval) {
  const KeyRange one = KeyRange::FromRequest("b", "");
  EXPECT_TRUE(one.Contains("b"));
  EXPECT_FALSE(one.Contains("c"));
  const KeyRange later = KeyRange::FromRequest("b", std::string_view("\0", 1));
  EXPECT_FALSE(later.Contains("a"));
  EXPECT_TRUE(later.Contains("\xff\xff"));
  const KeyRange interval = KeyRange::FromRequest("b", "d");
  EXPECT_TRUE(interval.Contains("c"));
  EXPECT_FALSE(interval.Contains("d"));
  EXPECT_FALSE(KeyRange::FromRequest("d", "b").Contains("c"));
}

TEST(MovePastPrefixTest, IsAfterAllVersionsAndBeforeAllLaterKeys) {
  std::vector<std::string> keys = AllSmallKeys();
  std::sort(keys.begin(), keys.end());
  for (size_t i = 0; i + 1 < keys.size(); ++i) {
    std::string past;
    AppendKeyPrefix(keys[i], &past);
    MovePastPrefix(&past);
    ASSERT_GT(past, VersionKey(keys[i], {0, 0}));
    ASSERT_LT(past, VersionKey(keys[i + 1], {std::numeric_limits<int64_t>::max(), kMaxSub}));
  }
}

TEST(ChangeKeyTest, SortsOldestFirstAndComesBack) {
  raft::Random random(4);
  for (int i = 0; i < 20000; ++i) {
    const ChangeId a = RandomId(random);
    const ChangeId b = RandomId(random);
    EXPECT_EQ(ChangeKey(a).compare(ChangeKey(b)) <=> 0, a <=> b);
    EXPECT_EQ(ParseChangeKey(ChangeKey(a)), a);
  }
  EXPECT_FALSE(ParseChangeKey("short").has_value());
}

TEST(RecordTest, VersionsComeBack) {
  raft::Random random(5);
  for (int i = 0; i < 5000; ++i) {
    const std::string value = RandomKey(random);
    Version version;
    version.create = static_cast<int64_t>(random.Next() >> random.Between(1, 63));
    version.version = static_cast<int64_t>(random.Below(1000));
    version.lease = random.OneIn(2) ? static_cast<int64_t>(random.Next()) : 0;
    version.value = value;
    std::string bytes;
    AppendVersionRecord(version, &bytes);
    Version back;
    ASSERT_TRUE(ParseVersionRecord(bytes, &back));
    EXPECT_EQ(std::tuple(back.tombstone, back.create, back.version, back.lease, back.value),
              std::tuple(false, version.create, version.version, version.lease, version.value));
  }
}

TEST(RecordTest, TombstonesComeBackEmpty) {
  Version tombstone;
  tombstone.tombstone = true;
  std::string bytes;
  AppendVersionRecord(tombstone, &bytes);
  Version back;
  back.create = back.version = back.lease = 5;
  back.value = "old";
  ASSERT_TRUE(ParseVersionRecord(bytes, &back));
  EXPECT_TRUE(back.tombstone);
  EXPECT_EQ(std::tuple(back.create, back.version, back.lease, back.value),
            std::tuple(0, 0, 0, std::string_view()));
}

TEST(RecordTest, ChangesComeBack) {
  std::string bytes;
  AppendChangeRecord({true, 1234567, "key"}, &bytes);
  ChangeRecord change;
  ASSERT_TRUE(ParseChangeRecord(bytes, &change));
  EXPECT_EQ(std::tuple(change.tombstone, change.superseded_total, change.user_key),
            std::tuple(true, 1234567, std::string_view("key")));
}

TEST(RecordTest, DamagedBytesAreRefused) {
  Version version;
  EXPECT_FALSE(ParseVersionRecord("", &version));
  EXPECT_FALSE(ParseVersionRecord("\x02", &version));
  EXPECT_FALSE(ParseVersionRecord("\x01\x05", &version));
  EXPECT_FALSE(ParseVersionRecord(std::string_view("\x00trailing", 9), &version));
  ChangeRecord change;
  EXPECT_FALSE(ParseChangeRecord("", &change));
  EXPECT_FALSE(ParseChangeRecord("\x01", &change));
  EXPECT_FALSE(ParseChangeRecord("\x07\x01k", &change));
}

TEST(VarintTest, NumbersComeBackAndOverlongOnesAreRefused) {
  for (int shift = 0; shift < 64; ++shift) {
    for (const uint64_t near : {uint64_t{1} << shift, (uint64_t{1} << shift) - 1}) {
      std::string bytes;
      AppendVarint(near, &bytes);
      std::string_view in = bytes;
      uint64_t back = 0;
      ASSERT_TRUE(TakeVarint(&in, &back));
      EXPECT_EQ(back, near);
      EXPECT_TRUE(in.empty());
      in = std::string_view(bytes).substr(0, bytes.size() - 1);
      EXPECT_FALSE(TakeVarint(&in, &back)) << near;
    }
  }
  uint64_t value = 0;
  const std::string too_long(10, '\xff');
  std::string_view in = too_long;
  EXPECT_FALSE(TakeVarint(&in, &value));
  std::string_view bytes;
  in = "\x05"
       "four";
  EXPECT_FALSE(TakeBytes(&in, &bytes));
}

}  // namespace
}  // namespace gavel::storage
