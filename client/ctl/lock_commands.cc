// lock and elect.
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/process.h"
#include "client/ctl/session.h"
#include "client/internal/local_mutex.h"
#include "client/recipes/either_stops.h"
#include "client/recipes/election.h"
#include "client/recipes/mutex.h"

namespace gavel::client::ctl {
namespace {

constexpr char kWhyExpired[] =
    "Its lease could not be renewed in time, and another may have its place. See how the members "
    "are with 'gavelctl endpoint status --cluster', and begin anew.";

using KeptLease = gavel::client::Session;

constexpr std::chrono::seconds kElectionTtl{60};
constexpr std::chrono::milliseconds kBeforeNextTry{200};

// False: the time was up before.
bool WaitFor(const std::stop_token& stop,
             std::optional<std::chrono::milliseconds> time = std::nullopt) {
  internal::LocalMutex mutex;
  std::condition_variable_any stopped;
  internal::LocalLock lock(mutex);
  const auto nothing_else = [] { return false; };
  if (time) {
    lock.WaitFor(stopped, stop, *time, nothing_else);
  } else {
    lock.Wait(stopped, stop, nothing_else);
  }
  return stop.stop_requested();
}

// Waits out a failure after which the same may be asked again. False: it may not, or `stop`.
bool WaitOut(const Status& status, const std::stop_token& stop) {
  if (status.error_class() == ErrorClass::kRejected) return false;
  return !WaitFor(stop, kBeforeNextTry);
}

// Reads until there is an answer, however long servers are away.
Result<RangeResponse> Read(const Client& client, const RangeRequest& request,
                           const std::stop_token& stop) {
  while (true) {
    Result<RangeResponse> response = client.kv().Range(request, {.stop = stop});
    if (response.ok() || !WaitOut(response.status(), stop)) return response;
  }
}

// A turn that is ours as long as the lease lives.
struct Turn {
  KeptLease lease;
  RangeResponse own;  // The key, when the turn had come.

  const KeyValue& key() const { return own.kvs[0]; }
};

using Contend = std::function<Result<recipes::Fence>(const KeptLease&, recipes::WaitOptions)>;

// Waits for the turn. `interrupted` ends the waiting and leaves nothing behind.
Expected<Turn> TakeTurn(Session& session, const Client& client, std::chrono::seconds ttl,
                        const std::stop_token& interrupted, const Contend& contend) {
  Expected<KeptLease> lease =
      session.Take(client.lease().Open({.ttl = ttl}, {.stop = interrupted}), Effect::kWrites);
  if (!lease.ok()) return lease.failure();
  const recipes::EitherStops stop(interrupted, lease->lost());
  const Result<recipes::Fence> fence = contend(*lease, {.stop = interrupted});
  const Result<RangeResponse> own = fence.ok() ? Read(client, {.range = fence->key}, stop.token())
                                               : Result<RangeResponse>(fence.status());
  const bool there = own.ok() && !own->kvs.empty() && own->kvs[0].create_revision == fence->token;
  if (there && lease->alive()) return Turn{*lease, *own};
  const bool lost = own.ok() || !lease->alive() || own.status().reason() == Reason::kLeaseLost;
  const Status closed = lease->Close();
  if (lost) return Failure{ExitCode::kError, "session expired", "The lease ended while waiting."};
  if (!interrupted.stop_requested()) return FromStatus(own.status());
  Failure failure{ExitCode::kError, "context canceled", {}};
  if (!closed.ok()) failure.hint = "The place in the queue ends with its lease.";
  return failure;
}

// Gives the turn up at once, with the lease.
MaybeFailure Release(Turn* turn) {
  const Status closed = turn->lease.Close();
  if (closed.ok()) return std::nullopt;
  Failure failure = FromStatus(closed, Effect::kWrites);
  failure.hint = "It is released at the latest when the lease's time is up.";
  return failure;
}

// Runs the command until it ends, or until the lock is lost, which ends it.
CommandEnd RunWhileHeld(Session& session, const Turn& turn, StartedCommand* command) {
  std::stop_source ended;
  CommandEnd end;
  std::jthread waiting([&] {
    end = command->Wait();
    ended.request_stop();
  });
  WaitFor(recipes::EitherStops(ended.get_token(), turn.lease.lost()).token());
  if (!ended.stop_requested()) {
    session.output().Complain("Warning: the lock was lost; its command is asked to end.");
    command->Send(SIGTERM);
    if (!WaitFor(ended.get_token(), session.flags().Milliseconds("kill-after"))) {
      session.output().Complain("Warning: the command goes on, and is killed.");
      command->Send(SIGKILL);
    }
  }
  waiting.join();
  return end;
}

MaybeFailure RunHolding(Session& session, Interrupt* interrupt, Turn* turn) {
  CommandEnd end;
  {
    StartedCommand command({session.arguments().begin() + 1, session.arguments().end()},
                           {{"ETCD_LOCK_KEY", turn->key().key},
                            {"ETCD_LOCK_REV", std::to_string(turn->own.header.revision)},
                            {"GAVEL_FENCING_TOKEN", std::to_string(turn->key().create_revision)}});
    interrupt->PassOnTo(&command);
    end = RunWhileHeld(session, *turn, &command);
    interrupt->PassOnTo(nullptr);
  }
  if (!turn->lease.alive()) {
    return Failure{ExitCode::kError,
                   "the lock was lost before the command ended (" + end.Describe() + ")",
                   "Another may have had it meanwhile. Writes that compare the create revision of "
                   "the lock's key with GAVEL_FENCING_TOKEN are safe from that."};
  }
  MaybeFailure failure = Release(turn);
  if (end.ok()) return failure;
  if (failure) session.output().Report(*failure);
  return Failure{static_cast<ExitCode>(end.code()), end.Describe(), end.Hint()};
}

void Show(Session& session, const RangeResponse& response) {
  session.printer().Get(response, /*value_only=*/false);
  session.output().Flush();
}

// Shows what the leader proclaims, until it is gone; without a leader, until somebody comes.
Status ShowLeader(Session& session, const Client& client, const std::string& prefix,
                  const RangeResponse& first, const std::stop_token& stop) {
  const bool led = !first.kvs.empty();
  // Without a count, as etcd's observer has it.
  if (led) Show(session, {.header = first.header, .kvs = first.kvs});
  WatchOptions options{.start_revision = first.header.revision + 1, .stop = stop};
  options.range = led ? KeyRange(first.kvs[0].key) : KeyRange::Prefix(prefix);
  Watcher watcher = client.watch().Start(std::move(options));
  while (true) {
    const Result<WatchBatch> batch = watcher.Next();
    if (!batch.ok()) return batch.status();
    for (const WatchEvent& event : batch->events) {
      if (!led || event.type == EventType::kDelete) return Status();
      Show(session, {.header = batch->header, .kvs = {event.kv}});
    }
  }
}

// Shows each leader, one after the other, until `stop` or what cannot be waited out.
MaybeFailure Observe(Session& session, const Client& client, const std::stop_token& stop) {
  const std::string prefix = session.arguments()[0] + "/";
  const RangeRequest oldest{.range = KeyRange::Prefix(prefix),
                            .limit = 1,
                            .sort_order = SortOrder::kAscend,
                            .sort_target = SortTarget::kCreate};
  while (true) {
    Status status;
    if (Result<RangeResponse> first = Read(client, oldest, stop); first.ok()) {
      status = ShowLeader(session, client, prefix, *first, stop);
      // After a compaction a look tells what the history no longer can.
      if (status.ok() || status.reason() == Reason::kCompacted || WaitOut(status, stop)) continue;
    } else {
      status = first.status();
    }
    if (stop.stop_requested()) return std::nullopt;
    Failure failure = FromStatus(status);
    failure.message = "elect: observer lost (" + failure.message + ")";
    return failure;
  }
}

MaybeFailure Campaign(Session& session, const Client& client, const std::stop_token& interrupted) {
  Expected<Turn> turn = TakeTurn(session, client, kElectionTtl, interrupted,
                                 [&](const KeptLease& lease, recipes::WaitOptions wait) {
                                   return recipes::Election(client, lease, session.arguments()[0])
                                       .Campaign(session.arguments()[1], std::move(wait));
                                 });
  if (!turn.ok()) return turn.failure();
  Show(session, turn->own);
  const recipes::EitherStops stop(interrupted, turn->lease.lost());
  WaitFor(stop.token());
  if (!turn->lease.alive()) return Failure{ExitCode::kError, "elect: session expired", kWhyExpired};
  return Release(&*turn);
}

}  // namespace

MaybeFailure RunLock(Session& session) {
  if (session.arguments().empty()) {
    return BadArguments("lock takes a lock name argument and an optional command to execute",
                        "It is lock <name> [-- command ...].");
  }
  const int64_t ttl = session.flags().Integer("ttl");
  if (ttl <= 0) return BadArguments("--ttl is at least one second", "10 is the default.");
  Interrupt interrupt;
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  Expected<Turn> turn = TakeTurn(
      session, **client, std::chrono::seconds(ttl), interrupt.token(),
      [&](const KeptLease& lease, recipes::WaitOptions wait) {
        return recipes::Mutex(**client, lease, session.arguments()[0]).Lock(std::move(wait));
      });
  if (!turn.ok()) return turn.failure();
  if (session.arguments().size() > 1) return RunHolding(session, &interrupt, &*turn);
  Show(session, turn->own);
  const recipes::EitherStops stop(interrupt.token(), turn->lease.lost());
  WaitFor(stop.token());
  if (!turn->lease.alive()) return Failure{ExitCode::kError, "session expired", kWhyExpired};
  return Release(&*turn);
}

MaybeFailure RunElect(Session& session) {
  const size_t words = session.arguments().size();
  constexpr char kUsage[] = "It is elect <name> <proposal> to stand, elect -l <name> to watch.";
  if (words != 1 && words != 2) {
    return BadArguments("elect takes one election name argument and an optional proposal argument",
                        kUsage);
  }
  const bool listen = session.flags().Switch("listen");
  if (words == 1 && !listen) return BadArguments("no proposal argument but -l not set", kUsage);
  if (words == 2 && listen) return BadArguments("proposal given but -l is set", kUsage);
  const Interrupt interrupt;
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  return listen ? Observe(session, **client, interrupt.token())
                : Campaign(session, **client, interrupt.token());
}

}  // namespace gavel::client::ctl
