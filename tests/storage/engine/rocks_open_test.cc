// Opening a RocksDB database that is not as it should be: refused, with the path and what to do.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"

#include "storage/engine/rocks_engine.h"
#include "storage/engine/rocks_keys.h"
#include "tests/storage/engine/engine_model.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RocksOpenTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Engine>> Open(bool read_only = false, bool create = true) {
    RocksOptions options;
    options.path = path_;
    options.read_only = read_only;
    options.create_if_missing = create;
    return OpenRocksEngine(options);
  }
  void Fill() {
    auto engine = Open();
    ASSERT_OK(engine);
    for (int i = 0; i < 100; ++i) {
      WriteBatch batch;
      batch.Put(Family::kVersions, "key" + std::to_string(i), std::string(1000, 'v'));
      ASSERT_OK((*engine)->Write(batch));
    }
    ASSERT_OK((*engine)->Flush());
  }
  // The one file whose name begins and ends like this.
  std::string FileNamed(const std::string& begin, const std::string& end) {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const std::string name = entry.path().filename();
      if (name.starts_with(begin) && name.ends_with(end)) return entry.path();
    }
    ADD_FAILURE() << "no file " << begin << "*" << end;
    return "";
  }
  static void Flip(const std::string& file, size_t offset) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(offset);
    const char byte = static_cast<char>(stream.get() ^ 0x20);
    stream.seekp(offset);
    stream.put(byte);
  }

  gavel::testing::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/db";
};

TEST_F(RocksOpenTest, WhatWasFlushedIsThereAgain) {
  Fill();
  auto engine = Open(/*read_only=*/false, /*create=*/false);
  ASSERT_OK(engine);
  std::string value;
  EXPECT_OK((*engine)->Get(Family::kVersions, "key99", &value));
  EXPECT_EQ(value.size(), 1000u);
}

// A warning is there to be acted upon.
TEST_F(RocksOpenTest, AFirstStartAndASecondGiveNoWarning) {
  std::string warnings;
  for (int i = 0; i < 2; ++i) {
    RocksOptions options;
    options.path = path_;
    options.on_warning = [&](std::string_view text) { warnings.append(text).append("|"); };
    ASSERT_OK(OpenRocksEngine(options));
  }
  EXPECT_EQ(warnings, "");
}

// A stop without a flush is a crash; with flush_on_close it is not.
TEST_F(RocksOpenTest, ClosingFlushesOnlyWhenAsked) {
  for (const bool flush : {false, true}) {
    RocksOptions options;
    options.path = path_;
    options.flush_on_close = flush;
    {
      auto engine = OpenRocksEngine(options);
      ASSERT_OK(engine);
      WriteBatch batch;
      batch.Put(Family::kMeta, "k", "v");
      ASSERT_OK((*engine)->Write(batch));
    }
    auto engine = OpenRocksEngine(options);
    ASSERT_OK(engine);
    std::string value;
    EXPECT_EQ((*engine)->Get(Family::kMeta, "k", &value).ok(), flush);
  }
}

TEST_F(RocksOpenTest, AMissingDatabaseIsNotCreatedUnasked) {
  EXPECT_THAT(Open(false, /*create=*/false),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path_)));
  EXPECT_THAT(Open(/*read_only=*/true), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path_)));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(RocksOpenTest, ASecondEngineIsRefused) {
  auto engine = Open();
  ASSERT_OK(engine);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               AllOf(HasSubstr(path_), HasSubstr("in use"))));
}

TEST_F(RocksOpenTest, ANewerVersionIsNamed) {
  Fill();
  {
    rocksdb::DB* raw = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(rocksdb::Options(), path_, &raw).ok());
    std::unique_ptr<rocksdb::DB> db(raw);
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    ASSERT_TRUE(db->CreateColumnFamily({}, "quotas", &handle).ok());
    ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
  }
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               AllOf(HasSubstr(path_), HasSubstr("quotas"), HasSubstr("newer"))));
}

// RocksDB itself would take this for an empty directory, and start from nothing.
TEST_F(RocksOpenTest, DataWithoutItsCurrentFileIsDamage) {
  Fill();
  std::filesystem::remove(path_ + "/CURRENT");
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss,
                               AllOf(HasSubstr(path_), HasSubstr("CURRENT"), HasSubstr("add"))));
}

TEST_F(RocksOpenTest, APathThatSpeaksOfLocksIsNotTakenForOne) {
  path_ += " lock BLOCK";
  Fill();
  std::filesystem::remove(FileNamed("", ".sst"));
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("BLOCK")));
}

TEST_F(RocksOpenTest, AMissingDataFileIsDamage) {
  Fill();
  std::filesystem::remove(FileNamed("", ".sst"));
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
}

TEST_F(RocksOpenTest, ADamagedManifestIsDamage) {
  Fill();
  Flip(FileNamed("MANIFEST-", ""), 20);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
}

// Damage inside a data file is noticed by whoever reads it, at the latest.
TEST_F(RocksOpenTest, ADamagedDataFileIsReportedByReads) {
  Fill();
  Flip(FileNamed("", ".sst"), 100);
  auto engine = Open();
  ASSERT_OK(engine);
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    std::string value;
    status = (*engine)->Get(Family::kVersions, "key" + std::to_string(i), &value);
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT((*engine)->health(), StatusIs(absl::StatusCode::kDataLoss));
  WriteBatch batch;
  batch.Put(Family::kMeta, "k", "v");
  EXPECT_THAT((*engine)->Write(batch), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(RocksOpenTest, ReadOnlyWritesNothing) {
  Fill();
  auto listing = [&] {
    std::string text;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      text += entry.path().filename().string() + " ";
    }
    return text;
  };
  const std::string before = listing();
  {
    auto engine = Open(/*read_only=*/true);
    ASSERT_OK(engine);
    std::string value;
    EXPECT_OK((*engine)->Get(Family::kVersions, "key1", &value));
    WriteBatch batch;
    batch.Put(Family::kMeta, "k", "v");
    EXPECT_THAT((*engine)->Write(batch), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT((*engine)->Flush(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT((*engine)->StartCompaction(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_OK((*engine)->health());
  }
  EXPECT_EQ(listing(), before);
}

TEST_F(RocksOpenTest, OnFlushedIsCalledForFlushesNobodyAskedFor) {
  std::atomic<int> flushed{0};
  RocksOptions options;
  options.path = path_;
  options.write_buffer_bytes = 64 << 10;
  options.on_flushed = [&] { ++flushed; };
  auto engine = OpenRocksEngine(options);
  ASSERT_OK(engine);
  for (int i = 0; i < 20'000 && flushed == 0; ++i) {
    WriteBatch batch;
    batch.Put(Family::kVersions, std::to_string(i), std::string(1000, 'v'));
    ASSERT_OK(WriteWhenPossible(**engine, batch));
  }
  EXPECT_GT(flushed, 0);
  ReadOptions persisted;
  persisted.persisted_only = true;
  std::string value;
  EXPECT_OK((*engine)->Get(Family::kVersions, "0", &value, persisted));
}

// Filters must know exactly what the key codec of the state machine shares between versions.
TEST(FilterPrefixTest, IsTheUserKeyInVersionsTheLeaseInLeaseKeysAndTheWholeKeyElsewhere) {
  using std::string;
  const string versions = TaggedKey(Family::kVersions, "");
  const string end("\0\x01", 2);
  const string revision(12, '\xfe');
  EXPECT_EQ(FilterPrefix(versions + "a" + end + revision), versions + "a" + end);
  EXPECT_EQ(FilterPrefix(versions + end), versions + end);
  const string escaped(
      "a\0\xff"
      "b\0\xff\0\xff",
      8);
  EXPECT_EQ(FilterPrefix(versions + escaped + end + revision), versions + escaped + end);
  EXPECT_EQ(FilterPrefix(versions + "a"), "");
  EXPECT_EQ(FilterPrefix(versions + "a" + string(1, '\0')), "");
  EXPECT_EQ(FilterPrefix(versions + string("a\0\x02", 3)), "");
  EXPECT_EQ(FilterPrefix(versions + string("a\0\xff\0", 4)), "");
  EXPECT_EQ(FilterPrefix(TaggedKey(Family::kChanges, "k" + end)), "");
  EXPECT_EQ(FilterPrefix(TaggedKey(Family::kLeaseRenewals, "k")), "");
  EXPECT_EQ(FilterPrefix(TaggedKey(Family::kLeases, "k")), TaggedKey(Family::kLeases, "k"));
  const string lease = TaggedKey(Family::kLeaseKeys, "8 bytes.");
  EXPECT_EQ(FilterPrefix(lease + "k"), lease);
  EXPECT_EQ(FilterPrefix(lease), lease);
  EXPECT_EQ(FilterPrefix(TaggedKey(Family::kLeaseKeys, "7 bytes")), "");
}

TEST(FilterPrefixTest, OnlyBoundsAroundOneUserKeyOrLeaseUseFilters) {
  using std::string;
  const string lower = TaggedKey(Family::kVersions, string("a\0\x01", 3) + "revision");
  auto versions = [](const string& key) { return TaggedKey(Family::kVersions, key); };
  EXPECT_TRUE(StaysInOnePrefix(lower, versions(string("a\0\x01\xff", 4))));
  EXPECT_TRUE(StaysInOnePrefix(lower, versions(string("a\0\x02", 3))));
  EXPECT_FALSE(StaysInOnePrefix(lower, versions(string("a\0\x03", 3))));
  EXPECT_FALSE(StaysInOnePrefix(lower, versions(string("a\0\x02\x01", 4))));
  EXPECT_FALSE(StaysInOnePrefix(lower, versions(string("a\0\xff\0\x02", 5))));
  EXPECT_FALSE(StaysInOnePrefix(lower, versions("b")));
  EXPECT_FALSE(StaysInOnePrefix(lower, FamilyEnd(Family::kVersions)));
  EXPECT_FALSE(StaysInOnePrefix(versions("a"), versions("b")));
  auto lease_keys = [](const string& key) { return TaggedKey(Family::kLeaseKeys, key); };
  EXPECT_TRUE(StaysInOnePrefix(lease_keys("lease  1"), lease_keys("lease  2")));
  EXPECT_TRUE(
      StaysInOnePrefix(lease_keys("lease\x01\xff\xff"), lease_keys(string("lease\x02\0\0", 8))));
  EXPECT_FALSE(StaysInOnePrefix(lease_keys("lease  1"), lease_keys("lease  3")));
  EXPECT_FALSE(StaysInOnePrefix(lease_keys("lease  1"), lease_keys("leasf  2")));
  EXPECT_FALSE(
      StaysInOnePrefix(lease_keys("lease\x01\xff\xff"), lease_keys(string("lease\x01\0\0", 8))));
  EXPECT_FALSE(StaysInOnePrefix(lease_keys(string(8, '\xff')), FamilyEnd(Family::kLeaseKeys)));
  // Elsewhere a key is its own prefix, and others lie before any end.
  EXPECT_FALSE(
      StaysInOnePrefix(TaggedKey(Family::kAuth, "a\x01"), TaggedKey(Family::kAuth, "a\x02")));
}

TEST(FamilyTagTest, TagsAreDistinctAndFamiliesDoNotOverlap) {
  for (int i = 0; i < kFamilyCount; ++i) {
    for (int j = 0; j < kFamilyCount; ++j) {
      const auto a = static_cast<Family>(i);
      const auto b = static_cast<Family>(j);
      if (i == j) continue;
      EXPECT_TRUE(FamilyEnd(a) <= TaggedKey(b, "") || TaggedKey(a, "") >= FamilyEnd(b));
    }
  }
}

}  // namespace
}  // namespace gavel::storage
