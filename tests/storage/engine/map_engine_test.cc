// What the ordered map promises beyond every engine: its crashes, its failures, its sharing.
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/disk/posix_disk.h"
#include "storage/engine/map_engine.h"
#include "tests/storage/engine/engine_model.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::StatusIs;

WriteBatch Numbered(int number) {
  WriteBatch batch;
  for (int i = 0; i < kFamilyCount; ++i) {
    batch.Put(static_cast<Family>(i), "applied", std::to_string(number));
  }
  return batch;
}

// The number that all families agree on; -1 if they do not.
int NumberIn(const Engine& engine) {
  std::set<std::string> values;
  for (int i = 0; i < kFamilyCount; ++i) {
    std::string value = "0";
    const absl::Status status = engine.Get(static_cast<Family>(i), "applied", &value);
    EXPECT_TRUE(status.ok() || absl::IsNotFound(status));
    values.insert(value);
  }
  return values.size() == 1 ? std::stoi(*values.begin()) : -1;
}

// A crash keeps a prefix of the batches, at least those flushed, in all families alike; each such
// prefix is drawn, the shortest and the longest among them.
TEST(MapEngineTest, ACrashKeepsAPrefixThatReachesTheLastFlush) {
  MapEngine engine;
  for (int i = 1; i <= 10; ++i) {
    ASSERT_OK(engine.Write(Numbered(i)));
    if (i == 4) {
      ASSERT_OK(engine.Flush());
    }
  }
  raft::Random random(1);
  std::set<int> drawn;
  for (int i = 0; i < 200; ++i) {
    const auto after = engine.Crash(random);
    EXPECT_EQ(after->unflushed_states(), 0u);
    drawn.insert(NumberIn(*after));
  }
  EXPECT_EQ(drawn, (std::set<int>{4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(NumberIn(engine), 10);
}

TEST(MapEngineTest, TheSameSeedGivesTheSameCrash) {
  MapEngine engine;
  for (int i = 1; i <= 50; ++i) ASSERT_OK(engine.Write(Numbered(i)));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    raft::Random a(seed);
    raft::Random b(seed);
    EXPECT_EQ(NumberIn(*engine.Crash(a)), NumberIn(*engine.Crash(b)));
    EXPECT_EQ(a.Next(), b.Next());
  }
}

TEST(MapEngineTest, AChosenCrashKeepsWhatItIsTold) {
  MapEngine engine;
  for (int i = 1; i <= 3; ++i) ASSERT_OK(engine.Write(Numbered(i)));
  ASSERT_EQ(engine.unflushed_states(), 3u);
  for (size_t kept = 0; kept <= 3; ++kept) {
    EXPECT_EQ(NumberIn(*engine.CrashKeeping(kept)), static_cast<int>(kept));
  }
}

// What a crash left is durable: a second crash changes nothing; and the two engines are apart.
TEST(MapEngineTest, ACrashedEngineStartsDurableAndSeparate) {
  MapEngine engine;
  ASSERT_OK(engine.Write(Numbered(1)));
  auto after = engine.CrashKeeping(1);
  EXPECT_EQ(NumberIn(*after->CrashKeeping(0)), 1);
  ASSERT_OK(after->Write(Numbered(2)));
  EXPECT_EQ(NumberIn(engine), 1);
  EXPECT_EQ(NumberIn(*after->CrashKeeping(0)), 1);
}

// Without flushes the states a crash could leave are thinned out, never the newest.
TEST(MapEngineTest, TheMemoryOfUnflushedStatesIsBounded) {
  MapEngine engine;
  for (int i = 1; i <= 5000; ++i) {
    ASSERT_OK(engine.Write(Numbered(i)));
    ASSERT_LE(engine.unflushed_states(), 1024u);
    ASSERT_EQ(NumberIn(*engine.CrashKeeping(engine.unflushed_states())), i);
  }
  EXPECT_EQ(NumberIn(*engine.CrashKeeping(0)), 0);
  EXPECT_GT(NumberIn(*engine.CrashKeeping(1)), 0);
}

TEST(MapEngineTest, DeferredFlushesHappenWhenTold) {
  MapEngine engine({.deferred_flushes = true});
  ASSERT_OK(engine.Write(Numbered(1)));
  int answered = 0;
  engine.FlushInBackground([&](absl::Status status) {
    EXPECT_OK(status);
    ++answered;
  });
  EXPECT_EQ(answered, 0);
  EXPECT_EQ(NumberIn(*engine.CrashKeeping(0)), 0);
  EXPECT_EQ(engine.RunPendingFlushes(), 1u);
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(NumberIn(*engine.CrashKeeping(0)), 1);
  EXPECT_EQ(engine.RunPendingFlushes(), 0u);
}

TEST(MapEngineTest, AFailureIsForEver) {
  MapEngine engine;
  ASSERT_OK(engine.Write(Numbered(1)));
  ASSERT_OK(engine.health());
  engine.Fail(absl::InternalError("disk"));
  engine.Fail(absl::DataLossError("second"));
  EXPECT_THAT(engine.Write(Numbered(2)), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(engine.Flush(), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(engine.health(), StatusIs(absl::StatusCode::kInternal));
  absl::Status flushed;
  engine.FlushInBackground([&](absl::Status status) { flushed = status; });
  EXPECT_THAT(flushed, StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(NumberIn(engine), 1);
  EXPECT_EQ(NumberIn(*engine.CrashKeeping(0)), 0);
}

TEST(MapEngineTest, AStallRefusesAndPasses) {
  MapEngine engine;
  engine.SetStalled(true);
  EXPECT_THAT(engine.Write(Numbered(1)), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_OK(engine.health());
  EXPECT_EQ(NumberIn(engine), 0);
  engine.SetStalled(false);
  EXPECT_OK(engine.Write(Numbered(1)));
}

// Dropped files are gone from what is durable, even if the batch that allowed it is lost: who
// drops too early loses data here, as with RocksDB.
TEST(MapEngineTest, DroppedFilesAreGoneAfterACrashToo) {
  MapEngine engine;
  auto put = [&](std::string_view key, std::string_view value) {
    WriteBatch batch;
    batch.Put(Family::kChanges, key, value);
    return engine.Write(batch);
  };
  for (const char* key : {"a", "b", "c"}) ASSERT_OK(put(key, "old"));
  ASSERT_OK(engine.Flush());
  ASSERT_OK(put("b", "new"));
  ASSERT_OK(put("bb", "new"));
  ASSERT_OK(engine.DeleteFilesInRange(Family::kChanges, "a", "c"));
  auto keys = [](const Engine& which) {
    std::string text;
    auto it = which.NewIterator(Family::kChanges);
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      text += std::string(it->key()) + "=" + std::string(it->value()) + " ";
    }
    return text;
  };
  EXPECT_EQ(keys(engine), "b=new bb=new c=old ");
  EXPECT_EQ(keys(*engine.CrashKeeping(0)), "c=old ");
  EXPECT_EQ(keys(*engine.CrashKeeping(1)), "b=new c=old ");
}

TEST(MapEngineTest, ACheckpointNeedsADisk) {
  MapEngine engine;
  EXPECT_THAT(engine.Checkpoint("/nowhere"), StatusIs(absl::StatusCode::kFailedPrecondition));
}

// Any byte of a checkpoint that is changed, and any part that is missing, is noticed.
TEST(MapEngineTest, ADamagedCheckpointIsRefused) {
  gavel::testing::TemporaryDirectory directory;
  PosixDisk disk;
  const std::string path = directory.path() + "/copy";
  MapEngine engine({.disk = &disk});
  raft::Random random(2);
  ASSERT_OK(engine.Write(RandomBatch(random, 10, 20)));
  ASSERT_OK(engine.Checkpoint(path));
  std::string bytes;
  {
    std::ifstream file(path + "/MAP", std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  auto rewrite = [&](const std::string& content) {
    std::ofstream(path + "/MAP", std::ios::binary | std::ios::trunc) << content;
    return MapEngine::OpenCheckpoint(path, {.disk = &disk}).status();
  };
  ASSERT_OK(rewrite(bytes));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    ASSERT_THAT(rewrite(damaged), StatusIs(absl::StatusCode::kDataLoss)) << "byte " << i;
    ASSERT_THAT(rewrite(bytes.substr(0, i)), StatusIs(absl::StatusCode::kDataLoss));
  }
  EXPECT_THAT(MapEngine::OpenCheckpoint(path + "x", {.disk = &disk}),
              StatusIs(absl::StatusCode::kNotFound));
}

// The shape of the map depends on its contents alone, so neither does the time it takes.
TEST(PersistentMapTest, OldVersionsStayAndNewOnesShare) {
  raft::Random random(9);
  std::vector<std::pair<PersistentMap, std::map<std::string, std::string>>> versions(1);
  for (int i = 0; i < 2000; ++i) {
    auto [map, model] = versions[random.Below(versions.size())];
    const std::string key = RandomKey(random);
    switch (random.Below(6)) {
      case 0:
        map = map.Erase(key);
        model.erase(key);
        break;
      case 1: {
        const std::string other = RandomKey(random);
        map = map.EraseRange(key, other);
        if (key < other) model.erase(model.lower_bound(key), model.lower_bound(other));
        break;
      }
      default:
        map = map.Put(key, std::to_string(i));
        model[key] = std::to_string(i);
    }
    if (versions.size() < 50) {
      versions.emplace_back(map, model);
    } else {
      versions[random.Below(50)] = {map, model};
    }
  }
  for (const auto& [map, model] : versions) {
    std::map<std::string, std::string> found;
    uint64_t bytes = 0;
    PersistentMap::Cursor cursor(map);
    for (cursor.SeekToLast(); cursor.Valid(); cursor.Prev()) {
      found.emplace(cursor.entry().key, cursor.entry().value);
      bytes += cursor.entry().key.size() + cursor.entry().value.size();
    }
    ASSERT_EQ(found, model);
    ASSERT_EQ(map.bytes(), bytes);
    for (const auto& [key, value] : model) ASSERT_EQ(map.Find(key)->value, value);
  }
}

}  // namespace
}  // namespace gavel::storage
