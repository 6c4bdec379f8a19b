// The state machine around the commands: batches, replicas, outcomes, members, and what it must
// refuse to apply.

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/state/meta.h"
#include "storage/state/semantics.h"
#include "tests/storage/mvcc/random_requests.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Family;
using storage::MemberRecord;
using storage::StateMachine;
using ::testing::HasSubstr;

constexpr StateMachine::Wanted kMe = {raft::NodeId(1), raft::Incarnation(1)};
constexpr StateMachine::Wanted kOther = {raft::NodeId(2), raft::Incarnation(1)};

std::unique_ptr<StateMachine> Open(std::shared_ptr<storage::Engine> engine,
                                   size_t cache_bytes = 1 << 20) {
  auto machine = StateMachine::Open(std::move(engine), OneMember(), {cache_bytes});
  GAVEL_CHECK(machine.ok()) << machine.status().ToString();
  return *std::move(machine);
}

raft::Entry Empty(uint64_t index) {
  return {raft::Index(index), raft::Term(2), raft::EntryKind::kEmpty, nullptr};
}

raft::Entry Configured(uint64_t index, const raft::Configuration& configuration) {
  return {raft::Index(index), raft::Term(1), raft::EntryKind::kConfiguration,
          std::make_shared<const std::string>(raft::EncodeConfiguration(configuration))};
}

std::vector<raft::Entry> RandomLog(uint64_t seed, int size) {
  RandomRequests requests(seed);
  Model model;
  std::vector<raft::Entry> log;
  for (int i = 1; i <= size; ++i) {
    if (requests.random().OneIn(10)) {
      log.push_back(Empty(static_cast<uint64_t>(i)));
      continue;
    }
    const internal::Command command = requests.random().OneIn(5)
                                          ? requests.LeaseCommand(model)
                                          : requests.Command(model.revision());
    model.Apply(command, static_cast<uint64_t>(i));
    log.push_back(CommandEntry(static_cast<uint64_t>(i), command));
  }
  return log;
}

// What watchers are told is what is stored, change by change, whatever the batches.
TEST(ApplyTest, ChangesAreThoseThatAreStored) {
  const std::vector<raft::Entry> log = RandomLog(7, 300);
  auto engine = std::make_shared<storage::MapEngine>();
  const auto machine = Open(engine);
  StateMachine::Wanted wanted = kMe;
  wanted.changes = true;
  std::set<Model::Row> told;
  storage::ChangeId last;
  raft::Random random(7);
  for (size_t from = 0; from < log.size();) {
    const size_t size = std::min<size_t>(random.Between(1, 40), log.size() - from);
    const auto result = machine->Apply({&log[from], size}, wanted);
    ASSERT_OK(result);
    for (const storage::KeyChange& change : result->changes) {
      EXPECT_LT(last, change.id);
      last = change.id;
      storage::Version version;
      const std::string row_key = storage::VersionKey(change.key, change.id);
      std::string row;
      ASSERT_OK(engine->Get(Family::kVersions, row_key, &row));
      ASSERT_TRUE(storage::ParseVersionRecord(row, &version));
      EXPECT_EQ(version.tombstone, change.tombstone);
      EXPECT_EQ(version.create, change.create);
      EXPECT_EQ(version.version, change.version);
      EXPECT_EQ(version.lease, change.lease);
      EXPECT_EQ(version.value, change.value);
      told.insert({change.key, change.id.main, change.id.sub});
    }
    from += size;
  }
  EXPECT_EQ(told, StoredVersions(*engine));
  EXPECT_GT(told.size(), 50U);
}

// Batches of any size, any cache, wanted or not: the state is a function of the log.
TEST(ApplyTest, BatchesCacheAndWhoWaitsDoNotChangeTheState) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    const std::vector<raft::Entry> log = RandomLog(seed, 200);
    auto one_engine = std::make_shared<storage::MapEngine>();
    const auto one = Open(one_engine, 0);
    for (const raft::Entry& entry : log) ASSERT_OK(one->Apply({&entry, 1}, kMe));

    raft::Random random(seed);
    for (const size_t cache_bytes : {size_t{1} << 20, size_t{3000}}) {
      auto engine = std::make_shared<storage::MapEngine>();
      const auto machine = Open(engine, cache_bytes);
      for (size_t from = 0; from < log.size();) {
        const size_t size = std::min<size_t>(random.Between(1, 40), log.size() - from);
        ASSERT_OK(machine->Apply({&log[from], size}, kOther));
        from += size;
      }
      ASSERT_EQ(DumpReplicated(*engine), DumpReplicated(*one_engine));
      storage::HashCursor hash(machine->view(), 0);
      storage::HashCursor one_hash(one->view(), 0);
      while (!hash.Step(1000) || !one_hash.Step(1000)) {
      }
      EXPECT_EQ(hash.hash(), one_hash.hash());
      EXPECT_EQ(hash.compact_revision(), one_hash.compact_revision());
    }
  }
}

TEST(ApplyTest, TheSecondCommandOfABatchSeesTheFirst) {
  Store store;
  internal::Command read;
  *read.mutable_txn()->add_success()->mutable_request_range() = RangeOf("a");
  const auto outcomes = store.DoBatch({Put("a", "1"), read, Delete("a"), read});
  const auto rows = [&](size_t i) {
    return std::get<etcdserverpb::TxnResponse>(outcomes[i].response)
        .responses(0)
        .response_range()
        .kvs_size();
  };
  EXPECT_EQ(rows(1), 1);
  EXPECT_EQ(rows(3), 0);
}

// Compact asks for the superseded bytes at a revision of the batch that is not written yet.
TEST(ApplyTest, CompactMaySitInTheBatchOfWhatItCompacts) {
  Store together;
  together.DoBatch({Put("a", "1"), Put("a", "2"), Put("a", "3"), Compact(3), Put("a", "4")});
  Store apart;
  for (const auto& command :
       {Put("a", "1"), Put("a", "2"), Put("a", "3"), Compact(3), Put("a", "4")}) {
    apart.Do(command);
  }
  EXPECT_EQ(DumpReplicated(*together.engine()), DumpReplicated(*apart.engine()));
  EXPECT_EQ(together.machine().sizes().superseded_bytes, 2 * (2 + 1 + 40));
}

TEST(ApplyTest, OutcomesNameTheRequestAndOnlyTheWaitingGetAResponse) {
  const auto machine = Open(std::make_shared<storage::MapEngine>());
  internal::Command other = Put("a", "1");
  other.set_member(2);
  other.set_incarnation(9);
  internal::Command earlier_life = Put("a", "1");
  earlier_life.set_member(1);
  earlier_life.set_incarnation(7);
  const std::vector<raft::Entry> entries = {CommandEntry(1, Put("a", "1")), Empty(2),
                                            CommandEntry(3, other), CommandEntry(4, earlier_life)};
  const auto result = machine->Apply(entries, kMe);
  ASSERT_OK(result);
  ASSERT_EQ(result->outcomes.size(), 3u);
  EXPECT_EQ(result->outcomes[0].id, (raft::RequestId{raft::NodeId(1), raft::Incarnation(1), 1}));
  EXPECT_EQ(result->outcomes[0].index, raft::Index(1));
  EXPECT_EQ(result->outcomes[0].response.index(), 1u);
  EXPECT_EQ(result->outcomes[1].id, (raft::RequestId{raft::NodeId(2), raft::Incarnation(9), 3}));
  EXPECT_EQ(result->outcomes[1].response.index(), 0u);
  EXPECT_EQ(result->outcomes[2].response.index(), 0u);
}

TEST(ApplyTest, TheViewMovesAsAWholeAndOldViewsStay) {
  const auto machine = Open(std::make_shared<storage::MapEngine>());
  const auto before = machine->view();
  EXPECT_EQ(before->applied, raft::Index());
  EXPECT_EQ(before->revision, 1);
  const std::vector<raft::Entry> entries = {CommandEntry(1, Put("a", "1")), Empty(2)};
  ASSERT_OK(machine->Apply(entries, kMe));
  EXPECT_EQ(before->revision, 1);
  EXPECT_EQ(machine->view()->revision, 2);
  EXPECT_EQ(machine->view()->applied, raft::Index(2));
  EXPECT_EQ(machine->view()->applied_term, raft::Term(2));
  EXPECT_EQ(machine->applied(), raft::Index(2));
}

TEST(ApplyDeathTest, AnEntryAtOrBelowAppliedIsABug) {
  const auto machine = Open(std::make_shared<storage::MapEngine>());
  const raft::Entry entry = Empty(1);
  ASSERT_OK(machine->Apply({&entry, 1}, kMe));
  EXPECT_DEATH((void)machine->Apply({&entry, 1}, kMe), "check failed");
  const raft::Entry gap = Empty(3);
  EXPECT_DEATH((void)machine->Apply({&gap, 1}, kMe), "check failed");
}

TEST(ApplyTest, NewerSemanticsAreRefusedByName) {
  auto engine = std::make_shared<storage::MapEngine>();
  const auto machine = Open(engine);
  const auto before = Dump(*engine, Family::kMeta);
  internal::Command command = Put("a", "1");
  command.set_semantics(storage::SemanticsVersion() + 1);
  const std::vector<raft::Entry> entries = {CommandEntry(1, Put("b", "1")),
                                            CommandEntry(2, command)};
  EXPECT_THAT(
      machine->Apply(entries, kMe),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("entry 2"),
                     HasSubstr(absl::StrCat("semantics version ", storage::SemanticsVersion() + 1)),
                     HasSubstr(absl::StrCat("up to ", storage::SemanticsVersion())))));
  EXPECT_EQ(Dump(*engine, Family::kMeta), before);
  EXPECT_TRUE(Dump(*engine, Family::kVersions).empty());
}

internal::Command Agree(uint32_t version) {
  internal::Command command;
  command.mutable_agree_semantics()->set_version(version);
  return command;
}

TEST(ApplyTest, AnAgreedVersionStaysAndNeverGoesBack) {
  auto engine = std::make_shared<storage::MapEngine>();
  auto machine = Open(engine);
  EXPECT_EQ(machine->semantics(), storage::kFoundingSemantics);
  const std::vector<raft::Entry> entries = {
      CommandEntry(1, Agree(storage::SemanticsVersion())),
      CommandEntry(2, Agree(storage::kFoundingSemantics)),
  };
  ASSERT_OK(machine->Apply({entries.data(), 1}, kMe));
  EXPECT_EQ(machine->semantics(), storage::SemanticsVersion());
  ASSERT_OK(machine->Apply({&entries[1], 1}, kMe));
  EXPECT_EQ(machine->semantics(), storage::SemanticsVersion());
  machine = Open(engine);
  EXPECT_EQ(machine->semantics(), storage::SemanticsVersion());
}

TEST(ApplyTest, AnAgreementOnNewerRulesIsRefusedByName) {
  const auto machine = Open(std::make_shared<storage::MapEngine>());
  const raft::Entry entry = CommandEntry(1, Agree(storage::SemanticsVersion() + 1));
  EXPECT_THAT(
      machine->Apply({&entry, 1}, kMe),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr(absl::StrCat("semantics version ", storage::SemanticsVersion() + 1))));
  EXPECT_EQ(machine->semantics(), storage::kFoundingSemantics);
}

TEST(ApplyTest, PayloadsThatAreNoCommandsAreRefusedByIndex) {
  const auto machine = Open(std::make_shared<storage::MapEngine>());
  internal::Command no_body;
  no_body.set_semantics(1);
  for (const std::string& payload :
       {std::string("\xff\xff\xff"), std::string(), no_body.SerializeAsString()}) {
    const raft::Entry entry = {raft::Index(1), raft::Term(1), raft::EntryKind::kCommand,
                               std::make_shared<const std::string>(payload)};
    EXPECT_THAT(machine->Apply({&entry, 1}, kMe),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("entry 1")));
  }
  const raft::Entry configuration = {raft::Index(1), raft::Term(1), raft::EntryKind::kConfiguration,
                                     std::make_shared<const std::string>("garbage")};
  EXPECT_FALSE(machine->Apply({&configuration, 1}, kMe).ok());
  EXPECT_EQ(machine->applied(), raft::Index());
}

TEST(ApplyTest, AStallChangesNothingAndTheSameEntriesMayBeTriedAgain) {
  auto engine = std::make_shared<storage::MapEngine>();
  const auto machine = Open(engine);
  const std::vector<raft::Entry> entries = {CommandEntry(1, Put("a", "1")),
                                            CommandEntry(2, Put("a", "2"))};
  engine->SetStalled(true);
  EXPECT_THAT(machine->Apply(entries, kMe), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(machine->view()->revision, 1);
  EXPECT_EQ(machine->sizes().keys, 0);
  engine->SetStalled(false);
  const auto result = machine->Apply(entries, kMe);
  ASSERT_OK(result);
  EXPECT_EQ(machine->view()->revision, 3);
  EXPECT_EQ(machine->sizes().keys, 1);
  storage::RangeCursor cursor(machine->view(), RangeOf("a"));
  ASSERT_EQ(cursor.Step({}), storage::RangeCursor::Progress::kDone);
  EXPECT_EQ(cursor.TakeResponse().kvs(0).version(), 2);
}

TEST(ApplyTest, AnEngineErrorIsPassedOn) {
  auto engine = std::make_shared<storage::MapEngine>();
  const auto machine = Open(engine);
  engine->Fail(absl::InternalError("disk gone"));
  const raft::Entry entry = CommandEntry(1, Put("a", "1"));
  EXPECT_THAT(machine->Apply({&entry, 1}, kMe),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("disk gone")));
}

TEST(DurableTest, IsWhatACrashKeeps) {
  auto engine = std::make_shared<storage::MapEngine>();
  const auto machine = Open(engine);
  EXPECT_THAT(machine->DurableApplied(), IsOkAndHolds(raft::EntryId()));
  const std::vector<raft::Entry> entries = {CommandEntry(1, Put("a", "1")),
                                            CommandEntry(2, Compact(2)), Empty(3)};
  ASSERT_OK(machine->Apply({entries.data(), 2}, kMe));
  ASSERT_OK(engine->Flush());
  ASSERT_OK(machine->Apply({&entries[2], 1}, kMe));
  EXPECT_THAT(machine->DurableApplied(),
              IsOkAndHolds(raft::EntryId{raft::Index(2), raft::Term(1)}));
  EXPECT_EQ(machine->ReadDurable()->compacted, 2);
}

TEST(OpenTest, AnotherFormatAndNewerSemanticsAreRefusedByName) {
  for (const auto& [format, name] : {std::pair(storage::MetaFormat{3, 1}, "format 3"),
                                     {{1, 1}, "format 1"},
                                     {{2, 7}, "semantics version 7"}}) {
    auto engine = std::make_shared<storage::MapEngine>();
    Open(engine);
    storage::WriteBatch batch;
    batch.Put(Family::kMeta, storage::kMetaFormat, storage::EncodeMetaFormat(format));
    ASSERT_OK(engine->Write(batch));
    EXPECT_THAT(StateMachine::Open(engine, OneMember(), {}),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(name)));
  }
}

TEST(OpenTest, AStateThatContradictsItselfIsRefused) {
  const auto damage = [](const std::function<void(storage::WriteBatch&)>& change) {
    auto engine = std::make_shared<storage::MapEngine>();
    const auto machine = Open(engine);
    const raft::Entry entry = CommandEntry(1, Put("a", "1"));
    GAVEL_CHECK(machine->Apply({&entry, 1}, kMe).ok());
    storage::WriteBatch batch;
    change(batch);
    GAVEL_CHECK(engine->Write(batch).ok());
    return StateMachine::Open(engine, OneMember(), {}).status();
  };
  using Batch = storage::WriteBatch;
  const auto is_loss = StatusIs(absl::StatusCode::kDataLoss);
  EXPECT_OK(damage([](Batch&) {}));
  EXPECT_THAT(damage([](Batch& b) { b.Delete(Family::kMeta, storage::kMetaFormat); }), is_loss);
  EXPECT_THAT(damage([](Batch& b) { b.Delete(Family::kMeta, storage::kMetaState); }), is_loss);
  EXPECT_THAT(damage([](Batch& b) { b.Put(Family::kMeta, storage::kMetaState, "x"); }), is_loss);
  EXPECT_THAT(damage([](Batch& b) { b.Delete(Family::kMeta, storage::kMetaConfiguration); }),
              is_loss);
  EXPECT_THAT(damage([](Batch& b) { b.Delete(Family::kChanges, storage::ChangeKey({2, 0})); }),
              is_loss);
  EXPECT_THAT(damage([](Batch& b) { b.Put(Family::kMembers, "x", "y"); }), is_loss);
  EXPECT_THAT(damage([](Batch& b) { b.Put(Family::kMeta, storage::kMetaLeases, "\x01"); }),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("meta: damaged leases")));
  EXPECT_THAT(damage([](Batch& b) {
                storage::MetaState state;
                state.totals.revision = 2;
                state.totals.compacted = 3;
                b.Put(Family::kMeta, storage::kMetaState, storage::EncodeMetaState(state));
              }),
              is_loss);
}

class MembersTest : public ::testing::Test {
 protected:
  void Apply(const raft::Entry& entry, bool expect_change) {
    const auto result = machine_->Apply({&entry, 1}, kMe);
    ASSERT_OK(result);
    EXPECT_EQ(result->members_changed, expect_change);
  }
  raft::Entry Publish(uint64_t index, uint64_t id, const std::string& name) {
    internal::Command command;
    command.mutable_publish_member()->set_id(id);
    command.mutable_publish_member()->set_name(name);
    command.mutable_publish_member()->add_client_urls("http://client-" + name);
    return CommandEntry(index, command);
  }

  std::shared_ptr<storage::MapEngine> engine_ = std::make_shared<storage::MapEngine>();
  std::unique_ptr<StateMachine> machine_ = Open(engine_);
};

TEST_F(MembersTest, TheTableFollowsConfigurationsAndPublications) {
  EXPECT_EQ(*machine_->members(), OneMember().members);
  EXPECT_EQ(*machine_->configuration(), OneMember().configuration);

  raft::Configuration configuration = OneMember().configuration;
  configuration.members.push_back({raft::NodeId(7), {"http://peer-7"}});
  configuration.members.push_back({raft::NodeId(9), {"http://peer-9"}});
  configuration.voters.push_back(raft::NodeId(7));
  Apply(Configured(1, configuration), true);
  EXPECT_EQ(*machine_->members(),
            (std::vector<MemberRecord>{OneMember().members[0],
                                       {raft::NodeId(7), "", {"http://peer-7"}, {}, false},
                                       {raft::NodeId(9), "", {"http://peer-9"}, {}, true}}));
  EXPECT_EQ(*machine_->configuration(), configuration);

  Apply(Publish(2, 7, "seven"), true);
  Apply(Publish(3, 7, "seven"), false);
  Apply(Publish(4, 1000, "stranger"), false);
  configuration.members[1].peer_urls = {"http://moved-7"};
  configuration.members.erase(configuration.members.begin());
  configuration.voters.erase(configuration.voters.begin());
  Apply(Configured(5, configuration), true);
  const std::vector<MemberRecord> expected = {
      {raft::NodeId(7), "seven", {"http://moved-7"}, {"http://client-seven"}, false},
      {raft::NodeId(9), "", {"http://peer-9"}, {}, true}};
  EXPECT_EQ(*machine_->members(), expected);

  machine_ = Open(engine_);
  EXPECT_EQ(*machine_->members(), expected);
  EXPECT_EQ(*machine_->configuration(), configuration);
}

TEST_F(MembersTest, AVoterOfEitherHalfOfAJointConfigurationIsNoLearner) {
  raft::Configuration joint = OneMember().configuration;
  joint.members.push_back({raft::NodeId(2), {"http://peer-2"}});
  joint.voters = {raft::NodeId(2)};
  joint.outgoing_voters = {raft::NodeId(1)};
  Apply(Configured(1, joint), true);
  EXPECT_FALSE((*machine_->members())[0].learner);
  EXPECT_FALSE((*machine_->members())[1].learner);
}

TEST_F(MembersTest, OneBatchMayChangeThemSeveralTimes) {
  raft::Configuration configuration = OneMember().configuration;
  configuration.members.push_back({raft::NodeId(2), {"http://peer-2"}});
  const std::vector<raft::Entry> entries = {Configured(1, configuration), Publish(2, 2, "two"),
                                            Configured(3, OneMember().configuration)};
  const auto result = machine_->Apply(entries, kMe);
  ASSERT_OK(result);
  EXPECT_FALSE(result->members_changed);
  EXPECT_EQ(*machine_->members(), OneMember().members);
  EXPECT_EQ(Dump(*engine_, Family::kMembers).size(), 1u);
}

TEST(DumpTest, CollectorProgressIsNoPartOfTheReplicatedState) {
  Store store;
  store.Do(Put("a", "1"));
  store.Do(Compact(2));
  const auto before = DumpReplicated(*store.engine());
  store.CollectAll();
  EXPECT_EQ(DumpReplicated(*store.engine()), before);
}

}  // namespace
}  // namespace gavel::testing
