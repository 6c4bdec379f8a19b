// What a change of members must be before it is proposed.
//
// Each returns the error to answer with, or nothing. What is already certain of the state is
// checked where it is applied (storage/state/membership.h); these are the rules that hold for the
// member which is asked: as it sees the others, and by its own flags.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <google/protobuf/repeated_field.h>

#include "server/node/gate.h"
#include "server/rpc/error_map.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

using UrlList = google::protobuf::RepeatedPtrField<std::string>;

// The texts that stand for `urls`, sorted. kBadMemberUrls: there are none, or one is none.
std::optional<Error> CheckPeerUrls(const UrlList& urls, std::vector<std::string>* texts);

// With ServiceLimits::strict_reconfig_check, as etcd has it: enough voters must have started, and
// be connected to this member, for the quorum after the change. A learner must also be one of at
// most ServiceLimits::learners_max, and `urls` nobody's.
std::optional<Error> CheckAdd(const Gate& gate, const ServiceLimits& limits,
                              const std::vector<std::string>& urls, bool learner);
std::optional<Error> CheckRemove(const Gate& gate, const ServiceLimits& limits, raft::NodeId id);
std::optional<Error> CheckPromote(const Gate& gate, const ServiceLimits& limits, raft::NodeId id);
std::optional<Error> CheckReplace(const Gate& gate, const ServiceLimits& limits);

}  // namespace gavel::server
