// Readers on their way to a linearizable view (Ongaro §6.4).
//
// Passive: no lock, no clock, no thread. MemberGate owns one and guards it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "raft/types.h"
#include "server/clock.h"
#include "server/node/gate.h"

namespace gavel::server {

// A reader's call-back with how its wait ended (for kOk the view is the caller's to add).
struct FinishedRead {
  ReadDone done;
  GateResult result = GateResult::kOk;
};

// A reader waits for the next confirmation round, then for the round's index to be confirmed,
// then for that index to be applied here. A round serves exactly the readers that arrived before
// it began. One round is under way at a time; a round that is lost or refused is never asked for
// again: its readers join a later one, under a new id, which is as good for them.
//
// A round costs several messages and wakes on every member, however few it serves. One that served
// many readers is therefore followed by a pause as long as itself: the next serves twice as many.
class ReadBarrier {
 public:
  // A round without an answer for so long is given up.
  static constexpr MonotonicNs kRetryAfter = 500 * kNsPerMs;
  // A round of fewer readers is followed by no pause.
  static constexpr size_t kPauseReadersMin = 8;
  static constexpr MonotonicNs kPauseMax = 2 * kNsPerMs;

  void Add(MonotonicNs deadline, ReadDone done);

  // True if Begin would return a round now.
  bool CanBegin() const {
    return !round_.has_value() && !waiting_.empty() && !holding_ && !pause_until_.has_value();
  }
  // When Begin must be called, to end the pause.
  std::optional<MonotonicNs> pause_until() const { return pause_until_; }
  // Starts a round for all who wait; nothing if none does, a round is under way, or in a pause.
  std::optional<raft::ReadId> Begin(MonotonicNs now);

  // The round's readers may be served from `index` on. Ignores rounds given up.
  void OnGranted(raft::ReadId id, raft::Index index, MonotonicNs now);
  // The round failed. Its readers wait for the next, which begins at once if `retry_now`, else
  // after Release.
  void OnFailed(raft::ReadId id, bool retry_now);
  // There may be a leader (again): rounds may begin.
  void Release() { holding_ = false; }

  // Returns the readers whose index is applied.
  std::vector<FinishedRead> TakeServable(raft::Index applied);

  // Gives up a round that is too old, and ends what is past its deadline. `given_up` counts the
  // rounds given up.
  std::vector<FinishedRead> Expire(MonotonicNs now, bool leader_known, uint64_t* given_up);
  std::vector<FinishedRead> Stop();

  // Readers whose round is not confirmed.
  size_t unconfirmed() const {
    return waiting_.size() + (round_.has_value() ? round_->readers.size() : 0);
  }
  bool empty() const { return waiting_.empty() && !round_.has_value() && granted_.empty(); }

 private:
  struct Reader {
    MonotonicNs deadline = 0;
    ReadDone done;
  };
  struct RoundUnderWay {
    raft::ReadId id;
    MonotonicNs began = 0;
    std::vector<Reader> readers;
  };

  void GiveUpRound();
  static void TakeExpired(MonotonicNs now, GateResult result, std::vector<Reader>& readers,
                          std::vector<FinishedRead>& finished);

  uint64_t last_id_ = 0;
  bool holding_ = false;
  std::optional<MonotonicNs> pause_until_;
  std::vector<Reader> waiting_;
  std::optional<RoundUnderWay> round_;
  std::map<raft::Index, std::vector<Reader>> granted_;
};

}  // namespace gavel::server
