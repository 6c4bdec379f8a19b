#include "tests/conformance/compacted_start.h"

#include <string>

#include "gtest/gtest.h"

#include "tests/conformance/watch_messages.h"
#include "tests/conformance/watch_plant.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchCreateRequest;
using mvccpb::Event;

// Of what happened at revision 3, etcd drops the put of "a" and both deletions.
class CompactedRevisionTest : public testing::Test {
 protected:
  CompactedRevisionTest() {
    for (const Event& event : {Put("a", 3), deletion_, Put("b", 3), other_deletion_, Put("a", 4)}) {
      history_.Add(event);
    }
    history_.Compact(3, true);
    terms_.history = &history_;
    StartAt(0, 3);
  }

  static Event Deletion(const std::string& key) {
    Event event = Put(key, 3);
    event.set_type(Event::DELETE);
    return event;
  }

  // Of the watch that is asked for as the number `index`.
  void StartAt(size_t index, int64_t revision) {
    for (WatchContext* context : {&terms_.before_etcd, &terms_.before_gavel}) {
      WatchCreateRequest& request = context->asked[index];
      request.set_key("a");
      request.set_range_end("d");
      request.set_start_revision(revision);
    }
  }

  void Filter(size_t index, WatchCreateRequest::FilterType filter) {
    for (WatchContext* context : {&terms_.before_etcd, &terms_.before_gavel}) {
      context->asked[index].add_filters(filter);
    }
  }

  std::string Verdict(const WatchSegment& etcd, const WatchSegment& gavel) {
    return conformance::Verdict(terms_, etcd, gavel);
  }

  const Event deletion_ = Deletion("a");
  const Event other_deletion_ = Deletion("c");
  WatchHistory history_;
  WatchTerms terms_ = Known();
  const WatchSegment etcd_ = {Created(0), WithEvents(0, Put("b", 3)), WithEvents(0, Put("a", 4))};
  const WatchSegment gavel_ = {Created(0),
                               WithEvents(0, Put("a", 3), deletion_, Put("b", 3), other_deletion_),
                               WithEvents(0, Put("a", 4))};
};

TEST_F(CompactedRevisionTest, WhatEtcdDropsIsGavelsOwn) {
  EXPECT_NE(Verdict(etcd_, gavel_), "different");
  EXPECT_EQ(Verdict(gavel_, etcd_), "different");
  // etcd may not have got to it yet, but has what is not dropped.
  EXPECT_EQ(Verdict(gavel_, gavel_), "equal");
  EXPECT_EQ(Verdict({etcd_[0], etcd_[2]}, gavel_), "different");
  WatchSegment swapped = gavel_;
  swapped[1].mutable_events()->SwapElements(0, 1);
  EXPECT_EQ(Verdict(etcd_, swapped), "different");
  WatchSegment other = gavel_;
  other[1].mutable_events(1)->mutable_kv()->set_key("c");
  EXPECT_EQ(Verdict(etcd_, other), "different");
}

TEST_F(CompactedRevisionTest, IsThatOfTheCompactionOnly) {
  history_.Compact(4, true);
  EXPECT_EQ(Verdict(etcd_, gavel_), "different");
  history_.Compact(2, true);
  EXPECT_EQ(Verdict(etcd_, gavel_), "different");
}

TEST_F(CompactedRevisionTest, AWatchThatStartsElsewhereWasThere) {
  StartAt(0, 2);
  EXPECT_EQ(Verdict(etcd_, gavel_), "different");
  StartAt(0, 0);
  EXPECT_EQ(Verdict(etcd_, gavel_), "different");
}

TEST_F(CompactedRevisionTest, GavelHasEachOfTheChangesOnce) {
  for (int i = 0; i < 4; ++i) {
    WatchSegment lost = gavel_;
    lost[1].mutable_events()->DeleteSubrange(i, 1);
    EXPECT_EQ(Verdict(etcd_, lost), "different") << i;
    WatchSegment doubled = gavel_;
    *doubled[1].add_events() = gavel_[1].events(i);
    EXPECT_EQ(Verdict(etcd_, doubled), "different") << i;
  }
  // Also when etcd lacks them too.
  EXPECT_EQ(Verdict(etcd_, etcd_), "different");
}

TEST_F(CompactedRevisionTest, TheOnlyChangeThatAFilterLeavesIsMissed) {
  StartAt(1, 3);
  terms_.before_etcd.asked.pop_front();
  terms_.before_gavel.asked.pop_front();
  Filter(0, WatchCreateRequest::NOPUT);
  const WatchSegment both = {Created(0), WithEvents(0, deletion_, other_deletion_)};
  const WatchSegment none = {Created(0)};
  EXPECT_NE(Verdict(none, both), "different");
  EXPECT_EQ(Verdict(none, {Created(0), WithEvents(0, deletion_)}), "different");
  EXPECT_EQ(Verdict(none, none), "different");
}

TEST_F(CompactedRevisionTest, NothingElseIsInAResponseOfWhatEtcdDrops) {
  Filter(0, WatchCreateRequest::NOPUT);
  const WatchSegment etcd = {Created(0)};
  const WatchSegment gavel = {Created(0), WithEvents(0, deletion_, other_deletion_)};
  ASSERT_NE(Verdict(etcd, gavel), "different");
  WatchSegment other = gavel;
  other[1].set_compact_revision(1);
  EXPECT_EQ(Verdict(etcd, other), "different");
  other = gavel;
  other[1].clear_header();
  EXPECT_EQ(Verdict(etcd, other), "different");
  other = gavel;
  other[1].mutable_events(0)->mutable_prev_kv()->set_key("a");
  EXPECT_EQ(Verdict(etcd, other), "different");
}

TEST_F(CompactedRevisionTest, EachWatchOfAnIdIsJudged) {
  StartAt(1, 3);
  const WatchSegment etcd = {etcd_[0], etcd_[1], etcd_[2], Canceled(0),
                             etcd_[0], etcd_[1], etcd_[2]};
  WatchSegment gavel = {gavel_[0], gavel_[1], gavel_[2], Canceled(0),
                        gavel_[0], gavel_[1], gavel_[2]};
  EXPECT_NE(Verdict(etcd, gavel), "different");
  gavel[5].mutable_events()->DeleteSubrange(0, 1);
  EXPECT_EQ(Verdict(etcd, gavel), "different");
  gavel[5] = gavel_[1];
  gavel[1].mutable_events()->DeleteSubrange(3, 1);
  EXPECT_EQ(Verdict(etcd, gavel), "different");
}

TEST_F(CompactedRevisionTest, ACancellationInHasteCutsTheEnd) {
  const WatchSegment etcd = {etcd_[0], etcd_[1], etcd_[2], Canceled(0)};
  const WatchSegment begin = {Created(0), WithEvents(0, Put("a", 3)), Canceled(0)};
  const WatchSegment end = {Created(0), WithEvents(0, other_deletion_), Canceled(0)};
  const WatchSegment hole = {Created(0), WithEvents(0, Put("a", 3)), WithEvents(0, Put("a", 4)),
                             Canceled(0)};
  EXPECT_EQ(Verdict(etcd, begin), "different");
  terms_.haste.canceled.insert(0);
  EXPECT_NE(Verdict(etcd, begin), "different");
  EXPECT_NE(Verdict(etcd, {Created(0), Canceled(0)}), "different");
  EXPECT_NE(Verdict({Created(0), Canceled(0)}, begin), "different");
  EXPECT_EQ(Verdict(etcd, end), "different");
  EXPECT_EQ(Verdict(etcd, hole), "different");
}

TEST_F(CompactedRevisionTest, ThatWhichIsNotDroppedIsTheLastOfSeveralThatLookTheSame) {
  WatchHistory history;
  for (const Event& event : {Put("a", 3), deletion_, Put("a", 3)}) history.Add(event);
  history.Compact(3, true);
  terms_.history = &history;
  const WatchSegment gavel = {Created(0), WithEvents(0, Put("a", 3), deletion_, Put("a", 3))};
  EXPECT_NE(Verdict({Created(0), WithEvents(0, Put("a", 3))}, gavel), "different");
  EXPECT_EQ(Verdict({Created(0)}, gavel), "different");
}

TEST_F(CompactedRevisionTest, EveryChangeIsFound) {
  StartAt(1, 3);
  Filter(1, WatchCreateRequest::NOPUT);
  WatchSegment etcd = etcd_;
  etcd.insert(etcd.begin() + 1, Created(1));
  WatchSegment gavel = gavel_;
  gavel.insert(gavel.begin() + 1, Created(1));
  gavel.push_back(WithEvents(1, deletion_, other_deletion_));
  ASSERT_NE(Verdict(etcd, gavel), "different");
  for (uint64_t choice = 0; choice < 2000; ++choice) {
    WatchSegment changed = gavel;
    const std::string change = Plant(Haste(), choice, &changed);
    EXPECT_EQ(Verdict(etcd, changed), "different") << change << " " << choice;
  }
}

}  // namespace
}  // namespace gavel::conformance
