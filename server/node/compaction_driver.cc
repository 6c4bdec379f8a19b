#include "server/node/compaction_driver.h"

#include <optional>
#include <utility>

#include "proto/etcdserverpb/kv.pb.h"

namespace gavel::server {

CompactionDriver::CompactionDriver(const AutoCompactionOptions& options,
                                   const Surroundings& surroundings)
    : on_(options.mode != AutoCompactionOptions::Mode::kOff),
      compaction_(options, surroundings.clock.Now(), surroundings.gate.view()->revision),
      surroundings_(surroundings) {}

void CompactionDriver::Start() {
  if (on_) LookLater();
}

void CompactionDriver::LookLater() {
  surroundings_.background.AddAt(surroundings_.clock.Now() + compaction_.interval(), [this] {
    Look();
    return false;
  });
}

void CompactionDriver::Look() {
  const std::optional<storage::Revision> revision =
      compaction_.Look(surroundings_.clock.Now(), surroundings_.gate.view()->revision);
  const bool leads = surroundings_.gate.status().raft.role == raft::Role::kLeader;
  if (!revision || !leads) return LookLater();
  Compact(*revision);
}

void CompactionDriver::Compact(storage::Revision revision) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  surroundings_.gate.Propose(
      CommandField::kCompact, request.SerializeAsString(), std::nullopt,
      [this, revision](ProposeResult result) {
        if (result.result == GateResult::kStopped) return;
        const bool compacted_before = result.result == GateResult::kRefused &&
                                      result.outcome.error == storage::RequestError::kCompacted;
        if (result.result == GateResult::kOk) {
          surroundings_.logger.Info("compacted by itself", {{"revision", revision}});
        }
        if (result.result == GateResult::kOk || compacted_before) {
          compaction_.OnCompacted(revision, surroundings_.clock.Now());
        }
        // What has failed, or whose end is not known, is tried again: to compact twice is harmless.
        LookLater();
      });
}

}  // namespace gavel::server
