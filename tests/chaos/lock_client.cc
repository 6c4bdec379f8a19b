#include "tests/chaos/lock_client.h"

#include <chrono>

#include "client/recipes/mutex.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "tests/chaos/contender.h"
#include "tests/chaos/kv_client.h"

namespace gavel::chaos {
namespace {

using client::Client;
using client::Result;
using client::Session;
using client::recipes::Fence;

// A wait that ends and begins anew is part of what happens; one for ever would sleep through the
// end of its member.
constexpr std::chrono::milliseconds kWaitMax{5000};

class MutexClient final : public LockClient {
 public:
  MutexClient(const Client& client, const Session& session) : mutex_(client, session, kLockName) {}

  std::optional<Fence> Take() override {
    const Result<Fence> fence = mutex_.Lock();
    return fence.ok() ? std::optional(*fence) : std::nullopt;
  }
  bool Proclaim(const std::string&) override { return true; }
  bool GiveUp() override { return mutex_.Unlock().ok(); }

 private:
  client::recipes::Mutex mutex_;
};

class LockServiceClient final : public LockClient {
 public:
  LockServiceClient(const Session& session, const std::string& member)
      : session_(session), member_(member) {
    member_.set_timeout(kWaitMax);
  }

  std::optional<Fence> Take() override {
    v3lockpb::LockRequest request;
    request.set_name(kLockName);
    request.set_lease(session_.lease());
    v3lockpb::LockResponse response;
    if (member_.Lock(request, &response) != Outcome::kOk) return std::nullopt;
    key_ = response.key();
    // The service does not tell the token, but it is part of the key.
    etcdserverpb::RangeRequest range;
    range.set_key(key_);
    etcdserverpb::RangeResponse seen;
    if (member_.Range(range, &seen) != Outcome::kOk || seen.kvs_size() == 0) return std::nullopt;
    return Fence{.key = key_, .token = seen.kvs(0).create_revision()};
  }

  bool Proclaim(const std::string&) override { return true; }

  bool GiveUp() override {
    v3lockpb::UnlockRequest request;
    request.set_key(key_);
    v3lockpb::UnlockResponse response;
    return member_.Unlock(request, &response) == Outcome::kOk;
  }

 private:
  const Session& session_;
  KvClient member_;
  std::string key_;
};

class ElectionClient final : public LockClient {
 public:
  ElectionClient(const Session& session, const std::string& member)
      : session_(session), member_(member) {
    member_.set_timeout(kWaitMax);
  }

  std::optional<Fence> Take() override {
    v3electionpb::CampaignRequest request;
    request.set_name(kLockName);
    request.set_lease(session_.lease());
    request.set_value("candidate");
    v3electionpb::CampaignResponse response;
    if (member_.Campaign(request, &response) != Outcome::kOk) return std::nullopt;
    leader_ = response.leader();
    return Fence{.key = leader_.key(), .token = leader_.rev()};
  }

  bool Proclaim(const std::string& what) override {
    v3electionpb::ProclaimRequest request;
    *request.mutable_leader() = leader_;
    request.set_value(what);
    v3electionpb::ProclaimResponse response;
    return member_.Proclaim(request, &response) == Outcome::kOk;
  }

  bool GiveUp() override {
    v3electionpb::ResignRequest request;
    *request.mutable_leader() = leader_;
    v3electionpb::ResignResponse response;
    return member_.Resign(request, &response) == Outcome::kOk;
  }

 private:
  const Session& session_;
  KvClient member_;
  v3electionpb::LeaderKey leader_;
};

}  // namespace

const char* NameOf(LockWay way) {
  switch (way) {
    case LockWay::kMutex:
      return "mutex";
    case LockWay::kLock:
      return "lock";
    case LockWay::kElection:
      break;
  }
  return "election";
}

std::optional<LockWay> LockWayOf(const std::string& name) {
  for (const LockWay way : {LockWay::kMutex, LockWay::kLock, LockWay::kElection}) {
    if (name == NameOf(way)) return way;
  }
  return std::nullopt;
}

std::unique_ptr<LockClient> MakeLockClient(LockWay way, const Client& client,
                                           const Session& session, const std::string& member) {
  switch (way) {
    case LockWay::kMutex:
      return std::make_unique<MutexClient>(client, session);
    case LockWay::kLock:
      return std::make_unique<LockServiceClient>(session, member);
    case LockWay::kElection:
      break;
  }
  return std::make_unique<ElectionClient>(session, member);
}

}  // namespace gavel::chaos
