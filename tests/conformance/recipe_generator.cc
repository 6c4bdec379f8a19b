#include "tests/conformance/recipe_generator.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "tests/conformance/requests.h"

namespace gavel::conformance {
namespace {

using google::protobuf::Message;

constexpr char kGrant[] = "/etcdserverpb.Lease/LeaseGrant";
constexpr char kRevoke[] = "/etcdserverpb.Lease/LeaseRevoke";
constexpr char kPut[] = "/etcdserverpb.KV/Put";
constexpr char kDelete[] = "/etcdserverpb.KV/DeleteRange";
constexpr char kLock[] = "/v3lockpb.Lock/Lock";
constexpr char kUnlock[] = "/v3lockpb.Lock/Unlock";
constexpr char kCampaign[] = "/v3electionpb.Election/Campaign";
constexpr char kProclaim[] = "/v3electionpb.Election/Proclaim";
constexpr char kLeader[] = "/v3electionpb.Election/Leader";
constexpr char kResign[] = "/v3electionpb.Election/Resign";

// No lease of a scene ends by itself.
constexpr int64_t kTtl = 600;

Operation Waiting(Kind kind, const char* method, int64_t number) {
  return {method, "", false, kind, number};
}

Operation Begin(const char* method, int64_t number, const Message& request) {
  Operation operation = Waiting(Kind::kBegin, method, number);
  operation.body = request.SerializeAsString();
  return operation;
}

std::string KeyOf(const std::string& name, int64_t lease) {
  return absl::StrCat(name, "/", absl::Hex(lease));
}

v3lockpb::LockRequest LockRequest(const std::string& name, int64_t lease) {
  v3lockpb::LockRequest request;
  request.set_name(name);
  request.set_lease(lease);
  return request;
}

Operation Unlock(const std::string& key) {
  v3lockpb::UnlockRequest request;
  request.set_key(key);
  return CallOf(kUnlock, request);
}

v3electionpb::CampaignRequest CampaignRequest(const std::string& name, int64_t lease,
                                              const std::string& value) {
  v3electionpb::CampaignRequest request;
  request.set_name(name);
  request.set_lease(lease);
  request.set_value(value);
  return request;
}

// Complete fills in the revision.
v3electionpb::LeaderKey Leader(const std::string& name, int64_t lease) {
  v3electionpb::LeaderKey leader;
  leader.set_name(name);
  leader.set_key(KeyOf(name, lease));
  leader.set_lease(lease);
  return leader;
}

Operation Proclaim(const v3electionpb::LeaderKey& leader, const std::string& value) {
  v3electionpb::ProclaimRequest request;
  *request.mutable_leader() = leader;
  request.set_value(value);
  return CallOf(kProclaim, request);
}

Operation Resign(const v3electionpb::LeaderKey& leader) {
  v3electionpb::ResignRequest request;
  *request.mutable_leader() = leader;
  return CallOf(kResign, request);
}

Operation AskLeader(const std::string& name) {
  v3electionpb::LeaderRequest request;
  request.set_name(name);
  return CallOf(kLeader, request);
}

Operation Revoke(int64_t lease) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  return CallOf(kRevoke, request);
}

Operation Delete(const std::string& key) {
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(key);
  return CallOf(kDelete, request);
}

// Fills in the revision of a leader key that has none, if it is known.
template <class Request>
void CompleteAs(const std::map<std::string, v3electionpb::LeaderKey>& leaders,
                Operation* operation) {
  Request request;
  if (!request.ParseFromString(operation->body) || request.leader().rev() != 0) return;
  const auto found = leaders.find(request.leader().key());
  if (found == leaders.end()) return;
  request.mutable_leader()->set_rev(found->second.rev());
  operation->body = request.SerializeAsString();
}

}  // namespace

RecipeGenerator::Cast RecipeGenerator::NewCast(const char* kind, std::deque<Operation>* scene) {
  Cast cast;
  cast.name = absl::StrCat(kind, next_scene_++);
  for (int64_t& lease : cast.leases) {
    lease = next_lease_++;
    etcdserverpb::LeaseGrantRequest grant;
    grant.set_id(lease);
    grant.set_ttl(kTtl);
    scene->push_back(CallOf(kGrant, grant));
  }
  return cast;
}

void RecipeGenerator::Dismiss(const Cast& cast, std::deque<Operation>* scene) {
  for (const int64_t lease : cast.leases) scene->push_back(Revoke(lease));
}

void RecipeGenerator::Meanwhile(std::deque<Operation>* scene) {
  if (words_.Chance(25)) scene->push_back(CallOf(kPut, NewPut(words_)));
}

void RecipeGenerator::EndHolder(const Cast& cast, std::deque<Operation>* scene) {
  switch (words_.random().Below(3)) {
    case 0:
      scene->push_back(Unlock(KeyOf(cast.name, cast.leases[0])));
      break;
    case 1:
      scene->push_back(Revoke(cast.leases[0]));
      break;
    default:
      scene->push_back(Delete(KeyOf(cast.name, cast.leases[0])));
      break;
  }
}

void RecipeGenerator::BadLockInput(std::deque<Operation>* scene) {
  switch (words_.random().Below(4)) {
    case 0:
      scene->push_back(Unlock(""));
      break;
    case 1:
      scene->push_back(Unlock("no such key"));
      break;
    case 2:
      scene->push_back(CallOf(kLock, LockRequest("lock", next_lease_++)));  // No such lease.
      break;
    default:
      scene->push_back({kLock, "\x0a\x05xy"});
      break;
  }
}

std::deque<Operation> RecipeGenerator::NewLockScene(int64_t* next_number) {
  std::deque<Operation> scene;
  const Cast cast = NewCast("lock", &scene);
  scene.push_back(CallOf(kLock, LockRequest(cast.name, cast.leases[0])));
  Meanwhile(&scene);
  // Who holds it already, holds it.
  if (words_.Chance(30)) scene.push_back(CallOf(kLock, LockRequest(cast.name, cast.leases[0])));
  if (words_.Chance(30)) BadLockInput(&scene);
  const int64_t second = (*next_number)++;
  const int64_t third = (*next_number)++;
  scene.push_back(Begin(kLock, second, LockRequest(cast.name, cast.leases[1])));
  scene.push_back(Begin(kLock, third, LockRequest(cast.name, cast.leases[2])));
  Meanwhile(&scene);
  const uint64_t kind = words_.random().Below(4);
  if (kind == 0) {
    // One of those who wait gives up.
    scene.push_back(Waiting(Kind::kAbandon, kLock, second));
    EndHolder(cast, &scene);
    scene.push_back(Waiting(Kind::kAwait, kLock, third));
  } else if (kind == 1) {
    // The lease of one who waits ends before it is its turn.
    scene.push_back(Revoke(cast.leases[1]));
    EndHolder(cast, &scene);
    scene.push_back(Waiting(Kind::kAwait, kLock, second));
    scene.back().expired = true;
    scene.push_back(Waiting(Kind::kAwait, kLock, third));
  } else {
    EndHolder(cast, &scene);
    scene.push_back(Waiting(Kind::kAwait, kLock, second));
    Meanwhile(&scene);
    scene.push_back(Unlock(KeyOf(cast.name, cast.leases[1])));
    scene.push_back(Waiting(Kind::kAwait, kLock, third));
  }
  if (words_.Chance(50)) scene.push_back(Unlock(KeyOf(cast.name, cast.leases[2])));
  Dismiss(cast, &scene);
  return scene;
}

void RecipeGenerator::BadElectionInput(const Cast& cast, std::deque<Operation>* scene) {
  v3electionpb::LeaderKey stale = Leader(cast.name, cast.leases[0]);
  stale.set_rev(1);
  switch (words_.random().Below(6)) {
    case 0:
      scene->push_back(CallOf(kProclaim, v3electionpb::ProclaimRequest()));
      break;
    case 1:
      scene->push_back(CallOf(kResign, v3electionpb::ResignRequest()));
      break;
    case 2:
      scene->push_back(Proclaim(stale, "stale"));
      break;
    case 3:
      scene->push_back(Resign(stale));
      break;
    case 4:
      scene->push_back(CallOf(kCampaign, CampaignRequest("vote", next_lease_++, "v")));
      break;
    default:
      scene->push_back({kCampaign, "\x0a\x05xy"});
      break;
  }
}

std::deque<Operation> RecipeGenerator::NewElectionScene(int64_t* next_number) {
  std::deque<Operation> scene;
  const Cast cast = NewCast("vote", &scene);
  const v3electionpb::LeaderKey first = Leader(cast.name, cast.leases[0]);
  const int64_t observer = (*next_number)++;
  const int64_t second = (*next_number)++;
  v3electionpb::LeaderRequest observe;
  observe.set_name(cast.name);
  scene.push_back(AskLeader(cast.name));
  scene.push_back(CallOf(kCampaign, CampaignRequest(cast.name, cast.leases[0], "one")));
  scene.push_back(Begin(kObserveMethod, observer, observe));
  const auto observed = [&] { scene.push_back(Waiting(Kind::kAwait, kObserveMethod, observer)); };
  observed();
  Meanwhile(&scene);
  scene.push_back(AskLeader(cast.name));
  if (words_.Chance(50)) {
    scene.push_back(Proclaim(first, words_.Value()));
    observed();
  }
  if (words_.Chance(30)) {
    // Who leads already, leads, and says another value.
    scene.push_back(CallOf(kCampaign, CampaignRequest(cast.name, cast.leases[0], "another")));
    observed();
  }
  if (words_.Chance(40)) BadElectionInput(cast, &scene);
  scene.push_back(
      Begin(kCampaign, second, CampaignRequest(cast.name, cast.leases[1], words_.Value())));
  Meanwhile(&scene);
  const uint64_t end = words_.random().Below(4);
  if (end == 0) {
    scene.push_back(Waiting(Kind::kAbandon, kCampaign, second));
    scene.push_back(Resign(first));
    scene.push_back(AskLeader(cast.name));
  } else {
    scene.push_back(end == 1   ? Resign(first)
                    : end == 2 ? Revoke(cast.leases[0])
                               : Delete(KeyOf(cast.name, cast.leases[0])));
    scene.push_back(Waiting(Kind::kAwait, kCampaign, second));
    observed();
    scene.push_back(AskLeader(cast.name));
    // The first no longer leads.
    scene.push_back(words_.Chance(50) ? Proclaim(first, "late") : Resign(first));
  }
  scene.push_back(Waiting(Kind::kAbandon, kObserveMethod, observer));
  Dismiss(cast, &scene);
  return scene;
}

void RecipeGenerator::Complete(Operation* operation) const {
  if (operation->method == kProclaim) {
    CompleteAs<v3electionpb::ProclaimRequest>(leaders_, operation);
  } else if (operation->method == kResign) {
    CompleteAs<v3electionpb::ResignRequest>(leaders_, operation);
  }
}

void RecipeGenerator::Learn(const Operation& operation, const Answer& etcd) {
  v3electionpb::CampaignResponse response;
  if (operation.method != kCampaign || etcd.code != 0 || !response.ParseFromString(etcd.body)) {
    return;
  }
  leaders_[response.leader().key()] = response.leader();
}

}  // namespace gavel::conformance
