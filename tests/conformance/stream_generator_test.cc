#include "tests/conformance/stream_generator.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/lease.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "raft/random.h"
#include "tests/conformance/recipe_generator.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::LeaseGrantRequest;
using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

// A server of which no more is asked than that it takes everything.
Answer Agree(const Operation& operation, int64_t* next_watch_id) {
  Answer answer;
  WatchRequest watch;
  if (operation.method == kWatchMethod && watch.ParseFromString(operation.body) &&
      watch.has_create_request()) {
    WatchResponse response;
    response.set_created(true);
    const int64_t chosen = watch.create_request().watch_id();
    response.set_watch_id(chosen != 0 ? chosen : (*next_watch_id)++);
    answer.body = response.SerializeAsString();
  } else if (operation.method == "/etcdserverpb.KV/Put") {
    etcdserverpb::LeaseGrantResponse response;  // It begins with the same header.
    response.mutable_header()->set_revision(100);
    answer.body = response.SerializeAsString();
  }
  return answer;
}

TEST(StreamGeneratorTest, OneSeedGivesOneSequence) {
  const WatchHistory history;
  StreamGenerator one(7, history);
  StreamGenerator same(7, history);
  StreamGenerator other(8, history);
  int different = 0;
  for (int i = 0; i < 1000; ++i) {
    const Operation operation = one.Next();
    const Operation again = same.Next();
    EXPECT_EQ(operation.method, again.method);
    EXPECT_EQ(operation.body, again.body);
    EXPECT_EQ(operation.number, again.number);
    if (other.Next().body != operation.body) ++different;
  }
  EXPECT_GT(different, 300);
}

TEST(StreamGeneratorTest, AsksForNothingThatIsChanceAtTheCompactedRevision) {
  WatchHistory history;
  mvccpb::Event deletion;
  deletion.set_type(mvccpb::Event::DELETE);
  deletion.mutable_kv()->set_key("a");
  deletion.mutable_kv()->set_mod_revision(100);
  history.Add(deletion);
  history.Compact(100, false);
  StreamGenerator generator(1, history);
  int64_t next_watch_id = 0;
  int watches = 0;
  for (int i = 0; i < 10000; ++i) {
    const Operation operation = generator.Next();
    generator.Learn(operation, Agree(operation, &next_watch_id));
    WatchRequest message;
    if (operation.method != kWatchMethod || !message.ParseFromString(operation.body)) continue;
    if (!message.has_create_request()) continue;
    ++watches;
    EXPECT_NE(message.create_request().start_revision(), 100);
  }
  EXPECT_GT(watches, 100);
}

// What a long run must have asked for at least once, however the weights are set.
TEST(StreamGeneratorTest, AsksForEveryOptionOfAWatch) {
  WatchHistory history;
  history.Compact(50, true);
  StreamGenerator generator(1, history);
  std::set<std::string> met;
  int64_t next_watch_id = 0;
  for (int i = 0; i < 10000; ++i) {
    const Operation operation = generator.Next();
    generator.Learn(operation, Agree(operation, &next_watch_id));
    if (operation.kind == Kind::kHalfClose) met.insert("half-close");
    if (operation.kind == Kind::kClose && operation.hasty) met.insert("closed in haste");
    if (operation.kind == Kind::kExpire) met.insert("expiry");
    WatchRequest message;
    if (operation.method != kWatchMethod || !message.ParseFromString(operation.body)) continue;
    if (message.has_progress_request()) met.insert(operation.hasty ? "hasty progress" : "progress");
    if (message.has_cancel_request()) met.insert(operation.hasty ? "hasty cancel" : "cancel");
    if (!message.has_create_request()) continue;
    const WatchCreateRequest& create = message.create_request();
    const int64_t start = create.start_revision();
    met.insert(start == 0    ? "now"
               : start < 0   ? "negative"
               : start < 50  ? "compacted"
               : start == 50 ? "at the compaction"
               : start > 100 ? "future"
                             : "past");
    if (create.key().empty()) met.insert("no key");
    if (!create.range_end().empty() && create.range_end() <= create.key()) met.insert("reversed");
    if (create.range_end() == std::string(1, '\0')) met.insert("from key");
    if (create.filters_size() > 1) met.insert("filters");
    if (create.prev_kv()) met.insert("prev_kv");
    if (create.fragment()) met.insert("fragment");
    if (create.progress_notify()) met.insert("progress_notify");
    if (create.watch_id() < 0) met.insert("negative id");
    if (create.watch_id() > 0) met.insert("chosen id");
  }
  EXPECT_EQ(met, (std::set<std::string>{"at the compaction",
                                        "cancel",
                                        "chosen id",
                                        "closed in haste",
                                        "compacted",
                                        "expiry",
                                        "filters",
                                        "fragment",
                                        "from key",
                                        "future",
                                        "half-close",
                                        "hasty cancel",
                                        "hasty progress",
                                        "negative",
                                        "negative id",
                                        "no key",
                                        "now",
                                        "past",
                                        "prev_kv",
                                        "progress",
                                        "progress_notify",
                                        "reversed"}));
}

TEST(StreamGeneratorTest, AsksForEveryKindOfLease) {
  const WatchHistory history;
  StreamGenerator generator(1, history);
  std::set<std::string> met;
  int64_t next_watch_id = 0;
  for (int i = 0; i < 10000; ++i) {
    const Operation operation = generator.Next();
    generator.Learn(operation, Agree(operation, &next_watch_id));
    if (operation.method.starts_with("/etcdserverpb.Lease/")) {
      met.insert(operation.method.substr(operation.method.rfind('/') + 1));
    }
    etcdserverpb::LeaseKeepAliveRequest renewal;
    if (operation.method.ends_with("LeaseKeepAlive") && operation.hasty &&
        renewal.ParseFromString(operation.body) && renewal.id() > 2'000'000'000 &&
        renewal.id() <= 3'000'000'000) {
      met.insert("renewals at once");
    }
    LeaseGrantRequest grant;
    if (!operation.method.ends_with("LeaseGrant") || !grant.ParseFromString(operation.body)) {
      continue;
    }
    met.insert(grant.id() == 0 ? "picked id" : grant.id() < 0 ? "negative id" : "chosen id");
    met.insert(grant.ttl() < 0             ? "negative"
               : grant.ttl() == 0          ? "none"
               : grant.ttl() < 3           ? "short"
               : grant.ttl() > 9000000000  ? "too long"
               : grant.ttl() == 9000000000 ? "longest"
                                           : "usual");
  }
  EXPECT_EQ(met, (std::set<std::string>{"LeaseGrant", "LeaseKeepAlive", "LeaseLeases",
                                        "LeaseRevoke", "LeaseTimeToLive", "chosen id", "longest",
                                        "negative", "negative id", "none", "picked id",
                                        "renewals at once", "short", "too long", "usual"}));
}

TEST(StreamGeneratorTest, AsksForAllOfLocksAndElections) {
  const WatchHistory history;
  StreamGenerator generator(1, history);
  std::set<std::string> met;
  int64_t next_watch_id = 0;
  for (int i = 0; i < 20000; ++i) {
    const Operation operation = generator.Next();
    generator.Learn(operation, Agree(operation, &next_watch_id));
    if (!operation.method.starts_with("/v3")) continue;
    const char* kind = operation.kind == Kind::kBegin     ? "begin "
                       : operation.kind == Kind::kAwait   ? "await "
                       : operation.kind == Kind::kAbandon ? "abandon "
                                                          : "";
    met.insert(kind + operation.method.substr(operation.method.rfind('/') + 1));
  }
  EXPECT_EQ(
      met, (std::set<std::string>{"Campaign", "Leader", "Lock", "Proclaim", "Resign", "Unlock",
                                  "abandon Campaign", "abandon Lock", "abandon Observe",
                                  "await Campaign", "await Lock", "await Observe", "begin Campaign",
                                  "begin Lock", "begin Observe"}));
}

TEST(RecipeGeneratorTest, WhoHasBeenElectedIsKnownByTheRevision) {
  raft::Random random(1);
  Vocabulary words(random, true);
  RecipeGenerator generator(words);
  constexpr char kCampaign[] = "/v3electionpb.Election/Campaign";
  v3electionpb::CampaignResponse elected;
  elected.mutable_leader()->set_key("vote0/1");
  elected.mutable_leader()->set_rev(7);
  generator.Learn({kCampaign, ""}, {0, "", elected.SerializeAsString()});
  elected.mutable_leader()->set_key("vote0/2");
  generator.Learn({kCampaign, ""}, {2, "", elected.SerializeAsString()});
  const auto revision = [&](const char* key, int64_t known) {
    v3electionpb::ResignRequest request;
    request.mutable_leader()->set_key(key);
    request.mutable_leader()->set_rev(known);
    Operation operation{"/v3electionpb.Election/Resign", request.SerializeAsString()};
    generator.Complete(&operation);
    request.ParseFromString(operation.body);
    return request.leader().rev();
  };
  EXPECT_EQ(revision("vote0/1", 0), 7);
  EXPECT_EQ(revision("vote0/1", 3), 3) << "it is stale on purpose";
  EXPECT_EQ(revision("vote0/2", 0), 0) << "nobody was elected";
}

}  // namespace
}  // namespace gavel::conformance
