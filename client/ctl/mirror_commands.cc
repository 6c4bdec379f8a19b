// make-mirror: copies a prefix to another cluster, and keeps the copy like it.
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/ctl/command_groups.h"
#include "client/ctl/commands.h"
#include "client/ctl/mirror.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

using Clock = std::chrono::steady_clock;

// How often the number of mirrored changes is written, as etcdctl does.
constexpr std::chrono::seconds kBetweenCounts{30};

struct MirrorPlan {
  MirrorPaths paths;
  size_t operations_max = 0;
  int64_t first_revision = 0;  // Above 1: nothing is copied, and mirrored from there on.
  ClientOptions destination;
};

Expected<MirrorPlan> ReadPlan(Session& session) {
  const FlagValues& flags = session.flags();
  if (session.arguments().size() != 1) {
    return BadArguments("make-mirror takes one destination argument",
                        "It is host:port of a member of the other cluster, or several with commas "
                        "between them.");
  }
  if (MaybeFailure failure = RefuseUnserved(MirrorFlags(), flags)) return *std::move(failure);
  MirrorPlan plan{.paths = {flags.Text("prefix"), flags.Text("dest-prefix")},
                  .first_revision = flags.Integer("rev"),
                  .destination = session.settings().client};
  if (flags.Switch("no-dest-prefix") && !plan.paths.dest_prefix.empty()) {
    return BadArguments(
        "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one");
  }
  if (!flags.Switch("no-dest-prefix") && plan.paths.dest_prefix.empty()) {
    plan.paths.dest_prefix = plan.paths.prefix;
  }
  const int64_t operations = flags.Integer("max-txn-ops");
  if (operations < 1) {
    return BadArguments("--max-txn-ops is " + std::to_string(operations), "It is 1 or more.");
  }
  plan.operations_max = static_cast<size_t>(operations);
  plan.destination.endpoints.clear();
  for (const std::string& endpoint : Split(session.arguments()[0], ',')) {
    if (!Trim(endpoint).empty()) plan.destination.endpoints.emplace_back(Trim(endpoint));
  }
  if (plan.destination.endpoints.empty()) return BadArguments("the destination is empty");
  return plan;
}

// One run, from the copy to whatever ends it.
class Mirror {
 public:
  Mirror(Session* session, const Client& source, const Client& destination, const MirrorPlan& plan)
      : session_(*session), source_(source), destination_(destination), plan_(plan) {}

  // Never ends well: it goes on until it fails or is interrupted.
  Failure Run() {
    if (MaybeFailure failure = CheckBoth()) return *std::move(failure);
    int64_t next = plan_.first_revision;
    if (next <= 1) {
      const Expected<int64_t> copied = Copy();
      if (!copied.ok()) return copied.failure();
      next = *copied + 1;
    }
    return Follow(next);
  }

 private:
  static RangeRequest FirstOf(const std::string& prefix) {
    return {.range = KeyRange::Prefix(prefix), .limit = 1, .keys_only = true};
  }

  // Both are reached before anything is written, and are two.
  MaybeFailure CheckBoth() {
    const Expected<RangeResponse> from =
        session_.Take(source_.kv().Range(FirstOf(plan_.paths.prefix)));
    if (!from.ok()) return from.failure();
    const Expected<RangeResponse> to =
        session_.Take(destination_.kv().Range(FirstOf(plan_.paths.dest_prefix)));
    if (!to.ok()) return OfDestination(to.failure());
    if (from->header.cluster_id != to->header.cluster_id || !plan_.paths.Loop()) {
      return std::nullopt;
    }
    return BadArguments(
        "the destination is the same cluster, and what is written there would be mirrored again",
        "Give a --dest-prefix that neither begins with --prefix nor is the beginning of it.");
  }

  // A failure whose hint would else be taken for one about --endpoints.
  static Failure OfDestination(Failure failure) {
    failure.message = "destination: " + failure.message;
    if (failure.code == ExitCode::kBadConnection) {
      failure.hint =
          "Name client URLs of the other cluster, and give slow networks more time with "
          "--dial-timeout.";
    }
    return failure;
  }

  // All keys at one revision, which it gives.
  Expected<int64_t> Copy() {
    RangePager pages =
        source_.kv().Pages(RangeRequest{.range = KeyRange::Prefix(plan_.paths.prefix)});
    while (!pages.done()) {
      const Expected<std::vector<KeyValue>> page = session_.Take(pages.Next());
      if (!page.ok()) return page.failure();
      for (Txn& txn : CopyTxns(*page, plan_.paths, plan_.operations_max)) {
        MaybeFailure failure = Write(std::move(txn));
        if (!failure) continue;
        failure->hint += "\nThe copy is not whole: run the command again.";
        return *std::move(failure);
      }
    }
    return pages.revision();
  }

  // Every change from revision `next` on.
  Failure Follow(int64_t next) {
    // Progress keeps a prefix that does not change ahead of compactions.
    Watcher watcher = source_.watch().Start({.range = KeyRange::Prefix(plan_.paths.prefix),
                                             .start_revision = next,
                                             .progress_notify = true});
    if (MaybeFailure failure = session_.AwaitServer(watcher.CreatedAsync())) {
      return *std::move(failure);
    }
    while (true) {
      Pending<WatchBatch> coming = watcher.NextAsync();
      while (!coming.WaitFor(UntilCount())) TellCount();
      const Expected<WatchBatch> batch = session_.Take(coming.Get());
      if (!batch.ok()) return EndOfWatch(batch.failure(), next);
      for (MirrorStep& step : MirrorSteps(batch->events, plan_.paths, plan_.operations_max)) {
        MaybeFailure failure = Write(std::move(step.txn));
        if (failure) {
          failure->hint += "\n" + GoOnFrom(step.revision);
          return *std::move(failure);
        }
        next = step.revision;  // Again, if that was a part of it: it does no harm.
      }
      next = std::max(next, BehindLast(batch->events));
      if (session_.output().failed()) return *session_.output().failed();
    }
  }

  static int64_t BehindLast(const std::vector<WatchEvent>& events) {
    return events.empty() ? 0 : events.back().kv.mod_revision + 1;
  }

  static std::string GoOnFrom(int64_t revision) {
    return "Everything before is mirrored: go on with --rev=" + std::to_string(revision) + ".";
  }

  static Failure EndOfWatch(Failure failure, int64_t next) {
    failure.hint += (failure.hint.empty() ? "" : "\n") + GoOnFrom(next) +
                    " If history was compacted beyond that, run it without --rev, to copy anew; "
                    "keys that were deleted meanwhile stay at the destination.";
    return failure;
  }

  MaybeFailure Write(Txn txn) {
    const size_t changes = txn.success.size();
    const Expected<TxnResponse> written =
        session_.Take(destination_.kv().Commit(std::move(txn)), Effect::kWrites);
    if (!written.ok()) return OfDestination(written.failure());
    changes_ += changes;
    if (UntilCount().count() <= 0) TellCount();
    return std::nullopt;
  }

  std::chrono::milliseconds UntilCount() const {
    return std::chrono::ceil<std::chrono::milliseconds>(count_due_ - Clock::now());
  }

  void TellCount() {
    if (UntilCount().count() > 0) return;
    count_due_ += kBetweenCounts;
    session_.output().Line(std::to_string(changes_));
    session_.output().Flush();
  }

  Session& session_;
  const Client& source_;
  const Client& destination_;
  const MirrorPlan& plan_;
  Clock::time_point count_due_ = Clock::now() + kBetweenCounts;
  size_t changes_ = 0;
};

}  // namespace

MaybeFailure RunMakeMirror(Session& session) {
  const Expected<MirrorPlan> plan = ReadPlan(session);
  if (!plan.ok()) return plan.failure();
  const Expected<const Client*> source = session.client();
  if (!source.ok()) return source.failure();
  const Result<Client> destination = Client::Create(plan->destination);
  if (!destination.ok()) return FromStatus(destination.status());
  return Mirror(&session, **source, destination.value(), *plan).Run();
}

}  // namespace gavel::client::ctl
