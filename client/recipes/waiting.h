// The steps that recipes share: waiting, and keys that live as long as a session.
//
// Recipes wait by watching: nothing here asks again and again. Not for programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "client/kv.h"
#include "client/lease.h"
#include "client/recipes/either_stops.h"
#include "client/recipes/fence.h"
#include "client/recipes/wait_options.h"
#include "client/watch.h"

namespace gavel::client::recipes {

// One wait: by when it ends, and what ends it early: the program's stop token, or the loss of the
// session. Used by one thread.
class Waiting {
 public:
  // `session` may be null; otherwise it must outlive this.
  Waiting(WaitOptions options, const Session* session);
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  // OK as long as it makes sense to go on; else kLeaseLost, kCancelled or kDeadline.
  Status Check() const;
  // Stop is requested when the wait is to end early.
  std::stop_token stop() const { return stops_.token(); }
  // The session's. Requires: there is one.
  int64_t lease() const { return session_->lease(); }
  // How much time is left; none if there is no limit.
  std::optional<std::chrono::milliseconds> left() const;
  // For calls: they end when the wait does.
  CallOptions call_options() const;

  // What comes, if the wait does not end before; then the call is cancelled.
  template <class T>
  Result<T> Await(const Pending<T>& pending) const {
    if (Status over = Check(); !over.ok()) return over;
    const std::stop_callback cancel(stop(), [&] { pending.Cancel(); });
    // Of what came just now, nothing is lost.
    if (const auto rest = left(); rest && !pending.WaitFor(*rest)) pending.Cancel();
    Result<T> result = pending.Get();
    if (!result.ok()) return Explain(result.status());
    return result;
  }
  // Commits again and again until the outcome is known. To carry the transaction out twice must be
  // as good as once.
  Result<TxnResponse> Commit(const Kv& kv, const Txn& txn) const;
  // The same of a transaction that creates `key` with the session's lease, if it is not there. If
  // that fails, the key is given up.
  Result<TxnResponse> Create(const Kv& kv, const Txn& txn, const std::string& key) const;
  // Deletes a key of the session's, in the background if that takes long. If it cannot be done, the
  // key ends with the session.
  void GiveUp(const Kv& kv, const std::string& key) const;
  // Reads until there is an answer.
  Result<RangeResponse> Range(const Kv& kv, const RangeRequest& request) const;

 private:
  // What to tell of a call or watcher that failed: why the wait is over if it is, else its error.
  Status Explain(const Status& status) const;
  // Deletes the key if it is the session's.
  Txn Removal(const std::string& key) const;
  // Before it is asked again; the end of the wait ends it too.
  void Pause(int tries) const;
  // True if the call ended before the wait did. It is not cancelled.
  bool Ends(const Pending<TxnResponse>& pending) const;

  const WaitOptions options_;
  const Session* const session_;
  const std::chrono::steady_clock::time_point deadline_;
  const EitherStops stops_;  // The program's, and the session's loss.
};

// A key that lives as long as a session, and says who came when.
struct OwnKey {
  std::string key = {};
  int64_t create_revision = 0;
  std::string value = {};  // Another than was asked for if the key was there before.

  Fence fence() const { return {.key = key, .token = create_revision}; }
};

// prefix + the lease in hexadecimal, as etcd's clients and servers name such keys. So a session has
// one key of a recipe, however often it asks for it.
std::string KeyOfSession(std::string_view prefix, const Session& session);
// Puts the key, if it is not there, with the session's lease, waits until `turn` says that its turn
// has come, and looks whether it is there still. After a failure the key is given up.
Result<Fence> HoldInTurn(const Kv& kv, const Waiting& waiting, const std::string& key,
                         std::string_view value, const std::function<Status(const OwnKey&)>& turn);
// What to answer at once to whoever asks to hold: what it holds already, or why that cannot be
// looked at. Nothing if it holds nothing (any more), so that it has to take its turn.
std::optional<Result<Fence>> HeldAlready(const Kv& kv, const Waiting& waiting,
                                         std::optional<Fence>* held);
// Deletes the key of what is held, if it is the same still, and forgets it. Neither not finding it
// nor not holding anything is an error.
Status ReleaseHeld(const Kv& kv, std::optional<Fence>* held, CallOptions options);
// Waits until no key of `range` is older than `create_revision`: for the deletion of the youngest
// of those that are, so that each release wakes one.
Status UntilFirst(const Kv& kv, const Watch& watch, const Waiting& waiting, const KeyRange& range,
                  int64_t create_revision);
// Waits until the key is deleted at or after `revision`.
Status UntilDeleted(const Kv& kv, const Watch& watch, const Waiting& waiting,
                    const std::string& key, int64_t revision);
// kLeaseLost if the own key is gone: what came too late is not held.
Status CheckStillThere(const Kv& kv, const Waiting& waiting, const Fence& own);
// The same of what was held; what is lost is forgotten. Requires: *held.
Status CheckStillHeld(const Kv& kv, const Waiting& waiting, std::optional<Fence>* held);

Status LeaseIsLost();
Status NotHeld(std::string_view what);

}  // namespace gavel::client::recipes
