// Items leave in the order in which they came, each once.
#include "client/recipes/queue.h"

#include <future>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/recipes/recipes_test_support.h"

namespace gavel::client::recipes {
namespace {

using testing::milliseconds;

class QueueTest : public testing::RecipesTest {};

TEST_F(QueueTest, FirstInFirstOut) {
  const Client client = MakeClient();
  Queue queue(client, "qu/fifo");
  Queue other(client, "qu/fifo");
  EXPECT_EQ(queue.Dequeue({.timeout = milliseconds(50)}).status().reason(), Reason::kDeadline);
  // Producers that began at the same revision do not overwrite each other.
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(queue.Enqueue("a" + std::to_string(i)).ok());
    ASSERT_TRUE(other.Enqueue("b" + std::to_string(i)).ok());
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(*queue.Dequeue(), "a" + std::to_string(i));
    EXPECT_EQ(*queue.Dequeue(), "b" + std::to_string(i));
  }
  std::future<Result<std::string>> waiting =
      std::async(std::launch::async, [&] { return queue.Dequeue(); });
  EXPECT_EQ(waiting.wait_for(milliseconds(50)), std::future_status::timeout);
  ASSERT_TRUE(other.Enqueue("late").ok());
  EXPECT_EQ(*waiting.get(), "late");
}

// Whoever takes an item has it alone, while the leader and a consumer are killed.
TEST_F(QueueTest, EachItemGoesToOneConsumer) {
  const Client client = MakeClient();
  constexpr int kItems = 120;
  std::mutex mutex;
  std::multiset<std::string> taken;
  int unknown = 0;
  std::vector<std::thread> consumers;
  for (int t = 0; t < 3; ++t) {
    consumers.emplace_back([&] {
      Queue queue(client, "qu/once");
      while (true) {
        const Result<std::string> item = queue.Dequeue();
        const std::lock_guard lock(mutex);
        if (!item.ok()) {
          EXPECT_EQ(item.status().error_class(), ErrorClass::kUnknown) << item.status().ToString();
          ++unknown;
          continue;
        }
        if (*item == "end") return;
        taken.insert(*item);
      }
    });
  }
  auto example = Example("queue", {"qu/once", "take"});
  Queue queue(client, "qu/once");
  std::set<std::string> put, maybe;
  for (int i = 0; i < kItems; ++i) {
    if (i == kItems / 2) {
      example->Kill();
      KillAndRestart(client, LeadingMember(client));
    }
    const std::string item = std::to_string(i);
    (queue.Enqueue(item).ok() ? put : maybe).insert(item);
  }
  // What the program took before it was killed, it has told.
  for (std::string line = example->ReadLine(); !line.empty(); line = example->ReadLine()) {
    const std::lock_guard lock(mutex);
    taken.insert(line.substr(5));
  }
  for (int t = 0; t < 3; ++t) {
    while (!queue.Enqueue("end").ok()) {
    }
  }
  for (std::thread& consumer : consumers) consumer.join();
  int missing = 0;
  for (const std::string& item : put) {
    EXPECT_LE(taken.count(item), 1u) << item << " was taken twice";
    missing += taken.count(item) == 0;
  }
  // The killed consumer may have had one in hand, and one for each unknown outcome may be lost.
  EXPECT_LE(missing, 1 + unknown);
}

TEST_F(QueueTest, TheExamplePutsAndTakes) {
  auto takes = Example("queue", {"qu/example", "take"});
  auto puts = Example("queue", {"qu/example", "put", "one", "two"});
  EXPECT_EQ(puts->ReadLine(), "put one");
  EXPECT_EQ(takes->ReadLine(), "took one");
  EXPECT_EQ(takes->ReadLine(), "took two");
  EXPECT_EQ(puts->Finish(), 0);
}

}  // namespace
}  // namespace gavel::client::recipes
