// The cluster service: who the members are.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/options.h"
#include "client/pending.h"
#include "client/status.h"
#include "client/types.h"

namespace gavel::client {
namespace internal {
class Core;
}

struct Member {
  uint64_t id = 0;
  std::string name = {};  // Empty until the member has started for the first time.
  std::vector<std::string> peer_urls = {};
  std::vector<std::string> client_urls = {};
  bool learner = false;
};

struct MemberListResponse {
  ResponseHeader header = {};
  std::vector<Member> members = {};
};

// Thread-safe; a copy costs a pointer.
class Cluster {
 public:
  explicit Cluster(std::shared_ptr<internal::Core> core) : core_(std::move(core)) {}

  // The members as one member knows them; if `linearizable`, not older than the call.
  Result<MemberListResponse> MemberList(bool linearizable = true, CallOptions options = {}) const;
  Pending<MemberListResponse> MemberListAsync(bool linearizable = true,
                                              CallOptions options = {}) const;

 private:
  std::shared_ptr<internal::Core> core_;
};

}  // namespace gavel::client
