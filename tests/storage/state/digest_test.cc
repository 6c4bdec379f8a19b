// The digest of the state: equal where the same was done, whatever the batches; different for ever
// once something else was.

#include "storage/state/digest.h"

#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/mvcc/record.h"
#include "storage/state/meta.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Family;
using storage::StateMachine;

constexpr StateMachine::Wanted kNobody = {raft::NodeId(9), raft::Incarnation(1)};

raft::Entry Put(uint64_t index, const std::string& key, const std::string& value) {
  internal::Command command;
  command.mutable_put()->set_key(key);
  command.mutable_put()->set_value(value);
  return CommandEntry(index, command);
}

raft::Entry Mark(uint64_t index) {
  internal::Command command;
  command.mutable_mark_digest();
  return CommandEntry(index, command);
}

class Replica {
 public:
  Replica() { Open(); }
  void Open() {
    auto opened = StateMachine::Open(engine_, OneMember(), {});
    GAVEL_CHECK(opened.ok()) << opened.status().ToString();
    machine_ = *std::move(opened);
  }
  storage::ApplyResult Apply(std::span<const raft::Entry> entries) {
    auto result = machine_->Apply(entries, kNobody);
    GAVEL_CHECK(result.ok()) << result.status().ToString();
    return *std::move(result);
  }
  uint32_t digest() const { return storage::ReadMetaState(*engine_)->totals.digest; }
  StateMachine& machine() { return *machine_; }
  storage::MapEngine& engine() { return *engine_; }

 private:
  std::shared_ptr<storage::MapEngine> engine_ = std::make_shared<storage::MapEngine>();
  std::unique_ptr<StateMachine> machine_;
};

TEST(DigestTest, IsEqualWhateverTheBatchesAndTheRestarts) {
  const std::vector<raft::Entry> log = {Put(1, "a", "1"), Put(2, "b", "2"), Mark(3),
                                        Put(4, "a", "3")};
  Replica together;
  together.Apply(log);
  Replica apart;
  for (const raft::Entry& entry : log) {
    apart.Apply({&entry, 1});
    apart.Open();
  }
  EXPECT_EQ(together.digest(), apart.digest());
  EXPECT_EQ(together.machine().digest_marks(), apart.machine().digest_marks());
}

TEST(DigestTest, EachEntryChangesIt) {
  Replica replica;
  std::set<uint32_t> seen = {replica.digest()};
  for (uint64_t index = 1; index <= 20; ++index) {
    const raft::Entry entry = index % 2 == 0 ? Mark(index) : Put(index, "same", "same");
    replica.Apply({&entry, 1});
    EXPECT_TRUE(seen.insert(replica.digest()).second) << index;
  }
}

TEST(DigestTest, ARowThatWasAnotherIsSeenOnceAnEntryMeetsIt) {
  Replica right;
  Replica wrong;
  const raft::Entry first = Put(1, "a", "1");
  right.Apply({&first, 1});
  wrong.Apply({&first, 1});
  EXPECT_EQ(right.digest(), wrong.digest());

  // The newest version says that it is the fifth.
  const storage::ChangeId id{2, 0};
  storage::Version version;
  version.id = id;
  version.create = 2;
  version.version = 5;
  version.value = "1";
  std::string row;
  storage::AppendVersionRecord(version, &row);
  storage::WriteBatch batch;
  batch.Put(Family::kVersions, storage::VersionKey("a", id), row);
  ASSERT_OK(wrong.engine().Write(batch));
  wrong.Open();

  for (const raft::Entry& entry : {Put(2, "b", "1"), Put(3, "a", "2"), Put(4, "a", "3")}) {
    right.Apply({&entry, 1});
    wrong.Apply({&entry, 1});
    EXPECT_EQ(right.digest() == wrong.digest(), entry.index.value() == 2) << entry.index.value();
  }
}

TEST(DigestTest, TheTwoNewestMarksAreKept) {
  Replica replica;
  EXPECT_TRUE(replica.machine().digest_marks()[0].index.is_none());
  const raft::Entry put = Put(1, "a", "1");
  replica.Apply({&put, 1});
  const uint32_t before = replica.digest();
  const std::vector<raft::Entry> marks = {Mark(2), Mark(3), Mark(4)};
  EXPECT_TRUE(replica.Apply({marks.data(), 1}).digest_marked);
  EXPECT_EQ(replica.machine().digest_marks()[0], (storage::DigestMark{raft::Index(2), before}));
  replica.Apply({marks.data() + 1, 2});
  EXPECT_EQ(replica.machine().digest_marks()[0].index, raft::Index(4));
  EXPECT_EQ(replica.machine().digest_marks()[1].index, raft::Index(3));
}

TEST(DigestTest, ReportsAreHandedOn) {
  Replica replica;
  internal::Command command;
  command.set_member(7);
  command.mutable_report_digest()->set_mark(3);
  command.mutable_report_digest()->set_digest(0xffffffff);
  const raft::Entry entry = CommandEntry(1, command);
  const storage::ApplyResult result = replica.Apply({&entry, 1});
  ASSERT_EQ(result.digest_reports.size(), 1u);
  EXPECT_EQ(result.digest_reports[0].member, raft::NodeId(7));
  EXPECT_EQ(result.digest_reports[0].mark, (storage::DigestMark{raft::Index(3), 0xffffffff}));
}

// Marks and reports say nothing of what they would have to be compared for.
TEST(DigestTest, NewsIsWhatCameAfterTheMark) {
  Replica replica;
  internal::Command report;
  report.mutable_report_digest()->set_mark(2);
  const std::vector<raft::Entry> entries = {Put(1, "a", "1"), Mark(2), CommandEntry(3, report),
                                            Put(4, "a", "2"), Mark(5), Put(6, "a", "3")};
  EXPECT_EQ(replica.Apply({entries.data(), 1}).digest_news, true);
  EXPECT_EQ(replica.Apply({entries.data() + 1, 1}).digest_news, false);
  EXPECT_EQ(replica.Apply({entries.data() + 2, 1}).digest_news, std::nullopt);
  EXPECT_EQ(replica.Apply({entries.data() + 3, 2}).digest_news, false);
  EXPECT_EQ(replica.Apply({entries.data() + 5, 1}).digest_news, true);
}

}  // namespace
}  // namespace gavel::testing
