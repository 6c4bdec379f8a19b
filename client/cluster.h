// The cluster service: who the members are, and changing it.
//
// A change is carried out at most once, like every write: it is sent again only if the last attempt
// was dropped for certain. After an error of class kUnknown, MemberList tells what has become of
// it. Refusals, which the library does not ask again:
//
//   kBadMemberUrls     add, update, replace   no URL, or one that is no http(s)://host:port
//   kPeerUrlExists     add, update, replace   another member has one of the URLs
//   kMemberExists      add, replace           the id made for it is in use; another try makes
//   another kTooManyLearners   add                    the servers allow no further learner
//   kMemberNotFound    all but add            no member has, or none has any more, that id
//   kNotLearner        promote                it is a voter already
//   kLearnerNotReady   promote                it still lacks entries; passes with time
//   kNotEnoughStarted  add, remove, promote   too few members run to bear the change
//   kUnhealthyCluster  any change             too few members are connected; passes with time
//   kNotServed         replace                the server is one of etcd's, or older
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

// Answers to changes tell the members as they are afterwards.

struct MemberAddResponse {
  ResponseHeader header = {};
  Member member = {};  // The new one.
  std::vector<Member> members = {};
};

struct MemberRemoveResponse {
  ResponseHeader header = {};
  std::vector<Member> members = {};
};

struct MemberUpdateResponse {
  ResponseHeader header = {};
  std::vector<Member> members = {};
};

struct MemberPromoteResponse {
  ResponseHeader header = {};
  std::vector<Member> members = {};
};

struct MemberReplaceResponse {
  ResponseHeader header = {};
  Member member = {};  // The new one.
  std::vector<Member> members = {};
};

enum class MemberRole : uint8_t {
  kVoter,
  kLearner,  // It gets all data and serves serializable reads, but is not counted in quorums.
};

// Thread-safe; a copy costs a pointer.
class Cluster {
 public:
  explicit Cluster(std::shared_ptr<internal::Core> core) : core_(std::move(core)) {}

  // The members as one member knows them; if `linearizable`, not older than the call.
  Result<MemberListResponse> MemberList(bool linearizable = true, CallOptions options = {}) const;
  Pending<MemberListResponse> MemberListAsync(bool linearizable = true,
                                              CallOptions options = {}) const;

  // Lets a member in that will be reached by others at `peer_urls`, and makes its id. It is then
  // to be started, with those URLs, and --initial-cluster-state=existing. Gavel's servers let a
  // voter in as a learner and promote it by themselves once it has caught up.
  Result<MemberAddResponse> MemberAdd(std::vector<std::string> peer_urls,
                                      MemberRole role = MemberRole::kVoter,
                                      CallOptions options = {}) const;
  Pending<MemberAddResponse> MemberAddAsync(std::vector<std::string> peer_urls,
                                            MemberRole role = MemberRole::kVoter,
                                            CallOptions options = {}) const;

  // Takes a member out for good: its process ends, and its id is never used again.
  Result<MemberRemoveResponse> MemberRemove(uint64_t id, CallOptions options = {}) const;
  Pending<MemberRemoveResponse> MemberRemoveAsync(uint64_t id, CallOptions options = {}) const;

  // Has the others reach a member at other URLs.
  Result<MemberUpdateResponse> MemberUpdate(uint64_t id, std::vector<std::string> peer_urls,
                                            CallOptions options = {}) const;
  Pending<MemberUpdateResponse> MemberUpdateAsync(uint64_t id, std::vector<std::string> peer_urls,
                                                  CallOptions options = {}) const;

  // Makes a voter of a learner that has caught up.
  Result<MemberPromoteResponse> MemberPromote(uint64_t id, CallOptions options = {}) const;
  Pending<MemberPromoteResponse> MemberPromoteAsync(uint64_t id, CallOptions options = {}) const;

  // Puts a new member in the place of the member `id`, which may be lost: the new one is let in,
  // and once it has caught up one change makes it a voter and takes the other out, so that at no
  // time more members must run than before. Of Gavel's servers only.
  Result<MemberReplaceResponse> MemberReplace(uint64_t id, std::vector<std::string> peer_urls,
                                              CallOptions options = {}) const;
  Pending<MemberReplaceResponse> MemberReplaceAsync(uint64_t id, std::vector<std::string> peer_urls,
                                                    CallOptions options = {}) const;

 private:
  std::shared_ptr<internal::Core> core_;
};

}  // namespace gavel::client
