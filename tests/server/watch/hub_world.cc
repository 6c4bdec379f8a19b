#include "tests/server/watch/hub_world.h"

#include "gtest/gtest.h"

namespace gavel::testing {

bool HeldExecutor::RunOne() {
  if (work_.empty()) return false;
  absl::AnyInvocable<void()> work = std::move(work_.front());
  work_.pop_front();
  work();
  return true;
}

void LoggedStream::Create(const server::WatchOptions& options) {
  log->Expect(options);
  stream->Create(options);
}

void LoggedStream::Cancel(server::WatchId id) {
  log->ExpectCanceled(id);
  stream->Cancel(id);
}

void LoggedStream::MakeRoom() {
  if (log->MakeRoom()) stream->OnWritable();
}

HubWorld::HubWorld(const server::WatchLimits& limits, std::shared_ptr<storage::Engine> engine)
    : store(std::move(engine)) {
  hub = std::make_unique<server::WatchHub>(
      limits, server::WatchHub::Surroundings{
                  &clock, [this] { return store.machine_view(); },
                  [this](server::WatchHub::Step step) { background_.push_back(std::move(step)); },
                  [this](server::MonotonicNs at, server::WatchHub::Step step) {
                    later_.emplace(at, std::move(step));
                  }});
}

HubWorld::~HubWorld() = default;

void HubWorld::Apply(const std::vector<internal::Command>& commands) {
  ApplyOnly(commands);
  HandOver();
}

void HubWorld::ApplyOnly(const std::vector<internal::Command>& commands) {
  Batch batch;
  batch.asked = hub->wants_changes();
  std::vector<raft::Entry> entries;
  for (const internal::Command& command : commands) {
    entries.push_back(
        CommandEntry(store.machine().applied().value() + 1 + entries.size(), command));
  }
  auto result =
      store.machine().Apply(entries, {raft::NodeId(1), raft::Incarnation(1), /*changes=*/true});
  ASSERT_TRUE(result.ok()) << result.status();
  history.Add(result->changes);
  batch.view = store.machine_view();
  history.SetCompacted(batch.view->compacted);
  if (batch.asked) batch.changes = std::move(result->changes);
  batches_.push_back(std::move(batch));
}

void HubWorld::HandOver() {
  while (!batches_.empty()) {
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    hub->OnApplied(std::move(batch.changes), batch.asked, *batch.view);
  }
}

void HubWorld::Put(const std::string& key, const std::string& value) {
  Apply({gavel::testing::Put(key, value)});
}

LoggedStream HubWorld::Open(std::shared_ptr<HeldExecutor> executor, size_t room) {
  LoggedStream stream;
  stream.log = std::make_shared<WatchLog>(history, room);
  stream.executor = executor;
  stream.stream = hub->Open(stream.log, std::move(executor));
  return stream;
}

bool HubWorld::RunBackground() {
  if (background_.empty()) return false;
  server::WatchHub::Step step = std::move(background_.front());
  background_.pop_front();
  if (step()) background_.push_back(std::move(step));
  return true;
}

void HubWorld::RunAllBackground() {
  for (int i = 0; i < 1000000; ++i) {
    if (!RunBackground()) return;
  }
  FAIL() << "the background is never done";
}

void HubWorld::PassTime(server::MonotonicNs by) {
  const server::MonotonicNs end = clock.Now() + by;
  while (!later_.empty() && later_.begin()->first <= end) {
    const server::MonotonicNs at = later_.begin()->first;
    if (at > clock.Now()) clock.Advance(at - clock.Now());
    background_.push_back(std::move(later_.begin()->second));
    later_.erase(later_.begin());
    RunAllBackground();
  }
  clock.Advance(end - clock.Now());
}

}  // namespace gavel::testing
