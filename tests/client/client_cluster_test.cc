// Keys, helpers and members, against real members, some of which are killed and stopped.
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/client_cluster_support.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;

using testing::ClientClusterTest;
using testing::milliseconds;

std::vector<std::string> Keys(const std::vector<KeyValue>& kvs) {
  std::vector<std::string> keys;
  for (const KeyValue& kv : kvs) keys.push_back(kv.key);
  return keys;
}

TEST_F(ClientClusterTest, KeysAndRanges) {
  const Client client = MakeClient();
  const Kv kv = client.kv();
  const Result<PutResponse> first = kv.Put("kr/a", "1");
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  const Result<PutResponse> second = kv.Put({.key = "kr/a", .value = "2", .prev_kv = true});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->prev_kv->value, "1");
  EXPECT_EQ(second->header.revision, first->header.revision + 1);
  ASSERT_TRUE(kv.Put("kr/b", std::string("\0\xff", 2)).ok());
  ASSERT_TRUE(kv.Put("kr/c", "").ok());

  const Result<GetResponse> got = kv.Get("kr/a");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->kv->value, "2");
  EXPECT_EQ(got->kv->version, 2);
  EXPECT_EQ(got->kv->create_revision, first->header.revision);
  EXPECT_EQ(kv.Get("kr/b")->kv->value, std::string("\0\xff", 2));
  EXPECT_EQ(kv.Get("kr/nothing")->kv, std::nullopt);
  EXPECT_EQ(kv.Range({.range = "kr/a", .revision = first->header.revision})->kvs[0].value, "1");

  const Result<RangeResponse> newest = kv.Range({.range = KeyRange::Prefix("kr/"),
                                                 .limit = 2,
                                                 .sort_order = SortOrder::kDescend,
                                                 .sort_target = SortTarget::kMod,
                                                 .keys_only = true});
  ASSERT_TRUE(newest.ok());
  EXPECT_THAT(Keys(newest->kvs), ElementsAre("kr/c", "kr/b"));
  EXPECT_TRUE(newest->more);
  EXPECT_EQ(newest->count, 3);
  EXPECT_EQ(newest->kvs[1].value, "");

  EXPECT_EQ(kv.Delete("kr/b")->deleted, 1);
  const Result<DeleteResponse> gone =
      kv.Delete({.range = KeyRange::Prefix("kr/"), .prev_kv = true});
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(gone->deleted, 2);
  EXPECT_THAT(Keys(gone->prev_kvs), ElementsAre("kr/a", "kr/c"));
}

TEST_F(ClientClusterTest, TransactionsNestAndCompare) {
  const Client client = MakeClient();
  const Kv kv = client.kv();
  ASSERT_TRUE(kv.PutMany({{"tx/a", "1"}, {"tx/b", "1"}}).ok());
  Txn txn;
  txn.If(Compare::Value(KeyRange::Prefix("tx/")).Equal("1"))
      .If(Compare::Version("tx/a").Equal(1))
      .If(Compare::Lease("tx/a").Equal(0))
      .If(Compare::Missing("tx/none"))
      .Then(PutRequest{.key = "tx/a", .value = "2", .prev_kv = true})
      .Then(Txn()
                .If(Compare::Value("tx/a").Equal("2"))  // Compares see the state before it all.
                .Then(DeleteRequest{.range = "tx/b"})
                .Else(PutRequest{.key = "tx/c", .value = "else"}))
      .Then(RangeRequest{.range = KeyRange::Prefix("tx/")})
      .Else(RangeRequest{.range = "tx/a"});
  const Result<TxnResponse> done = kv.Commit(txn);
  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_TRUE(done->succeeded);
  ASSERT_EQ(done->responses.size(), 3u);
  EXPECT_EQ(done->responses[0].put()->prev_kv->value, "1");
  EXPECT_FALSE(done->responses[1].txn()->succeeded);
  EXPECT_THAT(Keys(done->responses[2].range()->kvs), ElementsAre("tx/a", "tx/b", "tx/c"));
  const Result<TxnResponse> again = kv.Commit(txn);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->succeeded);
  EXPECT_EQ(again->responses[0].range()->kvs[0].value, "2");
}

TEST_F(ClientClusterTest, RefusalsHaveTheirReasons) {
  const Client client = MakeClient();
  const Kv kv = client.kv();
  EXPECT_EQ(kv.Put("", "v").status().reason(), Reason::kEmptyKey);
  EXPECT_EQ(kv.Put("", "v").status().message(), "etcdserver: key is not provided");
  EXPECT_EQ(kv.Put({.key = "rf/none", .ignore_value = true}).status().reason(),
            Reason::kKeyNotFound);
  EXPECT_EQ(kv.Put({.key = "rf/a", .lease = 4711}).status().reason(), Reason::kLeaseNotFound);
  EXPECT_EQ(kv.Range({.range = "rf/a", .revision = 1'000'000'000}).status().reason(),
            Reason::kFutureRevision);
  EXPECT_EQ(kv.PutMany({{"rf/a", "1"}, {"rf/a", "2"}}).status().reason(), Reason::kDuplicateKey);
  EXPECT_EQ(kv.GetMany(std::vector<std::string>(129, "k")).status().reason(),
            Reason::kTooManyOperations);
  EXPECT_TRUE(kv.GetMany(std::vector<std::string>(128, "k")).ok());
  EXPECT_EQ(kv.Put("rf/a", std::string(3 << 20, 'x')).status().reason(), Reason::kRequestTooLarge);
  EXPECT_EQ(kv.Get("rf/a")->kv, std::nullopt);
}

TEST_F(ClientClusterTest, HelpersDoWhatTheySay) {
  const Client client = MakeClient();
  const Kv kv = client.kv();
  EXPECT_FALSE(*kv.Exists("hp/a"));
  const Result<PutIfAbsentResponse> created = kv.PutIfAbsent("hp/a", "1");
  ASSERT_TRUE(created.ok());
  EXPECT_TRUE(created->created);
  EXPECT_TRUE(*kv.Exists("hp/a"));
  const Result<PutIfAbsentResponse> there = kv.PutIfAbsent("hp/a", "2");
  EXPECT_FALSE(there->created);
  EXPECT_EQ(there->existing->value, "1");

  const int64_t revision = created->header.revision;
  EXPECT_TRUE(kv.CompareAndSwap("hp/a", revision, "3")->swapped);
  const Result<CompareAndSwapResponse> lost = kv.CompareAndSwap("hp/a", revision, "4");
  EXPECT_FALSE(lost->swapped);
  EXPECT_EQ(lost->current->value, "3");
  EXPECT_TRUE(kv.CompareAndSwap("hp/new", 0, "5")->swapped);
  EXPECT_EQ(kv.CompareAndSwap("hp/none", 9, "6")->current, std::nullopt);

  ASSERT_TRUE(kv.PutMany({{"hp/x", "1"}, {"hp/y", "2"}}).ok());
  const Result<GetManyResponse> many = kv.GetMany({"hp/y", "hp/none", "hp/x", "hp/y"});
  ASSERT_TRUE(many.ok());
  EXPECT_EQ(many->kvs[0]->value, "2");
  EXPECT_EQ(many->kvs[1], std::nullopt);
  EXPECT_EQ(many->kvs[2]->value, "1");
  EXPECT_EQ(many->kvs[3]->mod_revision, many->kvs[2]->mod_revision);

  EXPECT_EQ(kv.Append("hp/s", "ab")->value, "ab");
  EXPECT_EQ(kv.Append("hp/s", "c")->value, "abc");
  EXPECT_EQ(kv.Get("hp/s")->kv->value, "abc");
  EXPECT_EQ(kv.Increment("hp/x", 41)->value, 42);
  EXPECT_EQ(kv.Increment("hp/s").status().reason(), Reason::kNotANumber);
}

// Rivals never lose or double an increment.
TEST_F(ClientClusterTest, IncrementsOfManyThreadsAddUp) {
  const Client client = MakeClient();
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        if (!client.kv().Increment("in/n").ok()) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(client.kv().Get("in/n")->kv->value, "100");
}

TEST_F(ClientClusterTest, PagesShowOneRevisionOfALargeRange) {
  const Client client = MakeClient();
  const Kv kv = client.kv();
  constexpr int kRows = 2500;
  for (int begin = 0; begin < kRows; begin += 100) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (int row = begin; row < begin + 100; ++row) {
      char key[16];
      std::snprintf(key, sizeof key, "pg/%05d", row);
      pairs.emplace_back(key, "old");
    }
    ASSERT_TRUE(kv.PutMany(std::move(pairs)).ok());
  }
  RangePager pages = kv.Pages({.range = KeyRange::Prefix("pg/")}, {.rows = 600});
  int rows = 0;
  while (!pages.done()) {
    const Result<std::vector<KeyValue>> page = pages.Next();
    ASSERT_TRUE(page.ok()) << page.status().ToString();
    for (const KeyValue& row : *page) EXPECT_EQ(row.value, "old");
    rows += static_cast<int>(page->size());
    // What others write between the pages is not seen.
    ASSERT_TRUE(kv.Put("pg/02000", "new").ok());
    ASSERT_TRUE(kv.Put("pg/02000x", "new").ok());
    ASSERT_TRUE(kv.Delete("pg/01999").ok());
  }
  EXPECT_EQ(rows, kRows);
  EXPECT_EQ(pages.count(), kRows);

  RangePager overtaken = kv.Pages({.range = KeyRange::Prefix("pg/")}, {.rows = 600});
  ASSERT_TRUE(overtaken.Next().ok());
  const Result<PutResponse> put = kv.Put("pg/z", "v");
  ASSERT_TRUE(put.ok());
  ASSERT_TRUE(kv.Compact({.revision = put->header.revision}).ok());
  EXPECT_EQ(overtaken.Next().status().reason(), Reason::kCompacted);
  EXPECT_EQ(overtaken.next_key(), std::string("pg/00599\0", 9));
  EXPECT_EQ(kv.Compact({.revision = 1}).status().reason(), Reason::kCompacted);
}

// A stream is one revision of the range, also when the member that it came from is killed.
TEST_F(ClientClusterTest, StreamsShowOneRevisionOfALargeRange) {
  const Client client = MakeClient();
  const Kv kv = client.kv();
  constexpr int kRows = 3000;
  for (int begin = 0; begin < kRows; begin += 100) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (int row = begin; row < begin + 100; ++row) {
      char key[16];
      std::snprintf(key, sizeof key, "st/%05d", row);
      pairs.emplace_back(key, std::string(2000, 'o'));
    }
    ASSERT_TRUE(kv.PutMany(std::move(pairs)).ok());
  }
  RangeStream rows = kv.Stream({.range = KeyRange::Prefix("st/")});
  int count = 0;
  while (!rows.done()) {
    const Result<std::vector<KeyValue>> chunk = rows.Next();
    ASSERT_TRUE(chunk.ok()) << chunk.status().ToString();
    for (const KeyValue& row : *chunk) {
      char key[16];
      std::snprintf(key, sizeof key, "st/%05d", count++);
      ASSERT_EQ(row.key, key);
      ASSERT_EQ(row.value.size(), 2000u);
    }
    if (count == static_cast<int>(chunk->size())) {
      ASSERT_TRUE(kv.Put("st/02000", "new").ok());
      ASSERT_TRUE(kv.Delete("st/01999").ok());
      KillAndRestart(client, LeadingMember(client));
    }
  }
  EXPECT_EQ(count, kRows);
  EXPECT_EQ(rows.count(), kRows);
}

TEST_F(ClientClusterTest, MembersAreSeenOneByOne) {
  Client client = MakeClient();
  ASSERT_TRUE(client.kv().Put("mb/a", "1").ok());
  const Result<MemberListResponse> members = client.cluster().MemberList();
  ASSERT_TRUE(members.ok()) << members.status().ToString();
  ASSERT_EQ(members->members.size(), 3u);
  std::map<uint64_t, std::string> urls;
  for (const Member& member : members->members) urls[member.id] = member.client_urls[0];

  const int64_t revision = client.kv().Get("mb/a")->header.revision;
  std::map<uint32_t, int> hashes;
  for (const std::string& endpoint : cluster_->targets()) {
    const Result<StatusResponse> status = client.maintenance().Status(endpoint);
    ASSERT_TRUE(status.ok()) << status.status().ToString();
    EXPECT_EQ(urls[status->header.member_id], "http://" + endpoint);
    EXPECT_GT(status->db_size, 0);
    EXPECT_TRUE(urls.contains(status->leader));
    EXPECT_FALSE(status->version.empty());
    // A linearizable read through the member, after which it has applied the revision.
    const HealthResponse health = client.maintenance().Health(endpoint);
    EXPECT_TRUE(health.healthy) << health.error;
    EXPECT_GT(health.took.count(), 0);
    const Result<HashKvResponse> hash = client.maintenance().HashKv(endpoint, revision);
    ASSERT_TRUE(hash.ok()) << hash.status().ToString();
    EXPECT_EQ(hash->hash_revision, revision);
    ++hashes[hash->hash];
  }
  EXPECT_EQ(hashes.size(), 1u);
  EXPECT_THAT(client.maintenance().Alarms()->alarms, ElementsAre());
  ASSERT_TRUE(client.SyncEndpoints().ok());
  EXPECT_EQ(client.endpoints().size(), 3u);
  EXPECT_TRUE(client.kv().Get("mb/a").ok());
}

// What was told of each write, and of which member answered.
class Writers {
 public:
  // Begins to put keys of its own, from two threads.
  explicit Writers(const Client& client) {
    for (int t = 0; t < 2; ++t) threads_.emplace_back([this, &client, t] { Run(client, t); });
  }
  ~Writers() { Stop(); }

  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int acknowledged() const { return acknowledged_; }
  const std::map<std::string, ErrorClass>& told() const { return told_; }

 private:
  void Run(const Client& client, int thread) {
    for (int i = 0; !stop_; ++i) {
      const std::string key = "wr/" + std::to_string(thread) + "/" + std::to_string(i);
      const Result<PutResponse> put = client.kv().Put(key, "v");
      if (put.ok()) ++acknowledged_;
      const std::lock_guard lock(mutex_);
      told_[key] = put.status().error_class();
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> acknowledged_{0};
  std::mutex mutex_;
  std::map<std::string, ErrorClass> told_;  // Guarded by mutex_ while threads run.
  std::vector<std::thread> threads_;
};

// The class of an error is the truth: what was acknowledged is there, and what was dropped or
// rejected is not, while the members that are in use are killed and stopped.
TEST_F(ClientClusterTest, ErrorClassesAreTrueWhileMembersFail) {
  const Client client = MakeClient(milliseconds(1'500));
  Writers writers(client);
  const auto in_use = [&] {
    const std::vector<EndpointState> states = client.endpoints();
    for (size_t i = 0; i < states.size(); ++i) {
      if (states[i].preferred) return static_cast<int>(i);
    }
    return 0;
  };
  const auto wait_for_writes = [&] {
    const int until = writers.acknowledged() + 20;
    while (writers.acknowledged() < until) std::this_thread::sleep_for(milliseconds(5));
  };
  wait_for_writes();
  for (int round = 0; round < 4; ++round) {
    const int member = in_use();
    if (round % 2 == 0) {
      cluster_->Kill(member);
      wait_for_writes();
      cluster_->Start(member);
    } else {
      cluster_->Ask(member, SIGSTOP);
      wait_for_writes();
      cluster_->Ask(member, SIGCONT);
    }
    wait_for_writes();
  }
  writers.Stop();

  const Client reader = MakeClient();
  const Result<RangeResponse> all =
      reader.kv().Range({.range = KeyRange::Prefix("wr/"), .keys_only = true});
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  std::map<std::string, int> there;
  for (const KeyValue& kv : all->kvs) ++there[kv.key];
  for (const auto& [key, error_class] : writers.told()) {
    if (error_class == ErrorClass::kNone) {
      EXPECT_TRUE(there.contains(key)) << key << " was acknowledged";
    } else if (error_class != ErrorClass::kUnknown) {
      EXPECT_FALSE(there.contains(key)) << key << " was " << ToString(error_class);
    }
  }
}

// Without a quorum only serializable reads go on; with it again, everything does.
TEST_F(ClientClusterTest, WithoutAQuorumThereAreOnlySerializableReads) {
  const Client client = MakeClient();
  ASSERT_TRUE(client.kv().Put("nq/a", "1").ok());
  // A linearizable read through member 2 makes it apply the put.
  ASSERT_TRUE(client.kv().Get("nq/a", {.endpoint = cluster_->targets()[2]}).ok());
  cluster_->Kill({0, 1});
  const Result<PutResponse> put = client.kv().Put("nq/a", "2", {.timeout = milliseconds(1'500)});
  EXPECT_FALSE(put.ok());
  const Result<GetResponse> got = client.kv().Get("nq/a", {.timeout = milliseconds(1'500)});
  EXPECT_FALSE(got.ok());
  const Result<RangeResponse> local = client.kv().Range({.range = "nq/a", .serializable = true});
  ASSERT_TRUE(local.ok()) << local.status().ToString();
  EXPECT_EQ(local->kvs[0].value, "1");
  // At first it may still believe in a leader, take the read, and never be able to answer.
  Status no_leader;
  for (int tries = 0; tries < 10 && no_leader.reason() != Reason::kNoLeader; ++tries) {
    no_leader = client.kv()
                    .Get("nq/a", {.timeout = milliseconds(1'000),
                                  .endpoint = cluster_->targets()[2],
                                  .require_leader = true})
                    .status();
  }
  EXPECT_EQ(no_leader.error_class(), ErrorClass::kDropped) << no_leader.ToString();
  EXPECT_EQ(no_leader.reason(), Reason::kNoLeader);
  cluster_->Start(0);
  cluster_->Start(1);
  // A write that an election overtakes is unknown, and nobody but its caller may repeat it.
  Status again(Code::kUnknown, ErrorClass::kUnknown, Reason::kOther, "");
  for (int tries = 0; tries < 10 && !again.ok(); ++tries) {
    again = client.kv().Put("nq/b", "3", {.timeout = milliseconds(5'000)}).status();
  }
  EXPECT_TRUE(again.ok()) << again.ToString();
}

}  // namespace
}  // namespace gavel::client
