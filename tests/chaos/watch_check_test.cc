// The checkers of watches prove themselves: each kind of violation, planted in a good log or told
// to a watcher, must be found.
#include "tests/chaos/watch_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::chaos {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using How = WriteEnd::How;

// --- The log against what was written -----------------------------------------------------------

// Carries the writes out on a model of its own, one at each revision.
struct Store {
  std::vector<std::vector<Change>> revisions;
  std::map<int, KeyState> keys;

  void Carry(uint64_t write) {
    const int64_t revision = ChangeLog::kFirst + static_cast<int64_t>(revisions.size());
    std::vector<Change> changes;
    for (const WriteStep& step : StepsOf(write)) {
      if (step.deletes) {
        if (keys.erase(step.key)) changes.push_back({step.key, true, 0, 0, 0});
        continue;
      }
      auto [key, created] = keys.try_emplace(step.key, KeyState{0, revision, 0});
      key->second.write = write;
      ++key->second.version;
      changes.push_back({step.key, false, write, key->second.create_revision, key->second.version});
    }
    revisions.push_back(changes);
  }
};

constexpr uint64_t kWrites = 50;

Store FiftyWrites() {
  Store store;
  for (uint64_t write = 1; write <= kWrites; ++write) store.Carry(write);
  return store;
}

std::map<uint64_t, WriteEnd> AllDone() {
  std::map<uint64_t, WriteEnd> writes;
  for (uint64_t write = 1; write <= kWrites; ++write) {
    writes[write] = {How::kDone, static_cast<int64_t>(write) + 1};
  }
  return writes;
}

std::vector<std::string> Violations(const Store& store,
                                    const std::map<uint64_t, WriteEnd>& writes) {
  ChangeLog log;
  int64_t revision = ChangeLog::kFirst;
  for (const auto& changes : store.revisions) log.Append(revision++, changes);
  std::vector<KeyState> state;
  return CheckLog(log, writes, &state);
}

TEST(ChangeLogTest, AGoodLogPasses) {
  EXPECT_THAT(Violations(FiftyWrites(), AllDone()), IsEmpty());
  std::map<uint64_t, WriteEnd> writes = AllDone();
  writes[7] = {How::kUnknown, 0};
  writes[kWrites + 1] = {How::kUnknown, 0};
  writes[kWrites + 2] = {How::kNotDone, 0};
  EXPECT_THAT(Violations(FiftyWrites(), writes), IsEmpty());
}

TEST(ChangeLogTest, AChangeThatIsMissingOrWrongIsFound) {
  for (int kind = 0; kind < 4; ++kind) {
    Store store = FiftyWrites();
    std::vector<Change>& changes = store.revisions[30];
    ASSERT_GT(changes.size(), 1U);
    if (kind == 0) changes.pop_back();
    if (kind == 1) std::swap(changes.front(), changes.back());
    if (kind == 2) ++changes.front().version;
    if (kind == 3) --changes.front().create_revision;
    EXPECT_THAT(Violations(store, AllDone()), Contains("revision 32: not what write 31 does"))
        << kind;
  }
}

TEST(ChangeLogTest, AWriteThatIsLostTwiceOrElsewhereIsFound) {
  Store lost;
  for (uint64_t write = 1; write < kWrites; ++write) lost.Carry(write);
  EXPECT_THAT(Violations(lost, AllDone()),
              Contains("write 50, acknowledged at revision 51, is not there"));
  Store twice = FiftyWrites();
  twice.Carry(3);
  EXPECT_THAT(Violations(twice, AllDone()), Contains("revision 52: write 3 is there twice"));
  std::map<uint64_t, WriteEnd> elsewhere = AllDone();
  elsewhere[3].revision = 5;
  EXPECT_THAT(Violations(FiftyWrites(), elsewhere),
              Contains("revision 4: write 3 was acknowledged at revision 5"));
}

TEST(ChangeLogTest, WhatWasRefusedOrNeverWrittenIsFound) {
  std::map<uint64_t, WriteEnd> writes = AllDone();
  writes[3] = {How::kNotDone, 0};
  EXPECT_THAT(Violations(FiftyWrites(), writes),
              Contains("revision 4: write 3 was refused, and is there"));
  writes.erase(3);
  EXPECT_THAT(Violations(FiftyWrites(), writes), Contains("revision 4: what nobody wrote"));
}

TEST(ChangeLogTest, NamesAndValuesCanBeReadBack) {
  for (const int key : {0, 7, kWatchKeys - 1}) EXPECT_EQ(KeyNumber(KeyName(key)), key);
  EXPECT_EQ(KeyNumber(KeyName(kWatchKeys)), -1);
  EXPECT_EQ(KeyNumber("other"), -1);
  EXPECT_EQ(WriteOf(ValueOf(12345)), 12345U);
  EXPECT_EQ(WriteOf("12345"), 0U);
}

// --- A watcher against the log ------------------------------------------------------------------

// Keys 1 and 2 are put at revision 2, key 1 at 3, key 9 at 4, key 1 is deleted at 5, 1 put at 6.
class WatchCheckTest : public ::testing::Test {
 protected:
  WatchCheckTest() {
    log_.Append(2, {{1, false, 10, 2, 1}, {2, false, 10, 2, 1}});
    log_.Append(3, {{1, false, 11, 2, 2}});
    log_.Append(4, {{9, false, 12, 4, 1}});
    log_.Append(5, {{1, true, 0, 0, 0}});
    log_.Append(6, {{1, false, 13, 6, 1}});
  }

  static SeenEvent Put(int64_t revision, int key, uint64_t write, int64_t create, int64_t version) {
    return {revision, {key, false, write, create, version}, std::nullopt};
  }
  static SeenEvent Deletion(int64_t revision, int key) {
    return {revision, {key, true, 0, 0, 0}, std::nullopt};
  }
  // What a watcher of the keys 1 to 5 is told.
  static std::vector<SeenEvent> All() {
    return {Put(2, 1, 10, 2, 1), Put(2, 2, 10, 2, 1), Put(3, 1, 11, 2, 2), Deletion(5, 1),
            Put(6, 1, 13, 6, 1)};
  }

  std::optional<std::string> Tell(const std::vector<SeenEvent>& events, int64_t header = 6) {
    WatchCheck check(log_, interest_, 2);
    return check.OnEvents(header, events, 0);
  }

  ChangeLog log_;
  Interest interest_ = {.first_key = 1, .end_key = 6};
};

TEST_F(WatchCheckTest, WhatIsRightPasses) {
  WatchCheck check(log_, interest_, 2);
  std::vector<SeenEvent> rest = All();
  const std::vector<SeenEvent> first(rest.begin(), rest.begin() + 3);
  rest.erase(rest.begin(), rest.begin() + 3);
  EXPECT_EQ(check.OnEvents(3, first, 0), std::nullopt);
  EXPECT_EQ(check.OnProgress(4), std::nullopt);
  EXPECT_EQ(check.next(), 5);
  EXPECT_EQ(check.after_events(), 4);
  EXPECT_EQ(check.OnEvents(7, rest, 0), std::nullopt);
  EXPECT_EQ(check.OnProgress(6), std::nullopt);
  EXPECT_EQ(check.events(), 5);
  EXPECT_EQ(check.next(), 7);
}

TEST_F(WatchCheckTest, FiltersAreMinded) {
  interest_.no_put = true;
  EXPECT_EQ(Tell({Deletion(5, 1)}), std::nullopt);
  EXPECT_THAT(Tell(All()), Optional(HasSubstr("watched/0001")));
  interest_ = {.first_key = 1, .end_key = 6, .no_delete = true};
  EXPECT_THAT(Tell(All()), Optional(HasSubstr("is missing")));
}

TEST_F(WatchCheckTest, AGapIsFound) {
  for (size_t left_out = 0; left_out + 1 < All().size(); ++left_out) {
    std::vector<SeenEvent> events = All();
    events.erase(events.begin() + static_cast<long>(left_out));
    EXPECT_THAT(Tell(events), Optional(HasSubstr("is missing"))) << left_out;
  }
}

TEST_F(WatchCheckTest, ARevisionInTwoBatchesIsFound) {
  EXPECT_THAT(Tell({Put(2, 1, 10, 2, 1)}),
              Optional(HasSubstr("the put of watched/0002 at revision 2 is missing")));
  WatchCheck check(log_, interest_, 3);
  EXPECT_THAT(check.OnEvents(6, {Put(2, 2, 10, 2, 1)}, 0), Optional(HasSubstr("is told again")));
}

TEST_F(WatchCheckTest, WhatIsToldTwiceOrOutOfOrderIsFound) {
  std::vector<SeenEvent> events = All();
  events.insert(events.begin() + 2, events[2]);
  EXPECT_THAT(Tell(events), Optional(HasSubstr("is missing")));
  events = All();
  events.push_back(events.back());
  EXPECT_THAT(Tell(events), Optional(HasSubstr("is told, and never was")));
  events = All();
  std::swap(events[2], events[3]);
  EXPECT_THAT(Tell(events), Optional(HasSubstr("out of order")));
  events = All();
  std::swap(events[0], events[1]);
  EXPECT_THAT(Tell(events), Optional(HasSubstr("is missing")));
}

TEST_F(WatchCheckTest, OtherContentsAreFound) {
  std::vector<SeenEvent> events = All();
  events[2].change.write = 10;
  EXPECT_THAT(Tell(events), Optional(HasSubstr("is told with other contents")));
  events = All();
  events[4].change.create_revision = 2;
  EXPECT_THAT(Tell(events), Optional(HasSubstr("is told with other contents")));
  EXPECT_THAT(Tell({Put(2, 1, 10, 2, 1), Put(2, 2, 10, 2, 1), Put(2, 9, 12, 4, 1)}),
              Optional(HasSubstr("the put of watched/0009 at revision 2 is told, and never was")));
}

TEST_F(WatchCheckTest, WhatWasBeforeIsChecked) {
  interest_.previous = true;
  std::vector<SeenEvent> events = All();
  events[2].previous_write = 10;
  events[3].previous_write = 11;
  EXPECT_EQ(Tell(events), std::nullopt);
  events[3].previous_write = 10;
  EXPECT_THAT(Tell(events), Optional(HasSubstr("tells wrongly what was before")));
  events[3].previous_write = std::nullopt;
  EXPECT_THAT(Tell(events), Optional(HasSubstr("does not tell what was before")));
  WatchCheck check(log_, interest_, 2);
  EXPECT_EQ(check.OnEvents(6, events, 3), std::nullopt);
  interest_.previous = false;
  EXPECT_THAT(Tell(events), Optional(HasSubstr("tells unasked what was before")));
}

TEST_F(WatchCheckTest, AHeaderBehindItsEventsIsFound) {
  EXPECT_THAT(Tell(All(), 5), Optional(HasSubstr("is ahead of its header")));
}

TEST_F(WatchCheckTest, ProgressAheadIsFound) {
  WatchCheck check(log_, interest_, 4);
  EXPECT_EQ(check.OnProgress(4), std::nullopt);
  EXPECT_THAT(check.OnProgress(5),
              Optional(HasSubstr("ahead of the deletion of watched/0001 at revision 5")));
}

TEST_F(WatchCheckTest, ACompactionMustLeaveAGapAndBeAskedFor) {
  WatchCheck check(log_, interest_, 3);
  EXPECT_EQ(check.OnCompacted(5, 5), std::nullopt);
  EXPECT_EQ(check.next(), 5);
  EXPECT_THAT(check.OnCompacted(5, 5), Optional(HasSubstr("leaves no gap")));
  EXPECT_THAT(check.OnCompacted(6, 5), Optional(HasSubstr("nobody has asked for")));
  WatchCheck told(log_, interest_, 2);
  EXPECT_EQ(told.OnProgress(1), std::nullopt);
  EXPECT_EQ(told.OnEvents(6, All(), 0), std::nullopt);
  EXPECT_EQ(told.OnProgress(9), std::nullopt);
  EXPECT_EQ(told.OnCompacted(8, 8), std::nullopt);
  EXPECT_EQ(told.next(), 10);
  EXPECT_EQ(told.after_events(), 8);
}

}  // namespace
}  // namespace gavel::chaos
