#include "tests/fuzz/service_requests.h"

#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "server/rpc/key_line.h"

namespace gavel::fuzz {
namespace {

std::string Name(Choices& choices) {
  constexpr std::string_view kNames[] = {"a", "b", "a/1", "", "b/"};
  return std::string(kNames[choices.Below(std::size(kNames))]);
}

int64_t Lease(Choices& choices) {
  const uint64_t which = choices.Below(12);
  if (which < 8) return static_cast<int64_t>(which % 4) + 1;
  if (which < 11) return static_cast<int64_t>(which) - 10;
  return static_cast<int64_t>(choices.Number(8));
}

std::string Key(Choices& choices) {
  const std::string name = Name(choices);
  return choices.Below(3) == 0 ? name : server::LineKey(name, Lease(choices));
}

void FillLeader(Choices& choices, v3electionpb::LeaderKey* leader) {
  leader->set_name(Name(choices));
  leader->set_lease(Lease(choices));
  leader->set_key(choices.Below(4) == 0 ? Key(choices)
                                        : server::LineKey(leader->name(), leader->lease()));
  leader->set_rev(static_cast<int64_t>(choices.Below(40)));
}

std::string MakeWatch(Choices& choices) {
  etcdserverpb::WatchRequest request;
  switch (choices.Below(6)) {
    case 0:
      request.mutable_cancel_request()->set_watch_id(static_cast<int64_t>(choices.Below(5)) - 1);
      break;
    case 1:
      request.mutable_progress_request();
      break;
    case 2:
      break;  // Nothing is asked for.
    default: {
      etcdserverpb::WatchCreateRequest& create = *request.mutable_create_request();
      create.set_key(choices.Below(3) == 0 ? std::string(1, '\0') : Key(choices));
      constexpr std::string_view kEnds[] = {"", std::string_view("\0", 1), "a0", "c", "a"};
      create.set_range_end(std::string(kEnds[choices.Below(std::size(kEnds))]));
      create.set_start_revision(static_cast<int64_t>(choices.Below(40)) - 2);
      const uint64_t flags = choices.Byte();
      create.set_progress_notify((flags & 1) != 0);
      create.set_prev_kv((flags & 2) != 0);
      create.set_fragment((flags & 4) != 0);
      if ((flags & 8) != 0) create.set_watch_id(static_cast<int64_t>(choices.Below(5)) - 1);
      for (uint64_t filters = (flags >> 4) % 3; filters > 0; --filters) {
        create.add_filters(
            static_cast<etcdserverpb::WatchCreateRequest::FilterType>(choices.Below(3)));
      }
    }
  }
  return request.SerializeAsString();
}

template <class Request>
std::string WithLeader(Choices& choices, Request request) {
  if (choices.Below(8) > 0) FillLeader(choices, request.mutable_leader());
  return request.SerializeAsString();
}

}  // namespace

std::string MakeRequest(StreamKind kind, Choices& choices) {
  switch (kind) {
    case kWatch:
      return MakeWatch(choices);
    case kKeepAlive: {
      etcdserverpb::LeaseKeepAliveRequest request;
      request.set_id(Lease(choices));
      return request.SerializeAsString();
    }
    case kLock: {
      v3lockpb::LockRequest request;
      request.set_name(Name(choices));
      request.set_lease(Lease(choices));
      return request.SerializeAsString();
    }
    case kUnlock: {
      v3lockpb::UnlockRequest request;
      request.set_key(Key(choices));
      return request.SerializeAsString();
    }
    case kCampaign: {
      v3electionpb::CampaignRequest request;
      request.set_name(Name(choices));
      request.set_lease(Lease(choices));
      request.set_value(std::string(choices.Bytes(choices.Below(6))));
      return request.SerializeAsString();
    }
    case kProclaim: {
      v3electionpb::ProclaimRequest request;
      request.set_value(std::string(choices.Bytes(choices.Below(6))));
      return WithLeader(choices, std::move(request));
    }
    case kResign:
      return WithLeader(choices, v3electionpb::ResignRequest());
    default: {
      v3electionpb::LeaderRequest request;
      request.set_name(Name(choices));
      return request.SerializeAsString();
    }
  }
}

std::string LineOf(StreamKind kind, const std::string& bytes) {
  v3lockpb::LockRequest lock;
  v3electionpb::CampaignRequest campaign;
  if (kind == kLock && lock.ParseFromString(bytes)) return lock.name();
  if (kind == kCampaign && campaign.ParseFromString(bytes)) return campaign.name();
  return "";
}

std::string MakeUnary(UnaryKind kind, Choices& choices) {
  switch (kind) {
    case kGrant: {
      etcdserverpb::LeaseGrantRequest request;
      request.set_id(Lease(choices));
      request.set_ttl(choices.Below(8) == 0 ? static_cast<int64_t>(choices.Number(8))
                                            : static_cast<int64_t>(choices.Below(100)));
      return request.SerializeAsString();
    }
    case kRevoke: {
      etcdserverpb::LeaseRevokeRequest request;
      request.set_id(Lease(choices));
      return request.SerializeAsString();
    }
    case kTimeToLive: {
      etcdserverpb::LeaseTimeToLiveRequest request;
      request.set_id(Lease(choices));
      request.set_keys(choices.Below(2) == 0);
      return request.SerializeAsString();
    }
    case kPut: {
      etcdserverpb::PutRequest request;
      request.set_key(Key(choices));
      request.set_value(std::string(choices.Below(200), 'v'));
      if (choices.Below(2) == 0) request.set_lease(Lease(choices));
      return request.SerializeAsString();
    }
    case kDelete: {
      etcdserverpb::DeleteRangeRequest request;
      request.set_key(Key(choices));
      if (choices.Below(2) == 0) request.set_range_end("c");
      return request.SerializeAsString();
    }
    case kCompact: {
      etcdserverpb::CompactionRequest request;
      request.set_revision(static_cast<int64_t>(choices.Below(40)));
      return request.SerializeAsString();
    }
    default:
      return "";
  }
}

}  // namespace gavel::fuzz
