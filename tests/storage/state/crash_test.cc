// Crashes: what comes back is the state after some prefix of the batches, and applying the rest
// of the log again gives what there would have been without the crash.

#include <memory>
#include <optional>
#include <utility>

#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "tests/storage/engine/crash_workload.h"
#include "tests/storage/mvcc/random_requests.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using storage::RequestError;

// An engine, and what a crash leaves of it.
class Crashable {
 public:
  virtual ~Crashable() = default;
  virtual std::shared_ptr<storage::Engine> engine() const = 0;
  // Nobody else holds the engine.
  virtual void Crash(raft::Random& random) = 0;
};

class CrashableMap final : public Crashable {
 public:
  std::shared_ptr<storage::Engine> engine() const override { return engine_; }
  void Crash(raft::Random& random) override { engine_ = engine_->Crash(random); }

 private:
  std::shared_ptr<storage::MapEngine> engine_ = std::make_shared<storage::MapEngine>();
};

// On files that a power cut leaves in disorder. Some crashes are of the process alone: it ends
// without a flush, and the files are as they were.
class CrashableRocks final : public Crashable {
 public:
  CrashableRocks() { Open(); }
  std::shared_ptr<storage::Engine> engine() const override { return engine_; }
  void Crash(raft::Random& random) override {
    auto files = random.OneIn(3) ? files_ : files_->Crash(random);
    engine_.reset();
    files_ = std::move(files);
    Open();
  }

 private:
  void Open() {
    auto engine = storage::OpenOn(files_);
    GAVEL_CHECK(engine.ok()) << engine.status().ToString();
    engine_ = *std::move(engine);
  }

  std::shared_ptr<storage::CrashFileSystem> files_ = std::make_shared<storage::CrashFileSystem>();
  std::shared_ptr<storage::Engine> engine_;
};

// A store that may lose what was not flushed, its log, and the model after each entry.
class CrashRun {
 public:
  CrashRun(uint64_t seed, std::unique_ptr<Crashable> crashable)
      : requests_(seed),
        options_{.lease_renewals_max = seed % 3 == 0 ? 1000 : seed % 8},
        crashable_(std::move(crashable)) {
    store_.emplace(crashable_->engine(), options_);
    models_.emplace_back();
  }

  void Step() {
    raft::Random& random = requests_.random();
    ApplyBatch();
    for (uint64_t i = random.Below(4); i > 0; --i) {
      store_->CollectStep(static_cast<int64_t>(random.Between(1, 10)));
    }
    if (random.OneIn(6)) {
      ASSERT_TRUE(store_->engine()->Flush().ok());
    }
    if (random.OneIn(5)) Crash();
  }

  void CompareEnd() {
    store_->CollectAll(3);
    const Model& model = models_.back();
    ASSERT_EQ(StoredVersions(*store_->engine()), model.RetainedVersions());
    ASSERT_EQ(StoredChanges(*store_->engine()), model.RetainedChanges());
    Store never_crashed(nullptr, options_);
    for (const internal::Command& command : log_) never_crashed.Do(command);
    EXPECT_EQ(store_->HashKv(), never_crashed.HashKv());
    never_crashed.CollectAll();
    EXPECT_EQ(DumpReplicated(*store_->engine()), DumpReplicated(*never_crashed.engine()));
  }

  int crashes() const { return crashes_; }
  int entries_lost() const { return entries_lost_; }
  // Commands on leases that deleted keys.
  int leases_ended_with_keys() const { return leases_ended_with_keys_; }

 private:
  void ApplyBatch() {
    const uint64_t size = requests_.random().Between(1, 6);
    std::vector<internal::Command> commands;
    for (uint64_t i = 0; i < size; ++i) {
      const Model& before = models_.back();
      const bool lease = requests_.random().OneIn(4);
      commands.push_back(lease ? requests_.LeaseCommand(before)
                               : requests_.Command(before.revision()));
      log_.push_back(commands.back());
      Model next = before;
      next.Apply(commands.back(), log_.size());
      if (lease && next.revision() > before.revision()) ++leases_ended_with_keys_;
      models_.push_back(std::move(next));
    }
    store_->DoBatch(commands);
  }

  void Crash() {
    const uint64_t durable = store_->machine().DurableApplied()->index.value();
    store_.reset();
    crashable_->Crash(requests_.random());
    store_.emplace(crashable_->engine(), options_);
    ++crashes_;
    const uint64_t applied = store_->machine().applied().value();
    ASSERT_GE(applied, durable);
    ASSERT_LT(applied, models_.size());
    entries_lost_ += static_cast<int>(log_.size() - applied);
    CompareWith(models_[applied]);
    // The Raft log has the rest.
    if (applied < log_.size()) {
      store_->DoBatch({log_.begin() + static_cast<ptrdiff_t>(applied), log_.end()});
    }
    CompareWith(models_.back());
  }

  void CompareWith(const Model& model) {
    ASSERT_EQ(store_->machine().view()->revision, model.revision());
    ASSERT_EQ(store_->machine().view()->compacted, model.compacted());
    ASSERT_EQ(store_->machine().sizes().live_bytes, model.Sizes().live_bytes);
    ASSERT_EQ(store_->machine().sizes().superseded_bytes, model.Sizes().superseded_bytes);
    ASSERT_EQ(store_->machine().leases().clock_ms, model.lease_clock_ms);
    ASSERT_EQ(store_->machine().leases().count, static_cast<int64_t>(model.leases.size()));
    ASSERT_EQ(StoredLeases(*store_->engine()), model.leases);
    ASSERT_EQ(StoredLeaseKeys(*store_->engine()), model.LeaseKeys());
    for (int i = 0; i < 10; ++i) {
      const etcdserverpb::RangeRequest range = requests_.Range(model.revision());
      const Model::RangeOutcome expected = model.Range(range);
      const Store::RangeOutcome outcome = store_->Range(range);
      ASSERT_EQ(outcome.error, expected.error);
      ASSERT_EQ(outcome.response.ShortDebugString(), expected.response.ShortDebugString());
    }
  }

  RandomRequests requests_;
  const storage::StateMachineOptions options_;
  const std::unique_ptr<Crashable> crashable_;
  std::optional<Store> store_;
  std::vector<internal::Command> log_;
  std::vector<Model> models_;  // [i]: after i entries.
  int crashes_ = 0;
  int entries_lost_ = 0;
  int leases_ended_with_keys_ = 0;
};

struct Crashes {
  int crashes = 0;
  int entries_lost = 0;
  int leases_ended_with_keys = 0;
};

template <class Engine>
Crashes RunSeeds(uint64_t seeds) {
  Crashes all;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(seed);
    CrashRun run(seed, std::make_unique<Engine>());
    for (int step = 0; step < 40 && !::testing::Test::HasFatalFailure(); ++step) run.Step();
    if (::testing::Test::HasFatalFailure()) break;
    run.CompareEnd();
    all.crashes += run.crashes();
    all.entries_lost += run.entries_lost();
    all.leases_ended_with_keys += run.leases_ended_with_keys();
  }
  return all;
}

TEST(CrashTest, WhatComesBackIsTheModelAtItsAppliedIndex) {
  const Crashes all = RunSeeds<CrashableMap>(60);
  EXPECT_GT(all.crashes, 200);
  EXPECT_GT(all.entries_lost, 500);
  EXPECT_GT(all.leases_ended_with_keys, 60);
}

TEST(CrashTest, SoItIsOnRocksDb) {
  const Crashes all = RunSeeds<CrashableRocks>(40);
  EXPECT_GT(all.crashes, 130);
  EXPECT_GT(all.entries_lost, 300);
  EXPECT_GT(all.leases_ended_with_keys, 40);
}

// Every state that a crash can leave around one compaction: before it, after it, and after each
// step of its collection, each with the file drops that had been done by then.
TEST(CrashTest, EveryPointAroundACompactionRecovers) {
  const auto commands = [] {
    std::vector<internal::Command> all;
    for (int i = 0; i < 12; ++i) all.push_back(Put("k" + std::to_string(i % 4), std::to_string(i)));
    all.push_back(Delete("k1"));
    all.push_back(Delete("k2"));
    all.push_back(Put("k1", "again"));
    all.push_back(Compact(15));
    return all;
  }();
  Store expected;
  for (const internal::Command& command : commands) expected.Do(command);
  expected.CollectAll();

  int points = 0;
  for (size_t flushed_before = 0; flushed_before < 12; ++flushed_before) {
    auto engine = std::make_shared<storage::MapEngine>();
    Store store(engine);
    for (size_t i = 0; i + 1 < commands.size(); ++i) {
      if (i == 3) {
        ASSERT_TRUE(engine->Flush().ok());
      }
      store.Do(commands[i]);
    }
    store.Do(commands.back());
    // A flush at a different place of the collection each time.
    for (size_t step = 0; store.CollectStep(2); ++step) {
      if (step == flushed_before) {
        ASSERT_TRUE(engine->Flush().ok());
      }
    }
    ASSERT_TRUE(store.collector().DropFiles().ok());
    for (size_t kept = 0; kept <= engine->unflushed_states(); ++kept, ++points) {
      SCOPED_TRACE(::testing::Message() << "flushed " << flushed_before << " kept " << kept);
      std::shared_ptr<storage::MapEngine> crashed = engine->CrashKeeping(kept);
      Store recovered(crashed);
      const size_t applied = recovered.machine().applied().value();
      const int64_t revision = recovered.machine().view()->revision;
      ASSERT_LE(recovered.machine().view()->compacted, revision);
      for (size_t i = applied; i < commands.size(); ++i) recovered.Do(commands[i]);
      EXPECT_EQ(recovered.HashKv(), expected.HashKv());
      recovered.CollectAll(2);
      EXPECT_EQ(DumpReplicated(*crashed), DumpReplicated(*expected.engine()));
    }
  }
  EXPECT_GT(points, 30);
}

}  // namespace
}  // namespace gavel::testing
