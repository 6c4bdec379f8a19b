// Watchers against real members that are killed while changes go on.
#include <signal.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/client_cluster_support.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;

using testing::ClientClusterTest;
using testing::milliseconds;

class ClusterWatchTest : public ClientClusterTest {};

std::vector<std::string> Told(const WatchBatch& batch) {
  std::vector<std::string> told;
  for (const WatchEvent& event : batch.events) {
    std::string text = event.type == EventType::kDelete ? "DELETE " : "PUT ";
    text += event.kv.key + "=" + event.kv.value;
    if (event.prev_kv) text += " was " + event.prev_kv->value;
    told.push_back(std::move(text));
  }
  return told;
}

// The next batches together, until they have so many events.
std::vector<std::string> Collect(Watcher* watcher, size_t events) {
  std::vector<std::string> told;
  while (told.size() < events) {
    const Result<WatchBatch> batch = watcher->Next();
    if (!batch.ok()) {
      ADD_FAILURE() << batch.status().ToString();
      break;
    }
    for (std::string& text : Told(*batch)) told.push_back(std::move(text));
  }
  return told;
}

TEST_F(ClusterWatchTest, RangesStartsAndFilters) {
  const Client client = MakeClient();
  const Kv kv = client.kv();
  const Result<PutResponse> first = kv.Put("rs/a", "1");
  ASSERT_TRUE(first.ok());
  Watcher now = client.watch().Start({.range = "rs/a"});
  Watcher puts = client.watch().Start({.range = KeyRange::Prefix("rs/"), .no_delete = true});
  Watcher deletions =
      client.watch().Start({.range = KeyRange::Prefix("rs/"), .prev_kv = true, .no_put = true});
  Watcher future = client.watch().Start(
      {.range = KeyRange::Prefix("rs/"), .start_revision = first->header.revision + 3});
  EXPECT_EQ(*now.Created(), first->header.revision + 1);
  EXPECT_EQ(*future.Created(), first->header.revision + 3);
  for (Watcher* watcher : {&puts, &deletions}) ASSERT_TRUE(watcher->Created().ok());

  ASSERT_TRUE(kv.Put("rs/a", "2").ok());
  ASSERT_TRUE(kv.Put("rs/b", "3").ok());
  ASSERT_TRUE(kv.Delete(DeleteRequest{.range = KeyRange::Prefix("rs/")}).ok());
  ASSERT_TRUE(kv.PutMany({{"rs/a", "4"}, {"rs/c", "5"}}).ok());

  EXPECT_THAT(Collect(&now, 3), ElementsAre("PUT rs/a=2", "DELETE rs/a=", "PUT rs/a=4"));
  EXPECT_THAT(Collect(&puts, 4),
              ElementsAre("PUT rs/a=2", "PUT rs/b=3", "PUT rs/a=4", "PUT rs/c=5"));
  EXPECT_THAT(Collect(&deletions, 2), ElementsAre("DELETE rs/a= was 2", "DELETE rs/b= was 3"));
  EXPECT_THAT(Collect(&future, 4),
              ElementsAre("DELETE rs/a=", "DELETE rs/b=", "PUT rs/a=4", "PUT rs/c=5"));
  Watcher past = client.watch().Start({.range = KeyRange::Prefix("rs/"),
                                       .start_revision = first->header.revision,
                                       .prev_kv = true});
  EXPECT_THAT(Collect(&past, 7),
              ElementsAre("PUT rs/a=1", "PUT rs/a=2 was 1", "PUT rs/b=3", "DELETE rs/a= was 2",
                          "DELETE rs/b= was 3", "PUT rs/a=4", "PUT rs/c=5"));
  Watcher empty = client.watch().Start({.range = KeyRange::Between("b", "a")});
  EXPECT_EQ(empty.Next().status().reason(), Reason::kEmptyRange);
  // A transaction is one batch.
  Watcher whole = client.watch().Start({.range = KeyRange::Prefix("rs/")});
  ASSERT_TRUE(whole.Created().ok());
  ASSERT_TRUE(kv.PutMany({{"rs/x", "6"}, {"rs/y", "7"}, {"rs/z", "8"}}).ok());
  const Result<WatchBatch> batch = whole.Next();
  ASSERT_TRUE(batch.ok());
  EXPECT_THAT(Told(*batch), ElementsAre("PUT rs/x=6", "PUT rs/y=7", "PUT rs/z=8"));
}

TEST_F(ClusterWatchTest, ACompactedStartIsToldAndTheRestIsThere) {
  const Client client = MakeClient();
  const Result<PutResponse> first = client.kv().Put("cs/a", "1");
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(client.kv().Put("cs/a", "2").ok());
  const Result<PutResponse> third = client.kv().Put("cs/a", "3");
  ASSERT_TRUE(third.ok());
  ASSERT_TRUE(client.kv().Compact({.revision = third->header.revision}).ok());
  // Another member may not have applied it yet.
  for (const std::string& endpoint : cluster_->targets()) {
    ASSERT_TRUE(client.kv().Get("cs/a", {.endpoint = endpoint}).ok());
  }
  Watcher below = client.watch().Start({.range = "cs/a", .start_revision = first->header.revision});
  const Status status = below.Next().status();
  EXPECT_EQ(status.reason(), Reason::kCompacted) << status.ToString();
  EXPECT_EQ(status.compact_revision(), third->header.revision);
  Watcher at = client.watch().Start(
      {.range = "cs/a", .start_revision = status.compact_revision(), .prev_kv = true});
  EXPECT_THAT(Collect(&at, 1), ElementsAre("PUT cs/a=3"));
}

// A revision too large for one message of the server arrives whole.
TEST_F(ClusterWatchTest, ARevisionInFragmentsArrivesWhole) {
  const Client client = MakeClient();
  std::vector<std::pair<std::string, std::string>> pairs;
  for (int i = 0; i < 14; ++i) {
    pairs.emplace_back("fr/" + std::to_string(i), std::string(100'000, 'a'));
  }
  ASSERT_TRUE(client.kv().PutMany(pairs).ok());
  Watcher watcher = client.watch().Start({.range = KeyRange::Prefix("fr/"), .prev_kv = true});
  ASSERT_TRUE(watcher.Created().ok());
  const Result<TxnResponse> again = client.kv().PutMany(pairs);
  ASSERT_TRUE(again.ok());
  const Result<WatchBatch> batch = watcher.Next();
  ASSERT_TRUE(batch.ok()) << batch.status().ToString();
  ASSERT_EQ(batch->events.size(), 14u);
  for (const WatchEvent& event : batch->events) {
    EXPECT_EQ(event.kv.mod_revision, again->header.revision);
    EXPECT_EQ(event.prev_kv->value.size(), 100'000u);
  }
}

TEST_F(ClusterWatchTest, ProgressIsTold) {
  const Client client = MakeClient();
  Watcher watcher = client.watch().Start({.range = "pr/quiet"});
  ASSERT_TRUE(watcher.Created().ok());
  const Result<PutResponse> put = client.kv().Put("pr/other", "1");
  ASSERT_TRUE(put.ok());
  // Once the watcher's member has applied the put, which this read sees to.
  for (const std::string& endpoint : cluster_->targets()) {
    ASSERT_TRUE(client.kv().Get("pr/other", {.endpoint = endpoint}).ok());
  }
  watcher.RequestProgress();
  const Result<WatchBatch> told = watcher.Next();
  ASSERT_TRUE(told.ok());
  EXPECT_TRUE(told->progress());
  EXPECT_GE(told->header.revision, put->header.revision);
}

// Writes a few keys, each version of each key once as far as it knows.
class Changes {
 public:
  Changes(const Client& client, std::string prefix) : prefix_(std::move(prefix)) {
    thread_ = std::thread([this, &client] { Run(client); });
  }
  ~Changes() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int done() const { return done_; }

 private:
  void Run(const Client& client) {
    for (int i = 0; !stop_; ++i) {
      const std::string key = prefix_ + std::to_string(i % 5);
      Txn txn;
      txn.Then(PutRequest{.key = key, .value = std::to_string(i)})
          .Then(PutRequest{.key = prefix_ + "all", .value = std::to_string(i)});
      if (i % 7 == 6) txn = Txn().Then(DeleteRequest{.range = key});
      if (client.kv().Commit(std::move(txn)).ok()) ++done_;
    }
  }

  const std::string prefix_;
  std::atomic<bool> stop_{false};
  std::atomic<int> done_{0};
  std::thread thread_;
};

// Checks each event against those before: order, and no gap in any key's versions.
class GaplessCheck {
 public:
  void Add(const WatchBatch& batch) {
    for (const WatchEvent& event : batch.events) {
      EXPECT_GE(event.kv.mod_revision, last_revision_) << "in order, and whole revisions";
      last_revision_ = event.kv.mod_revision;
      int64_t& version = versions_[event.kv.key];
      if (event.type == EventType::kDelete) {
        EXPECT_GT(version, 0) << event.kv.key << " was deleted twice, or its birth is missing";
        version = 0;
      } else {
        EXPECT_EQ(event.kv.version, version + 1) << event.kv.key << " at " << last_revision_;
        version = event.kv.version;
      }
      ++events_;
    }
    if (!batch.events.empty()) {
      EXPECT_GT(batch.events.front().kv.mod_revision, last_of_batch_);
      last_of_batch_ = last_revision_;
    }
  }
  bool Saw(const std::string& key) const { return versions_.contains(key); }
  int events() const { return events_; }

 private:
  std::map<std::string, int64_t> versions_;
  int64_t last_revision_ = 0;
  int64_t last_of_batch_ = 0;
  int events_ = 0;
};

// Each event comes once, in order, in whole revisions, while leaders are killed and members stop.
TEST_F(ClusterWatchTest, NothingIsLostAndNothingComesTwiceWhileMembersFail) {
  const Client writer = MakeClient(milliseconds(3'000));
  const Client client = MakeClient();
  GaplessCheck check;
  Watcher watcher = client.watch().Start({.range = KeyRange::Prefix("nl/")});
  ASSERT_TRUE(watcher.Created().ok());
  Changes changes(writer, "nl/");
  std::thread consumer([&] {
    while (!check.Saw("nl/end")) {
      const Result<WatchBatch> batch = watcher.Next();
      ASSERT_TRUE(batch.ok()) << batch.status().ToString();
      check.Add(*batch);
    }
  });
  const auto wait_for_changes = [&] {
    const int to = changes.done() + 30;
    while (changes.done() < to) std::this_thread::sleep_for(milliseconds(5));
  };
  for (int round = 0; round < 3; ++round) {
    wait_for_changes();
    KillAndRestart(client, LeadingMember(client));
  }
  const int stopped = LeadingMember(client);
  cluster_->Ask(stopped, SIGSTOP);
  wait_for_changes();
  cluster_->Ask(stopped, SIGCONT);
  wait_for_changes();
  changes.Stop();
  Result<PutResponse> last = client.kv().Put("nl/end", "");
  for (int tries = 0; tries < 30 && !last.ok(); ++tries) last = client.kv().Put("nl/end", "");
  ASSERT_TRUE(last.ok());
  consumer.join();
  EXPECT_GE(check.events(), changes.done());
}

// What a follower knows is what is there: the list and the changes fit together, whatever happens
// to members and to history.
TEST_F(ClusterWatchTest, WhatIsFollowedIsWhatIsThere) {
  const Client writer = MakeClient(milliseconds(3'000));
  const Client client = MakeClient();
  Changes changes(writer, "fl/");
  const auto wait_for_changes = [&] {
    const int to = changes.done() + 20;
    while (changes.done() < to) std::this_thread::sleep_for(milliseconds(5));
  };
  wait_for_changes();
  std::map<std::string, std::string> known;
  std::atomic<int> lists = 0;
  std::thread consumer([&] {
    Follower follower = client.watch().Follow({.range = KeyRange::Prefix("fl/")});
    while (!known.contains("fl/end")) {
      const Result<FollowBatch> batch = follower.Next();
      ASSERT_TRUE(batch.ok()) << batch.status().ToString();
      if (batch->restarted) known.clear();
      if (batch->complete) ++lists;
      for (const KeyValue& row : batch->rows) known[row.key] = row.value;
      for (const WatchEvent& event : batch->events) {
        if (event.type == EventType::kPut) {
          known[event.kv.key] = event.kv.value;
        } else {
          EXPECT_EQ(known.erase(event.kv.key), 1u) << event.kv.key;
        }
      }
    }
  });
  while (lists == 0) std::this_thread::sleep_for(milliseconds(5));
  wait_for_changes();
  KillAndRestart(client, LeadingMember(client));
  const Result<GetResponse> newest = client.kv().Get("ready");
  ASSERT_TRUE(newest.ok());
  static_cast<void>(client.kv().Compact({.revision = newest->header.revision}));
  wait_for_changes();
  changes.Stop();
  Result<PutResponse> last = client.kv().Put("fl/end", "");
  for (int tries = 0; tries < 30 && !last.ok(); ++tries) last = client.kv().Put("fl/end", "");
  ASSERT_TRUE(last.ok());
  consumer.join();
  const Result<RangeResponse> there = client.kv().Range({.range = KeyRange::Prefix("fl/")});
  ASSERT_TRUE(there.ok());
  std::map<std::string, std::string> is;
  for (const KeyValue& row : there->kvs) is[row.key] = row.value;
  EXPECT_EQ(known, is);
}

}  // namespace
}  // namespace gavel::client
