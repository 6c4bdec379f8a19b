// Barriers that fall for everybody at once, and steps that begin and end together.
#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/recipes/barrier.h"
#include "client/recipes/double_barrier.h"
#include "tests/client/recipes/recipes_test_support.h"

namespace gavel::client::recipes {
namespace {

using testing::milliseconds;

class BarriersTest : public testing::RecipesTest {};

TEST_F(BarriersTest, EverybodyWaitsUntilItFalls) {
  const Client client = MakeClient();
  const Barrier barrier(client, "ba/one");
  EXPECT_TRUE(barrier.Wait().ok()) << "none stands";
  ASSERT_TRUE(barrier.Hold().ok());
  EXPECT_EQ(barrier.Hold().reason(), Reason::kHeld);
  EXPECT_EQ(barrier.Wait({.timeout = milliseconds(50)}).reason(), Reason::kDeadline);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(barrier.Wait({.stop = stop.get_token()}).reason(), Reason::kCancelled);
  auto other = Example("barrier", {"ba/one", "wait"});
  std::future<Status> waiting = std::async(std::launch::async, [&] { return barrier.Wait(); });
  EXPECT_EQ(waiting.wait_for(milliseconds(50)), std::future_status::timeout);
  ASSERT_TRUE(barrier.Release().ok());
  EXPECT_TRUE(waiting.get().ok());
  EXPECT_EQ(other->ReadLine(), "passed");
  EXPECT_TRUE(barrier.Release().ok());
}

TEST_F(BarriersTest, ItFallsWithItsHolderAndStandsThroughADeadLeader) {
  const Client client = MakeClient();
  auto holder = Example("barrier", {"ba/dead", "hold"});
  EXPECT_EQ(holder->ReadLine(), "holding");
  const Barrier barrier(client, "ba/dead");
  std::future<Status> waiting = std::async(std::launch::async, [&] { return barrier.Wait(); });
  KillAndRestart(client, LeadingMember(client));
  EXPECT_EQ(waiting.wait_for(milliseconds(0)), std::future_status::timeout);
  holder->Kill();
  EXPECT_TRUE(waiting.get().ok());
}

// Everybody is in before anybody goes on, and everybody is done before anybody leaves; again and
// again under the same name.
TEST_F(BarriersTest, StepsBeginAndEndTogether) {
  const Client client = MakeClient();
  constexpr int kCount = 4, kSteps = 5;
  std::atomic<int> began[kSteps] = {}, ended[kSteps] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < kCount; ++t) {
    threads.emplace_back([&] {
      const Session session = Open(client);
      DoubleBarrier barrier(client, session, "db/steps", kCount);
      for (int step = 0; step < kSteps; ++step) {
        if (step > 0) {
          EXPECT_EQ(ended[step - 1], kCount);
        }
        ++began[step];
        const Status in = barrier.Enter();
        ASSERT_TRUE(in.ok()) << in.ToString();
        EXPECT_EQ(began[step], kCount);
        ++ended[step];
        const Status out = barrier.Leave();
        ASSERT_TRUE(out.ok()) << out.ToString();
        EXPECT_EQ(ended[step], kCount);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count(client, "db/steps/"), 0);
}

TEST_F(BarriersTest, WhoGivesUpOrIsTooManyLeavesNothingBehind) {
  const Client client = MakeClient();
  const Session one = Open(client), two = Open(client), three = Open(client);
  DoubleBarrier alone(client, one, "db/few", 2);
  EXPECT_EQ(alone.Enter({.timeout = milliseconds(50)}).reason(), Reason::kDeadline);
  EXPECT_EQ(Count(client, "db/few/"), 0);
  EXPECT_EQ(alone.Leave().reason(), Reason::kNotHeld);
  DoubleBarrier other(client, two, "db/few", 2);
  std::future<Status> waiting = std::async(std::launch::async, [&] { return other.Enter(); });
  ASSERT_TRUE(alone.Enter().ok());
  EXPECT_TRUE(waiting.get().ok());
  DoubleBarrier more(client, three, "db/few", 2);
  EXPECT_EQ(more.Enter().reason(), Reason::kHeld);
  EXPECT_EQ(Count(client, "db/few/waiters/"), 2);
  EXPECT_EQ(alone.Leave({.timeout = milliseconds(50)}).reason(), Reason::kDeadline);
  EXPECT_TRUE(other.Leave().ok());
  EXPECT_TRUE(alone.Leave().ok());
  EXPECT_EQ(DoubleBarrier(client, one, "db/none", 0).Enter().reason(), Reason::kInvalidOptions);
}

// One that dies while the others wait is replaced; one that dies inside holds nobody back for ever.
TEST_F(BarriersTest, TheDeadAreNotWaitedFor) {
  const Client client = MakeClient();
  auto first = Example("double_barrier", {"db/dead", "3"});
  auto second = Example("double_barrier", {"db/dead", "3"});
  while (Count(client, "db/dead/waiters/") < 2) std::this_thread::sleep_for(milliseconds(5));
  second->Kill();
  while (Count(client, "db/dead/waiters/") > 1) std::this_thread::sleep_for(milliseconds(5));
  auto third = Example("double_barrier", {"db/dead", "3"});
  while (Count(client, "db/dead/waiters/") < 2) std::this_thread::sleep_for(milliseconds(5));
  const Session session = Open(client);
  DoubleBarrier barrier(client, session, "db/dead", 3);
  ASSERT_TRUE(barrier.Enter().ok());
  EXPECT_EQ(first->ReadLine(), "in");
  EXPECT_EQ(third->ReadLine(), "in");
  std::future<Status> leaving = std::async(std::launch::async, [&] { return barrier.Leave(); });
  KillAndRestart(client, LeadingMember(client));
  first->CloseInput();
  third->Kill();
  EXPECT_TRUE(leaving.get().ok());
  EXPECT_EQ(first->ReadLine(), "out");
  EXPECT_EQ(first->Finish(), 0);
}

}  // namespace
}  // namespace gavel::client::recipes
