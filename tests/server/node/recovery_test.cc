// What a member says of a state that it cannot start on.
#include "server/node/recovery.h"

#include <memory>
#include <string>

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

TEST_F(RecoveryTest, ANewerFormatIsNamedWithItsPlace) {
  ASSERT_OK(Recover());
  Overwrite(storage::kMetaFormat, storage::EncodeMetaFormat({1000, 1}));
  EXPECT_THAT(Recover(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                  AllOf(HasSubstr("/data/member/state"), HasSubstr("1000"),
                                        HasSubstr("a newer build is needed"))));
}

}  // namespace
}  // namespace gavel::server
