// The check of watches says nothing of what is right, and names the rule that anything else breaks.
#include "tests/sim/watch_history.h"

#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace gavel::sim {
namespace {

using Told = WatchRecord::Told;

// Revisions: 2 puts a, 3 puts b, 4 puts a again and c in one transaction, 5 deletes a, 6 puts b.
class WatchHistoryTest : public ::testing::Test {
 protected:
  WatchHistoryTest() {
    Put("a", "1");
    Put("b", "2");
    internal::Command both;
    for (const char* key : {"a", "c"}) {
      auto& put = *both.mutable_txn()->add_success()->mutable_request_put();
      put.set_key(key);
      put.set_value("3");
    }
    model_.Apply(both);
    internal::Command gone;
    gone.mutable_delete_range()->set_key("a");
    model_.Apply(gone);
    Put("b", "4");

    // All keys, from the start; one response for each revision, then progress.
    record_.request.set_key("a");
    record_.request.set_range_end("z");
    record_.request.set_start_revision(1);
    record_.request.set_prev_kv(true);
    record_.created_at = 6;
    for (int64_t revision = 2; revision <= 6; ++revision) {
      Told& told = record_.told.emplace_back();
      told.response.mutable_header()->set_revision(revision);
      for (const auto& [key, versions] : model_.versions()) {
        const testing::ModelVersion* before = nullptr;
        for (const testing::ModelVersion& version : versions) {
          if (version.kv.mod_revision() == revision) {
            mvccpb::Event& event = *told.response.add_events();
            event.set_type(version.tombstone ? mvccpb::Event::DELETE : mvccpb::Event::PUT);
            *event.mutable_kv() = version.kv;
            if (before != nullptr && !before->tombstone) *event.mutable_prev_kv() = before->kv;
          }
          before = &version;
        }
      }
    }
    Progress(6);
  }

  void Put(const char* key, const char* value) {
    internal::Command command;
    command.mutable_put()->set_key(key);
    command.mutable_put()->set_value(value);
    model_.Apply(command);
  }
  void Progress(int64_t revision) {
    Told& told = record_.told.emplace_back();
    told.kind = Told::Kind::kProgress;
    told.response.mutable_header()->set_revision(revision);
  }
  void Compacted(int64_t revision, int64_t published) {
    Told& told = record_.told.emplace_back();
    told.kind = Told::Kind::kCompacted;
    told.response.set_compact_revision(revision);
    told.compacted = published;
  }
  // What the check says, up to the colon.
  std::string Rule() {
    WatchHistory history(model_);
    history.SetCompactions({4});
    const auto violation = history.Check(record_);
    return violation ? violation->substr(0, violation->find(':')) : "";
  }
  mvccpb::Event& EventOf(int64_t revision) {
    return *record_.told[static_cast<size_t>(revision - 2)].response.mutable_events(0);
  }

  testing::Model model_;
  WatchRecord record_;
};

TEST_F(WatchHistoryTest, TakesTheHistoryItself) { EXPECT_EQ(Rule(), ""); }

TEST_F(WatchHistoryTest, TakesWhatFiltersAndRangesLeave) {
  record_.request.add_filters(etcdserverpb::WatchCreateRequest::NOPUT);
  std::erase_if(record_.told, [](const Told& told) {
    return told.kind == Told::Kind::kEvents && told.response.header().revision() != 5;
  });
  EXPECT_EQ(Rule(), "");
}

TEST_F(WatchHistoryTest, MissesAGap) {
  record_.told.erase(record_.told.begin() + 1);
  EXPECT_EQ(Rule(), "W3");
}

TEST_F(WatchHistoryTest, MissesADouble) {
  record_.told.insert(record_.told.begin() + 1, record_.told[0]);
  EXPECT_EQ(Rule(), "W1, W2");
}

TEST_F(WatchHistoryTest, MissesAnotherOrder) {
  std::swap(record_.told[3], record_.told[4]);
  EXPECT_EQ(Rule(), "W3");
}

TEST_F(WatchHistoryTest, MissesARevisionInParts) {
  record_.told[2].response.mutable_events()->RemoveLast();
  EXPECT_EQ(Rule(), "W4");
}

TEST_F(WatchHistoryTest, TakesARevisionInFragments) {
  Told rest = record_.told[2];
  record_.told[2].response.mutable_events()->RemoveLast();
  record_.told[2].response.set_fragment(true);
  rest.response.mutable_events()->DeleteSubrange(0, 1);
  record_.told.insert(record_.told.begin() + 3, rest);
  EXPECT_EQ(Rule(), "");
}

TEST_F(WatchHistoryTest, MissesProgressThatIsAhead) {
  record_.told.erase(record_.told.begin() + 4);
  EXPECT_EQ(Rule(), "W6");
}

TEST_F(WatchHistoryTest, MissesProgressBeforeTheStart) {
  record_.request.set_start_revision(9);
  record_.told.clear();
  Progress(6);
  EXPECT_EQ(Rule(), "W6");
}

TEST_F(WatchHistoryTest, MissesAnotherValue) {
  EventOf(3).mutable_kv()->set_value("x");
  EXPECT_EQ(Rule(), "W7");
}

TEST_F(WatchHistoryTest, MissesAnotherPreviousValue) {
  EventOf(6).mutable_prev_kv()->set_value("x");
  EXPECT_EQ(Rule(), "W7");
}

TEST_F(WatchHistoryTest, TakesAMissingPreviousValueOnlyOfWhatIsCompacted) {
  EventOf(6).clear_prev_kv();
  record_.told[4].compacted = 6;
  EXPECT_EQ(Rule(), "");
  record_.told[4].compacted = 5;
  EXPECT_EQ(Rule(), "W7");
}

TEST_F(WatchHistoryTest, TakesACompactionOfWhatItStillNeeds) {
  record_.told.clear();
  Compacted(4, 4);
  EXPECT_EQ(Rule(), "");
}

TEST_F(WatchHistoryTest, MissesACompactionThatNeverWas) {
  record_.told.clear();
  Compacted(5, 5);
  EXPECT_EQ(Rule(), "C1");
}

TEST_F(WatchHistoryTest, MissesACompactionThatIsNotPublished) {
  record_.told.clear();
  Compacted(4, 3);
  EXPECT_EQ(Rule(), "C1");
}

TEST_F(WatchHistoryTest, MissesACompactionOfWhatHasBeenTold) {
  record_.told.resize(2);
  Compacted(4, 4);
  EXPECT_EQ(Rule(), "C1");
}

}  // namespace
}  // namespace gavel::sim
