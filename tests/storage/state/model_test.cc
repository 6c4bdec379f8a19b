// The store against the model: random commands in batches of random size, random ranges at any
// revision, compactions, collection and restarts in between, on both engines.

#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/state/lease_reader.h"
#include "tests/storage/mvcc/model.h"
#include "tests/storage/mvcc/random_requests.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using storage::CommandOutcome;
using storage::RequestError;

std::string Text(const storage::CommandResponse& response) {
  return std::visit(
      [](const auto& message) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(message)>, std::monostate>) {
          return "none";
        } else if constexpr (std::is_same_v<std::decay_t<decltype(message)>,
                                            storage::RenewOutcome>) {
          std::string ttls = "renewed";
          for (const int64_t ttl : message.ttl_seconds) ttls += " " + std::to_string(ttl);
          return ttls;
        } else if constexpr (std::is_same_v<std::decay_t<decltype(message)>, storage::AlarmTable>) {
          return "alarms";
        } else {
          return std::string(message.GetTypeName()) + " " + message.ShortDebugString();
        }
      },
      response);
}

class Run {
 public:
  Run(uint64_t seed, std::shared_ptr<storage::Engine> engine,
      const storage::StateMachineOptions& options)
      : requests_(seed), store_(std::move(engine), options) {}

  void Step() {
    ApplyBatch();
    CompareLeases();
    for (int i = 0; i < 4; ++i) CompareRange();
    raft::Random& random = requests_.random();
    if (random.OneIn(3)) store_.CollectStep(static_cast<int64_t>(random.Between(1, 20)));
    if (random.OneIn(20)) store_.CollectAll();
    if (random.OneIn(15)) {
      EXPECT_TRUE(store_.engine()->Flush().ok());
    }
    if (random.OneIn(25)) store_.Reopen();
  }

  void CompareEnd() {
    store_.CollectAll();
    EXPECT_EQ(StoredVersions(*store_.engine()), model_.RetainedVersions());
    EXPECT_EQ(StoredChanges(*store_.engine()), model_.RetainedChanges());
  }

  int64_t revision() const { return model_.revision(); }

 private:
  void ApplyBatch() {
    std::vector<internal::Command> commands;
    const uint64_t size = requests_.random().Between(1, 12);
    std::vector<ModelOutcome> expected;
    for (uint64_t i = 0; i < size; ++i) {
      const bool lease = requests_.random().OneIn(4);
      commands.push_back(lease ? requests_.LeaseCommand(model_)
                               : requests_.Command(model_.revision()));
      expected.push_back(model_.Apply(commands.back(), store_.machine().applied().value() + i + 1));
    }
    const std::vector<CommandOutcome> outcomes = store_.DoBatch(commands);
    for (uint64_t i = 0; i < size; ++i) {
      ASSERT_EQ(outcomes[i].error, expected[i].error) << commands[i].ShortDebugString();
      ASSERT_EQ(Text(outcomes[i].response), Text(expected[i].response))
          << commands[i].ShortDebugString();
    }
    ASSERT_EQ(store_.machine().view()->revision, model_.revision());
    ASSERT_EQ(store_.machine().view()->compacted, model_.compacted());
    const auto sizes = store_.machine().sizes();
    const auto recounted = model_.Sizes();
    ASSERT_EQ(sizes.keys, recounted.keys);
    ASSERT_EQ(sizes.live_bytes, recounted.live_bytes);
    ASSERT_EQ(sizes.superseded_bytes, recounted.superseded_bytes);
  }

  void CompareLeases() {
    storage::LeaseScan scan(store_.engine());
    std::map<int64_t, Model::Lease> stored;
    bool done = false;
    while (!done) {
      const auto step = scan.Step(2);
      ASSERT_TRUE(step.ok()) << step.status().ToString();
      done = *step;
    }
    for (const auto& [id, row] : scan.TakeLeases()) {
      stored[id] = {row.ttl_seconds, row.deadline_ms, row.renewed.value()};
    }
    ASSERT_EQ(stored, model_.leases);
    const auto view = store_.machine().view();
    for (const int64_t id : RandomRequests::kLeases) {
      const auto row = storage::ReadLease(*view, id);
      ASSERT_TRUE(row.ok()) << row.status().ToString();
      ASSERT_EQ(row->has_value(), stored.contains(id));
      if (!row->has_value()) continue;
      const Model::Lease lease = {(*row)->ttl_seconds, (*row)->deadline_ms,
                                  (*row)->renewed.value()};
      ASSERT_EQ(lease, stored[id]);
    }
    const auto totals = store_.machine().leases();
    ASSERT_EQ(totals.count, static_cast<int64_t>(model_.leases.size()));
    ASSERT_EQ(totals.clock_ms, model_.lease_clock_ms);
  }

  void CompareRange() {
    const etcdserverpb::RangeRequest request = requests_.Range(model_.revision());
    const Model::RangeOutcome expected = model_.Range(request);
    const storage::RangeBudget budget = {
        .rows_max = static_cast<int64_t>(requests_.random().Between(1, 30)),
        .bytes_max = static_cast<int64_t>(requests_.random().Between(1, 3000))};
    const Store::RangeOutcome outcome = store_.Range(request, budget);
    ASSERT_EQ(outcome.error, expected.error) << request.ShortDebugString();
    ASSERT_EQ(outcome.response.ShortDebugString(), expected.response.ShortDebugString())
        << request.ShortDebugString();
  }

  RandomRequests requests_;
  Model model_;
  Store store_;
};

void Compare(uint64_t seed, std::shared_ptr<storage::Engine> engine, int steps) {
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  // No cache, one that holds a few keys, one that holds all.
  // Caches change nothing, and no more does when renewals are folded.
  const storage::StateMachineOptions options[] = {
      {.newest_cache_bytes_max = 0,
       .lease_cache_rows_max = 0,
       .lease_key_cache_bytes_max = 0,
       .lease_renewals_max = 5,
       .count_part_keys = 1},
      {.newest_cache_bytes_max = 2000,
       .lease_cache_rows_max = 4,
       .lease_key_cache_bytes_max = 1000,
       .lease_renewals_max = 0,
       .count_part_keys = 2},
      {.newest_cache_bytes_max = 1 << 20, .lease_cache_rows_max = 1000}};
  Run run(seed, std::move(engine), options[seed % 3]);
  for (int step = 0; step < steps; ++step) {
    run.Step();
    if (::testing::Test::HasFatalFailure()) return;
  }
  run.CompareEnd();
  // The run must have been about something.
  EXPECT_GT(run.revision(), steps);
}

TEST(ModelTest, MapEngineEqualsTheModel) {
  for (uint64_t seed = 1; seed <= 200 && !HasFatalFailure(); ++seed) {
    Compare(seed, std::make_shared<storage::MapEngine>(), 120);
  }
}

TEST(ModelTest, RocksEngineEqualsTheModel) {
  for (uint64_t seed = 1; seed <= 6 && !HasFatalFailure(); ++seed) {
    const TemporaryDirectory directory;
    Compare(seed, OpenRocks(directory), 120);
  }
}

}  // namespace
}  // namespace gavel::testing
