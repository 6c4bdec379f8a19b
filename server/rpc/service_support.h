// What all services share: their surroundings, response headers, parsing and encoding.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include <google/protobuf/message_lite.h>

#include "proto/etcdserverpb/header.pb.h"
#include "proto/parse.h"
#include "server/metrics.h"
#include "server/node/gate.h"
#include "server/rpc/call_guard.h"
#include "server/rpc/read_bytes.h"
#include "server/rpc/service.h"

namespace gavel::server {

struct ServiceLimits {
  uint64_t request_bytes_max = 1572864;  // Of what is replicated.
  int64_t txn_ops_max = 128;
  int64_t lease_ttl_seconds_min = 2;   // Shorter grants are raised to it.
  int64_t read_bytes_max = 256 << 20;  // Of answers being built or sent, over all reads.
  size_t background_jobs_max = 10000;  // Long reads under way.
  // Of one answer: what protobuf encodes, and clients take.
  int64_t answer_bytes_max = std::numeric_limits<int32_t>::max();
  MonotonicNs snapshot_age_max = 3600 * kNsPerSecond;  // From the begin of a snapshot to its end.
  // How long streams of clients that want a leader go on without one: 3 election timeouts.
  MonotonicNs leader_patience = 3 * kNsPerSecond;
  // Of changes of members.
  bool strict_reconfig_check = true;
  uint32_t learners_max = 1;
  MonotonicNs connected_min = 0;  // How long a member must be connected to count as such.
};

// The gate and the metrics outlive every call. Copied into what goes on after a method has
// returned.
struct ServiceSurroundings {
  Gate* gate = nullptr;
  ServiceLimits limits;
  std::shared_ptr<ReadBytes> read_bytes;
  Metrics* metrics = nullptr;
  Counter* ranges = nullptr;
};

// Fills in all but the revision.
void FillHeader(const Gate& gate, raft::Term term, etcdserverpb::ResponseHeader* header);

Encoded Encode(const google::protobuf::MessageLite& message);

// Parses a client's message; false if it is none.
inline bool ParseRequest(std::string_view bytes, google::protobuf::MessageLite* message) {
  return ParseMessage(bytes, kRequestDepthMax, message);
}

void Fail(Completion done, RpcStatus status);

using ServiceMethod = void (*)(const ServiceSurroundings&, std::string, CallContext, Completion);

// Adds `method` to the router under `name`, behind the guard.
void AddGuarded(const ServiceSurroundings& surroundings, const CallGuard& guard, Router& router,
                const char* name, CallGuard::Learner learner, ServiceMethod method);

// Whether a call that needs a background thread should be refused as too many requests.
bool TooManyJobs(const ServiceSurroundings& surroundings);

// Answers with `message`, held against `read_bytes` until it has been sent.
void AnswerRead(const ServiceSurroundings& surroundings, Completion done,
                const google::protobuf::MessageLite& message, ReadBytes::Hold hold);
// The same for a command that has been carried out. Small answers are not held.
void AnswerWrite(const ServiceSurroundings& surroundings, Completion done,
                 const google::protobuf::MessageLite& message);

}  // namespace gavel::server
