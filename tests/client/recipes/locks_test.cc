// Read-write locks and semaphores: who may be in together, who waits for whom, and what a killed
// holder leaves.
#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/recipes/rw_lock.h"
#include "client/recipes/semaphore.h"
#include "tests/client/recipes/recipes_test_support.h"

namespace gavel::client::recipes {
namespace {

using testing::milliseconds;
using testing::NumberAfter;

class LocksTest : public testing::RecipesTest {};

TEST_F(LocksTest, ReadersShareWritersExcludeAndNobodyOvertakes) {
  const Client client = MakeClient();
  std::vector<Session> sessions;
  for (int i = 0; i < 4; ++i) sessions.push_back(Open(client));
  RwLock one(client, sessions[0], "rw/a"), two(client, sessions[1], "rw/a");
  RwLock writer(client, sessions[2], "rw/a"), late(client, sessions[3], "rw/a");
  const Result<Fence> first = one.LockForReading();
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  ASSERT_TRUE(two.LockForReading().ok());
  EXPECT_EQ(one.LockForWriting().status().reason(), Reason::kInvalidOptions);
  EXPECT_EQ(writer.LockForWriting({.timeout = milliseconds(50)}).status().reason(),
            Reason::kDeadline);
  std::future<Result<Fence>> writes =
      std::async(std::launch::async, [&] { return writer.LockForWriting(); });
  while (Count(client, "rw/a/write/") < 1) std::this_thread::sleep_for(milliseconds(2));
  // A reader that comes after a waiting writer waits for it.
  EXPECT_EQ(late.LockForReading({.timeout = milliseconds(50)}).status().reason(),
            Reason::kDeadline);
  ASSERT_TRUE(one.Unlock().ok());
  EXPECT_EQ(writes.wait_for(milliseconds(50)), std::future_status::timeout);
  ASSERT_TRUE(two.Unlock().ok());
  const Result<Fence> written = writes.get();
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_GT(written->token, first->token);
  EXPECT_TRUE(client.kv().Commit(Txn().If(written->guard()))->succeeded);
  EXPECT_FALSE(client.kv().Commit(Txn().If(first->guard()))->succeeded);
  ASSERT_TRUE(writer.Unlock().ok());
  EXPECT_TRUE(late.LockForReading().ok());
}

TEST_F(LocksTest, AWriterFollowsADeadReaderAndAReaderADeadWriter) {
  const Client client = MakeClient();
  auto reader = Example("rw_lock", {"rw/dead", "read"});
  const int64_t read = NumberAfter("held", reader->ReadLine());
  const Session session = Open(client);
  RwLock lock(client, session, "rw/dead");
  std::future<Result<Fence>> writes =
      std::async(std::launch::async, [&] { return lock.LockForWriting(); });
  KillAndRestart(client, LeadingMember(client));
  reader->Kill();
  const Result<Fence> written = writes.get();
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_GT(written->token, read);

  auto writer = Example("rw_lock", {"rw/dead", "write"});
  while (Count(client, "rw/dead/write/") < 2) std::this_thread::sleep_for(milliseconds(2));
  ASSERT_TRUE(lock.Unlock().ok());
  NumberAfter("held", writer->ReadLine());
  std::future<Result<Fence>> reads =
      std::async(std::launch::async, [&] { return lock.LockForReading(); });
  writer->Kill();
  EXPECT_TRUE(reads.get().ok());
}

TEST_F(LocksTest, ASemaphoreLetsSoManyInAndNoMore) {
  const Client client = MakeClient();
  std::atomic<int> inside = 0, most = 0, rounds = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      const Session session = Open(client);
      Semaphore semaphore(client, session, "se/many", 3);
      for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(semaphore.Acquire().ok());
        const int now = ++inside;
        EXPECT_LE(now, 3);
        if (now > most) most = now;
        std::this_thread::sleep_for(milliseconds(2));
        ++rounds;
        --inside;
        ASSERT_TRUE(semaphore.Release().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(rounds, 60);
  EXPECT_GT(most, 1);
  const Session session = Open(client);
  EXPECT_EQ(Semaphore(client, session, "se/none", 0).Acquire().status().reason(),
            Reason::kInvalidOptions);
}

TEST_F(LocksTest, APlaceOfADeadHolderIsTaken) {
  const Client client = MakeClient();
  auto first = Example("semaphore", {"se/dead", "2"});
  auto second = Example("semaphore", {"se/dead", "2"});
  NumberAfter("held", first->ReadLine());
  NumberAfter("held", second->ReadLine());
  const Session session = Open(client);
  Semaphore semaphore(client, session, "se/dead", 2);
  EXPECT_EQ(semaphore.Acquire({.timeout = milliseconds(50)}).status().reason(), Reason::kDeadline);
  EXPECT_EQ(Count(client, "se/dead/"), 2);
  std::future<Result<Fence>> waiting =
      std::async(std::launch::async, [&] { return semaphore.Acquire(); });
  KillAndRestart(client, LeadingMember(client));
  second->Kill();
  const Result<Fence> held = waiting.get();
  ASSERT_TRUE(held.ok()) << held.status().ToString();
  EXPECT_TRUE(client.kv().Commit(Txn().If(held->guard()))->succeeded);
  first->CloseInput();
  EXPECT_EQ(first->ReadLine(), "released");
  EXPECT_EQ(first->Finish(), 0);
}

}  // namespace
}  // namespace gavel::client::recipes
