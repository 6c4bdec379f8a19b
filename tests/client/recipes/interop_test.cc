// Recipes mix: with etcd's own client library, and with the servers' Lock and Election services.
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/recipes/barrier.h"
#include "client/recipes/double_barrier.h"
#include "client/recipes/election.h"
#include "client/recipes/mutex.h"
#include "client/recipes/queue.h"
#include "client/recipes/rw_lock.h"
#include "client/recipes/service_registry.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "tests/client/recipes/recipes_test_support.h"

namespace gavel::client::recipes {
namespace {

using testing::ChildProcess;
using ::testing::ElementsAre;
using testing::milliseconds;
using testing::NumberAfter;

class InteropTest : public testing::RecipesTest {
 protected:
  // A participant that is etcd's library: tests/client/recipes/etcd_recipes.
  static std::unique_ptr<ChildProcess> Etcds(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {ETCD_RECIPES, Endpoints()});
    return std::make_unique<ChildProcess>(arguments);
  }
  static void WaitForKeys(const Client& client, const std::string& prefix, int64_t count) {
    while (Count(client, prefix) != count) std::this_thread::sleep_for(milliseconds(2));
  }
};

TEST_F(InteropTest, MutexesExcludeEachOther) {
  const Client client = MakeClient();
  auto theirs = Etcds({"mutex", "io/mutex"});
  EXPECT_TRUE(theirs->ReadLine().starts_with("held io/mutex/")) << "golang-etcd-server-dev?";
  const Session session = Open(client);
  Mutex mutex(client, session, "io/mutex");
  EXPECT_EQ(mutex.TryLock().status().reason(), Reason::kHeld);
  std::future<Result<Fence>> waiting = std::async(std::launch::async, [&] { return mutex.Lock(); });
  WaitForKeys(client, "io/mutex/", 2);
  theirs->CloseInput();
  EXPECT_EQ(theirs->ReadLine(), "unlocked");
  const Result<Fence> held = waiting.get();
  ASSERT_TRUE(held.ok()) << held.status().ToString();
  auto next = Etcds({"mutex", "io/mutex"});
  WaitForKeys(client, "io/mutex/", 2);
  EXPECT_TRUE(client.kv().Commit(Txn().If(held->guard()))->succeeded);
  ASSERT_TRUE(mutex.Unlock().ok());
  EXPECT_TRUE(next->ReadLine().starts_with("held io/mutex/"));
  // One that dies is followed.
  std::future<Result<Fence>> last = std::async(std::launch::async, [&] { return mutex.Lock(); });
  WaitForKeys(client, "io/mutex/", 2);
  next->Kill();
  EXPECT_TRUE(last.get().ok());
}

TEST_F(InteropTest, ElectionsAreOne) {
  const Client client = MakeClient();
  auto theirs = Etcds({"campaign", "io/el", "theirs"});
  const int64_t token = NumberAfter("leading", theirs->ReadLine());
  auto observes = Etcds({"observe", "io/el"});
  EXPECT_EQ(observes->ReadLine(), "leader theirs");
  ElectionObserver observer(client, "io/el");
  const Result<Leader> leader = observer.Next();
  ASSERT_TRUE(leader.ok());
  EXPECT_EQ(leader->value, "theirs");
  EXPECT_EQ(leader->token, token);
  const Session session = Open(client);
  Election election(client, session, "io/el");
  std::future<Result<Fence>> waiting =
      std::async(std::launch::async, [&] { return election.Campaign("ours"); });
  WaitForKeys(client, "io/el/", 2);
  theirs->CloseInput();
  EXPECT_EQ(theirs->ReadLine(), "resigned");
  ASSERT_TRUE(waiting.get().ok());
  EXPECT_EQ(observer.Next()->value, "ours");
  EXPECT_EQ(observes->ReadLine(), "leader ours");
  ASSERT_TRUE(election.Proclaim("still ours").ok());
  EXPECT_EQ(observes->ReadLine(), "leader still ours");
  auto next = Etcds({"campaign", "io/el", "next"});
  WaitForKeys(client, "io/el/", 2);
  ASSERT_TRUE(election.Resign().ok());
  EXPECT_GT(NumberAfter("leading", next->ReadLine()), election.led() ? 0 : token);
  EXPECT_EQ(observes->ReadLine(), "leader next");
}

TEST_F(InteropTest, ReadersAndWritersOfBothWaitForEachOther) {
  const Client client = MakeClient();
  auto reads = Etcds({"rw_lock", "io/rw", "read"});
  EXPECT_EQ(reads->ReadLine(), "held");
  const Session one = Open(client), two = Open(client);
  RwLock reader(client, one, "io/rw"), writer(client, two, "io/rw");
  ASSERT_TRUE(reader.LockForReading().ok()) << "readers share";
  std::future<Result<Fence>> waiting =
      std::async(std::launch::async, [&] { return writer.LockForWriting(); });
  WaitForKeys(client, "io/rw/write/", 1);
  auto late = Etcds({"rw_lock", "io/rw", "read"});
  WaitForKeys(client, "io/rw/read/", 3);
  ASSERT_TRUE(reader.Unlock().ok());
  EXPECT_EQ(waiting.wait_for(milliseconds(50)), std::future_status::timeout);
  reads->CloseInput();
  EXPECT_EQ(reads->ReadLine(), "unlocked");
  ASSERT_TRUE(waiting.get().ok());
  ASSERT_TRUE(writer.Unlock().ok());
  EXPECT_EQ(late->ReadLine(), "held");
}

TEST_F(InteropTest, BarriersFallForBoth) {
  const Client client = MakeClient();
  const Barrier barrier(client, "io/barrier");
  ASSERT_TRUE(barrier.Hold().ok());
  auto waits = Etcds({"barrier", "io/barrier", "wait"});
  ASSERT_TRUE(barrier.Release().ok());
  EXPECT_EQ(waits->ReadLine(), "passed");
  auto holds = Etcds({"barrier", "io/barrier", "hold"});
  EXPECT_EQ(holds->ReadLine(), "holding");
  std::future<Status> waiting = std::async(std::launch::async, [&] { return barrier.Wait(); });
  EXPECT_EQ(barrier.Hold().reason(), Reason::kHeld);
  holds->CloseInput();
  EXPECT_TRUE(waiting.get().ok());
}

// Whichever comes last lets all of them in, and nobody is out before all are done.
TEST_F(InteropTest, DoubleBarriersCountBoth) {
  const Client client = MakeClient();
  const Session session = Open(client);
  for (const bool ours_is_last : {true, false}) {
    const std::string name = ours_is_last ? "io/db/1" : "io/db/2";
    DoubleBarrier barrier(client, session, name, 2);
    std::future<Status> in;
    if (!ours_is_last) {
      in = std::async(std::launch::async, [&] { return barrier.Enter(); });
      WaitForKeys(client, name + "/waiters/", 1);
    }
    auto theirs = Etcds({"double_barrier", name, "2"});
    if (ours_is_last) {
      WaitForKeys(client, name + "/waiters/", 1);
      in = std::async(std::launch::async, [&] { return barrier.Enter(); });
    }
    EXPECT_EQ(theirs->ReadLine(), "in");
    EXPECT_TRUE(in.get().ok());
    std::future<Status> out = std::async(std::launch::async, [&] { return barrier.Leave(); });
    EXPECT_EQ(out.wait_for(milliseconds(50)), std::future_status::timeout);
    theirs->CloseInput();
    EXPECT_EQ(theirs->ReadLine(), "out");
    EXPECT_TRUE(out.get().ok());
    EXPECT_EQ(Count(client, name + "/"), 0);
  }
}

TEST_F(InteropTest, QueuesAreOne) {
  const Client client = MakeClient();
  Queue queue(client, "io/queue");
  auto puts = Etcds({"queue", "io/queue", "put", "a", "b"});
  EXPECT_EQ(puts->ReadLine(), "put a");
  EXPECT_EQ(puts->ReadLine(), "put b");
  ASSERT_TRUE(queue.Enqueue("c").ok());
  EXPECT_EQ(*queue.Dequeue(), "a");
  auto takes = Etcds({"queue", "io/queue", "take"});
  EXPECT_EQ(takes->ReadLine(), "took b");
  EXPECT_EQ(takes->ReadLine(), "took c");
  ASSERT_TRUE(queue.Enqueue("d").ok());
  EXPECT_EQ(takes->ReadLine(), "took d");
}

TEST_F(InteropTest, EndpointsAreSeenByBoth) {
  const Client client = MakeClient();
  auto theirs = Etcds({"registry", "io/sr", "add", "1", "h:1"});
  EXPECT_EQ(theirs->ReadLine(), "registered");
  EndpointWatcher watcher(client, "io/sr");
  const Endpoint one{.name = "1", .address = "h:1", .metadata = R"({"zone":"a"})"};
  EXPECT_THAT(watcher.Next()->set, ElementsAre(one));
  theirs->CloseInput();
  EXPECT_THAT(watcher.Next()->removed, ElementsAre("1"));
  EXPECT_EQ(theirs->ReadLine(), "unregistered");
  Registration ours(client, "io/sr", {.name = "2", .address = "h:2", .metadata = R"({"w":1})"});
  ASSERT_TRUE(ours.WaitUntilRegistered().ok());
  EXPECT_EQ(Etcds({"registry", "io/sr", "list"})->ReadLine(), "io/sr/2 h:2 map[w:1]");
}

// --- The servers' services ----------------------------------------------------------------------

// One call of a service that the library has no methods for, in a thread of its own.
template <class Response, class Message>
std::future<Response> Call(const std::string& target, const std::string& method,
                           const Message& request) {
  return std::async(std::launch::async, [=, bytes = request.SerializeAsString()] {
    const auto channel = grpc::CreateChannel(target, grpc::InsecureChannelCredentials());
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer in(&slice, 1);
    grpc::ByteBuffer out;
    std::promise<grpc::Status> ended;
    stub.UnaryCall(&context, method, grpc::StubOptions(), &in, &out,
                   [&](grpc::Status status) { ended.set_value(std::move(status)); });
    const grpc::Status status = ended.get_future().get();
    EXPECT_TRUE(status.ok()) << status.error_message();
    Response response;
    grpc::Slice whole;
    if (status.ok() && out.DumpToSingleSlice(&whole).ok()) {
      EXPECT_TRUE(response.ParseFromArray(whole.begin(), static_cast<int>(whole.size())));
    }
    return response;
  });
}

TEST_F(InteropTest, TheServersLockIsTheSameLock) {
  const Client client = MakeClient();
  const Session session = Open(client), remote = Open(client);
  Mutex mutex(client, session, "io/v3lock");
  const Result<Fence> first = mutex.Lock();
  ASSERT_TRUE(first.ok());
  v3lockpb::LockRequest lock;
  lock.set_name("io/v3lock");
  lock.set_lease(remote.lease());
  auto locked = Call<v3lockpb::LockResponse>(cluster_->targets()[0], "/v3lockpb.Lock/Lock", lock);
  WaitForKeys(client, "io/v3lock/", 2);
  EXPECT_EQ(locked.wait_for(milliseconds(50)), std::future_status::timeout);
  ASSERT_TRUE(mutex.Unlock().ok());
  v3lockpb::UnlockRequest unlock;
  unlock.set_key(locked.get().key());
  EXPECT_TRUE(unlock.key().starts_with("io/v3lock/"));
  EXPECT_EQ(mutex.TryLock().status().reason(), Reason::kHeld);
  std::future<Result<Fence>> waiting = std::async(std::launch::async, [&] { return mutex.Lock(); });
  WaitForKeys(client, "io/v3lock/", 2);
  Call<v3lockpb::UnlockResponse>(cluster_->targets()[1], "/v3lockpb.Lock/Unlock", unlock).get();
  const Result<Fence> second = waiting.get();
  ASSERT_TRUE(second.ok());
  EXPECT_GT(second->token, first->token);
}

TEST_F(InteropTest, TheServersElectionIsTheSameElection) {
  const Client client = MakeClient();
  const Session session = Open(client), remote = Open(client);
  const std::string& target = cluster_->targets()[0];
  Election election(client, session, "io/v3el");
  const Result<Fence> first = election.Campaign("ours");
  ASSERT_TRUE(first.ok());
  v3electionpb::LeaderRequest who;
  who.set_name("io/v3el");
  const auto leader =
      Call<v3electionpb::LeaderResponse>(target, "/v3electionpb.Election/Leader", who).get();
  EXPECT_EQ(leader.kv().value(), "ours");
  EXPECT_EQ(leader.kv().create_revision(), first->token);
  v3electionpb::CampaignRequest campaign;
  campaign.set_name("io/v3el");
  campaign.set_lease(remote.lease());
  campaign.set_value("theirs");
  auto led =
      Call<v3electionpb::CampaignResponse>(target, "/v3electionpb.Election/Campaign", campaign);
  WaitForKeys(client, "io/v3el/", 2);
  EXPECT_EQ(led.wait_for(milliseconds(50)), std::future_status::timeout);
  ElectionObserver observer(client, "io/v3el");
  EXPECT_EQ(observer.Next()->value, "ours");
  ASSERT_TRUE(election.Resign().ok());
  const v3electionpb::CampaignResponse won = led.get();
  const Result<Leader> next = observer.Next();
  EXPECT_EQ(next->value, "theirs");
  EXPECT_EQ(next->token, won.leader().rev());
  v3electionpb::ProclaimRequest proclaim;
  *proclaim.mutable_leader() = won.leader();
  proclaim.set_value("still theirs");
  Call<v3electionpb::ProclaimResponse>(target, "/v3electionpb.Election/Proclaim", proclaim).get();
  EXPECT_EQ(observer.Next()->value, "still theirs");
  std::future<Result<Fence>> waiting =
      std::async(std::launch::async, [&] { return election.Campaign("again"); });
  WaitForKeys(client, "io/v3el/", 2);
  v3electionpb::ResignRequest resign;
  *resign.mutable_leader() = won.leader();
  Call<v3electionpb::ResignResponse>(target, "/v3electionpb.Election/Resign", resign).get();
  const Result<Fence> second = waiting.get();
  ASSERT_TRUE(second.ok());
  EXPECT_GT(second->token, won.leader().rev());
}

}  // namespace
}  // namespace gavel::client::recipes
