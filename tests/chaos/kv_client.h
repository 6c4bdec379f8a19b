// A plain blocking client of one member, for tests that need to see every answer.
//
// No retry and no failover: what a call returns is what that member said.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "tests/chaos/outcome.h"

namespace gavel::chaos {

class KvClient {
 public:
  // `target` is host:port. Connects when first used, and again after a loss.
  explicit KvClient(const std::string& target);
  ~KvClient();

  Outcome Put(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response);
  Outcome Txn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response);
  Outcome Delete(const etcdserverpb::DeleteRangeRequest& request,
                 etcdserverpb::DeleteRangeResponse* response);
  Outcome Range(const etcdserverpb::RangeRequest& request, etcdserverpb::RangeResponse* response);
  Outcome Lock(const v3lockpb::LockRequest& request, v3lockpb::LockResponse* response);
  Outcome Unlock(const v3lockpb::UnlockRequest& request, v3lockpb::UnlockResponse* response);
  Outcome Campaign(const v3electionpb::CampaignRequest& request,
                   v3electionpb::CampaignResponse* response);
  Outcome Proclaim(const v3electionpb::ProclaimRequest& request,
                   v3electionpb::ProclaimResponse* response);
  Outcome Resign(const v3electionpb::ResignRequest& request,
                 v3electionpb::ResignResponse* response);
  Outcome MemberList(etcdserverpb::MemberListResponse* response);
  Outcome MemberAdd(const etcdserverpb::MemberAddRequest& request,
                    etcdserverpb::MemberAddResponse* response);
  Outcome MemberRemove(const etcdserverpb::MemberRemoveRequest& request,
                       etcdserverpb::MemberRemoveResponse* response);
  Outcome Status(etcdserverpb::StatusResponse* response);
  Outcome HashKv(int64_t revision, etcdserverpb::HashKVResponse* response);

  // The text of the last call that was not kOk.
  const std::string& last_error() const { return last_error_; }
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

 private:
  class Channel;
  template <class Request, class Response>
  Outcome Call(const char* method, const Request& request, Response* response,
               bool wait_for_connection = false);

  std::unique_ptr<Channel> channel_;
  std::chrono::milliseconds timeout_{2000};
  std::string last_error_;
};

}  // namespace gavel::chaos
