// One leads at a time, the next follows, and observers see each, while leaders of both kinds die.
#include "client/recipes/election.h"

#include <signal.h>

#include <future>
#include <optional>
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

class ElectionTest : public testing::RecipesTest {};

TEST_F(ElectionTest, CandidatesLeadInTurnAndObserversSeeIt) {
  const Client client = MakeClient();
  const Session one = Open(client), two = Open(client);
  Election first(client, one, "el/turn"), second(client, two, "el/turn");
  EXPECT_EQ(*CurrentLeader(client, "el/turn"), std::nullopt);
  ElectionObserver observer(client, "el/turn");
  EXPECT_EQ(observer.Next({.timeout = milliseconds(50)}).status().reason(), Reason::kDeadline);
  EXPECT_EQ(first.Proclaim("x").reason(), Reason::kNotHeld);

  const Result<Fence> led = first.Campaign("a");
  ASSERT_TRUE(led.ok()) << led.status().ToString();
  const Result<Leader> seen = observer.Next();
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen->value, "a");
  EXPECT_EQ(seen->fence(), *led);
  EXPECT_EQ(seen->lease, one.lease());
  EXPECT_EQ((*CurrentLeader(client, "el/turn"))->value, "a");

  std::future<Result<Fence>> waiting =
      std::async(std::launch::async, [&] { return second.Campaign("b"); });
  while (Count(client, "el/turn/") < 2) std::this_thread::sleep_for(milliseconds(2));
  ASSERT_TRUE(first.Proclaim("a2").ok());
  EXPECT_EQ(observer.Next()->value, "a2");
  EXPECT_EQ(*first.Campaign("a3"), *led) << "who leads already proclaims";
  EXPECT_EQ(observer.Next()->value, "a3");
  ASSERT_TRUE(first.Resign().ok());
  EXPECT_EQ(first.led(), std::nullopt);
  const Result<Fence> next = waiting.get();
  ASSERT_TRUE(next.ok());
  EXPECT_GT(next->token, led->token);
  EXPECT_EQ(observer.Next()->value, "b");
  EXPECT_FALSE(client.kv().Commit(Txn().If(led->guard()))->succeeded);
  EXPECT_TRUE(client.kv().Commit(Txn().If(next->guard()))->succeeded);

  // Whose key is gone does not lead any more, and learns so.
  ASSERT_TRUE(client.kv().Delete(next->key).ok());
  EXPECT_EQ(second.Proclaim("c").reason(), Reason::kNotHeld);
  EXPECT_TRUE(second.Resign().ok());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(second.Campaign("d", {.stop = stop.get_token()}).status().reason(), Reason::kCancelled);
  EXPECT_EQ(observer.Next({.timeout = milliseconds(50)}).status().reason(), Reason::kDeadline);
}

TEST_F(ElectionTest, TheNextOneLeadsAfterADeadLeader) {
  const Client client = MakeClient();
  auto leads = Example("election", {"el/dead", "campaign", "first"});
  const int64_t token = NumberAfter("leading", leads->ReadLine());
  auto observes = Example("election", {"el/dead", "observe"});
  EXPECT_EQ(observes->ReadLine(), "leader first " + std::to_string(token));
  const Session session = Open(client);
  Election election(client, session, "el/dead");
  std::future<Result<Fence>> waiting =
      std::async(std::launch::async, [&] { return election.Campaign("second"); });
  while (Count(client, "el/dead/") < 2) std::this_thread::sleep_for(milliseconds(2));
  KillAndRestart(client, LeadingMember(client));
  leads->Kill();
  const Result<Fence> led = waiting.get();
  ASSERT_TRUE(led.ok()) << led.status().ToString();
  EXPECT_GT(led->token, token);
  EXPECT_EQ(observes->ReadLine(), "leader second " + std::to_string(led->token));
  auto third = Example("election", {"el/dead", "campaign", "third"});
  while (Count(client, "el/dead/") < 2) std::this_thread::sleep_for(milliseconds(2));
  ASSERT_TRUE(election.Resign().ok());
  EXPECT_GT(NumberAfter("leading", third->ReadLine()), led->token);
  third->CloseInput();
  EXPECT_EQ(third->ReadLine(), "resigned");
  EXPECT_EQ(third->Finish(), 0);
}

// etcd's own client is one more candidate, and one more observer.
TEST_F(ElectionTest, EtcdsClientTakesPart) {
  const Client client = MakeClient();
  const std::string endpoint = "--endpoints=" + cluster_->targets()[0];
  ChildProcess etcdctl({ETCDCTL, endpoint, "elect", "el/etcdctl", "theirs"});
  EXPECT_TRUE(etcdctl.ReadLine().starts_with("el/etcdctl/")) << "etcdctl is needed: etcd-client";
  EXPECT_EQ(etcdctl.ReadLine(), "theirs");
  ElectionObserver observer(client, "el/etcdctl");
  EXPECT_EQ(observer.Next()->value, "theirs");
  const Session session = Open(client);
  Election election(client, session, "el/etcdctl");
  std::future<Result<Fence>> waiting =
      std::async(std::launch::async, [&] { return election.Campaign("ours"); });
  while (Count(client, "el/etcdctl/") < 2) std::this_thread::sleep_for(milliseconds(2));
  etcdctl.Signal(SIGINT);
  ASSERT_TRUE(waiting.get().ok());
  EXPECT_EQ(observer.Next()->value, "ours");
  ChildProcess listens({ETCDCTL, endpoint, "elect", "--listen", "el/etcdctl"});
  EXPECT_EQ(listens.ReadLine(), election.led()->key);
  EXPECT_EQ(listens.ReadLine(), "ours");
}

}  // namespace
}  // namespace gavel::client::recipes
