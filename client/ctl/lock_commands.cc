// lock and elect.
#include <chrono>
#include <csignal>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/contender.h"
#include "client/ctl/process.h"
#include "client/ctl/session.h"

namespace gavel::client::ctl {
namespace {

using KeptLease = gavel::client::Session;

constexpr std::chrono::seconds kElectionTtl{60};

// Stops when either of two is asked to.
class EitherStops {
 public:
  EitherStops(const std::stop_token& one, const std::stop_token& other)
      : on_one_(one, Stop{&source_}), on_other_(other, Stop{&source_}) {}

  std::stop_token token() const { return source_.get_token(); }

 private:
  struct Stop {
    std::stop_source* source;
    void operator()() const { source->request_stop(); }
  };

  std::stop_source source_;
  std::stop_callback<Stop> on_one_;
  std::stop_callback<Stop> on_other_;
};

void WaitFor(const std::stop_token& stop) {
  std::binary_semaphore stopped(0);
  const std::stop_callback callback(stop, [&] { stopped.release(); });
  stopped.acquire();
}

// False: the time was up before.
bool WaitFor(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::binary_semaphore stopped(0);
  const std::stop_callback callback(stop, [&] { stopped.release(); });
  return stopped.try_acquire_for(time);
}

// A turn that is ours as long as the lease lives.
struct Turn {
  KeptLease lease;
  Place place;
  RangeResponse own;  // The key, when the turn came.
};

// Waits for the turn. `interrupted` ends the waiting and leaves nothing behind.
Expected<Turn> TakeTurn(Session& session, const Client& client, std::string_view value,
                        std::chrono::seconds ttl, const std::stop_token& interrupted) {
  const std::string& name = session.arguments()[0];
  Expected<KeptLease> lease =
      session.Take(client.lease().Open({.ttl = ttl}, {.stop = interrupted}), Effect::kWrites);
  if (!lease.ok()) return lease.failure();
  const EitherStops stop(interrupted, lease->lost());
  const Result<Place> place = TakePlace(client, name, value, lease->lease(), stop.token());
  const Result<RangeResponse> own =
      place.ok() ? AwaitTurn(client, *place, stop.token()) : Result<RangeResponse>(place.status());
  if (own.ok() && !own->kvs.empty() && lease->alive()) return Turn{*lease, *place, *own};
  const bool lost = !lease->alive() || (own.ok() && own->kvs.empty());
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
  WaitFor(EitherStops(ended.get_token(), turn.lease.lost()).token());
  if (!ended.stop_requested()) {
    session.output().Complain("Warning: the lock was lost; its command is asked to end.");
    command->Send(SIGTERM);
    if (!WaitFor(ended.get_token(), session.flags().Duration("kill-after"))) {
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
                           {{"ETCD_LOCK_KEY", turn->place.key},
                            {"ETCD_LOCK_REV", std::to_string(turn->own.header.revision)},
                            {"GAVEL_FENCING_TOKEN", std::to_string(turn->place.created)}});
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

// Shows each leader, one after the other, until `stop` or what cannot be waited out.
MaybeFailure Observe(Session& session, const Client& client, const std::stop_token& stop) {
  const std::string prefix = ContendersPrefix(session.arguments()[0]);
  const auto show = [&](const ResponseHeader& header, const KeyValue& kv) {
    session.printer().Get({.header = header, .kvs = {kv}}, /*value_only=*/false);
    session.output().Flush();
  };
  while (true) {
    Result<RangeResponse> first = FirstInQueue(client, prefix, stop);
    if (!first.ok()) {
      if (WaitOut(first.status(), stop)) continue;
      if (stop.stop_requested()) return std::nullopt;
      Failure failure = FromStatus(first.status());
      failure.message = "elect: observer lost (" + failure.message + ")";
      return failure;
    }
    const bool led = !first->kvs.empty();
    if (led) show(first->header, first->kvs[0]);
    // The leader's key, until it goes; without a leader, whoever comes first.
    WatchOptions options{.start_revision = first->header.revision + 1, .stop = stop};
    options.range = led ? KeyRange(first->kvs[0].key) : KeyRange::Prefix(prefix);
    Watcher watcher = client.watch().Start(std::move(options));
    bool look_again = false;
    while (!look_again) {
      const Result<WatchBatch> batch = watcher.Next();
      if (!batch.ok()) {
        if (stop.stop_requested()) return std::nullopt;
        const bool again =
            batch.status().reason() == Reason::kCompacted || WaitOut(batch.status(), stop);
        if (!again) return Failure{ExitCode::kError, "elect: observer lost", {}};
        break;
      }
      for (const WatchEvent& event : batch->events) {
        if (!led || event.type == EventType::kDelete) {
          look_again = true;
          break;
        }
        show(batch->header, event.kv);
      }
    }
  }
}

MaybeFailure Campaign(Session& session, const Client& client, const std::stop_token& interrupted) {
  Expected<Turn> turn =
      TakeTurn(session, client, session.arguments()[1], kElectionTtl, interrupted);
  if (!turn.ok()) return turn.failure();
  session.printer().Get(turn->own, /*value_only=*/false);
  session.output().Flush();
  const EitherStops stop(interrupted, turn->lease.lost());
  WaitFor(stop.token());
  if (!turn->lease.alive()) return Failure{ExitCode::kError, "elect: session expired", {}};
  return Release(&*turn);
}

}  // namespace

MaybeFailure RunLock(Session& session) {
  if (session.arguments().empty()) {
    return BadArguments("lock takes a lock name argument and an optional command to execute");
  }
  const int64_t ttl = session.flags().Integer("ttl");
  if (ttl <= 0) return BadArguments("--ttl is at least one second", "10 is the default.");
  Interrupt interrupt;
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  Expected<Turn> turn =
      TakeTurn(session, **client, "", std::chrono::seconds(ttl), interrupt.token());
  if (!turn.ok()) return turn.failure();
  if (session.arguments().size() > 1) return RunHolding(session, &interrupt, &*turn);
  session.printer().Get(turn->own, /*value_only=*/false);
  session.output().Flush();
  const EitherStops stop(interrupt.token(), turn->lease.lost());
  WaitFor(stop.token());
  if (!turn->lease.alive()) return Failure{ExitCode::kError, "session expired", {}};
  return Release(&*turn);
}

MaybeFailure RunElect(Session& session) {
  const size_t words = session.arguments().size();
  if (words != 1 && words != 2) {
    return BadArguments("elect takes one election name argument and an optional proposal argument");
  }
  const bool listen = session.flags().Switch("listen");
  if (words == 1 && !listen) return BadArguments("no proposal argument but -l not set");
  if (words == 2 && listen) return BadArguments("proposal given but -l is set");
  const Interrupt interrupt;
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  return listen ? Observe(session, **client, interrupt.token())
                : Campaign(session, **client, interrupt.token());
}

}  // namespace gavel::client::ctl
