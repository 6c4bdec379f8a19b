// One holder at a time, tokens that grow, and guards that hold, while leaders and holders are
// killed.
#include "client/recipes/mutex.h"

#include <signal.h>

#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/recipes/recipes_test_support.h"

namespace gavel::client::recipes {
namespace {

using testing::ChildProcess;
using testing::milliseconds;
using testing::NumberAfter;

class MutexTest : public testing::RecipesTest {};

TEST_F(MutexTest, LocksExcludeAndTokensGrow) {
  const Client client = MakeClient();
  const Session first = Open(client), second = Open(client);
  Mutex one(client, first, "mu/ex"), two(client, second, "mu/ex");
  const Result<Fence> held = one.Lock();
  ASSERT_TRUE(held.ok()) << held.status().ToString();
  EXPECT_EQ(one.held(), *held);
  EXPECT_EQ(*one.Lock(), *held) << "it is held already";
  const Result<Fence> tried = two.TryLock();
  EXPECT_EQ(tried.status().reason(), Reason::kHeld);
  EXPECT_EQ(Count(client, "mu/ex/"), 1) << "a try leaves nothing behind";
  EXPECT_EQ(two.Lock({.timeout = milliseconds(100)}).status().reason(), Reason::kDeadline);
  EXPECT_EQ(Count(client, "mu/ex/"), 1) << "nor does a wait that ended";

  std::future<Result<Fence>> waiting = std::async(std::launch::async, [&] { return two.Lock(); });
  while (Count(client, "mu/ex/") < 2) std::this_thread::sleep_for(milliseconds(2));
  Txn guarded;
  guarded.If(held->guard()).Then(PutRequest{.key = "mu/data", .value = "1"});
  EXPECT_TRUE(client.kv().Commit(guarded)->succeeded);
  ASSERT_TRUE(one.Unlock().ok());
  EXPECT_EQ(one.held(), std::nullopt);
  EXPECT_TRUE(one.Unlock().ok());
  const Result<Fence> next = waiting.get();
  ASSERT_TRUE(next.ok()) << next.status().ToString();
  EXPECT_GT(next->token, held->token);
  EXPECT_FALSE(client.kv().Commit(guarded)->succeeded) << "what is late does nothing";
  EXPECT_EQ(*two.TryLock(), *next);
  ASSERT_TRUE(two.Unlock().ok());
  EXPECT_GT(one.TryLock()->token, next->token);
}

TEST_F(MutexTest, WaitsEndByStopAndByTheEndOfTheSession) {
  const Client client = MakeClient();
  const Session holder = Open(client), other = Open(client);
  Session dying = Open(client, std::chrono::seconds(3));
  Mutex held(client, holder, "mu/end");
  ASSERT_TRUE(held.Lock().ok());
  std::stop_source stop;
  Mutex stopped(client, other, "mu/end");
  std::future<Result<Fence>> first =
      std::async(std::launch::async, [&] { return stopped.Lock({.stop = stop.get_token()}); });
  Mutex lost(client, dying, "mu/end");
  std::future<Result<Fence>> second = std::async(std::launch::async, [&] { return lost.Lock(); });
  while (Count(client, "mu/end/") < 3) std::this_thread::sleep_for(milliseconds(2));
  stop.request_stop();
  EXPECT_EQ(first.get().status().reason(), Reason::kCancelled);
  ASSERT_TRUE(client.lease().Revoke(dying.lease()).ok());
  EXPECT_EQ(second.get().status().reason(), Reason::kLeaseLost);
  EXPECT_EQ(lost.TryLock().status().reason(), Reason::kLeaseLost);
  EXPECT_EQ(Count(client, "mu/end/"), 1);
}

// A lock whose lease died while it was waited for is not reported as held.
TEST_F(MutexTest, ALockThatCameTooLateIsNotHeld) {
  const Client client = MakeClient();
  const Session holder = Open(client), late = Open(client);
  Mutex held(client, holder, "mu/late");
  ASSERT_TRUE(held.Lock().ok());
  Mutex waits(client, late, "mu/late");
  std::future<Result<Fence>> waiting = std::async(std::launch::async, [&] { return waits.Lock(); });
  while (Count(client, "mu/late/") < 2) std::this_thread::sleep_for(milliseconds(2));
  // Its key goes, and then the one that it waits for.
  ASSERT_TRUE(
      client.kv().Commit(Txn().Then(DeleteRequest{.range = KeyRange::Prefix("mu/late/")})).ok());
  EXPECT_EQ(waiting.get().status().reason(), Reason::kLeaseLost);
  EXPECT_EQ(waits.held(), std::nullopt);
}

// No two hold it at once, and no token is less than one before, while the leader is killed.
TEST_F(MutexTest, ManyContendWhileLeadersDie) {
  const Client client = MakeClient();
  std::atomic<int> inside = 0, rounds = 0;
  std::atomic<bool> stop = false;
  std::atomic<int64_t> newest = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 5; ++t) {
    threads.emplace_back([&] {
      const Session session = Open(client);
      Mutex mutex(client, session, "mu/many");
      while (!stop) {
        const Result<Fence> held = mutex.Lock();
        ASSERT_TRUE(held.ok()) << held.status().ToString();
        EXPECT_EQ(++inside, 1);
        EXPECT_GT(held->token, newest.exchange(held->token));
        ++rounds;
        --inside;
        Status unlocked = mutex.Unlock();
        // Unknown outcomes of an election are settled by asking again.
        while (!unlocked.ok()) unlocked = mutex.Unlock();
      }
    });
  }
  const auto wait = [&] {
    const int to = rounds + 30;
    while (rounds < to) std::this_thread::sleep_for(milliseconds(2));
  };
  for (int i = 0; i < 2; ++i) {
    wait();
    KillAndRestart(client, LeadingMember(client));
  }
  wait();
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

// The holder is killed: the next one gets the lock when the lease has ended, and what the dead one
// might still have sent does nothing.
TEST_F(MutexTest, TheNextOneFollowsADeadHolder) {
  const Client client = MakeClient();
  auto holder = Example("mutex", {"mu/dead"});
  const int64_t token = NumberAfter("held", holder->ReadLine());
  EXPECT_EQ(holder->ReadLine(), "wrote");
  const Result<RangeResponse> key = client.kv().Range({.range = KeyRange::Prefix("mu/dead/")});
  ASSERT_EQ(key->kvs.size(), 1u);
  const Fence dead{.key = key->kvs[0].key, .token = token};
  const Session session = Open(client);
  Mutex mutex(client, session, "mu/dead");
  std::future<Result<Fence>> waiting = std::async(std::launch::async, [&] { return mutex.Lock(); });
  KillAndRestart(client, LeadingMember(client));
  EXPECT_TRUE(client.kv().Commit(Txn().If(dead.guard()))->succeeded) << "it outlives the leader";
  holder->Kill();
  const Result<Fence> held = waiting.get();
  ASSERT_TRUE(held.ok()) << held.status().ToString();
  EXPECT_GT(held->token, token);
  EXPECT_FALSE(client.kv().Commit(Txn().If(dead.guard()))->succeeded);
  auto next = Example("mutex", {"mu/dead"});
  while (Count(client, "mu/dead/") < 2) std::this_thread::sleep_for(milliseconds(2));
  ASSERT_TRUE(mutex.Unlock().ok());
  EXPECT_GT(NumberAfter("held", next->ReadLine()), held->token);
  EXPECT_EQ(next->ReadLine(), "wrote");
  next->CloseInput();
  EXPECT_EQ(next->ReadLine(), "unlocked");
  EXPECT_EQ(next->Finish(), 0);
}

// A holder that is paused for longer than its lease learns that it is late, and writes nothing.
TEST_F(MutexTest, APausedHolderIsLateAndItsGuardSaysSo) {
  const Client client = MakeClient();
  auto holder = Example("mutex", {"mu/paused"});
  NumberAfter("held", holder->ReadLine());
  EXPECT_EQ(holder->ReadLine(), "wrote");
  holder->Signal(SIGSTOP);
  const Session session = Open(client);
  Mutex mutex(client, session, "mu/paused");
  ASSERT_TRUE(mutex.Lock().ok());
  holder->CloseInput();
  holder->Signal(SIGCONT);
  // Giving up what it has not any more takes nothing from us.
  holder->ReadLine();
  EXPECT_TRUE(client.kv().Commit(Txn().If(mutex.held()->guard()))->succeeded);
}

// etcd's own client is one more contender.
TEST_F(MutexTest, EtcdsClientContendsForTheSameLock) {
  const Client client = MakeClient();
  const Session session = Open(client);
  Mutex mutex(client, session, "mu/etcdctl");
  const std::vector<std::string> lock = {ETCDCTL, "--endpoints=" + cluster_->targets()[0], "lock",
                                         "mu/etcdctl"};
  ChildProcess first(lock);
  EXPECT_TRUE(first.ReadLine().starts_with("mu/etcdctl/")) << "etcdctl is needed: etcd-client";
  EXPECT_EQ(mutex.TryLock().status().reason(), Reason::kHeld);
  std::future<Result<Fence>> waiting = std::async(std::launch::async, [&] { return mutex.Lock(); });
  while (Count(client, "mu/etcdctl/") < 2) std::this_thread::sleep_for(milliseconds(2));
  first.Signal(SIGINT);
  const Result<Fence> held = waiting.get();
  ASSERT_TRUE(held.ok()) << held.status().ToString();
  ChildProcess second(lock);
  while (Count(client, "mu/etcdctl/") < 2) std::this_thread::sleep_for(milliseconds(2));
  ASSERT_TRUE(mutex.Unlock().ok());
  EXPECT_TRUE(second.ReadLine().starts_with("mu/etcdctl/"));
}

}  // namespace
}  // namespace gavel::client::recipes
