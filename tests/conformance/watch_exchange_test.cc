#include "tests/conformance/watch_exchange.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "tests/conformance/watch_messages.h"
#include "tests/conformance/watch_plant.h"
#include "tests/conformance/watch_receiver.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchResponse;
using mvccpb::Event;

TEST(WatchExchangeTest, EachAcceptedDifferenceHasANameOfItsOwnAndAReason) {
  std::set<std::string_view> names;
  for (const AcceptedInStreams& row : AcceptedDifferencesInStreams()) {
    EXPECT_TRUE(names.insert(row.name).second) << std::string(row.name);
    EXPECT_GT(row.reason.size(), 10);
  }
}

TEST(WatchExchangeTest, WhatIsReceivedIsComparedWatchByWatchInOrder) {
  const WatchSegment one = {Created(0), Created(1), WithEvents(0, Put("a", 2)),
                            WithEvents(1, Put("a", 2)), Canceled(0)};
  EXPECT_EQ(Verdict(one, one), "equal");
  // Which of two watches is first told of a change is nobody's business.
  EXPECT_EQ(Verdict(one, {one[0], one[1], one[3], one[2], one[4]}), "equal");
  // Which is first created or canceled is.
  EXPECT_EQ(Verdict(one, {one[1], one[0], one[2], one[3], one[4]}), "different");
  EXPECT_EQ(Verdict(one, {one[0], one[1], one[2], one[3]}), "different");
  EXPECT_EQ(Verdict(one, {one[0], one[1], one[4], one[3], one[2]}), "different");
}

TEST(WatchExchangeTest, EventsAreComparedFieldByField) {
  const WatchSegment one = {Created(0), WithEvents(0, Put("a", 2))};
  WatchSegment other = one;
  other[1].mutable_events(0)->mutable_prev_kv();
  EXPECT_EQ(Verdict(one, other), "different");
  other = one;
  other[1].mutable_events(0)->set_type(Event::DELETE);
  EXPECT_EQ(Verdict(one, other), "different");
  other = one;
  other[1].mutable_header()->clear_member_id();
  EXPECT_EQ(Verdict(one, other), "different");
}

TEST(WatchExchangeTest, RevisionsMayShareAResponseAndMayNotBeSplit) {
  const Event a = Put("a", 2);
  const Event b = Put("b", 2);
  const Event c = Put("a", 3);
  const WatchSegment apart = {Created(0), WithEvents(0, a, b), WithEvents(0, c)};
  EXPECT_EQ(Verdict(apart, {Created(0), WithEvents(0, a, b, c)}), "events of one response");
  EXPECT_EQ(Verdict(apart, {Created(0), WithEvents(0, a), WithEvents(0, b, c)}), "different");
  EXPECT_EQ(Verdict(apart, {Created(0), WithEvents(0, b, a), WithEvents(0, c)}), "different");
  // Nor under a header that is older than they are, or newer than anything.
  WatchSegment gavel = apart;
  gavel[1].mutable_header()->set_revision(1);
  EXPECT_EQ(Verdict(apart, gavel), "different");
  gavel[1].mutable_header()->set_revision(kNewest);
  EXPECT_EQ(Verdict(apart, gavel), "events of one response");
  gavel[1].mutable_header()->set_revision(kNewest + 1);
  EXPECT_EQ(Verdict(apart, gavel), "different");
}

TEST(WatchExchangeTest, FragmentsAreForThoseWhoAskForThem) {
  const Event a = Put("a", 2);
  const Event b = Put("b", 2);
  const WatchSegment whole = {Created(0), Created(1), WithEvents(1, a, b)};
  WatchSegment gavel = {Created(0), Created(1), WithEvents(1, a), WithEvents(1, b)};
  EXPECT_EQ(Verdict(whole, gavel), "different");
  gavel[2].set_fragment(true);
  EXPECT_EQ(Verdict(whole, gavel), "events of one response");
  // One more is announced and does not come.
  gavel[3].set_fragment(true);
  EXPECT_EQ(Verdict(whole, gavel), "different");
  gavel = {Created(0), Created(1), WithEvents(0, a), WithEvents(0, b)};
  gavel[2].set_fragment(true);
  EXPECT_EQ(Verdict({Created(0), Created(1), WithEvents(0, a, b)}, gavel), "different");
}

TEST(WatchExchangeTest, ProgressMayNotBeAheadOfEvents) {
  WatchTerms terms = Known();
  terms.haste.progress_requests = 1;
  const WatchResponse created = Created(0);
  const WatchResponse event = WithEvents(0, Put("a", 5));
  const WatchSegment etcd = {created, Progress(5), event};
  EXPECT_EQ(Verdict(terms, etcd, {created, event}), "progress while events are on their way");
  EXPECT_EQ(Verdict(terms, etcd, {created, event, Progress(5)}),
            "progress while events are on their way");
  EXPECT_EQ(Verdict(terms, etcd, {created, Progress(4), event}),
            "progress while events are on their way");
  EXPECT_EQ(Verdict(terms, etcd, {created, Progress(5), event}), "different");
  EXPECT_EQ(Verdict(terms, etcd, {created, event, Progress(kNewest + 1)}), "different");
  // One answer to one request.
  EXPECT_EQ(Verdict(terms, etcd, {created, event, Progress(5), Progress(5)}), "different");
  // At rest the answer must come.
  EXPECT_EQ(Verdict({created, event, Progress(5)}, {created, event}), "different");
  EXPECT_EQ(Verdict({created, event, Progress(5)}, {created, event, Progress(6)}), "different");
}

TEST(WatchExchangeTest, ProgressOfAWatchIsForThoseThatAskedForIt) {
  const WatchSegment etcd = {Created(0), Created(1), Created(2), Response(2, 7)};
  EXPECT_EQ(Verdict(etcd, etcd), "equal");
  const WatchSegment other = {Created(0), Created(1), Created(2), Response(1, 7)};
  EXPECT_EQ(Verdict(other, other), "different");
}

TEST(WatchExchangeTest, BeforeACancellationInHasteSomeEventsMayNotCome) {
  WatchHistory history;
  for (const int64_t revision : {2, 3, 4}) history.Add(Put("a", revision));
  WatchTerms terms = Known();
  terms.history = &history;
  const WatchSegment etcd = {Created(0), WithEvents(0, Put("a", 2)), Canceled(0)};
  const WatchSegment more = {Created(0), WithEvents(0, Put("a", 2)), WithEvents(0, Put("a", 3)),
                             Canceled(0)};
  EXPECT_EQ(Verdict(terms, etcd, more), "different");
  terms.haste.canceled.insert(0);
  EXPECT_NE(Verdict(terms, etcd, more), "different");
  EXPECT_NE(Verdict(terms, more, etcd), "different");
  // What never happened, what is out of order, and what comes afterwards, may not.
  EXPECT_EQ(Verdict(terms, etcd, {more[0], more[1], WithEvents(0, Put("b", 3)), more[3]}),
            "different");
  EXPECT_EQ(Verdict(terms, etcd, {more[0], more[2], more[1], more[3]}), "different");
  EXPECT_EQ(Verdict(terms, etcd, {more[0], more[1], more[3], more[2]}), "different");
  const WatchSegment twice = {Created(0), WithEvents(0, Put("a", 2), Put("a", 2)), Canceled(0)};
  EXPECT_EQ(Verdict(terms, etcd, twice), "different");
}

TEST(WatchExchangeTest, ProgressOfNothingIsNotTold) {
  WatchTerms terms = Known();
  terms.progress_revision = 7;
  const WatchResponse created = Created(0);
  EXPECT_EQ(Verdict(terms, {Progress(7), created}, {created}), "different");
  terms.haste.silent_progress = true;
  EXPECT_EQ(Verdict(terms, {Progress(7), created}, {created}), "progress of nothing");
  EXPECT_EQ(Verdict(terms, {Progress(6), created}, {created}), "different");
  EXPECT_EQ(Verdict(terms, {created, Progress(7)}, {created}), "different");
  EXPECT_EQ(Verdict(terms, {Progress(7), Progress(7)}, {}), "different");
  EXPECT_EQ(Verdict(terms, {created}, {Progress(7), created}), "different");
}

TEST(WatchExchangeTest, AWatchThatACompactionEndedIsCanceledOnceMore) {
  WatchResponse compacted = Canceled(0);
  compacted.set_compact_revision(3);
  const WatchSegment once = {Created(0), compacted};
  const WatchSegment twice = {Created(0), compacted, Canceled(0)};
  EXPECT_EQ(Verdict(twice, twice), "equal");
  EXPECT_EQ(Verdict(twice, once), "different");
  EXPECT_EQ(Verdict(once, twice), "different");
  const WatchSegment thrice = {Created(0), compacted, Canceled(0), Canceled(0)};
  EXPECT_EQ(Verdict(thrice, thrice), "different");
}

TEST(WatchExchangeTest, AWatchOfANegativeRevisionIsRefusedAsCompacted) {
  WatchTerms terms = Known();
  WatchResponse refused = Response(-1, kNewest);
  refused.set_created(true);
  refused.set_canceled(true);
  refused.set_cancel_reason("etcdserver: mvcc: required revision has been compacted");
  const WatchSegment etcd = {Created(0), Canceled(0)};
  EXPECT_EQ(Verdict(terms, etcd, {refused}), "different");
  terms.haste.negative_start = true;
  EXPECT_EQ(Verdict(terms, etcd, {refused}), "watch of a negative revision");
  EXPECT_EQ(Verdict(terms, etcd, {refused, refused}), "different");
  EXPECT_EQ(Verdict(terms, etcd, {Created(0)}), "different");
  refused.mutable_header()->set_revision(kNewest - 1);
  EXPECT_EQ(Verdict(terms, etcd, {refused}), "different");
}

// What a stream of three watches may have received.
WatchSegment Typical() {
  return {Created(0),
          Created(1),
          WithEvents(0, Put("a", 2), Put("b", 2)),
          WithEvents(1, Put("a", 2)),
          WithEvents(0, Put("a", 3)),
          Progress(3),
          Created(2),
          WithEvents(2, Put("c", 1), Put("a", 2), Put("a", 3)),
          WithEvents(0, Put("a", 4)),
          Canceled(1)};
}

TEST(WatchPlantTest, EveryChangeIsFound) {
  const WatchTerms terms = Known();
  ASSERT_EQ(Verdict(terms, Typical(), Typical()), "equal");
  std::set<std::string> made;
  for (uint64_t choice = 0; choice < 2000; ++choice) {
    WatchSegment changed = Typical();
    const std::string change = Plant(Haste(), choice, &changed);
    ASSERT_NE(change, "");
    made.insert(change);
    EXPECT_EQ(Verdict(terms, Typical(), changed), "different") << change << " " << choice;
  }
  EXPECT_EQ(made.size(), 12);
}

TEST(WatchPlantTest, WhatHasteLeavesToChanceIsLeftAlone) {
  Haste haste;
  haste.progress_requests = 1;
  haste.canceled = {0};
  WatchSegment segment = {Created(0), WithEvents(0, Put("a", 2)), Progress(2)};
  EXPECT_EQ(Plant(haste, 1, &segment), "");
  EXPECT_EQ(segment.size(), 3);
}

WatchCreateRequest From(const std::string& key, const std::string& end, int64_t revision) {
  WatchCreateRequest request;
  request.set_key(key);
  request.set_range_end(end);
  request.set_start_revision(revision);
  return request;
}

TEST(WatchReceiverTest, IsAtRestWithTheEventsOfTheHistoryThatAreItsOwn) {
  WatchHistory history;
  for (const int64_t revision : {2, 3, 4}) history.Add(Put("a", revision));
  history.Add(Put("b", 5));
  WatchReceiver receiver(false);
  receiver.Ask(From("a", "b", 3), 5, history);
  EXPECT_FALSE(receiver.AtRest(history));
  receiver.Receive(Created(0));
  EXPECT_FALSE(receiver.AtRest(history));
  receiver.Receive(WithEvents(0, Put("a", 3), Put("a", 4)));
  EXPECT_TRUE(receiver.AtRest(history));
  history.Add(Put("a", 6));
  EXPECT_FALSE(receiver.AtRest(history));
  receiver.Receive(Canceled(0));
  EXPECT_TRUE(receiver.AtRest(history));
}

TEST(WatchReceiverTest, AWatchFromNowOwesNothingOfThePast) {
  WatchHistory history;
  WatchReceiver receiver(false);
  receiver.Ask(From("a", "", 0), 5, history);
  receiver.Receive(Created(0));
  // The history may learn later than the watch.
  history.Add(Put("a", 5));
  EXPECT_TRUE(receiver.AtRest(history));
  history.Add(Put("a", 6));
  EXPECT_FALSE(receiver.AtRest(history));
}

TEST(WatchReceiverTest, AWatchBelowTheCompactionMustBeCanceled) {
  WatchHistory history;
  for (const int64_t revision : {2, 3, 4}) history.Add(Put("a", revision));
  history.Compact(3, true);
  WatchReceiver receiver(false);
  receiver.Ask(From("a", "", 2), 4, history);
  receiver.Receive(Created(0));
  EXPECT_TRUE(receiver.IsDoomed(0));
  EXPECT_FALSE(receiver.AtRest(history));
  receiver.Receive(Canceled(0));
  EXPECT_TRUE(receiver.AtRest(history));
}

TEST(WatchHistoryTest, KnowsWhatEtcdDropsAtTheCompactedRevision) {
  WatchHistory history;
  history.Add(Put("a", 2));
  history.Add(Put("a", 3));
  history.Add(Put("b", 3));
  Event deletion = Put("a", 3);
  deletion.set_type(Event::DELETE);
  history.Add(deletion);
  history.Add(Put("c", 4));
  EXPECT_FALSE(history.MayDropAtCompacted());
  history.Compact(3, true);
  EXPECT_FALSE(history.IsDropped(0));
  EXPECT_TRUE(history.IsDropped(1));  // Put, and deleted in the same revision.
  EXPECT_FALSE(history.IsDropped(2));
  EXPECT_TRUE(history.IsDropped(3));  // A deletion.
  EXPECT_TRUE(history.MayDropAtCompacted());
  history.Compact(4, true);
  EXPECT_FALSE(history.MayDropAtCompacted());
}

}  // namespace
}  // namespace gavel::conformance
