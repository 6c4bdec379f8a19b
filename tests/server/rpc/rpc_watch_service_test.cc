// The Watch service says what the contract says, in every form.

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/watch.pb.h"
#include "server/rpc/error_map.h"
#include "tests/server/rpc/watch_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchResponse;
using mvccpb::Event;
using server::Error;
using server::ToStatus;

const std::string kAll("\0", 1);

class RpcWatchServiceTest : public ::testing::Test {
 protected:
  void Put(const std::string& key, const std::string& value) { caller_.gate.Fill(key, value); }
  void Delete(const std::string& key, const std::string& range_end = "") {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key(key);
    request.set_range_end(range_end);
    caller_.Call<etcdserverpb::DeleteRangeResponse>("/etcdserverpb.KV/DeleteRange", request);
  }
  int64_t revision() { return caller_.gate.view()->revision; }

  static void ExpectRefused(const WatchResponse& response, const std::string& reason) {
    EXPECT_EQ(response.watch_id(), -1);
    EXPECT_TRUE(response.created());
    EXPECT_TRUE(response.canceled());
    EXPECT_EQ(response.cancel_reason(), reason);
    EXPECT_EQ(response.compact_revision(), 0);
    EXPECT_EQ(response.events_size(), 0);
  }

  ServiceCaller caller_;
};

TEST_F(RpcWatchServiceTest, ACreatedWatchIsAnsweredWithItsIdAndTheRevision) {
  Put("a", "1");
  WatchCaller watch(caller_);
  watch.Create("a");
  const WatchResponse created = watch.TakeOne();
  WatchResponse expected;
  expected.mutable_header()->set_cluster_id(TestGate::kCluster);
  expected.mutable_header()->set_member_id(TestGate::kMember.value());
  expected.mutable_header()->set_raft_term(TestGate::kTerm.value());
  expected.mutable_header()->set_revision(2);
  expected.set_created(true);
  EXPECT_EQ(created.SerializeAsString(), expected.SerializeAsString());
}

TEST_F(RpcWatchServiceTest, AnEventHasTheWholeKeyValueAndTheHeaderItsRevision) {
  Put("a", "1");
  WatchCaller watch(caller_);
  WatchCreateRequest create = WatchCaller::Request("a");
  create.set_watch_id(5);
  watch.Create(create);
  watch.Take();
  Put("a", "2");
  WatchResponse expected;
  expected.mutable_header()->set_cluster_id(TestGate::kCluster);
  expected.mutable_header()->set_member_id(TestGate::kMember.value());
  expected.mutable_header()->set_raft_term(TestGate::kTerm.value());
  expected.mutable_header()->set_revision(3);
  expected.set_watch_id(5);
  mvccpb::KeyValue& kv = *expected.add_events()->mutable_kv();
  kv.set_key("a");
  kv.set_value("2");
  kv.set_create_revision(2);
  kv.set_mod_revision(3);
  kv.set_version(2);
  EXPECT_EQ(watch.TakeOne().SerializeAsString(), expected.SerializeAsString());

  Delete("a");
  const WatchResponse deleted = watch.TakeOne();
  EXPECT_EQ(deleted.header().revision(), 4);
  ASSERT_EQ(deleted.events_size(), 1);
  EXPECT_EQ(deleted.events(0).type(), Event::DELETE);
  mvccpb::KeyValue tombstone;
  tombstone.set_key("a");
  tombstone.set_mod_revision(4);
  EXPECT_EQ(deleted.events(0).kv().SerializeAsString(), tombstone.SerializeAsString());
}

TEST_F(RpcWatchServiceTest, IdsCountUpFromZeroAndSkipChosenOnes) {
  WatchCaller watch(caller_);
  WatchCreateRequest chosen = WatchCaller::Request("a");
  chosen.set_watch_id(1);
  watch.Create(chosen);
  chosen.set_watch_id(-7);
  watch.Create(chosen);
  for (int i = 0; i < 3; ++i) watch.Create("a");
  std::vector<int64_t> ids;
  for (const WatchResponse& response : watch.Take()) ids.push_back(response.watch_id());
  EXPECT_EQ(ids, (std::vector<int64_t>{1, -7, 0, 2, 3}));
}

TEST_F(RpcWatchServiceTest, AChosenIdInUseIsRefusedAndTheWatchGoesOn) {
  WatchCaller watch(caller_);
  WatchCreateRequest create = WatchCaller::Request("a");
  create.set_watch_id(3);
  watch.Create(create);
  watch.Take();
  watch.Create(create);
  ExpectRefused(watch.TakeOne(), "mvcc: duplicate watch ID provided on the WatchStream");
  Put("a", "1");
  EXPECT_EQ(watch.TakeOne().watch_id(), 3);
  // Once it is canceled it may be used again.
  watch.Cancel(3);
  watch.Take();
  watch.Create(create);
  EXPECT_FALSE(watch.TakeOne().canceled());
}

TEST_F(RpcWatchServiceTest, AnEmptyRangeIsRefused) {
  WatchCaller watch(caller_);
  for (const auto& [key, end] : {std::pair("b", "a"), std::pair("a", "a"), std::pair("aa", "a")}) {
    watch.Create(key, end);
    ExpectRefused(watch.TakeOne(), "mvcc: watcher range is empty");
  }
}

TEST_F(RpcWatchServiceTest, ANegativeStartIsRefusedAsCompacted) {
  WatchCaller watch(caller_);
  watch.Create("a", "", -1);
  ExpectRefused(watch.TakeOne(), "etcdserver: mvcc: required revision has been compacted");
  // Before the range is looked at.
  watch.Create("b", "a", -5);
  ExpectRefused(watch.TakeOne(), "etcdserver: mvcc: required revision has been compacted");
}

TEST_F(RpcWatchServiceTest, AStartBelowTheCompactedRevisionIsCreatedAndThenCanceled) {
  for (int i = 0; i < 5; ++i) Put("a", std::to_string(i));
  caller_.gate.Compact(4);
  WatchCaller watch(caller_);
  watch.Create("a", "", 3);
  const std::vector<WatchResponse> responses = watch.Take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_TRUE(responses[0].created());
  EXPECT_FALSE(responses[0].canceled());
  EXPECT_EQ(responses[0].watch_id(), 0);
  WatchResponse expected;
  expected.mutable_header()->set_cluster_id(TestGate::kCluster);
  expected.mutable_header()->set_member_id(TestGate::kMember.value());
  expected.mutable_header()->set_raft_term(TestGate::kTerm.value());
  expected.set_canceled(true);
  expected.set_compact_revision(4);
  EXPECT_EQ(responses[1].SerializeAsString(), expected.SerializeAsString());
  Put("a", "more");
  EXPECT_TRUE(watch.Take().empty());
}

// As etcd: a client cancels a watch that it was told is canceled, and waits for the answer.
TEST_F(RpcWatchServiceTest, AnIdEndedByACompactionIsInUseUntilTheClientCancelsIt) {
  for (int i = 0; i < 5; ++i) Put("a", std::to_string(i));
  caller_.gate.Compact(4);
  WatchCaller watch(caller_);
  watch.Create("a", "", 3);
  WatchCreateRequest chosen = WatchCaller::Request("a");
  chosen.set_start_revision(2);
  chosen.set_watch_id(1);
  watch.Create(chosen);
  EXPECT_EQ(watch.Take().size(), 4u);
  chosen.set_start_revision(0);
  watch.Create(chosen);
  ExpectRefused(watch.TakeOne(), "mvcc: duplicate watch ID provided on the WatchStream");
  watch.Create("a");
  EXPECT_EQ(watch.TakeOne().watch_id(), 2);
  watch.Cancel(1);
  const WatchResponse canceled = watch.TakeOne();
  EXPECT_TRUE(canceled.canceled());
  EXPECT_EQ(canceled.watch_id(), 1);
  EXPECT_EQ(canceled.header().revision(), 6);
  EXPECT_EQ(canceled.compact_revision(), 0);
  watch.Cancel(1);
  EXPECT_TRUE(watch.Take().empty());
  watch.Create(chosen);
  EXPECT_FALSE(watch.TakeOne().canceled());
}

TEST_F(RpcWatchServiceTest, AStartAtTheCompactedRevisionSeesWhatHappenedThere) {
  Put("a", "1");
  Delete("a");
  caller_.gate.Compact(3);
  WatchCaller watch(caller_);
  watch.Create("a", "", 3);
  const std::vector<WatchResponse> responses = watch.Take();
  ASSERT_EQ(responses.size(), 2u);
  ASSERT_EQ(responses[1].events_size(), 1);
  EXPECT_EQ(responses[1].events(0).type(), Event::DELETE);
}

TEST_F(RpcWatchServiceTest, AStartInThePastReplaysInOrder) {
  for (int i = 0; i < 10; ++i) Put(i % 2 == 0 ? "a" : "b", std::to_string(i));
  WatchCaller watch(caller_);
  watch.Create("a", "", 4);
  const std::vector<WatchResponse> responses = watch.Take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_EQ(responses[0].header().revision(), 11);
  EXPECT_EQ(responses[1].header().revision(), 11);
  std::vector<int64_t> revisions;
  for (const Event& event : responses[1].events()) revisions.push_back(event.kv().mod_revision());
  EXPECT_EQ(revisions, (std::vector<int64_t>{4, 6, 8, 10}));
  Put("a", "next");
  EXPECT_EQ(watch.TakeOne().events(0).kv().mod_revision(), 12);
}

TEST_F(RpcWatchServiceTest, AStartInTheFutureWaitsForIt) {
  WatchCaller watch(caller_);
  watch.Create("a", "", 4);
  EXPECT_EQ(watch.TakeOne().header().revision(), 1);
  Put("a", "2");
  Put("a", "3");
  EXPECT_TRUE(watch.Take().empty());
  Put("a", "4");
  EXPECT_EQ(watch.TakeOne().events(0).kv().value(), "4");
}

TEST_F(RpcWatchServiceTest, KeysAreAsInRequests) {
  WatchCaller watch(caller_);
  watch.Create("", "");     // 0: the key "\0".
  watch.Create("", kAll);   // 1: everything.
  watch.Create("b", kAll);  // 2: from b on.
  watch.Create("a", "b");   // 3
  watch.Create("b");        // 4
  watch.Take();
  const auto watchers_of = [&](const std::string& key) {
    Put(key, "x");
    std::set<int64_t> ids;
    for (const WatchResponse& response : watch.Take()) ids.insert(response.watch_id());
    return ids;
  };
  EXPECT_EQ(watchers_of(kAll), (std::set<int64_t>{0, 1}));
  EXPECT_EQ(watchers_of("a"), (std::set<int64_t>{1, 3}));
  EXPECT_EQ(watchers_of("az"), (std::set<int64_t>{1, 3}));
  EXPECT_EQ(watchers_of("b"), (std::set<int64_t>{1, 2, 4}));
  EXPECT_EQ(watchers_of("c"), (std::set<int64_t>{1, 2}));
}

TEST_F(RpcWatchServiceTest, ATransactionIsOneResponse) {
  Put("a", "1");
  Put("b", "1");
  WatchCaller watch(caller_);
  watch.Create(kAll, kAll);
  watch.Take();
  etcdserverpb::TxnRequest txn;
  txn.add_success()->mutable_request_delete_range()->set_key("a");
  txn.add_success()->mutable_request_put()->set_key("c");
  txn.add_success()->mutable_request_put()->set_key("b");
  caller_.Call<etcdserverpb::TxnResponse>("/etcdserverpb.KV/Txn", txn);
  const WatchResponse response = watch.TakeOne();
  ASSERT_EQ(response.events_size(), 3);
  EXPECT_EQ(response.events(0).kv().key(), "a");
  EXPECT_EQ(response.events(0).type(), Event::DELETE);
  EXPECT_EQ(response.events(1).kv().key(), "c");
  EXPECT_EQ(response.events(2).kv().key(), "b");
  for (const Event& event : response.events()) EXPECT_EQ(event.kv().mod_revision(), 4);
}

TEST_F(RpcWatchServiceTest, FiltersDropEventsAndEmptyResponses) {
  WatchCaller watch(caller_);
  WatchCreateRequest no_put = WatchCaller::Request("a");
  no_put.add_filters(WatchCreateRequest::NOPUT);
  WatchCreateRequest no_delete = WatchCaller::Request("a");
  no_delete.add_filters(WatchCreateRequest::NODELETE);
  WatchCreateRequest neither = no_put;
  neither.add_filters(WatchCreateRequest::NODELETE);
  watch.Create(no_put);     // 0
  watch.Create(no_delete);  // 1
  watch.Create(neither);    // 2
  watch.Take();
  Put("a", "1");
  EXPECT_EQ(watch.TakeOne().watch_id(), 1);
  Delete("a");
  EXPECT_EQ(watch.TakeOne().watch_id(), 0);
  // The same from history.
  no_put.set_start_revision(1);
  watch.Create(no_put);
  const std::vector<WatchResponse> responses = watch.Take();
  ASSERT_EQ(responses.size(), 2u);
  ASSERT_EQ(responses[1].events_size(), 1);
  EXPECT_EQ(responses[1].events(0).type(), Event::DELETE);
}

TEST_F(RpcWatchServiceTest, PreviousValuesAreThoseBeforeTheRevision) {
  Put("a", "old");  // 2
  WatchCaller watch(caller_);
  WatchCreateRequest create = WatchCaller::Request("a");
  create.set_prev_kv(true);
  watch.Create(create);  // 0
  watch.Create("a");     // 1: without.
  watch.Take();
  Put("a", "new");  // 3
  std::vector<WatchResponse> responses = watch.Take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_EQ(responses[0].events(0).prev_kv().value(), "old");
  EXPECT_EQ(responses[0].events(0).prev_kv().mod_revision(), 2);
  EXPECT_FALSE(responses[1].events(0).has_prev_kv());
  Delete("a");  // 4
  responses = watch.Take();
  EXPECT_EQ(responses[0].events(0).prev_kv().value(), "new");
  Put("a", "again");  // 5
  responses = watch.Take();
  EXPECT_FALSE(responses[0].events(0).has_prev_kv());

  // From history, where what is compacted is left out.
  caller_.gate.Compact(4);
  create.set_start_revision(4);
  watch.Create(create);
  Put("a", "last");  // 6
  responses = watch.Take();
  ASSERT_EQ(responses.size(), 5u);
  EXPECT_EQ(responses[1].events(0).type(), Event::DELETE);
  EXPECT_FALSE(responses[1].events(0).has_prev_kv());
  EXPECT_FALSE(responses[1].events(1).has_prev_kv());
  for (const size_t i : {size_t{2}, size_t{4}}) {
    EXPECT_EQ(responses[i].events(0).prev_kv().value(), "again") << i;
  }
}

TEST_F(RpcWatchServiceTest, ARevisionIsSplitOnlyForWhoeverAskedForIt) {
  const size_t limit = 1572864 + 512 * 1024;
  for (int i = 0; i < 30; ++i) Put("k" + std::to_string(100 + i), std::string(100000, 'v'));
  WatchCaller watch(caller_);
  WatchCreateRequest create = WatchCaller::Request(kAll, kAll);
  create.set_prev_kv(true);
  watch.Create(create);  // 0
  create.set_fragment(true);
  create.set_watch_id(9);
  watch.Create(create);
  watch.Take();
  Delete(kAll, kAll);
  const std::vector<WatchResponse> responses = watch.Take();
  ASSERT_EQ(responses.size(), 3u);
  EXPECT_EQ(responses[0].events_size(), 30);
  EXPECT_FALSE(responses[0].fragment());
  EXPECT_TRUE(responses[1].fragment());
  EXPECT_FALSE(responses[2].fragment());
  EXPECT_LT(responses[1].ByteSizeLong(), limit);
  EXPECT_GT(responses[1].ByteSizeLong() + 100200, limit);
  WatchResponse merged = responses[1];
  merged.MergeFrom(responses[2]);
  ASSERT_EQ(merged.events_size(), 30);
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(merged.events(i).SerializeAsString(), responses[0].events(i).SerializeAsString());
  }
  EXPECT_EQ(responses[1].watch_id(), 9);
  EXPECT_EQ(responses[2].watch_id(), 9);
  // What is small is not split.
  Put("x", "1");
  for (const WatchResponse& response : watch.Take()) EXPECT_FALSE(response.fragment());
}

TEST_F(RpcWatchServiceTest, CancelIsAnsweredOnceAndUnknownIdsAreIgnored) {
  WatchCaller watch(caller_);
  watch.Create("a");
  watch.Take();
  watch.Cancel(7);
  EXPECT_TRUE(watch.Take().empty());
  Put("b", "1");
  watch.Cancel(0);
  const WatchResponse canceled = watch.TakeOne();
  EXPECT_TRUE(canceled.canceled());
  EXPECT_FALSE(canceled.created());
  EXPECT_EQ(canceled.watch_id(), 0);
  EXPECT_EQ(canceled.header().revision(), 2);
  EXPECT_EQ(canceled.cancel_reason(), "");
  EXPECT_EQ(canceled.compact_revision(), 0);
  watch.Cancel(0);
  Put("a", "1");
  EXPECT_TRUE(watch.Take().empty());
}

TEST_F(RpcWatchServiceTest, ProgressIsToldForTheWholeStream) {
  WatchCaller watch(caller_);
  watch.AskForProgress();  // Of nobody.
  EXPECT_TRUE(watch.Take().empty());
  watch.Create("a");
  watch.Take();
  Put("b", "1");
  watch.AskForProgress();
  const WatchResponse progress = watch.TakeOne();
  EXPECT_EQ(progress.watch_id(), -1);
  EXPECT_EQ(progress.header().revision(), 2);
  EXPECT_EQ(progress.events_size(), 0);
  EXPECT_FALSE(progress.created() || progress.canceled());
  // Nobody can say that a watch which has not begun has missed nothing.
  watch.Create("a", "", 5);
  watch.Take();
  watch.AskForProgress();
  EXPECT_TRUE(watch.Take().empty());
  for (int i = 0; i < 3; ++i) Put("b", "1");
  watch.AskForProgress();
  EXPECT_EQ(watch.TakeOne().header().revision(), 5);
}

TEST_F(RpcWatchServiceTest, ProgressIsToldInTimeToQuietWatchesThatWantIt) {
  server::WatchLimits limits;
  limits.progress_interval = 10 * server::kNsPerSecond;
  caller_.gate.SetWatchLimits(limits);
  WatchCaller watch(caller_);
  WatchCreateRequest create = WatchCaller::Request("a");
  create.set_progress_notify(true);
  watch.Create("a");  // 0: wants none.
  watch.Create(create);
  create.set_key("b");
  watch.Create(create);
  watch.Take();
  Put("a", "1");
  watch.Take();
  caller_.gate.PassTime(9 * server::kNsPerSecond);
  EXPECT_TRUE(watch.Take().empty());
  // A tenth later at most; not to the one that has just had an event.
  caller_.gate.PassTime(2 * server::kNsPerSecond);
  WatchResponse progress = watch.TakeOne();
  EXPECT_EQ(progress.watch_id(), 2);
  EXPECT_EQ(progress.header().revision(), 2);
  EXPECT_EQ(progress.events_size(), 0);
  caller_.gate.PassTime(11 * server::kNsPerSecond);
  EXPECT_EQ(watch.Take().size(), 2u);
  watch.Cancel(2);
  watch.Take();
  caller_.gate.PassTime(10 * server::kNsPerSecond);
  EXPECT_EQ(watch.TakeOne().watch_id(), 1);
}

TEST_F(RpcWatchServiceTest, HalfClosingDoesNotEndIt) {
  WatchCaller watch(caller_);
  watch.Create("a");
  watch.Take();
  watch.handler->OnHalfClose();
  EXPECT_FALSE(watch.writer->status);
  Put("a", "1");
  EXPECT_EQ(watch.TakeOne().events_size(), 1);
}

TEST_F(RpcWatchServiceTest, AClientThatWantsALeaderIsToldWhenThereIsNone) {
  server::CallContext context;
  context.metadata = {{"hasleader", "true"}};
  WatchCaller wants(caller_, context);
  WatchCaller does_not(caller_);
  wants.Create("a");
  does_not.Create("a");
  caller_.gate.set_has_leader(false);
  caller_.gate.PassTime(2500 * server::kNsPerMs);
  EXPECT_FALSE(wants.writer->status);
  // One look with a leader, and it counts from the start.
  caller_.gate.set_has_leader(true);
  caller_.gate.PassTime(300 * server::kNsPerMs);
  caller_.gate.set_has_leader(false);
  caller_.gate.PassTime(2500 * server::kNsPerMs);
  EXPECT_FALSE(wants.writer->status);
  caller_.gate.PassTime(600 * server::kNsPerMs);
  ASSERT_TRUE(wants.writer->status);
  EXPECT_EQ(*wants.writer->status, ToStatus(Error::kNoLeader));
  EXPECT_FALSE(does_not.writer->status);
  const size_t before = wants.writer->messages.size();
  Put("a", "1");
  EXPECT_EQ(wants.writer->messages.size(), before);
  EXPECT_EQ(caller_.gate.watches().counts().watchers, 1u);
  // A new one is refused at once.
  WatchCaller late(caller_, context);
  ASSERT_TRUE(late.writer->status);
  EXPECT_EQ(*late.writer->status, ToStatus(Error::kNoLeader));
}

TEST_F(RpcWatchServiceTest, ALearnerServesWatches) {
  caller_.gate.set_learner(true);
  WatchCaller watch(caller_);
  watch.Create("a");
  EXPECT_TRUE(watch.TakeOne().created());
}

TEST_F(RpcWatchServiceTest, ARequestOfNoKnownKindIsIgnored) {
  WatchCaller watch(caller_);
  watch.handler->OnMessage("");
  watch.handler->OnMessage("\x7a\x01x");  // Field 15.
  EXPECT_FALSE(watch.writer->status);
  watch.Create("a");
  EXPECT_TRUE(watch.TakeOne().created());
}

TEST_F(RpcWatchServiceTest, WhatIsNoMessageEndsTheCallAndItsWatches) {
  WatchCaller watch(caller_);
  watch.Create("a");
  watch.handler->OnMessage("\x0a\xff");
  ASSERT_TRUE(watch.writer->status);
  EXPECT_EQ(*watch.writer->status, server::MalformedMessage());
  EXPECT_EQ(caller_.gate.watches().counts().watchers, 0u);
  watch.Create("b");
  Put("a", "1");
}

}  // namespace
}  // namespace gavel::testing
