#include "server/node/renewals.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "raft/check.h"

namespace gavel::server {

void Renewals::Add(int64_t id, MonotonicNs deadline, RenewDone done) {
  if (commands_.empty() || commands_.back().command.ids_size() >= kIdsMax) commands_.emplace_back();
  Open& open = commands_.back();
  open.command.add_ids(id);
  open.deadline = std::max(open.deadline, deadline);
  open.waiters.push_back(std::move(done));
  ++count_;
}

std::vector<Renewals::Command> Renewals::TakeDue(MonotonicNs now) {
  if (empty() || now < pause_until_) return {};
  pause_until_ = count_ < kPauseRenewalsMin ? 0 : now + kPause;
  return TakeAll();
}

std::vector<Renewals::Command> Renewals::TakeAll() {
  std::vector<Command> commands;
  commands.reserve(commands_.size());
  for (Open& open : commands_) {
    commands.push_back({open.command.SerializeAsString(), open.deadline, std::move(open.waiters)});
  }
  commands_.clear();
  count_ = 0;
  return commands;
}

void Renewals::Finish(std::vector<RenewDone> waiters, const ProposeResult& result) {
  const auto* outcome = std::get_if<storage::RenewOutcome>(&result.outcome.response);
  if (result.result == GateResult::kOk) {
    GAVEL_CHECK(outcome != nullptr && outcome->ttl_seconds.size() == waiters.size())
        << "the outcome is of another command";
  }
  for (size_t i = 0; i < waiters.size(); ++i) {
    const int64_t ttl = result.result == GateResult::kOk ? outcome->ttl_seconds[i] : 0;
    std::move(waiters[i])(result.result, ttl);
  }
}

}  // namespace gavel::server
