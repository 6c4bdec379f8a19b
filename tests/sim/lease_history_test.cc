// The check of leases says nothing of what is right, and names the rule that anything else breaks.
#include "tests/sim/lease_history.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/history.h"

namespace gavel::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kLease = 7;

// A lease of two seconds: entry 1 reads the clock, 2 grants it, 3 renews it a second later; then
// the clock is read on, and it expires.
class LeaseHistoryTest : public ::testing::Test {
 protected:
  // Adds an entry that is committed `at_ms`.
  internal::Command& Entry(int64_t at_ms) {
    committed_at_.push_back(at_ms * kMs);
    return log_.emplace_back();
  }
  void Clock(int64_t at_ms) { Entry(at_ms).mutable_lease_clock()->set_now_ms(at_ms); }
  void Begin() {
    Clock(0);
    auto& grant = *Entry(10).mutable_lease_grant();
    grant.set_id(kLease);
    grant.set_ttl(2);
    SetNumber(grant, 1);
    Clock(500);
    Clock(1000);
    Entry(1010).mutable_renew_leases()->add_ids(kLease);
    for (int64_t at = 1500; at <= 3000; at += 500) Clock(at);
  }
  // The renewal as its holder saw it.
  void Renewed(int64_t sent_ms, int64_t ttl) {
    RenewalRecord& renewal = renewals_.emplace_back();
    renewal.id = kLease;
    renewal.sent_at = sent_ms * kMs;
    renewal.committed_before = 4;
    renewal.committed_after = 5;
    renewal.answered = true;
    renewal.ttl_seconds = ttl;
  }
  void Expire(int64_t at_ms, int64_t reading_ms) {
    auto& expire = *Entry(at_ms).mutable_expire_leases();
    expire.set_term(1);
    expire.set_now_ms(reading_ms);
    auto& expiry = *expire.add_leases();
    expiry.set_id(kLease);
    expiry.set_renewed_index(5);
  }
  LeaseQuestion& Question(uint64_t before, uint64_t after) {
    LeaseQuestion& question = questions_.emplace_back();
    question.id = kLease;
    question.committed_before = before;
    question.committed_after = after;
    question.about_one.mutable_header()->set_revision(1);
    question.about_one.set_id(kLease);
    question.about_one.set_grantedttl(2);
    return question;
  }
  // What the check says, up to the colon.
  std::string Rule(int64_t ended_ms = 3500) {
    LeaseHistory history(renewals_, questions_,
                         {.committed_at = &committed_at_,
                          .ended_at = ended_ms * kMs,
                          .sent_at = [](uint64_t) { return 5 * kMs; },
                          .sometimes = [](const char*) {}});
    testing::Model model;
    for (size_t i = 0; i < log_.size(); ++i) {
      const testing::ModelOutcome outcome = model.Apply(log_[i], i + 1, 1);
      history.OnEntry(i + 1, 1, log_[i], outcome, model);
    }
    history.OnEnd();
    const auto& violation = history.violation();
    return violation ? violation->substr(0, violation->find(':')) : "";
  }

  std::vector<internal::Command> log_;
  std::vector<int64_t> committed_at_;
  std::vector<RenewalRecord> renewals_;
  std::vector<LeaseQuestion> questions_;
};

TEST_F(LeaseHistoryTest, TakesALeaseThatEndsInTime) {
  Begin();
  Renewed(1005, 2);
  Expire(3100, 3090);
  EXPECT_EQ(Rule(), "");
}

TEST_F(LeaseHistoryTest, MissesAnEarlyEnd) {
  Begin();
  Renewed(1005, 2);
  // The reading is ahead of the time.
  Expire(2900, 3090);
  EXPECT_EQ(Rule(), "E1");
}

TEST_F(LeaseHistoryTest, MissesALateEnd) {
  Begin();
  for (int64_t at = 3500; at <= 6500; at += 500) Clock(at);
  Expire(6600, 6600);
  EXPECT_EQ(Rule(7000), "E3");
}

TEST_F(LeaseHistoryTest, MissesALeaseThatLivesOn) {
  Begin();
  for (int64_t at = 3500; at <= 6500; at += 500) Clock(at);
  EXPECT_EQ(Rule(7000), "E3");
}

TEST_F(LeaseHistoryTest, TakesALateEndAfterATimeWithoutReadings) {
  Begin();
  Expire(6600, 3100);
  EXPECT_EQ(Rule(7000), "");
}

TEST_F(LeaseHistoryTest, MissesARenewalThatNoEntryHolds) {
  Begin();
  Renewed(1005, 2);
  renewals_[0].committed_before = 5;
  renewals_[0].committed_after = 6;
  EXPECT_EQ(Rule(), "E2");
}

TEST_F(LeaseHistoryTest, MissesARenewalThatIsAnsweredWithAnotherTtl) {
  Begin();
  Renewed(1005, 3);
  EXPECT_EQ(Rule(), "E2");
}

TEST_F(LeaseHistoryTest, TakesAnAnswerThatWasTrueForAMoment) {
  Begin();
  Question(4, 9).about_one.set_ttl(1);
  EXPECT_EQ(Rule(), "");
}

TEST_F(LeaseHistoryTest, MissesAnAnswerThatWasTrueOnlyBefore) {
  Begin();
  Expire(3100, 3090);
  Question(10, 10).about_one.set_ttl(1);
  EXPECT_EQ(Rule(), "E5");
}

TEST_F(LeaseHistoryTest, MissesMoreThanIsLeft) {
  Begin();
  Question(9, 9).about_one.set_ttl(1);
  EXPECT_EQ(Rule(), "E5");
}

TEST_F(LeaseHistoryTest, MissesAKeyThatIsNotAttached) {
  Begin();
  LeaseQuestion& question = Question(5, 6);
  question.keys = true;
  question.about_one.add_keys("a");
  EXPECT_EQ(Rule(), "E5");
}

}  // namespace
}  // namespace gavel::sim
