// The helpers of Kv and the pager, where a server must misbehave at the right moment.
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/client_test_support.h"

namespace gavel::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using testing::Answer;
using testing::MakeClient;
using testing::milliseconds;
using testing::Request;
using testing::ScriptedServer;

// A key whose value others change before every guarded transaction, `rivals` times.
class RivalKey {
 public:
  RivalKey(std::string value, int rivals) : value_(std::move(value)), rivals_(rivals) {}

  Answer operator()(const Request& request) {
    const std::lock_guard lock(mutex_);
    if (request.method == "Range") {
      etcdserverpb::RangeResponse response;
      AddRow(&response);
      return Answer::Ok(response);
    }
    etcdserverpb::TxnRequest txn;
    EXPECT_TRUE(txn.ParseFromString(request.body));
    if (rivals_-- > 0) Change(std::to_string(revision_));
    etcdserverpb::TxnResponse response;
    if (txn.compare(0).mod_revision() == revision_) {
      EXPECT_TRUE(txn.success(0).request_put().ignore_lease());
      Change(txn.success(0).request_put().value());
      response.set_succeeded(true);
      response.add_responses()->mutable_response_put();
    } else {
      AddRow(response.add_responses()->mutable_response_range());
    }
    return Answer::Ok(response);
  }

  std::string value() const { return value_; }

 private:
  void Change(std::string value) {
    value_ = std::move(value);
    ++revision_;
  }
  void AddRow(etcdserverpb::RangeResponse* response) const {
    mvccpb::KeyValue* kv = response->add_kvs();
    kv->set_value(value_);
    kv->set_mod_revision(revision_);
  }

  std::mutex mutex_;
  std::string value_;
  int64_t revision_ = 10;
  int rivals_;
};

// A lost guard brings the newer value, and costs one more transaction.
TEST(ClientHelpersTest, IncrementGoesOnFromWhatOthersWrote) {
  RivalKey key("1", 3);
  ScriptedServer server([&](const Request& request) { return key(request); });
  const Client client = MakeClient({server.target()});
  const Result<IncrementResponse> sum = client.kv().Increment("n", 100);
  ASSERT_TRUE(sum.ok()) << sum.status().ToString();
  EXPECT_EQ(sum->value, 112);  // The last rival wrote 12.
  EXPECT_EQ(key.value(), "112");
  EXPECT_EQ(server.count(), 5u);
}

TEST(ClientHelpersTest, EndlessRivalsAreReportedAsContention) {
  RivalKey key("1", 1'000'000);
  ScriptedServer server([&](const Request& request) { return key(request); });
  const Client client = MakeClient({server.target()});
  const Result<IncrementResponse> sum = client.kv().Increment("n");
  EXPECT_EQ(sum.status().reason(), Reason::kContention);
  EXPECT_EQ(sum.status().error_class(), ErrorClass::kDropped);
  EXPECT_EQ(server.count(), 65u);
}

// One deadline for all steps together.
TEST(ClientHelpersTest, AnUpdateEndsAtItsDeadline) {
  std::atomic<int> transactions = 0;
  RivalKey key("1", 1'000'000);
  ScriptedServer server([&](const Request& request) {
    if (request.method == "Txn" && ++transactions == 3) {
      Answer answer;
      answer.never = true;
      return answer;
    }
    return key(request);
  });
  const Client client = MakeClient({server.target()});
  const Result<IncrementResponse> sum =
      client.kv().Increment("n", 1, {.timeout = milliseconds(500)});
  EXPECT_EQ(sum.status().reason(), Reason::kDeadline);
  EXPECT_EQ(sum.status().error_class(), ErrorClass::kUnknown);
}

// Whatever ends an update before it has sent a transaction, or after one whose guard did not hold,
// the key is as it was.
TEST(ClientHelpersTest, AnUpdateThatOnlyReadHasWrittenNothing) {
  Answer unreadable, silence;
  unreadable.body = "\xff\xff\xff";
  silence.never = true;
  for (const Answer& answer : {silence, unreadable, Answer::Error(grpc::DATA_LOSS, "strange")}) {
    ScriptedServer server([&](const Request&) { return answer; });
    const Client client = MakeClient({server.target()});
    const CallOptions options{.timeout = milliseconds(300)};
    for (const Status& status : {client.kv().Increment("n", 1, options).status(),
                                 client.kv().Append("n", "1", options).status()}) {
      EXPECT_EQ(status.error_class(), ErrorClass::kDropped) << status.ToString();
      EXPECT_EQ(status.endpoint(), server.target());
    }
    for (const Request& request : server.requests()) EXPECT_EQ(request.method, "Range");
  }
  ScriptedServer server([](const Request& request) {
    if (request.method == "Range") return Answer::Ok(etcdserverpb::RangeResponse());
    return Answer::Ok(etcdserverpb::TxnResponse());  // Refused, and nothing was read.
  });
  const Status status = MakeClient({server.target()}).kv().Increment("n").status();
  EXPECT_EQ(status.reason(), Reason::kBadResponse);
  EXPECT_EQ(status.error_class(), ErrorClass::kDropped);
}

TEST(ClientHelpersTest, AnUpdateOfUnknownOutcomeIsNotRepeated) {
  RivalKey key("1", 0);
  ScriptedServer server([&](const Request& request) {
    if (request.method == "Range") return key(request);
    return Answer::Error(grpc::UNAVAILABLE, "etcdserver: request timed out");
  });
  const Client client = MakeClient({server.target()});
  const Result<AppendResponse> append = client.kv().Append("k", "x");
  EXPECT_EQ(append.status().error_class(), ErrorClass::kUnknown);
  EXPECT_EQ(server.count(), 2u);
}

TEST(ClientHelpersTest, WhatIsNoNumberIsLeftAlone) {
  for (const char* value : {"x", "1x", " 1", "1 ", "+-1", "0x1", "1.5", "9223372036854775808"}) {
    SCOPED_TRACE(value);
    RivalKey key(value, 0);
    ScriptedServer server([&](const Request& request) { return key(request); });
    const Client client = MakeClient({server.target()});
    EXPECT_EQ(client.kv().Increment("n").status().reason(), Reason::kNotANumber);
    EXPECT_EQ(server.count(), 1u);
  }
}

TEST(ClientHelpersTest, NumbersUpToTheEndsOf64Bits) {
  struct Sum {
    const char* value;
    int64_t delta;
    const char* sum;  // Null: it does not fit.
  };
  for (const Sum& c :
       {Sum{"", 5, "5"}, Sum{"+7", -9, "-2"}, Sum{"-0", 0, "0"},
        Sum{"9223372036854775807", 0, "9223372036854775807"},
        Sum{"9223372036854775807", 1, nullptr}, Sum{"-9223372036854775808", -1, nullptr},
        Sum{"-1", INT64_MIN, nullptr}, Sum{"0", INT64_MIN, "-9223372036854775808"}}) {
    SCOPED_TRACE(c.value);
    RivalKey key(c.value, 0);
    ScriptedServer server([&](const Request& request) { return key(request); });
    const Client client = MakeClient({server.target()});
    const Result<IncrementResponse> sum = client.kv().Increment("n", c.delta);
    if (c.sum) {
      ASSERT_TRUE(sum.ok()) << sum.status().ToString();
      EXPECT_EQ(key.value(), c.sum);
    } else {
      EXPECT_EQ(sum.status().reason(), Reason::kOverflow);
      EXPECT_EQ(key.value(), c.value);
    }
  }
}

TEST(ClientHelpersTest, NoKeysAreNoRequest) {
  ScriptedServer server(testing::AnswerOk);
  const Client client = MakeClient({server.target()});
  EXPECT_EQ(client.kv().GetMany({}).status().reason(), Reason::kInvalidOptions);
  EXPECT_EQ(client.kv().PutMany({}).status().reason(), Reason::kInvalidOptions);
  EXPECT_EQ(server.count(), 0u);
}

// Rows "0" to "8", of which the third page is refused `refusals` times.
Answer Rows(const Request& request, std::atomic<int>* refusals, const Answer& refusal) {
  etcdserverpb::RangeRequest range;
  EXPECT_TRUE(range.ParseFromString(request.body));
  etcdserverpb::RangeResponse response;
  response.mutable_header()->set_revision(range.revision() ? 99 : 42);
  response.set_count(9);
  EXPECT_TRUE(range.key() == "0" || range.revision() == 42) << "all pages are at one revision";
  if (range.key() > "3" && refusals->fetch_sub(1) > 0) return refusal;
  for (char row = '0'; row <= '8'; ++row) {
    const std::string key(1, row);
    if (key < range.key()) continue;
    if (response.kvs_size() == range.limit()) {
      response.set_more(true);
      break;
    }
    response.add_kvs()->set_key(key);
  }
  return Answer::Ok(response);
}

std::string Keys(const std::vector<KeyValue>& rows) {
  std::string keys;
  for (const KeyValue& kv : rows) keys += kv.key;
  return keys;
}

TEST(ClientHelpersTest, PagesAreReadAtTheRevisionOfTheFirst) {
  std::atomic<int> refusals = 0;
  ScriptedServer server([&](const Request& request) { return Rows(request, &refusals, {}); });
  const Client client = MakeClient({server.target()});
  RangePager pages = client.kv().Pages({.range = KeyRange::From("0")}, {.rows = 4});
  EXPECT_FALSE(pages.done());
  EXPECT_EQ(pages.revision(), 0);
  EXPECT_EQ(Keys(*pages.Next()), "0123");
  EXPECT_EQ(pages.revision(), 42);
  EXPECT_EQ(pages.count(), 9);
  EXPECT_EQ(Keys(*pages.NextAsync().Get()), "4567");
  EXPECT_FALSE(pages.done());
  EXPECT_EQ(Keys(*pages.Next()), "8");
  EXPECT_TRUE(pages.done());
  EXPECT_EQ(Keys(*pages.Next()), "");
  EXPECT_EQ(server.count(), 3u);

  // The limit is of all pages together.
  RangePager limited = client.kv().Pages({.range = KeyRange::From("0"), .limit = 6}, {.rows = 4});
  EXPECT_EQ(Keys(*limited.Next()), "0123");
  EXPECT_EQ(Keys(*limited.Next()), "45");
  EXPECT_TRUE(limited.done());
}

TEST(ClientHelpersTest, ACompactionBetweenPagesIsReported) {
  std::atomic<int> refusals = 1'000;
  ScriptedServer server([&](const Request& request) {
    return Rows(request, &refusals,
                Answer::Error(grpc::OUT_OF_RANGE,
                              "etcdserver: mvcc: required revision has been compacted"));
  });
  const Client client = MakeClient({server.target()});
  RangePager pages = client.kv().Pages({.range = KeyRange::From("0")}, {.rows = 4});
  ASSERT_TRUE(pages.Next().ok());
  EXPECT_EQ(pages.Next().status().reason(), Reason::kCompacted);
  EXPECT_FALSE(pages.done());
  EXPECT_EQ(pages.next_key(), std::string("3\0", 2));
  EXPECT_EQ(pages.revision(), 42);
}

TEST(ClientHelpersTest, AFailedPageCanBeAskedForAgain) {
  std::atomic<int> refusals = 1;
  ScriptedServer server([&](const Request& request) {
    return Rows(request, &refusals, Answer::Error(grpc::PERMISSION_DENIED, "not today"));
  });
  const Client client = MakeClient({server.target()});
  RangePager pages = client.kv().Pages({.range = KeyRange::From("0")}, {.rows = 4});
  ASSERT_TRUE(pages.Next().ok());
  EXPECT_EQ(pages.Next().status().message(), "not today");
  EXPECT_EQ(Keys(*pages.Next()), "4567");
}

TEST(ClientHelpersTest, WhatCannotBePagedIsRefused) {
  ScriptedServer server(testing::AnswerOk);
  const Client client = MakeClient({server.target()});
  for (const RangeRequest& request :
       {RangeRequest{.range = KeyRange::All(), .sort_order = SortOrder::kDescend},
        RangeRequest{.range = KeyRange::All(), .sort_target = SortTarget::kMod},
        RangeRequest{.range = KeyRange::All(), .count_only = true}}) {
    EXPECT_EQ(client.kv().Pages(request).Next().status().reason(), Reason::kInvalidOptions);
  }
  EXPECT_EQ(client.kv().Pages({.range = KeyRange::All()}, {.rows = 0}).Next().status().reason(),
            Reason::kInvalidOptions);
  EXPECT_EQ(server.count(), 0u);
}

}  // namespace
}  // namespace gavel::client
