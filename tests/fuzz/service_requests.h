// Requests of watches, leases, locks and elections, made of choices.
#pragma once

#include <cstddef>
#include <string>

#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {

// Methods that are served as streams, by StreamKind, and the others, by UnaryKind.
inline constexpr const char* kStreamMethods[] = {
    "/etcdserverpb.Watch/Watch",
    "/etcdserverpb.Lease/LeaseKeepAlive",
    "/v3lockpb.Lock/Lock",
    "/v3lockpb.Lock/Unlock",
    "/v3electionpb.Election/Campaign",
    "/v3electionpb.Election/Proclaim",
    "/v3electionpb.Election/Leader",
    "/v3electionpb.Election/Observe",
    "/v3electionpb.Election/Resign",
};
enum StreamKind : size_t {
  kWatch,
  kKeepAlive,
  kLock,
  kUnlock,
  kCampaign,
  kProclaim,
  kLeader,
  kObserve,
  kResign,
  kStreamKinds
};
inline constexpr const char* kUnaryMethods[] = {
    "/etcdserverpb.Lease/LeaseGrant",
    "/etcdserverpb.Lease/LeaseRevoke",
    "/etcdserverpb.Lease/LeaseTimeToLive",
    "/etcdserverpb.Lease/LeaseLeases",
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/DeleteRange",
    "/etcdserverpb.KV/Compact",
};
enum UnaryKind : size_t {
  kGrant,
  kRevoke,
  kTimeToLive,
  kLeases,
  kPut,
  kDelete,
  kCompact,
  kUnaryKinds
};

// A request of the kind: few names, keys and leases, so that they meet.
std::string MakeRequest(StreamKind kind, Choices& choices);
std::string MakeUnary(UnaryKind kind, Choices& choices);

// The line in which a request of the kind asks for a place; empty if it does not.
std::string LineOf(StreamKind kind, const std::string& bytes);

}  // namespace gavel::fuzz
