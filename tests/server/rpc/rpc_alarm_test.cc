// Alarms as clients see them, and what calls answer while they are raised.

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/internal/command.pb.h"
#include "server/rpc/error_map.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;
using etcdserverpb::AlarmType;
using server::Error;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kPut[] = "/etcdserverpb.KV/Put";
constexpr char kTxn[] = "/etcdserverpb.KV/Txn";
constexpr char kRange[] = "/etcdserverpb.KV/Range";
constexpr char kDelete[] = "/etcdserverpb.KV/DeleteRange";
constexpr char kCompact[] = "/etcdserverpb.KV/Compact";
constexpr char kGrant[] = "/etcdserverpb.Lease/LeaseGrant";
constexpr char kRevoke[] = "/etcdserverpb.Lease/LeaseRevoke";

using Alarms = std::vector<std::pair<uint64_t, int>>;

class RpcAlarmTest : public ::testing::Test {
 protected:
  Answer<AlarmResponse> Ask(AlarmRequest::AlarmAction action, uint64_t member, int kind) {
    AlarmRequest request;
    request.set_action(action);
    request.set_memberid(member);
    request.set_alarm(static_cast<AlarmType>(kind));
    return caller_.Call<AlarmResponse>("/etcdserverpb.Maintenance/Alarm", request);
  }
  // Must succeed.
  Alarms Listed(AlarmRequest::AlarmAction action, uint64_t member, int kind) {
    const auto answer = Ask(action, member, kind);
    EXPECT_TRUE(answer.status.ok()) << answer.status.message;
    EXPECT_EQ(answer.response.header().member_id(), TestGate::kMember.value());
    EXPECT_GT(answer.response.header().revision(), 0);
    Alarms alarms;
    for (const auto& alarm : answer.response.alarms()) {
      alarms.emplace_back(alarm.memberid(), alarm.alarm());
    }
    return alarms;
  }
  Alarms Get(int kind = 0) { return Listed(AlarmRequest::GET, 0, kind); }
  Alarms Raise(uint64_t member, int kind) { return Listed(AlarmRequest::ACTIVATE, member, kind); }
  Alarms End(uint64_t member, int kind) { return Listed(AlarmRequest::DEACTIVATE, member, kind); }

  template <class Response, class Request>
  server::RpcStatus StatusOf(const char* method, const Request& request) {
    return caller_.Call<Response>(method, request).status;
  }
  server::RpcStatus Put() {
    etcdserverpb::PutRequest request;
    request.set_key("k");
    return StatusOf<etcdserverpb::PutResponse>(kPut, request);
  }
  server::RpcStatus Delete() {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key("k");
    return StatusOf<etcdserverpb::DeleteRangeResponse>(kDelete, request);
  }
  server::RpcStatus Compact() {
    etcdserverpb::CompactionRequest request;
    request.set_revision(caller_.gate.view()->revision);
    return StatusOf<etcdserverpb::CompactionResponse>(kCompact, request);
  }
  server::RpcStatus Grant() {
    etcdserverpb::LeaseGrantRequest request;
    request.set_ttl(60);
    return StatusOf<etcdserverpb::LeaseGrantResponse>(kGrant, request);
  }
  server::RpcStatus Read() {
    etcdserverpb::RangeRequest request;
    request.set_key("k");
    return StatusOf<etcdserverpb::RangeResponse>(kRange, request);
  }
  server::RpcStatus Txn(bool puts) {
    etcdserverpb::TxnRequest request;
    request.add_success()->mutable_request_delete_range()->set_key("k");
    etcdserverpb::TxnRequest& nested = *request.add_failure()->mutable_request_txn();
    if (puts) nested.add_failure()->mutable_request_put()->set_key("k");
    return StatusOf<etcdserverpb::TxnResponse>(kTxn, request);
  }

  ServiceCaller caller_;
};

TEST_F(RpcAlarmTest, AreRaisedListedAndEndedAsInEtcd) {
  EXPECT_THAT(Get(), IsEmpty());
  EXPECT_THAT(Raise(7, etcdserverpb::NOSPACE), ElementsAre(Pair(7, 1)));
  EXPECT_THAT(Raise(7, etcdserverpb::NOSPACE), ElementsAre(Pair(7, 1)));
  EXPECT_THAT(Raise(0, etcdserverpb::CORRUPT), ElementsAre(Pair(0, 2)));
  EXPECT_THAT(Raise(7, 9), ElementsAre(Pair(7, 9)));
  EXPECT_THAT(Get(), ElementsAre(Pair(0, 2), Pair(7, 1), Pair(7, 9)));
  EXPECT_THAT(Get(etcdserverpb::NOSPACE), ElementsAre(Pair(7, 1)));
  EXPECT_THAT(Get(9), ElementsAre(Pair(7, 9)));
  EXPECT_THAT(Get(5), IsEmpty());
  EXPECT_THAT(End(8, etcdserverpb::NOSPACE), IsEmpty());
  EXPECT_THAT(End(7, etcdserverpb::NOSPACE), ElementsAre(Pair(7, 1)));
  EXPECT_THAT(End(7, etcdserverpb::NOSPACE), IsEmpty());
  EXPECT_THAT(Get(), ElementsAre(Pair(0, 2), Pair(7, 9)));
}

TEST_F(RpcAlarmTest, NoneIsNoAlarm) {
  EXPECT_THAT(Raise(7, etcdserverpb::NONE), IsEmpty());
  Raise(7, etcdserverpb::NOSPACE);
  EXPECT_THAT(End(7, etcdserverpb::NONE), IsEmpty());
  EXPECT_THAT(Get(), ElementsAre(Pair(7, 1)));
}

TEST_F(RpcAlarmTest, WithoutAnOutcomeTheCallSaysWhy) {
  caller_.gate.FailProposals(server::GateResult::kNoLeader);
  caller_.gate.FailReads(server::GateResult::kTimedOut);
  EXPECT_EQ(Ask(AlarmRequest::ACTIVATE, 7, 1).status, ToStatus(Error::kNoLeader));
  EXPECT_EQ(Ask(AlarmRequest::GET, 7, 1).status, ToStatus(Error::kTimeout));
  EXPECT_EQ(Ask(static_cast<AlarmRequest::AlarmAction>(3), 7, 1).status, server::UnknownAction());
}

TEST_F(RpcAlarmTest, StatusTellsOfThem) {
  Raise(7, etcdserverpb::NOSPACE);
  Raise(0, etcdserverpb::CORRUPT);
  Raise(7, 9);
  const auto answer = caller_.Call<etcdserverpb::StatusResponse>("/etcdserverpb.Maintenance/Status",
                                                                 etcdserverpb::StatusRequest());
  EXPECT_THAT(answer.response.errors(),
              ElementsAre("alarm:CORRUPT ", "memberID:7 alarm:NOSPACE ", "memberID:7 alarm:9 ",
                          "the disk does not answer"));
}

TEST_F(RpcAlarmTest, NoSpaceRefusesWhatAdds) {
  ASSERT_TRUE(Grant().ok());
  Raise(7, etcdserverpb::NOSPACE);
  const size_t before = caller_.gate.proposals().size();
  for (const server::RpcStatus& status : {Put(), Grant(), Txn(/*puts=*/true)}) {
    EXPECT_EQ(status, (server::RpcStatus{server::StatusCode::kResourceExhausted,
                                         "etcdserver: mvcc: database space exceeded"}));
  }
  EXPECT_EQ(caller_.gate.proposals().size(), before) << "the log is spared";
  for (const server::RpcStatus& status : {Delete(), Txn(/*puts=*/false), Compact(), Read()}) {
    EXPECT_TRUE(status.ok()) << status.message;
  }
  End(7, etcdserverpb::NOSPACE);
  EXPECT_TRUE(Put().ok());
}

TEST_F(RpcAlarmTest, CorruptRefusesWritesAndNoReads) {
  Raise(7, etcdserverpb::CORRUPT);
  etcdserverpb::LeaseRevokeRequest revoke;
  revoke.set_id(1);
  const server::RpcStatus revoked = StatusOf<etcdserverpb::LeaseRevokeResponse>(kRevoke, revoke);
  for (const server::RpcStatus& status :
       {Put(), Delete(), Txn(true), Compact(), Grant(), revoked}) {
    EXPECT_EQ(status,
              (server::RpcStatus{server::StatusCode::kDataLoss, "etcdserver: corrupt cluster"}));
  }
  EXPECT_TRUE(Read().ok());
}

TEST_F(RpcAlarmTest, AFullQuotaRaisesItAndGivingUpHistoryEndsIt) {
  internal::SetQuota quota;
  quota.set_bytes(1000);
  caller_.gate.Propose(server::CommandField::kSetQuota, quota.SerializeAsString(), std::nullopt,
                       [](const server::ProposeResult&) {});
  int admitted = 0;
  while (Put().ok() && admitted < 100) ++admitted;
  EXPECT_GT(admitted, 10);
  EXPECT_LT(admitted, 100);
  EXPECT_THAT(Get(), ElementsAre(Pair(TestGate::kMember.value(), etcdserverpb::NOSPACE)));
  EXPECT_EQ(Put(), ToStatus(Error::kNoSpace));
  EXPECT_TRUE(Compact().ok());
  EXPECT_THAT(Get(), IsEmpty());
  EXPECT_TRUE(Put().ok());
}

}  // namespace
}  // namespace gavel::testing
