// What becomes of waits when answers are lost, when they end in the middle of a call, when history
// is compacted under them, and when the session is over.
#include "client/recipes/waiting.h"

#include <signal.h>

#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/recipes/barrier.h"
#include "client/recipes/double_barrier.h"
#include "client/recipes/election.h"
#include "client/recipes/mutex.h"
#include "client/recipes/queue.h"
#include "client/recipes/rw_lock.h"
#include "client/recipes/semaphore.h"
#include "tests/client/recipes/recipes_test_support.h"
#include "tests/client/scripted_server.h"

namespace gavel::client::recipes {
namespace {

using testing::CuttingProxy;
using testing::milliseconds;

constexpr milliseconds kLong{60'000};

class WaitingTest : public testing::RecipesTest {
 protected:
  static Client ClientOf(const std::string& target) {
    Result<Client> client = Client::Create(
        {.endpoints = {target}, .timeout = milliseconds(30'000), .dial_timeout = kLong});
    EXPECT_TRUE(client.ok());
    return *std::move(client);
  }
  static int PortOf(int member) {
    const std::string& target = cluster_->targets()[member];
    return std::stoi(target.substr(target.rfind(':') + 1));
  }
  // The next change that a watcher tells; none after a minute.
  static std::optional<WatchEvent> NextEvent(Watcher* watcher) {
    const Pending<WatchBatch> next = watcher->NextAsync();
    if (!next.WaitFor(kLong)) return std::nullopt;
    const Result<WatchBatch> batch = next.Get();
    EXPECT_TRUE(batch.ok()) << batch.status().ToString();
    if (!batch.ok() || batch->events.size() != 1) return std::nullopt;
    return batch->events[0];
  }
};

// Whether or not the request whose answer was lost was carried out: there is one key, and the fence
// is of it.
TEST_F(WaitingTest, ALostAnswerLeavesOneKeyAndTheRightToken) {
  const Client other = MakeClient();
  CuttingProxy proxy(PortOf(0));
  const Client client = ClientOf(proxy.target());
  const Session session = Open(client);
  Mutex mutex(client, session, "wa/lost");
  int64_t token = 0;
  for (int round = 0; round < 12; ++round) {
    // From "nothing of an answer" on.
    proxy.CutAfter(round * 5);
    const Result<Fence> held = round % 2 == 0 ? mutex.Lock() : mutex.TryLock();
    ASSERT_TRUE(held.ok()) << held.status().ToString();
    EXPECT_EQ(Count(other, "wa/lost/"), 1);
    EXPECT_TRUE(other.kv().Commit(Txn().If(held->guard()))->succeeded);
    EXPECT_GT(held->token, token);
    token = held->token;
    ASSERT_TRUE(mutex.Unlock().ok());
    EXPECT_EQ(Count(other, "wa/lost/"), 0);
  }
  EXPECT_TRUE(proxy.was_cut());
}

// The member has the request and is paused. When it goes on, long after the wait has ended, it
// creates the key; then that is deleted, so that nobody waits for it.
TEST_F(WaitingTest, AKeyThatIsCreatedAfterTheWaitIsGivenUp) {
  const Client other = MakeClient();
  const int member = (LeadingMember(other) + 1) % cluster_->size();
  const Client client = ClientOf(cluster_->targets()[member]);
  const Session session = Open(client, std::chrono::seconds(600));
  ASSERT_TRUE(client.kv().Get("ready").ok());
  Watcher watcher = other.watch().Start({.range = KeyRange::Prefix("wa/late/"),
                                         .endpoint = cluster_->targets()[LeadingMember(other)]});
  ASSERT_TRUE(watcher.Created().ok());
  for (const bool tried : {false, true}) {
    cluster_->Ask(member, SIGSTOP);
    Mutex mutex(client, session, "wa/late");
    const WaitOptions wait{.timeout = milliseconds(50)};
    const Result<Fence> held = tried ? mutex.TryLock(wait) : mutex.Lock(wait);
    EXPECT_EQ(held.status().reason(), Reason::kDeadline);
    EXPECT_EQ(mutex.held(), std::nullopt);
    cluster_->Ask(member, SIGCONT);
    std::optional<WatchEvent> event = NextEvent(&watcher);
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->type, EventType::kPut);
    event = NextEvent(&watcher);
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->type, EventType::kDelete);
  }
  const Session next = Open(other);
  EXPECT_TRUE(Mutex(other, next, "wa/late").Lock({.timeout = kLong}).ok());
}

// Everybody waits; history is compacted and every member restarted, so that no watcher can go on
// from where it was. Nobody is let in by that, and everybody when the time has come.
TEST_F(WaitingTest, CompactionUnderAWaitNeitherEndsNorMissesAnything) {
  const Client client = MakeClient();
  const Session holder = Open(client), waiter = Open(client);
  Mutex mutex(client, holder, "wa/c/mutex"), next_mutex(client, waiter, "wa/c/mutex");
  RwLock lock(client, holder, "wa/c/rw"), next_lock(client, waiter, "wa/c/rw");
  Semaphore semaphore(client, holder, "wa/c/se", 1), next_semaphore(client, waiter, "wa/c/se", 1);
  Election election(client, holder, "wa/c/el"), next_election(client, waiter, "wa/c/el");
  const Barrier barrier(client, "wa/c/barrier");
  DoubleBarrier steps(client, holder, "wa/c/db", 2), next_steps(client, waiter, "wa/c/db", 2);
  Queue queue(client, "wa/c/queue");
  ASSERT_TRUE(mutex.Lock().ok());
  ASSERT_TRUE(lock.LockForReading().ok());
  ASSERT_TRUE(semaphore.Acquire().ok());
  ASSERT_TRUE(election.Campaign("first").ok());
  ASSERT_TRUE(barrier.Hold().ok());
  ElectionObserver observer(client, "wa/c/el");
  EXPECT_EQ(observer.Next()->value, "first");

  std::vector<std::future<Status>> waits;
  const auto wait = [&](auto call) {
    waits.push_back(std::async(std::launch::async, [call]() -> Status { return call(); }));
  };
  wait([&] { return next_mutex.Lock().status(); });
  wait([&] { return next_lock.LockForWriting().status(); });
  wait([&] { return next_semaphore.Acquire().status(); });
  wait([&] { return next_election.Campaign("second").status(); });
  wait([&] { return barrier.Wait(); });
  wait([&] { return next_steps.Enter(); });
  wait([&] { return Queue(client, "wa/c/queue").Dequeue().status(); });
  while (Count(client, "wa/c/") < 10) std::this_thread::sleep_for(milliseconds(2));
  for (int member = 0; member < cluster_->size(); ++member) {
    const Result<PutResponse> put = client.kv().Put("wa/other", "");
    if (put.ok()) static_cast<void>(client.kv().Compact({.revision = put->header.revision}));
    KillAndRestart(client, member);
    LeadingMember(client);
  }
  for (std::future<Status>& waiting : waits) {
    EXPECT_EQ(waiting.wait_for(milliseconds(0)), std::future_status::timeout);
  }
  const auto until_done = [](auto call) {
    while (!call().ok()) {
    }
  };
  until_done([&] { return mutex.Unlock(); });
  until_done([&] { return lock.Unlock(); });
  until_done([&] { return semaphore.Release(); });
  until_done([&] { return election.Resign(); });
  until_done([&] { return barrier.Release(); });
  EXPECT_TRUE(steps.Enter().ok());
  until_done([&] { return queue.Enqueue("item"); });
  for (std::future<Status>& waiting : waits) {
    const Status status = waiting.get();
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  EXPECT_EQ(observer.Next()->value, "second");
}

// A hold that was lost is not given out again, by whichever way it was lost.
TEST_F(WaitingTest, WhatWasHeldIsLookedAtBeforeItIsGivenOutAgain) {
  const Client client = MakeClient();
  const Session session = Open(client);
  Mutex mutex(client, session, "wa/held");
  Semaphore semaphore(client, session, "wa/places", 1);
  Election election(client, session, "wa/led");
  const Result<Fence> held = mutex.Lock(), place = semaphore.Acquire(), led = election.Campaign("");
  ASSERT_TRUE(held.ok() && place.ok() && led.ok());
  std::stop_source stop;
  stop.request_stop();
  const WaitOptions stopped{.stop = stop.get_token()};
  // Asking in vain takes nothing away.
  EXPECT_EQ(mutex.Lock(stopped).status().reason(), Reason::kCancelled);
  EXPECT_EQ(semaphore.Acquire(stopped).status().reason(), Reason::kCancelled);
  EXPECT_EQ(election.Campaign("", stopped).status().reason(), Reason::kCancelled);
  EXPECT_EQ(mutex.held(), *held);
  EXPECT_EQ(semaphore.held(), *place);
  EXPECT_EQ(election.led(), *led);
  EXPECT_EQ(Count(client, "wa/held/") + Count(client, "wa/places/") + Count(client, "wa/led/"), 3);
  // Somebody deleted the keys: they are taken anew.
  ASSERT_TRUE(client.kv().Delete(held->key).ok());
  ASSERT_TRUE(client.kv().Delete(place->key).ok());
  ASSERT_TRUE(client.kv().Delete(led->key).ok());
  EXPECT_GT(mutex.Lock()->token, held->token);
  EXPECT_GT(semaphore.Acquire()->token, place->token);
  EXPECT_GT(election.Campaign("")->token, led->token);
  // The session is over.
  ASSERT_TRUE(client.lease().Revoke(session.lease()).ok());
  EXPECT_EQ(mutex.Lock().status().reason(), Reason::kLeaseLost);
  EXPECT_EQ(mutex.TryLock().status().reason(), Reason::kLeaseLost);
  EXPECT_EQ(semaphore.Acquire().status().reason(), Reason::kLeaseLost);
  EXPECT_EQ(election.Campaign("").status().reason(), Reason::kLeaseLost);
  EXPECT_EQ(mutex.held(), std::nullopt);
  EXPECT_EQ(semaphore.held(), std::nullopt);
  EXPECT_EQ(election.led(), std::nullopt);
}

TEST_F(WaitingTest, AWaitInACallbackIsRefused) {
  const Client client = MakeClient();
  const Session session = Open(client);
  Mutex mutex(client, session, "wa/callback");
  std::promise<std::vector<Reason>> reasons;
  client.kv().GetAsync("ready").Then([&](const Result<GetResponse>&) {
    reasons.set_value({mutex.Lock().status().reason(), mutex.TryLock().status().reason(),
                       Barrier(client, "wa/barrier").Wait().reason(),
                       Queue(client, "wa/queue").Dequeue().status().reason()});
  });
  EXPECT_THAT(reasons.get_future().get(), ::testing::Each(Reason::kWouldDeadlock));
}

}  // namespace
}  // namespace gavel::client::recipes
