// Carries out a sequence, operation by operation, on both servers, and compares.
//
// Calls are compared as they are answered. What watch streams receive is compared when they are at
// rest, which the session brings about where a sequence asks for it, and before what would make
// chance of the rest: a compaction, the cancellation of a watch, the end of a stream.
//
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "raft/random.h"
#include "tests/conformance/call_pair.h"
#include "tests/conformance/exchange.h"
#include "tests/conformance/keep_alive_pair.h"
#include "tests/conformance/member_names.h"
#include "tests/conformance/servers.h"
#include "tests/conformance/watch_history.h"
#include "tests/conformance/watch_pair.h"

namespace gavel::conformance {

struct SessionCounts {
  int64_t refused = 0;          // Answered with an error by both.
  int64_t changed_answers = 0;  // Compared with a change, which showed.
  int64_t changed_streams = 0;
  int64_t events = 0;  // That etcd sent on watch streams.
  int64_t late = 0;    // Not judged, as a lease may have ended in the meantime.
  Hits hits;
};

class Session {
 public:
  // With `streams`, everything that changes is watched from the beginning.
  Session(Servers& servers, uint64_t seed, bool streams);
  ~Session();

  struct Outcome {
    Answers answers;    // For a stream: the answer to the message, if it has one.
    std::string wrong;  // Empty if nothing is.
  };
  // With `planted`, Gavel's answer to a call, or for other operations what it sends until watch
  // streams are next compared, is changed before it is compared.
  Outcome Do(const Operation& operation, size_t turn, bool planted);

  const SessionCounts& counts() const { return counts_; }
  const WatchHistory& history() const { return history_; }

 private:
  using Time = std::chrono::steady_clock::time_point;

  Outcome Call(const Operation& operation, size_t turn, bool planted);
  Outcome SendToWatch(const Operation& operation);
  Outcome SendToKeepAlive(const Operation& operation);
  Outcome AskWatch(const Operation& operation, WatchPair& pair,
                   const etcdserverpb::WatchCreateRequest& request);
  std::string CancelWatch(const Operation& operation, WatchPair& pair, int64_t id);
  std::string AskProgress(const Operation& operation, WatchPair& pair);
  std::string HalfCloseWatch(const Operation& operation);
  std::string Close(const Operation& operation);
  std::string Expire();
  Outcome Begin(const Operation& operation, size_t turn);
  Outcome Await(const Operation& operation);
  std::string Abandon(const Operation& operation);

  // Brings every stream to rest and compares. Returns what is wrong.
  std::string Rest();
  std::string CompareStreams();
  // What `pair` answers to a fence shows that nothing before it is still to be answered.
  std::string Fence(WatchPair& pair);
  // Makes sure that watches which began in the past are taken for up to date: a watch of the newest
  // change, which is asked for after them, has received it. False if that cannot be known.
  bool CatchUp(WatchPair& pair, std::string* wrong);
  // Ends a watch that only one of the two may have taken, and what it was sent.
  std::string CancelNegative(WatchPair& pair);
  // The stream has ended by itself, or will: compares how, and forgets it.
  std::string Ended(const Operation& operation, WatchPair& pair);

  // Compares, and compares once more with a change. Returns what is wrong.
  std::string Judge(const Operation& operation, const Answers& answers);
  void LearnMembers(const Operation& operation, const Answers& raw);
  void LearnLease(const Operation& operation, const Answers& raw, Time sent);
  // `answer` renews a lease, or not.
  void LearnRenewal(int64_t id, const Answer& answer);
  bool IsLate(const Operation& operation) const;
  void Learn(const Operation& operation, const Answer& etcd);
  void LearnCluster(const Operation& operation, const Answer& gavel);

  void Drain();
  // Waits until `done` says so. False if that takes too long.
  bool WaitFor(const std::function<bool()>& done);
  // Whether everything that has been changed has been seen.
  bool HistoryIsWhole() const { return revision_ == 1 || history_.newest() >= revision_; }

  Servers& servers_;
  raft::Random random_;
  Arrivals arrivals_;
  NamesOfBoth names_;
  struct {
    MemberNames etcd;
    MemberNames gavel;
  } members_;
  WatchHistory history_;
  std::unique_ptr<WatchPair> witness_;
  std::map<int64_t, std::unique_ptr<WatchPair>> watches_;
  std::map<int64_t, std::unique_ptr<KeepAlivePair>> keep_alives_;
  std::map<int64_t, std::unique_ptr<CallPair>> calls_;
  std::map<int64_t, Time> safe_until_;  // Leases that end soon, by id.
  LeaseEnds lease_ends_;
  std::map<int64_t, Time> renewal_sent_;  // The first that is not answered yet, by lease.
  uint64_t gavel_cluster_ = 0;
  int64_t revision_ = 1;
  int64_t next_probe_;
  std::chrono::steady_clock::duration longest_{};
  bool planted_ = false;
  SessionCounts counts_;
};

}  // namespace gavel::conformance
