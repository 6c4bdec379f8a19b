#include "tests/storage/engine/engine_model.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

namespace gavel::storage {

void ApplyTo(Families& families, const WriteBatch& batch) {
  batch.ForEach([&](const WriteBatch::Op& op) {
    auto& map = In(families, op.family);
    switch (op.kind) {
      case WriteBatch::Kind::kPut:
        map[std::string(op.key)] = std::string(op.value);
        break;
      case WriteBatch::Kind::kDelete:
        map.erase(std::string(op.key));
        break;
      case WriteBatch::Kind::kDeleteRange:
        map.erase(map.lower_bound(std::string(op.key)), map.lower_bound(std::string(op.value)));
        break;
    }
  });
}

absl::Status WriteWhenPossible(Engine& engine, const WriteBatch& batch) {
  absl::Status status = engine.Write(batch);
  for (int i = 0; i < 10'000 && absl::IsResourceExhausted(status); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    status = engine.Write(batch);
  }
  return status;
}

Families Contents(const Engine& engine, const EngineSnapshot* snapshot) {
  Families families;
  for (int i = 0; i < kFamilyCount; ++i) {
    ReadOptions options;
    options.snapshot = snapshot;
    auto it = engine.NewIterator(static_cast<Family>(i), options);
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const bool in_order =
          families[i].empty() || std::prev(families[i].end())->first < std::string(it->key());
      EXPECT_TRUE(in_order) << FamilyName(static_cast<Family>(i)) << " is out of order";
      families[i].emplace(it->key(), it->value());
    }
    EXPECT_TRUE(it->status().ok()) << it->status();
  }
  return families;
}

std::string Difference(const Families& expected, const Families& actual) {
  std::string text;
  for (int i = 0; i < kFamilyCount; ++i) {
    if (expected[i] == actual[i]) continue;
    auto a = expected[i].begin();
    auto b = actual[i].begin();
    while (a != expected[i].end() && b != actual[i].end() && *a == *b) ++a, ++b;
    text += std::string(FamilyName(static_cast<Family>(i))) + ": expected " +
            std::to_string(expected[i].size()) + " keys, found " +
            std::to_string(actual[i].size()) + "; the first difference is expected " +
            (a == expected[i].end() ? "the end" : ::testing::PrintToString(a->first)) + ", found " +
            (b == actual[i].end() ? "the end" : ::testing::PrintToString(b->first)) + "\n";
  }
  return text;
}

std::string RandomKey(raft::Random& random) {
  std::string key;
  for (uint64_t length = random.Below(3); length > 0; --length) {
    // 0x00 and 0xff are where orders and bounds go wrong.
    constexpr char kBytes[] = {'\0', '\x01', 'a', 'b', '\xff'};
    key.push_back(kBytes[random.Below(sizeof(kBytes))]);
  }
  key.push_back(static_cast<char>('a' + random.Below(26)));
  return key;
}

Family RandomFamily(raft::Random& random) {
  return static_cast<Family>(random.Below(kFamilyCount));
}

WriteBatch RandomBatch(raft::Random& random, int operations_max, size_t value_bytes_max) {
  WriteBatch batch;
  for (uint64_t left = random.Between(1, operations_max); left > 0; --left) {
    const Family family = RandomFamily(random);
    const std::string key = RandomKey(random);
    switch (random.Below(10)) {
      case 0: {
        const std::string other = RandomKey(random);
        batch.DeleteRange(family, std::min(key, other), std::max(key, other));
        break;
      }
      case 1:
      case 2:
        batch.Delete(family, key);
        break;
      default: {
        std::string value(random.Below(value_bytes_max + 1), '\0');
        for (char& c : value) c = static_cast<char>(random.Next());
        batch.Put(family, key, value);
      }
    }
  }
  return batch;
}

}  // namespace gavel::storage
