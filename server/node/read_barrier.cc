#include "server/node/read_barrier.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/sim_point.h"

namespace gavel::server {

void ReadBarrier::Add(MonotonicNs deadline, ReadDone done) {
  waiting_.push_back({deadline, std::move(done)});
}

std::optional<raft::ReadId> ReadBarrier::Begin(MonotonicNs now) {
  if (pause_until_.has_value() && now >= *pause_until_) pause_until_.reset();
  if (!CanBegin()) return std::nullopt;
  round_.emplace(RoundUnderWay{raft::ReadId(++last_id_), now, std::move(waiting_)});
  waiting_.clear();
  return round_->id;
}

void ReadBarrier::OnGranted(raft::ReadId id, raft::Index index, MonotonicNs now) {
  if (!round_.has_value() || round_->id != id) return;
  if (round_->readers.size() >= kPauseReadersMin) {
    pause_until_ = now + std::min(now - round_->began, kPauseMax);
  }
  std::vector<Reader>& readers = granted_[index];
  if (readers.empty()) {
    readers = std::move(round_->readers);
  } else {
    readers.insert(readers.end(), std::make_move_iterator(round_->readers.begin()),
                   std::make_move_iterator(round_->readers.end()));
  }
  round_.reset();
}

void ReadBarrier::GiveUpRound() {
  waiting_.insert(waiting_.begin(), std::make_move_iterator(round_->readers.begin()),
                  std::make_move_iterator(round_->readers.end()));
  round_.reset();
}

void ReadBarrier::OnFailed(raft::ReadId id, bool retry_now) {
  if (!round_.has_value() || round_->id != id) return;
  GiveUpRound();
  holding_ = !retry_now;
}

std::vector<FinishedRead> ReadBarrier::TakeServable(raft::Index applied) {
  std::vector<FinishedRead> finished;
  while (!granted_.empty() && (granted_.begin()->first <= applied || GAVEL_PLANTED_BUG(26))) {
    for (Reader& reader : granted_.begin()->second) {
      finished.push_back({std::move(reader.done), GateResult::kOk});
    }
    granted_.erase(granted_.begin());
  }
  return finished;
}

void ReadBarrier::TakeExpired(MonotonicNs now, GateResult result, std::vector<Reader>& readers,
                              std::vector<FinishedRead>& finished) {
  size_t kept = 0;
  for (Reader& reader : readers) {
    if (reader.deadline <= now) {
      finished.push_back({std::move(reader.done), result});
    } else {
      if (&readers[kept] != &reader) readers[kept] = std::move(reader);
      ++kept;
    }
  }
  readers.erase(readers.begin() + static_cast<std::ptrdiff_t>(kept), readers.end());
}

std::vector<FinishedRead> ReadBarrier::Expire(MonotonicNs now, bool leader_known,
                                              uint64_t* given_up) {
  if (round_.has_value() && now - round_->began >= kRetryAfter) {
    GiveUpRound();
    ++*given_up;
  }
  std::vector<FinishedRead> finished;
  const GateResult result = leader_known ? GateResult::kTimedOut : GateResult::kNoLeader;
  TakeExpired(now, result, waiting_, finished);
  if (round_.has_value()) TakeExpired(now, result, round_->readers, finished);
  for (auto it = granted_.begin(); it != granted_.end();) {
    TakeExpired(now, GateResult::kTimedOut, it->second, finished);
    it = it->second.empty() ? granted_.erase(it) : std::next(it);
  }
  return finished;
}

std::vector<FinishedRead> ReadBarrier::Stop() {
  std::vector<FinishedRead> finished;
  if (round_.has_value()) GiveUpRound();
  for (Reader& reader : waiting_)
    finished.push_back({std::move(reader.done), GateResult::kStopped});
  waiting_.clear();
  for (auto& [index, readers] : granted_) {
    for (Reader& reader : readers) {
      finished.push_back({std::move(reader.done), GateResult::kStopped});
    }
  }
  granted_.clear();
  return finished;
}

}  // namespace gavel::server
