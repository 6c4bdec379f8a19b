// lease grant, revoke, timetolive, list and keep-alive.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"
#include "client/internal/local_mutex.h"

namespace gavel::client::ctl {
namespace {

constexpr char kIdsShown[] = "'gavelctl lease list' shows the ids.";

using KeptLease = gavel::client::Session;

Expected<int64_t> ReadLeaseId(const Session& session, std::string_view usage) {
  if (session.arguments().size() != 1) return BadArguments(std::string(usage), kIdsShown);
  const std::string& word = session.arguments()[0];
  if (const std::optional<int64_t> id = ParseInteger(word, 16)) return *id;
  return BadArguments("bad lease ID arg (" + Quote(word) + "), expecting ID in Hex", kIdsShown);
}

Failure Wrapped(Failure failure, const std::string& what) {
  failure.message = what + " (" + failure.message + ")";
  return failure;
}

// etcdctl's exit code where asking about a lease failed.
Failure AskingFailed(Failure failure) {
  failure.code = ExitCode::kBadConnection;
  return failure;
}

// Renewals on their way from the Client's thread, which must not wait for whoever reads our output.
class RenewalQueue {
 public:
  void Add(const LeaseKeepAliveResponse& renewal) {
    const internal::LocalLock lock(mutex_);
    renewals_.push_back(renewal);
    changed_.notify_all();
  }
  void End(const Status& why) {
    const internal::LocalLock lock(mutex_);
    end_ = why;
    changed_.notify_all();
  }
  // The next renewal, or why there is none.
  Result<LeaseKeepAliveResponse> Next() {
    internal::LocalLock lock(mutex_);
    while (renewals_.empty() && !end_) lock.Wait(changed_);
    if (renewals_.empty()) return *end_;
    const LeaseKeepAliveResponse renewal = renewals_.front();
    renewals_.pop_front();
    return renewal;
  }

 private:
  internal::LocalMutex mutex_;
  std::condition_variable changed_;
  std::deque<LeaseKeepAliveResponse> renewals_ GAVEL_GUARDED_BY(mutex_);
  std::optional<Status> end_ GAVEL_GUARDED_BY(mutex_);
};

bool Gone(const Status& status) {
  return status.reason() == Reason::kLeaseNotFound || status.reason() == Reason::kLeaseLost;
}

// That the lease has ended is how keeping it alive ends, and no failure.
MaybeFailure TellOfEnd(Session& session, int64_t id, const Status& status) {
  if (!Gone(status)) return AskingFailed(FromStatus(status));
  if (session.settings().format == Format::kSimple) {
    session.output().Line("lease " + Hex16(static_cast<uint64_t>(id)) + " expired or revoked.");
  }
  return std::nullopt;
}

MaybeFailure KeepAlive(Session& session, const Client& client, int64_t id) {
  const auto renewals = std::make_shared<RenewalQueue>();
  Result<KeptLease> kept = client.lease().Open(
      {.lease = id,
       .on_lost = [renewals](const Status& why) { renewals->End(why); },
       .on_renewed = [renewals](const LeaseKeepAliveResponse& r) { renewals->Add(r); }});
  if (!kept.ok()) return TellOfEnd(session, id, kept.status());
  while (true) {
    const Result<LeaseKeepAliveResponse> renewal = renewals->Next();
    if (!renewal.ok()) {
      kept->Stop();
      return TellOfEnd(session, id, renewal.status());
    }
    session.printer().LeaseKeepAlive(*renewal);
    session.output().Flush();
    if (session.output().failed()) {
      kept->Stop();  // Letting go of it would revoke the lease.
      return std::nullopt;
    }
  }
}

}  // namespace

MaybeFailure RunLeaseGrant(Session& session) {
  if (session.arguments().size() != 1) {
    return BadArguments("lease grant command needs TTL argument", "It is lease grant <seconds>.");
  }
  const std::optional<int64_t> ttl = ParseInteger(session.arguments()[0]);
  if (!ttl) {
    return BadArguments(
        "bad TTL (" + Quote(session.arguments()[0]) + "), expecting a whole number of seconds",
        "It is lease grant <seconds>, such as 60 for a minute, without a unit.");
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<LeaseGrantResponse> response =
      session.Take((*client)->lease().Grant({.ttl = std::chrono::seconds(*ttl)}), Effect::kWrites);
  if (!response.ok()) return Wrapped(response.failure(), "failed to grant lease");
  session.printer().LeaseGrant(*response);
  return std::nullopt;
}

MaybeFailure RunLeaseRevoke(Session& session) {
  const Expected<int64_t> id = ReadLeaseId(session, "lease revoke command needs 1 argument");
  if (!id.ok()) return id.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<LeaseRevokeResponse> response =
      session.Take((*client)->lease().Revoke(*id), Effect::kWrites);
  if (!response.ok()) return Wrapped(response.failure(), "failed to revoke lease");
  session.printer().LeaseRevoke(*id, *response);
  return std::nullopt;
}

MaybeFailure RunLeaseTimeToLive(Session& session) {
  const Expected<int64_t> id =
      ReadLeaseId(session, "lease timetolive command needs lease ID as argument");
  if (!id.ok()) return id.failure();
  const bool keys = session.flags().Switch("keys");
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<LeaseTimeToLiveResponse> response =
      session.Take((*client)->lease().TimeToLive(*id, keys));
  if (!response.ok()) return AskingFailed(response.failure());
  session.printer().LeaseTimeToLive(*response, keys);
  return std::nullopt;
}

MaybeFailure RunLeaseList(Session& session) {
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<LeaseListResponse> response = session.Take((*client)->lease().List());
  if (!response.ok()) return AskingFailed(response.failure());
  session.printer().LeaseList(*response);
  return std::nullopt;
}

MaybeFailure RunLeaseKeepAlive(Session& session) {
  const Expected<int64_t> id =
      ReadLeaseId(session, "lease keep-alive command needs lease ID as argument");
  if (!id.ok()) return id.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const bool once = session.flags().Switch("once");
  const Pending<LeaseKeepAliveResponse> renewal = (*client)->lease().KeepAliveOnceAsync(*id);
  if (MaybeFailure failure = session.AwaitServer(renewal)) return failure;
  const Result<LeaseKeepAliveResponse> first = renewal.Get();
  if (!first.ok() && once) return AskingFailed(FromStatus(first.status()));
  if (!first.ok()) return TellOfEnd(session, *id, first.status());
  session.printer().LeaseKeepAlive(*first);
  session.output().Flush();
  return once ? std::nullopt : KeepAlive(session, **client, *id);
}

}  // namespace gavel::client::ctl
