// Instances are found while they live, and come back by themselves.
#include "client/recipes/service_registry.h"

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/recipes/recipes_test_support.h"

namespace gavel::client::recipes {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using std::chrono::seconds;
using testing::milliseconds;

class ServiceRegistryTest : public testing::RecipesTest {};

TEST_F(ServiceRegistryTest, TheLayoutIsEtcds) {
  EXPECT_EQ(*EncodeEndpoint({.name = "n", .address = "h:1", .metadata = R"({"z":1,"a":"ü"})"}),
            R"({"Op":0,"Addr":"h:1","Metadata":{"z":1,"a":"ü"}})");
  EXPECT_EQ(*EncodeEndpoint({.name = "n", .address = "h:1"}),
            R"({"Op":0,"Addr":"h:1","Metadata":null})");
  EXPECT_EQ(EncodeEndpoint({.name = "n", .metadata = "{"}).status().reason(),
            Reason::kInvalidOptions);
  const Endpoint whole{.name = "n", .address = "h:1", .metadata = R"([1,"b"])"};
  EXPECT_EQ(*DecodeEndpoint("n", *EncodeEndpoint(whole)), whole);
  EXPECT_EQ(DecodeEndpoint("n", R"({"Addr":"h:1"})")->address, "h:1");
  for (const char* bad : {"", "x", "[]", "{}", R"({"Addr":7})", "{\"Addr\":\"\xff\"}"}) {
    EXPECT_EQ(DecodeEndpoint("n", bad).status().reason(), Reason::kBadResponse) << bad;
  }
}

TEST_F(ServiceRegistryTest, EndpointsAreRegisteredResolvedAndFollowed) {
  const Client client = MakeClient();
  const Endpoint one{.name = "1", .address = "h:1", .metadata = R"({"w":1})"};
  const Endpoint two{.name = "2", .address = "h:2"};
  ASSERT_TRUE(Register(client, "sr/a", one, nullptr).ok());
  ASSERT_TRUE(client.kv().Put("sr/a/odd", "not ours").ok());
  EndpointWatcher watcher(client, "sr/a");
  const Result<EndpointChanges> list = watcher.Next();
  ASSERT_TRUE(list.ok()) << list.status().ToString();
  EXPECT_TRUE(list->restarted);
  EXPECT_THAT(list->set, ElementsAre(one));
  EXPECT_THAT(list->unreadable, ElementsAre("odd"));

  Session session = Open(client);
  ASSERT_TRUE(Register(client, "sr/a", two, &session).ok());
  const Result<EndpointChanges> added = watcher.Next();
  ASSERT_TRUE(added.ok());
  EXPECT_FALSE(added->restarted);
  EXPECT_THAT(added->set, ElementsAre(two));
  const Result<ResolveResponse> resolved = Resolve(client, "sr/a");
  ASSERT_TRUE(resolved.ok());
  EXPECT_THAT(resolved->endpoints, ElementsAre(one, two));
  EXPECT_THAT(resolved->unreadable, ElementsAre("odd"));
  EXPECT_THAT(Resolve(client, "s")->endpoints, IsEmpty()) << "a target ends at a slash";

  ASSERT_TRUE(session.Close().ok());
  EXPECT_THAT(watcher.Next()->removed, ElementsAre("2"));
  ASSERT_TRUE(client.kv().Put("sr/a/1", "spoiled").ok());
  const Result<EndpointChanges> spoiled = watcher.Next();
  EXPECT_THAT(spoiled->removed, ElementsAre("1"));
  EXPECT_THAT(spoiled->unreadable, ElementsAre("1"));
  EXPECT_THAT(watcher.endpoints(), IsEmpty());
  ASSERT_TRUE(Unregister(client, "sr/a", "1").ok());
  EXPECT_TRUE(Unregister(client, "sr/a", "1").ok());
  // Removing what was not among the endpoints is no change of them.
  EXPECT_THAT(watcher.Next()->removed, IsEmpty());
  EXPECT_EQ(watcher.Next({.timeout = milliseconds(50)}).status().reason(), Reason::kDeadline);
}

// A registration comes back when its lease was lost, and goes with its owner.
TEST_F(ServiceRegistryTest, ARegistrationIsKept) {
  const Client client = MakeClient();
  std::atomic<int> stood = 0, lost = 0;
  {
    Registration registration(client, "sr/kept", {.name = "1", .address = "h:1"},
                              {.ttl = seconds(3), .on_change = [&](const Status& status) {
                                 ++(status.ok() ? stood : lost);
                               }});
    ASSERT_TRUE(registration.WaitUntilRegistered().ok());
    EXPECT_TRUE(registration.registered());
    KillAndRestart(client, LeadingMember(client));
    const Result<GetResponse> key = client.kv().Get("sr/kept/1");
    ASSERT_TRUE(key.ok() && key->kv.has_value());
    // Somebody takes the lease away.
    Status revoked = client.lease().Revoke(key->kv->lease).status();
    while (!revoked.ok() && revoked.reason() != Reason::kLeaseNotFound) {
      revoked = client.lease().Revoke(key->kv->lease).status();
    }
    EndpointWatcher watcher(client, "sr/kept");
    while (watcher.endpoints().empty()) ASSERT_TRUE(watcher.Next().ok());
    EXPECT_EQ(watcher.endpoints().at("1").address, "h:1");
    while (stood < 2) std::this_thread::sleep_for(milliseconds(2));
    EXPECT_GE(lost, 1);
  }
  EndpointWatcher watcher(client, "sr/kept");
  ASSERT_TRUE(watcher.Next().ok());
  while (!watcher.endpoints().empty()) ASSERT_TRUE(watcher.Next().ok());

  {
    Registration registration(client, "sr/kept", {.name = "3", .address = "h:3"});
    ASSERT_TRUE(registration.WaitUntilRegistered().ok());
    EXPECT_EQ(Count(client, "sr/kept/"), 1);
    ASSERT_TRUE(registration.Close().ok());
    EXPECT_EQ(Count(client, "sr/kept/"), 0) << "Close waits for the servers";
    EXPECT_FALSE(registration.registered());
    EXPECT_EQ(registration.WaitUntilRegistered().reason(), Reason::kCancelled);
    EXPECT_TRUE(registration.Close().ok());
  }

  Registration refused(client, "sr/kept", {.name = "2", .metadata = "{"});
  EXPECT_EQ(refused.WaitUntilRegistered().reason(), Reason::kInvalidOptions);
  EXPECT_FALSE(refused.registered());
}

// Until the follower has said that none of `names` is there any more.
void AwaitRemoved(testing::ChildProcess& follower, std::set<std::string> names) {
  while (!names.empty()) {
    const std::string line = follower.ReadLine();
    ASSERT_FALSE(line.empty()) << "the follower has ended";
    if (line.starts_with("removed ")) names.erase(line.substr(line.find(' ') + 1));
    // While there is no leader a lease may end, and its instance comes back.
    if (line.starts_with("set ")) names.insert(line.substr(4, line.find(' ', 4) - 4));
  }
}

TEST_F(ServiceRegistryTest, ADeadInstanceDisappears) {
  const Client client = MakeClient();
  const std::string alive = R"(1 h:1 {"zone":"a"})";
  auto lives = Example("registry", {"sr/dead", "register", "1", "h:1", R"({"zone":"a"})"});
  EXPECT_EQ(lives->ReadLine(), "registered");
  auto follows = Example("registry", {"sr/dead", "follow"});
  EXPECT_EQ(follows->ReadLine(), "set " + alive);
  auto dies = Example("registry", {"sr/dead", "register", "2", "h:2"});
  EXPECT_EQ(follows->ReadLine(), "set 2 h:2 ");
  KillAndRestart(client, LeadingMember(client));
  dies->Kill();
  const auto list = [&] {
    auto lists = Example("registry", {"sr/dead", "list"});
    std::string all;
    for (std::string line = lists->ReadLine(); !line.empty(); line = lists->ReadLine()) all += line;
    EXPECT_EQ(lists->Finish(), 0);
    return all;
  };
  const auto end = std::chrono::steady_clock::now() + seconds(60);
  std::string listed = list();
  while (listed != alive && std::chrono::steady_clock::now() < end) listed = list();
  EXPECT_EQ(listed, alive);
  lives->CloseInput();
  EXPECT_EQ(lives->ReadLine(), "unregistered");
  EXPECT_EQ(lives->Finish(), 0);
  AwaitRemoved(*follows, {"1", "2"});
}

}  // namespace
}  // namespace gavel::client::recipes
