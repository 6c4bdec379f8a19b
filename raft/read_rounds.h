// A leader's readers, and the rounds that confirm it is still the leader (Ongaro §6.4).
//
// Readers wait until the next round starts; a round is shared by all that arrived before it.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "raft/message.h"
#include "raft/types.h"

namespace gavel::raft {

// Who asked for a read: this member's own driver, or a follower.
struct Reader {
  NodeId member;
  Incarnation incarnation;
  ReadId id;
};

// A read that may be served once `index` is applied.
struct ConfirmedRead {
  Reader reader;
  Index index;
};

// Invariant: round numbers grow, and no round is used for a reader that arrived after its start.
class ReadRounds {
 public:
  void Add(Reader reader) { waiting_.push_back(reader); }

  bool has_waiting() const { return !waiting_.empty(); }
  bool round_under_way() const { return !started_.empty(); }
  // The newest round started; none before the first.
  Round current() const { return current_; }

  // Starts a round for everyone who waits. `commit` is the commit index of this moment.
  void Start(Index commit);
  // Returns the readers of every round that `confirmed` accepts; later rounds confirm earlier
  // ones, since a confirmation given for a later round was given later.
  std::vector<ConfirmedRead> TakeConfirmed(const std::function<bool(Round)>& confirmed);
  // Returns everyone who is still without an answer, and forgets them.
  std::vector<Reader> TakeAll();

 private:
  struct Started {
    Round round;
    Index index;
    std::vector<Reader> readers;
  };

  Round current_;
  std::vector<Reader> waiting_;
  std::deque<Started> started_;
};

}  // namespace gavel::raft
