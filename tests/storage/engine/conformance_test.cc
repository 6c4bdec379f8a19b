// What every engine promises, asked of each.
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/disk/posix_disk.h"
#include "storage/engine/map_engine.h"
#include "storage/engine/rocks_engine.h"
#include "tests/storage/engine/engine_model.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

enum class Kind { kMap, kRocks };

class EngineTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::kMap) {
      engine_ = std::make_unique<MapEngine>(MapEngineOptions{.disk = &disk_});
    } else {
      engine_ = OpenRocks(directory_.path() + "/db");
    }
    ASSERT_NE(engine_, nullptr);
  }

  static std::unique_ptr<Engine> OpenRocks(const std::string& path, bool read_only = false) {
    RocksOptions options;
    options.path = path;
    options.read_only = read_only;
    options.cache_bytes = 8 << 20;
    options.write_buffer_bytes = 1 << 20;
    absl::StatusOr<std::unique_ptr<Engine>> engine = OpenRocksEngine(options);
    EXPECT_OK(engine);
    return engine.ok() ? *std::move(engine) : nullptr;
  }

  std::unique_ptr<Engine> OpenCheckpoint(const std::string& path) {
    if (GetParam() == Kind::kRocks) return OpenRocks(path, /*read_only=*/true);
    auto engine = MapEngine::OpenCheckpoint(path, {.disk = &disk_});
    EXPECT_OK(engine);
    return engine.ok() ? *std::move(engine) : nullptr;
  }

  void Put(Family family, std::string_view key, std::string_view value) {
    WriteBatch batch;
    batch.Put(family, key, value);
    ASSERT_OK(WriteWhenPossible(*engine_, batch));
  }

  std::string Value(Family family, std::string_view key, const ReadOptions& options = {}) {
    std::string value;
    const absl::Status status = engine_->Get(family, key, &value, options);
    if (status.ok()) return value;
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
    return "(none)";
  }

  std::vector<std::string> Keys(Family family, const ReadOptions& options = {}) {
    std::vector<std::string> keys;
    auto it = engine_->NewIterator(family, options);
    for (it->SeekToFirst(); it->Valid(); it->Next()) keys.emplace_back(it->key());
    EXPECT_OK(it->status());
    return keys;
  }

  gavel::testing::TemporaryDirectory directory_;
  PosixDisk disk_;
  std::unique_ptr<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Engines, EngineTest, ::testing::Values(Kind::kMap, Kind::kRocks),
                         [](const auto& param_info) {
                           return param_info.param == Kind::kMap ? "Map" : "Rocks";
                         });

TEST_P(EngineTest, FamiliesAreSeparate) {
  Put(Family::kMeta, "k", "1");
  Put(Family::kAuth, "k", "2");
  EXPECT_EQ(Value(Family::kMeta, "k"), "1");
  EXPECT_EQ(Value(Family::kAuth, "k"), "2");
  EXPECT_EQ(Value(Family::kLeases, "k"), "(none)");
}

TEST_P(EngineTest, ABatchIsAppliedInItsOrder) {
  WriteBatch batch;
  batch.Put(Family::kChanges, "a", "1");
  batch.Put(Family::kChanges, "b", "1");
  batch.Put(Family::kChanges, "c", "1");
  batch.DeleteRange(Family::kChanges, "a", "c");
  batch.Put(Family::kChanges, "a", "2");
  batch.Put(Family::kMembers, "m", "1");
  batch.Delete(Family::kMembers, "m");
  ASSERT_OK(WriteWhenPossible(*engine_, batch));
  EXPECT_THAT(Keys(Family::kChanges), ElementsAre("a", "c"));
  EXPECT_EQ(Value(Family::kChanges, "a"), "2");
  EXPECT_THAT(Keys(Family::kMembers), IsEmpty());
}

// Keys and range deletions lie in two lists of one write buffer, which must not share anything.
TEST_P(EngineTest, RangeDeletionsBetweenInsertionsDisturbNothing) {
  const auto key = [](int number) { return std::to_string(100000 + number); };
  for (int number = 0; number < 500; ++number) {
    Put(Family::kChanges, key(number), "value");
    WriteBatch batch;
    batch.DeleteRange(Family::kChanges, key(0), key(number));
    ASSERT_OK(WriteWhenPossible(*engine_, batch));
    Put(Family::kVersions, key(number), "value");
    EXPECT_EQ(Value(Family::kChanges, key(number)), "value");
    if (number > 0) {
      EXPECT_EQ(Value(Family::kChanges, key(number - 1)), "(none)");
    }
  }
}

TEST_P(EngineTest, AnEmptyBatchIsFine) { EXPECT_OK(engine_->Write(WriteBatch())); }

TEST_P(EngineTest, EmptyKeysAndValuesAreKeysAndValues) {
  Put(Family::kAlarms, "", "v");
  Put(Family::kAlarms, "k", "");
  EXPECT_EQ(Value(Family::kAlarms, ""), "v");
  EXPECT_EQ(Value(Family::kAlarms, "k"), "");
  EXPECT_THAT(Keys(Family::kAlarms), ElementsAre("", "k"));
}

TEST_P(EngineTest, OrderIsThatOfUnsignedBytes) {
  const std::vector<std::string> sorted = {std::string("\0", 1),
                                           std::string("\0\xff", 2),
                                           "\x01",
                                           "a",
                                           "a\x7f",
                                           "a\x80",
                                           "b",
                                           "\xff",
                                           "\xff\xff"};
  for (size_t i = 0; i < sorted.size(); ++i) Put(Family::kLeases, sorted[i * 4 % 9], "v");
  EXPECT_EQ(Keys(Family::kLeases), sorted);
}

TEST_P(EngineTest, IteratorsMoveBothWays) {
  for (const char* key : {"b", "d", "f"}) Put(Family::kAuth, key, std::string("v") + key);
  auto it = engine_->NewIterator(Family::kAuth);
  EXPECT_FALSE(it->Valid());
  it->Seek("c");
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->key(), "d");
  EXPECT_EQ(it->value(), "vd");
  it->Next();
  EXPECT_EQ(it->key(), "f");
  it->Prev();
  it->Prev();
  EXPECT_EQ(it->key(), "b");
  it->Next();
  EXPECT_EQ(it->key(), "d");
  it->Prev();
  it->Prev();
  EXPECT_FALSE(it->Valid());
  it->SeekForPrev("e");
  EXPECT_EQ(it->key(), "d");
  it->SeekForPrev("d");
  EXPECT_EQ(it->key(), "d");
  it->SeekForPrev("a");
  EXPECT_FALSE(it->Valid());
  it->Seek("g");
  EXPECT_FALSE(it->Valid());
  it->SeekToLast();
  EXPECT_EQ(it->key(), "f");
  it->Next();
  EXPECT_FALSE(it->Valid());
  EXPECT_OK(it->status());
}

TEST_P(EngineTest, IteratorsStayInTheirBounds) {
  for (const char* key : {"a", "b", "c", "d", "e"}) Put(Family::kAuth, key, "v");
  ReadOptions options;
  options.lower = "b";
  options.upper = "d";
  EXPECT_THAT(Keys(Family::kAuth, options), ElementsAre("b", "c"));
  auto it = engine_->NewIterator(Family::kAuth, options);
  it->SeekToLast();
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->key(), "c");
  it->Seek("a");
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->key(), "b");
  it->Prev();
  EXPECT_FALSE(it->Valid());
  it->SeekForPrev("e");
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->key(), "c");
  it->SeekForPrev("a");
  EXPECT_FALSE(it->Valid());
  it->Seek("d");
  EXPECT_FALSE(it->Valid());
}

// An iterator shows the state it was made on, whatever is written meanwhile.
TEST_P(EngineTest, IteratorsDoNotSeeLaterWrites) {
  Put(Family::kAuth, "a", "1");
  auto it = engine_->NewIterator(Family::kAuth);
  Put(Family::kAuth, "a", "2");
  Put(Family::kAuth, "b", "2");
  it->SeekToFirst();
  EXPECT_EQ(it->value(), "1");
  it->Next();
  EXPECT_FALSE(it->Valid());
}

TEST_P(EngineTest, SnapshotsKeepTheirState) {
  Put(Family::kVersions, "a", "1");
  Put(Family::kMeta, "m", "1");
  auto snapshot = engine_->Snapshot();
  WriteBatch batch;
  batch.Delete(Family::kVersions, "a");
  batch.Put(Family::kMeta, "m", "2");
  ASSERT_OK(WriteWhenPossible(*engine_, batch));
  ASSERT_OK(engine_->Flush());
  ReadOptions options;
  options.snapshot = snapshot.get();
  EXPECT_EQ(Value(Family::kVersions, "a", options), "1");
  EXPECT_EQ(Value(Family::kMeta, "m", options), "1");
  EXPECT_THAT(Keys(Family::kVersions, options), ElementsAre("a"));
  EXPECT_EQ(Value(Family::kVersions, "a"), "(none)");
  EXPECT_EQ(Value(Family::kMeta, "m"), "2");
}

TEST_P(EngineTest, PersistedOnlyReadsWhatAFlushMadeDurable) {
  ReadOptions persisted;
  persisted.persisted_only = true;
  Put(Family::kMeta, "applied", "1");
  EXPECT_EQ(Value(Family::kMeta, "applied", persisted), "(none)");
  ASSERT_OK(engine_->Flush());
  EXPECT_EQ(Value(Family::kMeta, "applied", persisted), "1");
  Put(Family::kMeta, "applied", "2");
  EXPECT_EQ(Value(Family::kMeta, "applied", persisted), "1");
  EXPECT_EQ(Value(Family::kMeta, "applied"), "2");
  ASSERT_OK(engine_->Flush());
  EXPECT_EQ(Value(Family::kMeta, "applied", persisted), "2");
}

TEST_P(EngineTest, FlushInBackgroundAnswersEachCall) {
  Put(Family::kMeta, "applied", "1");
  std::vector<std::promise<absl::Status>> promises(20);
  for (auto& promise : promises) {
    engine_->FlushInBackground([&promise](absl::Status status) { promise.set_value(status); });
  }
  for (auto& promise : promises) {
    EXPECT_OK(promise.get_future().get());
  }
  ReadOptions persisted;
  persisted.persisted_only = true;
  EXPECT_EQ(Value(Family::kMeta, "applied", persisted), "1");
}

// The keys of one user key share a prefix that filters know. Bounded to one prefix or not, flushed
// or not, an iterator must find the same.
TEST_P(EngineTest, VersionKeysAreFoundThroughFilters) {
  auto key = [](const std::string& user, char version) {
    return user + std::string("\0\x01", 2) + std::string(11, '\0') + version;
  };
  const std::vector<std::string> users = {"a", "ab", std::string("a\0\xff", 3), "b"};
  for (const std::string& user : users) {
    for (char version : {'1', '2', '3'}) Put(Family::kVersions, key(user, version), user);
    ASSERT_OK(engine_->Flush());
  }
  for (const std::string& user : users) {
    const std::string lower = key(user, '2');
    const std::string upper = user + std::string("\0\x01", 2) + std::string(13, '\xff');
    ReadOptions options;
    options.lower = lower;
    options.upper = upper;
    EXPECT_THAT(Keys(Family::kVersions, options), ElementsAre(key(user, '2'), key(user, '3')));
    const std::string past = user + std::string("\0\x02", 2);
    for (const std::string& bound : {upper, past}) {
      for (const bool bounded : {true, false}) {
        options.lower = bounded ? std::optional<std::string_view>(lower) : std::nullopt;
        options.upper = bound;
        auto it = engine_->NewIterator(Family::kVersions, options);
        it->SeekToLast();
        ASSERT_TRUE(it->Valid());
        EXPECT_EQ(it->key(), key(user, '3'));
        it->Seek(key(user, '2'));
        ASSERT_TRUE(it->Valid());
        EXPECT_EQ(it->key(), key(user, '2'));
        it->SeekForPrev(bound);
        ASSERT_TRUE(it->Valid());
        EXPECT_EQ(it->key(), key(user, '3'));
        it->Seek(bound);
        EXPECT_FALSE(it->Valid());
      }
    }
  }
  EXPECT_EQ(Keys(Family::kVersions).size(), 12u);
  const std::string missing = key("aa", '1');
  const std::string end = std::string("aa\0\x01", 4) + std::string(13, '\xff');
  ReadOptions options;
  options.lower = missing;
  options.upper = end;
  EXPECT_THAT(Keys(Family::kVersions, options), IsEmpty());
  EXPECT_EQ(Value(Family::kVersions, key("b", '2')), "b");
  EXPECT_EQ(Value(Family::kVersions, missing), "(none)");
}

// Files may only be dropped where the caller has given everything up; the rest must stay.
TEST_P(EngineTest, DeleteFilesInRangeTouchesNothingOutside) {
  for (int i = 0; i < 3000; ++i) {
    WriteBatch batch;
    batch.Put(Family::kChanges, std::to_string(10'000 + i), std::string(1000, 'x'));
    ASSERT_OK(WriteWhenPossible(*engine_, batch));
    if (i % 500 == 499) {
      ASSERT_OK(engine_->Flush());
    }
  }
  ASSERT_OK(engine_->DeleteFilesInRange(Family::kChanges, "11000", "12000"));
  std::vector<std::string> outside;
  for (const std::string& key : Keys(Family::kChanges)) {
    if (key < "11000" || key >= "12000") outside.push_back(key);
  }
  ASSERT_EQ(outside.size(), 2000u);
  EXPECT_EQ(outside.front(), "10000");
  EXPECT_EQ(outside.back(), "12999");
  EXPECT_OK(engine_->DeleteFilesInRange(Family::kChanges, "2", "1"));
  EXPECT_EQ(Keys(Family::kLeases).size(), 0u);
}

TEST_P(EngineTest, ACheckpointOpensAndEquals) {
  raft::Random random(7);
  Families model;
  for (int i = 0; i < 300; ++i) {
    const WriteBatch batch = RandomBatch(random, 20, 300);
    ASSERT_OK(WriteWhenPossible(*engine_, batch));
    ApplyTo(model, batch);
    if (i == 100) {
      ASSERT_OK(engine_->Flush());
    }
  }
  const std::string path = directory_.path() + "/checkpoint";
  ASSERT_OK(engine_->Checkpoint(path));
  // What comes later is not in it.
  Put(Family::kMeta, "later", "1");
  ASSERT_OK(engine_->Flush());
  std::unique_ptr<Engine> copy = OpenCheckpoint(path);
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(Difference(model, Contents(*copy)), "");
  EXPECT_THAT(engine_->Checkpoint(path), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_OK(engine_->health());
}

TEST_P(EngineTest, StatsFollowTheData) {
  EXPECT_EQ(engine_->stats().unflushed_bytes, 0u);
  for (int i = 0; i < 100; ++i) Put(Family::kVersions, std::to_string(i), std::string(1000, 'x'));
  EXPECT_GE(engine_->stats().unflushed_bytes, 100'000u);
  ASSERT_OK(engine_->Flush());
  {
    const auto snapshot = engine_->Snapshot();
    const auto iterator = engine_->NewIterator(Family::kVersions);
    EXPECT_EQ(engine_->stats().readers, 2u);
  }
  EXPECT_EQ(engine_->stats().readers, 0u);
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.unflushed_bytes, 0u);
  EXPECT_GT(stats.disk_bytes, 0u);
  EXPECT_GT(stats.live_bytes, 0u);
  EXPECT_GT(stats.memory_bytes, 0u);
}

TEST_P(EngineTest, CompactionChangesNothingToSee) {
  raft::Random random(11);
  Families model;
  for (int i = 0; i < 400; ++i) {
    const WriteBatch batch = RandomBatch(random, 20, 300);
    ASSERT_OK(WriteWhenPossible(*engine_, batch));
    ApplyTo(model, batch);
    if (i % 50 == 0) {
      ASSERT_OK(engine_->StartCompaction());
    }
    if (i % 70 == 0) {
      ASSERT_OK(engine_->Flush());
    }
  }
  EXPECT_EQ(Difference(model, Contents(*engine_)), "");
  EXPECT_OK(engine_->health());
}

// Random work against std::map: contents, snapshots, seeks with random bounds in both directions.
TEST_P(EngineTest, RandomWorkEqualsTheModel) {
  raft::Random random(3);
  Families model;
  std::vector<std::pair<std::shared_ptr<const EngineSnapshot>, Families>> snapshots;
  for (int round = 0; round < 1500; ++round) {
    const WriteBatch batch = RandomBatch(random, 30, 200);
    ASSERT_OK(WriteWhenPossible(*engine_, batch));
    ApplyTo(model, batch);
    if (random.OneIn(50)) {
      ASSERT_OK(engine_->Flush());
    }
    if (random.OneIn(300)) {
      ASSERT_OK(engine_->StartCompaction());
    }
    if (random.OneIn(40)) {
      if (snapshots.size() == 4) snapshots.erase(snapshots.begin() + random.Below(4));
      snapshots.emplace_back(engine_->Snapshot(), model);
    }

    const Family family = RandomFamily(random);
    const size_t which = random.Below(snapshots.size() + 1);
    const bool newest = which == snapshots.size();
    const auto& map = (newest ? model : snapshots[which].second)[static_cast<size_t>(family)];
    const std::string lower = RandomKey(random);
    const std::string upper = RandomKey(random) + "m";
    ReadOptions options;
    options.snapshot = newest ? nullptr : snapshots[which].first.get();
    if (random.OneIn(2)) options.lower = lower;
    if (random.OneIn(2)) options.upper = upper;
    options.fill_cache = random.OneIn(2);
    std::map<std::string, std::string> expected;
    for (const auto& [key, value] : map) {
      if (options.lower && key < *options.lower) continue;
      if (options.upper && key >= *options.upper) continue;
      expected.emplace(key, value);
    }
    auto it = engine_->NewIterator(family, options);
    const std::string target = RandomKey(random);
    it->Seek(target);
    auto at = expected.lower_bound(target);
    for (int step = 0; step < 5; ++step) {
      ASSERT_EQ(it->Valid(), at != expected.end()) << "round " << round;
      if (at == expected.end()) break;
      ASSERT_EQ(it->key(), at->first);
      ASSERT_EQ(it->value(), at->second);
      it->Next();
      ++at;
    }
    it->SeekForPrev(target);
    auto behind = expected.upper_bound(target);
    for (int step = 0; step < 5; ++step) {
      ASSERT_EQ(it->Valid(), behind != expected.begin()) << "round " << round;
      if (behind == expected.begin()) break;
      --behind;
      ASSERT_EQ(it->key(), behind->first);
      ASSERT_EQ(it->value(), behind->second);
      it->Prev();
    }
    ASSERT_OK(it->status());
    if (round % 250 == 0) {
      ASSERT_EQ(Difference(model, Contents(*engine_)), "");
    }
  }
  EXPECT_EQ(Difference(model, Contents(*engine_)), "");
  for (auto& [snapshot, contents] : snapshots) {
    EXPECT_EQ(Difference(contents, Contents(*engine_, snapshot.get())), "");
  }
}

// Readers on other threads see whole batches: the two halves of each batch always agree.
TEST_P(EngineTest, ReadersSeeWholeBatches) {
  Put(Family::kMeta, "x", "0");
  Put(Family::kAuth, "y", "0");
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::thread reader([&] {
    while (!stop) {
      auto snapshot = engine_->Snapshot();
      ReadOptions options;
      options.snapshot = snapshot.get();
      EXPECT_EQ(Value(Family::kMeta, "x", options), Value(Family::kAuth, "y", options));
      ++reads;
    }
  });
  for (int i = 1; i < 3000 || reads < 100; ++i) {
    WriteBatch batch;
    batch.Put(Family::kMeta, "x", std::to_string(i));
    batch.Put(Family::kAuth, "y", std::to_string(i));
    const absl::Status status = WriteWhenPossible(*engine_, batch);
    EXPECT_OK(status);
    if (!status.ok()) break;
    if (i % 1000 == 0) {
      EXPECT_OK(engine_->Flush());
    }
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace gavel::storage
