// The examples of watches and sessions do what they say while leaders and holders are killed. Those
// of the recipes are holders in the recipes' own tests.
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/recipes/recipes_test_support.h"

namespace gavel::client::recipes {
namespace {

using testing::milliseconds;
using testing::NumberAfter;

class ExamplesTest : public testing::RecipesTest {};

// Every change once and in order, on whichever member; what is not kept any more is told as such.
TEST_F(ExamplesTest, AWatcherGoesOnAndTellsOfAGap) {
  const Client client = MakeClient();
  auto watches = Example("watch", {"ex/w/"});
  NumberAfter("watching", watches->ReadLine());
  ASSERT_TRUE(client.kv().Put("ex/w/a", "1").ok());
  EXPECT_EQ(watches->ReadLine(), "put ex/w/a 1");
  KillAndRestart(client, LeadingMember(client));
  ASSERT_TRUE(client.kv().Put("ex/w/a", "2").ok());
  EXPECT_EQ(watches->ReadLine(), "put ex/w/a 2");
  ASSERT_TRUE(client.kv().Delete("ex/w/a").ok());
  EXPECT_EQ(watches->ReadLine(), "deleted ex/w/a");
  const Result<PutResponse> last = client.kv().Put("ex/w/b", "3");
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(watches->ReadLine(), "put ex/w/b 3");

  const int64_t revision = last->header.revision;
  ASSERT_TRUE(client.kv().Compact({.revision = revision}).ok());
  // Another member may not have applied it yet.
  for (const std::string& endpoint : cluster_->targets()) {
    ASSERT_TRUE(client.kv().Get("ex/w/a", {.endpoint = endpoint}).ok());
  }
  auto late = Example("watch", {"ex/w/", "1"});
  std::string line = late->ReadLine();
  if (line.starts_with("watching")) line = late->ReadLine();
  EXPECT_EQ(NumberAfter("compacted", line), revision);
  EXPECT_EQ(NumberAfter("watching", late->ReadLine()), revision);
  EXPECT_EQ(late->ReadLine(), "put ex/w/b 3");
}

TEST_F(ExamplesTest, AFollowerKeepsACopy) {
  const Client client = MakeClient();
  ASSERT_TRUE(client.kv().Put("ex/f/a", "1").ok());
  auto follows = Example("follow", {"ex/f/"});
  EXPECT_EQ(follows->ReadLine(), "1 keys: ex/f/a=1");
  KillAndRestart(client, LeadingMember(client));
  ASSERT_TRUE(client.kv().Put("ex/f/b", "2").ok());
  EXPECT_EQ(follows->ReadLine(), "2 keys: ex/f/a=1 ex/f/b=2");
  ASSERT_TRUE(client.kv().Delete("ex/f/a").ok());
  EXPECT_EQ(follows->ReadLine(), "1 keys: ex/f/b=2");
}

TEST_F(ExamplesTest, ASessionLivesAsLongAsItsProgram) {
  const Client client = MakeClient();
  auto lives = Example("session", {"ex/s/lives", "1"});
  auto dies = Example("session", {"ex/s/dies", "2"});
  auto loses = Example("session", {"ex/s/loses", "3"});
  NumberAfter("alive", lives->ReadLine());
  NumberAfter("alive", dies->ReadLine());
  const int64_t lease = NumberAfter("alive", loses->ReadLine());
  EXPECT_EQ(Count(client, "ex/s/"), 3);
  KillAndRestart(client, LeadingMember(client));
  EXPECT_EQ(Count(client, "ex/s/"), 3) << "leases outlive a leader";
  dies->Kill();
  while (Count(client, "ex/s/dies") > 0) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(Count(client, "ex/s/"), 2) << "the others are renewed";
  ASSERT_TRUE(client.lease().Revoke(lease).ok());
  EXPECT_TRUE(loses->ReadLine().starts_with("lost: "));
  loses->CloseInput();
  EXPECT_EQ(loses->ReadLine(), "gone already");
  EXPECT_EQ(loses->Finish(), 0);
  lives->CloseInput();
  EXPECT_EQ(lives->ReadLine(), "closing");
  EXPECT_EQ(lives->Finish(), 0);
  EXPECT_EQ(Count(client, "ex/s/"), 0);
}

}  // namespace
}  // namespace gavel::client::recipes
