// An archive holds the state and nothing else, and gives it back whole.

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "absl/strings/str_cat.h"

#include "storage/engine/map_engine.h"
#include "tests/storage/snapshot/archives.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::ArchiveHeader;
using storage::ArchiveSummary;
using storage::ArchiveWriter;
using storage::Family;

enum class Kind { kMap, kRocks };

std::shared_ptr<storage::Engine> NewEngine(Kind kind, const TemporaryDirectory& directory) {
  if (kind == Kind::kRocks) return OpenRocks(directory);
  return std::make_shared<storage::MapEngine>();
}

class RoundTripTest : public ::testing::TestWithParam<std::pair<Kind, Kind>> {};

// What is read back is what was written, whichever engine is on either side.
TEST_P(RoundTripTest, GivesTheStateBack) {
  const TemporaryDirectory from;
  const TemporaryDirectory to;
  Store store(NewEngine(GetParam().first, from));
  Fill(store);
  const std::string archive = WriteArchive(store);

  const auto engine = NewEngine(GetParam().second, to);
  ASSERT_OK(Install(archive, *engine));
  Store installed(engine);
  store.CollectAll();
  EXPECT_EQ(DumpReplicated(*installed.engine()), DumpReplicated(*store.engine()));
  EXPECT_EQ(installed.HashKv(), store.HashKv());
  EXPECT_EQ(StoredLeases(*installed.engine()), StoredLeases(*store.engine()));
  EXPECT_EQ(installed.machine().view()->revision, store.machine().view()->revision);
  EXPECT_EQ(installed.machine().applied(), store.machine().applied());
  EXPECT_EQ(*installed.machine().limits(), *store.machine().limits());
  EXPECT_EQ(installed.machine().limits()->alarms.size(), 1U);

  // And both go on alike.
  for (Store* each : {&store, &installed}) {
    each->Do(Delete("key/1"));
    each->Do(Compact(40));
    each->CollectAll();
  }
  EXPECT_EQ(DumpReplicated(*installed.engine()), DumpReplicated(*store.engine()));
}

INSTANTIATE_TEST_SUITE_P(Engines, RoundTripTest,
                         ::testing::Values(std::pair(Kind::kMap, Kind::kMap),
                                           std::pair(Kind::kMap, Kind::kRocks),
                                           std::pair(Kind::kRocks, Kind::kMap),
                                           std::pair(Kind::kRocks, Kind::kRocks)));

// Members that have applied the same entries write the same bytes, however far each has collected.
TEST(ArchiveTest, DoesNotDependOnTheCollector) {
  Store store;
  Fill(store);
  const std::string before = WriteArchive(store);
  for (int step = 0; store.CollectStep(3); ++step) {
    ASSERT_EQ(WriteArchive(store), before) << "after step " << step;
  }
  EXPECT_FALSE(Dump(*store.engine(), Family::kMeta).at("collected").empty());
  EXPECT_EQ(WriteArchive(store), before);
}

TEST(ArchiveTest, HoldsTheStateOfTheMomentItWasBegun) {
  Store store;
  Fill(store);
  const std::string before = WriteArchive(store);
  auto writer = ArchiveWriter::Create(store.engine(), kOrigin);
  ASSERT_OK(writer);
  std::string archive;
  for (int i = 0;; ++i) {
    ASSERT_OK_AND_ASSIGN(const bool more, (*writer)->Step(&archive));
    if (!more) break;
    store.Do(Put(absl::StrCat("later/", i), "x"));
    store.Do(Compact(store.machine().view()->revision));
    store.CollectAll();
  }
  EXPECT_EQ(archive, before);
}

TEST(ArchiveTest, TheHeaderSaysWhoseItIsAndHowFarItGoes) {
  Store store;
  Fill(store);
  ASSERT_OK_AND_ASSIGN(const ArchiveSummary summary, ReadArchive(WriteArchive(store)));
  const ArchiveHeader& header = summary.header;
  EXPECT_EQ(header.cluster_id, kOrigin.cluster_id);
  EXPECT_EQ(header.member_id, kOrigin.member_id);
  EXPECT_EQ(header.state.applied, store.machine().applied());
  EXPECT_EQ(header.state.totals.revision, store.machine().view()->revision);
  EXPECT_EQ(header.state.totals.compacted, 30);
  EXPECT_EQ(header.members, *store.machine().members());
  EXPECT_EQ(header.configuration, *store.machine().configuration());
}

// A step adds a block, or one row that is larger than a block, whatever the store holds.
TEST(ArchiveTest, AStepIsBounded) {
  Store store;
  for (int i = 0; i < 3000; ++i) {
    std::string value;
    for (int k = 0; k < 200; ++k) value += absl::StrCat(i * 7919 + k * 104729, ".");
    store.Do(Put(absl::StrCat("key/", i), value));
  }
  auto writer = ArchiveWriter::Create(store.engine(), kOrigin);
  ASSERT_OK(writer);
  int steps = 0;
  for (bool more = true; more; ++steps) {
    std::string out;
    ASSERT_OK_AND_ASSIGN(more, (*writer)->Step(&out));
    ASSERT_LE(out.size(), storage::archive::kBlockBytes + 4096);
  }
  EXPECT_GT(steps, 20);
}

// Clients of etcd look at the length, and may take no remaining bytes for the end.
TEST(ArchiveTest, LengthAndRemainingBytesAreWhatEtcdsClientsExpect) {
  for (int keys = 0; keys < 40; ++keys) {
    Store store;
    for (int i = 0; i < keys; ++i) store.Do(Put(absl::StrCat(i), std::string(i * 13, 'v')));
    auto writer = ArchiveWriter::Create(store.engine(), kOrigin);
    ASSERT_OK(writer);
    std::string archive;
    while (true) {
      ASSERT_GT((*writer)->remaining_bytes(), 0u);
      ASSERT_OK_AND_ASSIGN(const bool more, (*writer)->Step(&archive));
      if (!more) break;
    }
    EXPECT_EQ((*writer)->remaining_bytes(), 0u);
    EXPECT_EQ(archive.size() % 512, 32u);
    EXPECT_OK(ReadArchive(archive));
  }
}

TEST(ArchiveTest, AStoreWithoutAStateIsRefused) {
  EXPECT_THAT(ArchiveWriter::Create(std::make_shared<storage::MapEngine>(), kOrigin).status(),
              StatusIs(absl::StatusCode::kDataLoss, ::testing::HasSubstr("meta: no format")));
}

}  // namespace
}  // namespace gavel::testing
