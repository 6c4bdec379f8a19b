// Locks and elections as the services give them, over a gate that does everything in place.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "server/rpc/error_map.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::LeaseGrantRequest;
using etcdserverpb::LeaseGrantResponse;
using etcdserverpb::LeaseRevokeRequest;
using etcdserverpb::LeaseRevokeResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using server::StatusCode;

// A call that may wait: what has come of it so far.
class Waiting {
 public:
  Waiting(ServiceCaller& caller, const std::string& method,
          const google::protobuf::MessageLite& request, size_t high = 1 << 30)
      : writer_(std::make_shared<KeptWriter>(high)) {
    const server::StreamMethod* stream = caller.services.router()->FindStream(method);
    if (stream == nullptr) {
      ADD_FAILURE() << method;
      return;
    }
    handler_ = (*stream)({}, writer_);
    handler_->OnMessage(request.SerializeAsString());
    handler_->OnHalfClose();
  }

  bool waits() const { return !writer_->status.has_value(); }
  const server::RpcStatus& status() const { return *writer_->status; }
  size_t count() const { return writer_->messages.size(); }
  template <class Response>
  Response Get(size_t i = 0) const {
    Response response;
    EXPECT_LT(i, count());
    if (i >= count()) return response;
    EXPECT_TRUE(response.ParseFromString(writer_->messages[i]));
    return response;
  }
  void Cancel() { handler_->OnCancel(); }
  void Drain() {
    writer_->Drain();
    handler_->OnWritable();
  }

 private:
  const std::shared_ptr<KeptWriter> writer_;
  std::shared_ptr<server::StreamHandler> handler_;
};

class LockElectionTest : public ::testing::Test {
 protected:
  int64_t Grant(int64_t id) {
    LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(60);
    const auto answer = caller_.Call<LeaseGrantResponse>("/etcdserverpb.Lease/LeaseGrant", request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.message;
    return answer.response.id();
  }
  void Revoke(int64_t id) {
    LeaseRevokeRequest request;
    request.set_id(id);
    EXPECT_TRUE(
        caller_.Call<LeaseRevokeResponse>("/etcdserverpb.Lease/LeaseRevoke", request).status.ok());
  }
  void Put(const std::string& key, const std::string& value) {
    PutRequest request;
    request.set_key(key);
    request.set_value(value);
    EXPECT_TRUE(caller_.Call<PutResponse>("/etcdserverpb.KV/Put", request).status.ok());
  }
  void Delete(const std::string& key) {
    DeleteRangeRequest request;
    request.set_key(key);
    EXPECT_TRUE(
        caller_.Call<DeleteRangeResponse>("/etcdserverpb.KV/DeleteRange", request).status.ok());
  }
  // The keys under a prefix, with their create revisions.
  std::map<std::string, int64_t> Keys(const std::string& prefix) {
    RangeRequest request;
    request.set_key(prefix);
    request.set_range_end(std::string(prefix).substr(0, prefix.size() - 1) + '0');
    std::map<std::string, int64_t> keys;
    const auto answer = caller_.Call<RangeResponse>("/etcdserverpb.KV/Range", request);
    for (const auto& kv : answer.response.kvs()) {
      keys[kv.key()] = kv.create_revision();
    }
    return keys;
  }

  std::unique_ptr<Waiting> Lock(const std::string& name, int64_t lease) {
    v3lockpb::LockRequest request;
    request.set_name(name);
    request.set_lease(lease);
    return std::make_unique<Waiting>(caller_, "/v3lockpb.Lock/Lock", request);
  }
  std::unique_ptr<Waiting> Unlock(const std::string& key) {
    v3lockpb::UnlockRequest request;
    request.set_key(key);
    return std::make_unique<Waiting>(caller_, "/v3lockpb.Lock/Unlock", request);
  }
  std::unique_ptr<Waiting> Campaign(int64_t lease, const std::string& value) {
    v3electionpb::CampaignRequest request;
    request.set_name("chair");
    request.set_lease(lease);
    request.set_value(value);
    return std::make_unique<Waiting>(caller_, "/v3electionpb.Election/Campaign", request);
  }
  std::unique_ptr<Waiting> Observe(size_t high = 1 << 30) {
    v3electionpb::LeaderRequest request;
    request.set_name("chair");
    return std::make_unique<Waiting>(caller_, "/v3electionpb.Election/Observe", request, high);
  }
  std::unique_ptr<Waiting> Proclaim(const v3electionpb::LeaderKey& leader,
                                    const std::string& value) {
    v3electionpb::ProclaimRequest request;
    *request.mutable_leader() = leader;
    request.set_value(value);
    return std::make_unique<Waiting>(caller_, "/v3electionpb.Election/Proclaim", request);
  }
  std::unique_ptr<Waiting> Resign(const v3electionpb::LeaderKey& leader) {
    v3electionpb::ResignRequest request;
    *request.mutable_leader() = leader;
    return std::make_unique<Waiting>(caller_, "/v3electionpb.Election/Resign", request);
  }
  std::unique_ptr<Waiting> Leader() {
    v3electionpb::LeaderRequest request;
    request.set_name("chair");
    return std::make_unique<Waiting>(caller_, "/v3electionpb.Election/Leader", request);
  }
  static std::vector<std::string> Told(const Waiting& observe) {
    std::vector<std::string> values;
    for (size_t i = 0; i < observe.count(); ++i) {
      values.push_back(observe.Get<v3electionpb::LeaderResponse>(i).kv().value());
    }
    return values;
  }

  ServiceCaller caller_;
};

// The key is etcd's, and the answer's revision is that of the grant.
TEST_F(LockElectionTest, AFreeLockIsGrantedAtOnce) {
  Grant(0xabc);
  const auto lock = Lock("job", 0xabc);
  ASSERT_FALSE(lock->waits());
  ASSERT_TRUE(lock->status().ok()) << lock->status().message;
  const auto response = lock->Get<v3lockpb::LockResponse>();
  EXPECT_EQ(response.key(), "job/abc");
  EXPECT_EQ(Keys("job/"),
            (std::map<std::string, int64_t>{{"job/abc", response.header().revision()}}));
  EXPECT_EQ(response.header().member_id(), TestGate::kMember.value());
}

// Who waits watches; where no more watchers may be, that is told, and nothing is left behind.
TEST_F(LockElectionTest, BeyondTheLimitOfWatchersNobodyWaits) {
  for (const int64_t lease : {1, 2, 3}) Grant(lease);
  server::WatchLimits limits;
  limits.watchers_max = 2;
  caller_.gate.SetWatchLimits(limits);
  const auto first = Lock("job", 1);
  ASSERT_FALSE(first->waits());
  const auto second = Lock("job", 2);
  ASSERT_TRUE(second->waits());
  std::vector<std::unique_ptr<Waiting>> all_refused;
  all_refused.push_back(Lock("job", 3));
  all_refused.push_back(Observe());
  for (const auto& refused : all_refused) {
    ASSERT_FALSE(refused->waits());
    EXPECT_EQ(refused->status().code, StatusCode::kResourceExhausted);
    EXPECT_EQ(refused->status().message,
              server::WatchRefusalText(server::WatchRefusal::kTotalLimit));
  }
  EXPECT_EQ(Keys("job/").size(), 2u);
  Unlock(first->Get<v3lockpb::LockResponse>().key());
  ASSERT_FALSE(second->waits());
  EXPECT_TRUE(second->status().ok());
}

// Those who wait are served in the order they came, each with a greater token.
TEST_F(LockElectionTest, WaitersAreServedInOrderWithGrowingTokens) {
  std::vector<std::unique_ptr<Waiting>> locks;
  for (int64_t lease = 1; lease <= 5; ++lease) {
    Grant(lease);
    locks.push_back(Lock("job", lease));
  }
  int64_t token = 0;
  for (size_t i = 0; i < locks.size(); ++i) {
    SCOPED_TRACE(i);
    for (size_t j = i + 1; j < locks.size(); ++j) EXPECT_TRUE(locks[j]->waits());
    ASSERT_FALSE(locks[i]->waits());
    ASSERT_TRUE(locks[i]->status().ok()) << locks[i]->status().message;
    const std::string key = locks[i]->Get<v3lockpb::LockResponse>().key();
    const int64_t create = Keys("job/").at(key);
    EXPECT_GT(create, token);
    token = create;
    EXPECT_TRUE(Unlock(key)->status().ok());
  }
  EXPECT_TRUE(Keys("job/").empty());
}

// The end of a lease is the end of the lock, and of the wait.
TEST_F(LockElectionTest, TheEndOfALeaseFreesTheLockAndEndsTheWait) {
  for (int64_t lease = 1; lease <= 3; ++lease) Grant(lease);
  const auto first = Lock("job", 1);
  const auto second = Lock("job", 2);
  const auto third = Lock("job", 3);
  Revoke(2);
  ASSERT_FALSE(second->waits());
  EXPECT_EQ(second->status().code, StatusCode::kUnknown);
  EXPECT_EQ(second->status().message, "mutex: session is expired");
  EXPECT_TRUE(third->waits());
  Revoke(1);
  ASSERT_FALSE(third->waits());
  EXPECT_TRUE(third->status().ok());
}

// A client that has gone does not hold up those behind it.
TEST_F(LockElectionTest, ACanceledWaiterLeavesTheLine) {
  for (int64_t lease = 1; lease <= 3; ++lease) Grant(lease);
  const auto first = Lock("job", 1);
  const auto second = Lock("job", 2);
  const auto third = Lock("job", 3);
  second->Cancel();
  EXPECT_FALSE(Keys("job/").contains("job/2"));
  EXPECT_TRUE(third->waits());
  Unlock("job/1");
  ASSERT_FALSE(third->waits());
  EXPECT_TRUE(third->status().ok());
  // A client that goes after its grant keeps the lock.
  third->Cancel();
  EXPECT_TRUE(Keys("job/").contains("job/3"));
}

TEST_F(LockElectionTest, TheSameLeaseLocksTwice) {
  Grant(1);
  EXPECT_TRUE(Lock("job", 1)->status().ok());
  const auto again = Lock("job", 1);
  ASSERT_FALSE(again->waits());
  EXPECT_TRUE(again->status().ok());
  // A second call that gives up leaves the key, which is not its own.
  Grant(2);
  const auto waiting = Lock("job", 2);
  const auto beside = Lock("job", 2);
  beside->Cancel();
  EXPECT_TRUE(Keys("job/").contains("job/2"));
  EXPECT_TRUE(waiting->waits());
}

TEST_F(LockElectionTest, WithoutALeaseOneIsGranted) {
  const auto lock = Lock("job", 0);
  ASSERT_FALSE(lock->waits());
  ASSERT_TRUE(lock->status().ok()) << lock->status().message;
  EXPECT_NE(lock->Get<v3lockpb::LockResponse>().key(), "job/0");
}

TEST_F(LockElectionTest, AnUnknownLeaseIsRefused) {
  const auto lock = Lock("job", 77);
  ASSERT_FALSE(lock->waits());
  // Without etcd's code for it: its service is a client of its own.
  EXPECT_EQ(lock->status().code, StatusCode::kUnknown);
  EXPECT_EQ(lock->status().message, "etcdserver: requested lease not found");
}

// Locks of etcd's client-side recipes are keys in the same line.
TEST_F(LockElectionTest, KeysOfClientSideRecipesStandInTheSameLine) {
  Put("job/by-a-client", "");
  Grant(1);
  const auto lock = Lock("job", 1);
  EXPECT_TRUE(lock->waits());
  Put("job/later", "");
  Delete("job/by-a-client");
  ASSERT_FALSE(lock->waits());
  EXPECT_TRUE(lock->status().ok());
}

TEST_F(LockElectionTest, UnlockNeedsAKeyButNotALock) {
  EXPECT_EQ(Unlock("")->status().code, StatusCode::kUnknown);
  EXPECT_EQ(Unlock("")->status().message, "etcdserver: key is not provided");
  EXPECT_TRUE(Unlock("nothing")->status().ok());
}

TEST_F(LockElectionTest, ALeaderIsElectedProclaimsAndResigns) {
  EXPECT_EQ(Leader()->status().message, "election: no leader");
  Grant(1);
  Grant(2);
  const auto one = Campaign(1, "one");
  const auto two = Campaign(2, "two");
  ASSERT_FALSE(one->waits());
  EXPECT_TRUE(two->waits());
  const auto leader = one->Get<v3electionpb::CampaignResponse>().leader();
  EXPECT_EQ(leader.name(), "chair");
  EXPECT_EQ(leader.key(), "chair/1");
  EXPECT_EQ(leader.lease(), 1);
  EXPECT_EQ(leader.rev(), Keys("chair/").at("chair/1"));
  EXPECT_EQ(Leader()->Get<v3electionpb::LeaderResponse>().kv().value(), "one");

  EXPECT_TRUE(Proclaim(leader, "one again")->status().ok());
  EXPECT_EQ(Leader()->Get<v3electionpb::LeaderResponse>().kv().value(), "one again");
  EXPECT_TRUE(Resign(leader)->status().ok());
  ASSERT_FALSE(two->waits());
  // The answer is of the moment at which the key was put, as at etcd.
  const auto won = two->Get<v3electionpb::CampaignResponse>();
  EXPECT_EQ(won.header().revision(), won.leader().rev());
  EXPECT_EQ(Leader()->Get<v3electionpb::LeaderResponse>().kv().value(), "two");
  // Who led once has nothing to say or to give up.
  EXPECT_EQ(Proclaim(leader, "still one")->status().message, "election: not leader");
  EXPECT_TRUE(Resign(leader)->status().ok());
  EXPECT_EQ(Leader()->Get<v3electionpb::LeaderResponse>().kv().value(), "two");
}

TEST_F(LockElectionTest, ACandidateMayChangeWhatItSays) {
  Grant(1);
  Grant(2);
  Campaign(1, "one");
  const auto two = Campaign(2, "two");
  const auto changed = Campaign(2, "two, better");
  EXPECT_TRUE(changed->waits());
  Revoke(1);
  EXPECT_TRUE(two->status().ok());
  EXPECT_TRUE(changed->status().ok());
  EXPECT_EQ(Leader()->Get<v3electionpb::LeaderResponse>().kv().value(), "two, better");
  const auto again = Campaign(2, "two, best");
  EXPECT_TRUE(again->status().ok());
  EXPECT_EQ(Leader()->Get<v3electionpb::LeaderResponse>().kv().value(), "two, best");
}

// A candidate whose lease has ended is never told that it leads.
TEST_F(LockElectionTest, ACandidateWithoutALeaseIsNotElected) {
  Grant(1);
  Grant(2);
  Campaign(1, "one");
  const auto two = Campaign(2, "two");
  Revoke(2);
  ASSERT_FALSE(two->waits());
  EXPECT_EQ(two->status().message, "election: not leader");
}

TEST_F(LockElectionTest, TheLeadersKeyMustBeGiven) {
  for (const char* method : {"Proclaim", "Resign"}) {
    const Waiting call(caller_, std::string("/v3electionpb.Election/") + method,
                       v3electionpb::ProclaimRequest());
    ASSERT_FALSE(call.waits());
    EXPECT_EQ(call.status().code, StatusCode::kUnknown);
    EXPECT_EQ(call.status().message, "\"leader\" field must be provided");
  }
}

// Who observes sees every proclamation of every leader, from the one that leads now on.
TEST_F(LockElectionTest, ObserversSeeLeadersAndWhatTheyProclaim) {
  const auto early = Observe();
  EXPECT_EQ(early->count(), 0U);
  Grant(1);
  Grant(2);
  const auto one = Campaign(1, "one");
  const auto late = Observe();
  const auto two = Campaign(2, "two");
  Proclaim(one->Get<v3electionpb::CampaignResponse>().leader(), "one again");
  Resign(one->Get<v3electionpb::CampaignResponse>().leader());
  Revoke(2);
  Grant(3);
  Campaign(3, "three");
  const std::vector<std::string> all = {"one", "one again", "two", "three"};
  EXPECT_EQ(Told(*early), all);
  EXPECT_EQ(Told(*late), all);
  EXPECT_TRUE(early->waits());
}

// A key that is gone by the end of its own revision has never led.
TEST_F(LockElectionTest, AKeyThatDoesNotOutliveItsRevisionDoesNotLead) {
  const auto observe = Observe();
  etcdserverpb::TxnRequest txn;
  auto& put = *txn.add_success()->mutable_request_txn()->add_success()->mutable_request_put();
  put.set_key("chair/x");
  put.set_value("brief");
  txn.add_success()->mutable_request_txn()->add_success()->mutable_request_delete_range()->set_key(
      "chair/x");
  EXPECT_TRUE(caller_.Call<etcdserverpb::TxnResponse>("/etcdserverpb.KV/Txn", txn).status.ok());
  EXPECT_EQ(observe->count(), 0U);
  Grant(1);
  Campaign(1, "one");
  EXPECT_EQ(Told(*observe), std::vector<std::string>{"one"});
}

// What a slow observer has not taken is not kept for it: it is read from history.
TEST_F(LockElectionTest, ASlowObserverMissesNothing) {
  Grant(1);
  const auto leader = Campaign(1, "0")->Get<v3electionpb::CampaignResponse>().leader();
  const auto observe = Observe(/*high=*/1);
  for (int i = 1; i <= 20; ++i) Proclaim(leader, std::to_string(i));
  EXPECT_EQ(observe->count(), 1U);
  std::vector<std::string> all;
  for (int i = 0; i <= 20; ++i) all.push_back(std::to_string(i));
  for (int i = 0; i < 25; ++i) observe->Drain();
  EXPECT_EQ(Told(*observe), all);
  observe->Cancel();
  Proclaim(leader, "21");
  EXPECT_EQ(observe->count(), all.size());
}

}  // namespace
}  // namespace gavel::testing
