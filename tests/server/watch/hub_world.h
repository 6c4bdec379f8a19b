// A watch hub over a real state machine, with every thread a queue that the test empties.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"

#include "server/watch/watch_hub.h"
#include "tests/server/node/manual_clock.h"
#include "tests/server/watch/watch_log.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {

// An executor that runs its work when it is told to.
class HeldExecutor final : public server::Executor {
 public:
  void Run(absl::AnyInvocable<void()> work) override { work_.push_back(std::move(work)); }
  // Runs what was there first; false if there is nothing.
  bool RunOne();
  bool idle() const { return work_.empty(); }

 private:
  std::deque<absl::AnyInvocable<void()>> work_;
};

// A stream of watchers whose log is checked as it grows.
struct LoggedStream {
  // Asks for a watcher.
  void Create(const server::WatchOptions& options);
  void Cancel(server::WatchId id);
  // There is room again, if there was none.
  void MakeRoom();

  std::shared_ptr<WatchLog> log;
  std::shared_ptr<HeldExecutor> executor;  // Null: told in place.
  std::unique_ptr<server::WatchStream> stream;
};

class HubWorld {
 public:
  explicit HubWorld(const server::WatchLimits& limits = {},
                    std::shared_ptr<storage::Engine> engine = nullptr);
  ~HubWorld();

  // Applies a batch and hands it to the hub.
  void Apply(const std::vector<internal::Command>& commands);
  // The same in two steps: between them the view is published, and the hub does not know.
  void ApplyOnly(const std::vector<internal::Command>& commands);
  void HandOver();
  void Put(const std::string& key, const std::string& value);

  LoggedStream Open(std::shared_ptr<HeldExecutor> executor = nullptr, size_t room = ~size_t{0});

  // One step of the background; false if there is none to do.
  bool RunBackground();
  // Until nothing is left to do in the background.
  void RunAllBackground();
  // Moves the clock, and runs what was to be run by then.
  void PassTime(server::MonotonicNs by);

  storage::Revision revision() const { return store.machine_view()->revision; }

  struct HubStore : Store {
    using Store::Store;
    std::shared_ptr<const storage::ReadView> machine_view() const {
      return const_cast<HubStore*>(this)->machine().view();
    }
  };
  HubStore store;
  History history;
  ManualClock clock;
  std::unique_ptr<server::WatchHub> hub;

 private:
  struct Batch {
    std::vector<storage::KeyChange> changes;
    bool asked = false;
    std::shared_ptr<const storage::ReadView> view;
  };
  std::deque<Batch> batches_;
  std::deque<server::WatchHub::Step> background_;
  std::multimap<server::MonotonicNs, server::WatchHub::Step> later_;
};

}  // namespace gavel::testing
