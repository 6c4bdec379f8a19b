// What a member says of a state that it cannot start on.
#include "server/node/recovery.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/mvcc/collector.h"
#include "storage/state/meta.h"
#include "tests/support/crash_disk.h"
#include "tests/support/map_stores.h"
#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest() {
    place_.name = "a";
    place_.data_dir = "/data";
    place_.initial_cluster = {{"a", *ParseUrls("http://127.0.0.1:1")}};
    place_.token = "token";
    EXPECT_OK(disk_.CreateDirectories("/data"));
  }

  absl::Status Recover() {
    return RecoverMember(disk_, testing::MapStores(engine_, received_), place_, *log_).status();
  }

  // All files of a directory.
  void Move(const std::string& from, const std::string& to) {
    ASSERT_OK(disk_.CreateDirectories(to));
    const std::vector<std::string> names = *disk_.List(from);
    for (const std::string& name : names) {
      const auto old = disk_.Open(from + "/" + name, storage::OpenMode::kReadOnly);
      const auto moved = disk_.Open(to + "/" + name, storage::OpenMode::kCreate);
      std::string bytes(*(*old)->Size(), '\0');
      ASSERT_OK((*old)->ReadAt(0, bytes));
      ASSERT_OK((*moved)->WriteAt(0, bytes));
      ASSERT_OK(disk_.Remove(from + "/" + name));
    }
  }
  void Overwrite(std::string_view row, std::string_view value) {
    storage::WriteBatch batch;
    batch.Put(storage::Family::kMeta, row, value);
    ASSERT_OK(engine_->Write(batch));
  }

  testing::CrashDisk disk_;
  testing::MapEnginePtr engine_ = std::make_shared<storage::MapEngine>();
  testing::MapEnginePtr received_;
  const std::unique_ptr<Logger> log_ = NullLogger();
  MemberPlace place_;
};

// An operator is told which directory it is, which part of it, and how to go on.
TEST_F(RecoveryTest, DamageOfTheStateIsNamedWithItsPlaceAndAdvice) {
  ASSERT_OK(Recover());
  for (const std::string_view row :
       {storage::kMetaFormat, storage::kMetaState, storage::kMetaConfiguration}) {
    std::string whole;
    ASSERT_OK(engine_->Get(storage::Family::kMeta, row, &whole));
    Overwrite(row, "\xff\xff");
    EXPECT_THAT(Recover(), StatusIs(absl::StatusCode::kDataLoss,
                                    AllOf(HasSubstr("/data/member/state is damaged"),
                                          HasSubstr("column family meta: "),
                                          HasSubstr("remove the member from the cluster"))))
        << row;
    Overwrite(row, whole);
  }
  EXPECT_OK(Recover());
}

TEST_F(RecoveryTest, WhatKeepsTheLogFromBeingOpenedIsNamedWithAdvice) {
  disk_.DenyAccess("/data/member/wal");
  EXPECT_THAT(Recover(),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr("/data/member/wal"), HasSubstr("give the user"))));
  disk_.DenyAccess("");
  // Whichever part of the first start runs out of space; some time it is the log.
  bool in_log = false;
  for (uint64_t bytes = 0; bytes < (1 << 20) && !in_log; bytes += 256) {
    disk_.SetFreeBytes(bytes);
    const absl::Status status = Recover();
    ASSERT_THAT(status,
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("free some space")));
    in_log = status.message().find("/data/member/wal") != std::string_view::npos;
  }
  EXPECT_TRUE(in_log);
  disk_.SetUnlimitedSpace();
  EXPECT_OK(Recover());
}

// --wal-dir may name anything. A member that went on with another's log would cut it, and answer
// with what is in it.
TEST_F(RecoveryTest, ALogElsewhereIsOneMembersAndOneProcesss) {
  place_.initial_cluster = {{"a", *ParseUrls("http://127.0.0.1:1")},
                            {"b", *ParseUrls("http://127.0.0.1:2")}};
  place_.wal_dir = "/log";
  const MemberPlace a = place_;
  place_.name = "b";
  place_.data_dir = "/other";
  const MemberPlace b = place_;
  const auto recover = [this](const MemberPlace& place, testing::MapEnginePtr& engine) {
    return RecoverMember(disk_, testing::MapStores(engine, received_), place, *log_);
  };
  testing::MapEnginePtr other = std::make_shared<storage::MapEngine>();
  const auto refused = [&](std::string_view why) {
    return StatusIs(absl::StatusCode::kFailedPrecondition,
                    AllOf(HasSubstr("the write-ahead log in /log"), HasSubstr(std::string(why))));
  };
  {
    const auto running = recover(a, engine_);
    ASSERT_OK(running);
    EXPECT_THAT(recover(b, other).status(), refused("belongs to member a"));
    MemberPlace again = a;
    again.data_dir = "/third";
    EXPECT_THAT(recover(again, other).status(), refused("belongs to member a"));
  }
  // Also when nothing runs, and every time.
  EXPECT_THAT(recover(b, other).status(), refused("belongs to member a"));
  EXPECT_THAT(recover(b, other).status(), refused("belongs to member a"));
  EXPECT_OK(recover(a, engine_));

  MemberPlace own = b;
  own.wal_dir.clear();
  {
    ASSERT_OK(recover(own, other));
  }
  EXPECT_THAT(recover(b, other).status(), refused("belongs to member a"));
  {
    const auto running = recover(a, engine_);
    ASSERT_OK(running);
    EXPECT_THAT(recover(b, other).status(), refused("is in use"));
  }
}

TEST_F(RecoveryTest, ALogMayBeMovedElsewhere) {
  ASSERT_OK(Recover());
  Move("/data/member/wal", "/log");
  EXPECT_THAT(Recover(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("--wal-dir")));
  place_.wal_dir = "/log";
  EXPECT_OK(Recover());
}

TEST_F(RecoveryTest, ANewerFormatIsNamedWithItsPlace) {
  ASSERT_OK(Recover());
  Overwrite(storage::kMetaFormat, storage::EncodeMetaFormat({1000, 1}));
  EXPECT_THAT(Recover(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                  AllOf(HasSubstr("/data/member/state"), HasSubstr("1000"),
                                        HasSubstr("a newer build is needed"))));
}

}  // namespace
}  // namespace gavel::server
