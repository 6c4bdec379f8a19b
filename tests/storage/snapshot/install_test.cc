// An engine that an archive was installed in is a whole store or none.

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "tests/storage/snapshot/archives.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::ArchiveInstaller;
using storage::Family;
using storage::MapEngine;
using ::testing::HasSubstr;

TEST(InstallTest, OnlyAnEmptyEngineIsFilled) {
  Store store;
  EXPECT_THAT(ArchiveInstaller::Create(*store.engine()).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("empty store")));
}

// Whatever a crash leaves, at any moment, is either the whole store or something that is refused.
TEST(InstallTest, ACrashLeavesAWholeStoreOrNone) {
  Store store;
  Fill(store);
  // More than one batch of rows.
  for (int i = 0; i < 5; ++i) store.Do(Put("large", std::string(400'000, 'v')));
  const std::string archive = WriteArchive(store);
  store.CollectAll();
  int whole = 0;
  int none = 0;
  const auto look = [&](const MapEngine& engine) {
    for (size_t kept = 0; kept <= engine.unflushed_states(); ++kept) {
      const std::shared_ptr<MapEngine> left = engine.CrashKeeping(kept);
      const bool empty = Dump(*left, Family::kVersions).empty();
      const auto opened = storage::StateMachine::Open(left, OneMember(), {});
      if (empty) {
        ++none;  // As if nothing had been begun.
      } else if (opened.ok()) {
        ++whole;
        ASSERT_EQ(DumpReplicated(*left), DumpReplicated(*store.engine()));
      } else {
        ++none;
        ASSERT_THAT(opened.status(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no format")));
      }
    }
  };
  MapEngine engine;
  ASSERT_OK_AND_ASSIGN(const auto installer, ArchiveInstaller::Create(engine));
  for (size_t at = 0; at < archive.size(); at += 512) {
    ASSERT_OK(installer->Feed(std::string_view(archive).substr(at, 512)));
    look(engine);
  }
  EXPECT_EQ(whole, 0);
  ASSERT_OK(installer->Finish());
  none = 0;
  look(engine);
  EXPECT_EQ(none, 0);
  EXPECT_EQ(whole, 1);
}

// An archive that ends too early has already shown most of its rows.
TEST(InstallTest, WithoutItsEndNothingIsAStore) {
  Store store;
  Fill(store);
  const std::string archive = WriteArchive(store);
  const auto engine = std::make_shared<MapEngine>();
  EXPECT_THAT(Install(archive.substr(0, archive.size() - 1), *engine),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut off")));
  EXPECT_TRUE(Dump(*engine, Family::kMeta).empty());
}

TEST(InstallTest, AnEngineThatStaysFullIsReported) {
  Store store;
  Fill(store);
  MapEngine engine;
  engine.SetStalled(true);
  EXPECT_THAT(Install(WriteArchive(store), engine), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(InstallTest, AnEngineThatFailsIsReported) {
  Store store;
  Fill(store);
  MapEngine engine;
  ASSERT_OK_AND_ASSIGN(const auto installer, ArchiveInstaller::Create(engine));
  engine.Fail(absl::InternalError("disk gone"));
  const std::string archive = WriteArchive(store);
  absl::Status status = installer->Feed(archive);
  if (status.ok()) status = installer->Finish().status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, HasSubstr("disk gone")));
}

}  // namespace
}  // namespace gavel::testing
