#include "tests/conformance/member_requests.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "tests/conformance/member_names.h"
#include "tests/conformance/requests.h"

namespace gavel::conformance {

using etcdserverpb::AlarmRequest;

// Nothing listens there. No address comes twice: etcd makes an id of the address and the second.
std::string MemberRequests::NewUrl() {
  ++urls_;
  return absl::StrCat("http://127.1.", urls_ / 250 % 250, ".", urls_ % 250 + 1, ":1");
}

std::string MemberRequests::BadUrl() {
  constexpr const char* kBad[] = {"",
                                  "127.0.0.1:1",
                                  "http://127.0.0.1",
                                  "ftp://127.0.0.1:1",
                                  "http://127.0.0.1:1/path",
                                  "http://[::1:1",
                                  "http://127.0.0.1:1:2",
                                  "unix://",
                                  "%zz",
                                  "http://"};
  return kBad[words_.random().Below(std::size(kBad))];
}

// Never the member itself. Mostly the newest; sometimes one that is gone, or never was.
uint64_t MemberRequests::Id() {
  const uint64_t kind = words_.random().Below(100);
  if (kind < 60) return MemberName(std::max<int64_t>(1, added_));
  if (kind < 80) return MemberName(static_cast<int64_t>(words_.random().Between(1, 50)));
  return kind < 90 ? words_.random().Next() : 0;
}

Operation MemberRequests::Add() {
  etcdserverpb::MemberAddRequest request;
  request.set_islearner(true);
  const std::string last = std::exchange(last_url_, NewUrl());
  // Of a hundred 50 have one good address, 10 two, 15 one that is taken besides, 15 a bad one
  // besides; 5 have a bad one alone and 5 none.
  const uint64_t kind = words_.random().Below(100);
  if (kind < 90) request.add_peerurls(last_url_);
  if (kind < 10) request.add_peerurls(NewUrl());
  if (kind >= 10 && kind < 25 && !last.empty()) request.add_peerurls(last);
  if (kind >= 75 && kind < 95) request.add_peerurls(BadUrl());
  Operation add = CallOf("/etcdserverpb.Cluster/MemberAdd", request);
  add.number = ++added_;
  return add;
}

Operation MemberRequests::Alarm() {
  AlarmRequest request;
  request.set_action(static_cast<AlarmRequest::AlarmAction>(words_.random().Below(3)));
  // One of no kind etcd would raise, and list.
  const uint64_t lowest = request.action() == AlarmRequest::ACTIVATE ? 1 : 0;
  request.set_alarm(static_cast<etcdserverpb::AlarmType>(words_.random().Between(lowest, 2)));
  request.set_memberid(words_.Chance(40) ? kSelfName : Id());
  constexpr char kMethod[] = "/etcdserverpb.Maintenance/Alarm";
  Operation alarm = CallOf(kMethod, request);
  if (request.action() == AlarmRequest::ACTIVATE) {
    if (words_.Chance(50)) pending_.push_back(CallOf("/etcdserverpb.KV/Put", NewPut(words_)));
    if (words_.Chance(50)) pending_.push_back(CallOf("/etcdserverpb.KV/Range", NewRange(words_)));
    // Puts in nested transactions etcd carries out without space too.
    if (words_.Chance(50)) pending_.push_back(CallOf("/etcdserverpb.KV/Txn", NewTxn(words_, 0)));
    pending_.push_back(CallOf(kMethod, AlarmRequest()));
    request.set_action(AlarmRequest::DEACTIVATE);
    pending_.push_back(CallOf(kMethod, request));
  }
  return alarm;
}

Operation MemberRequests::Draw() {
  const uint64_t kind = words_.random().Below(100);
  if (kind < 30) return Add();
  if (kind < 50) {
    etcdserverpb::MemberRemoveRequest request;
    request.set_id(Id());
    return CallOf("/etcdserverpb.Cluster/MemberRemove", request);
  }
  if (kind < 65) {
    // A bad address ends etcd's process, and it makes a voter of a learner that is updated.
    etcdserverpb::MemberUpdateRequest request;
    request.set_id(words_.Chance(60) ? kSelfName : uint64_t{7});
    request.add_peerurls(words_.Chance(30) && !last_url_.empty() ? last_url_ : NewUrl());
    if (words_.Chance(20)) request.add_peerurls(NewUrl());
    return CallOf("/etcdserverpb.Cluster/MemberUpdate", request);
  }
  if (kind < 75) {
    etcdserverpb::MemberPromoteRequest request;
    request.set_id(words_.Chance(20) ? kSelfName : Id());
    return CallOf("/etcdserverpb.Cluster/MemberPromote", request);
  }
  if (kind < 85) {
    etcdserverpb::MemberListRequest request;
    request.set_linearizable(words_.Chance(50));
    return CallOf("/etcdserverpb.Cluster/MemberList", request);
  }
  return Alarm();
}

Operation MemberRequests::Next() {
  if (pending_.empty()) return Draw();
  Operation next = std::move(pending_.front());
  pending_.pop_front();
  return next;
}

}  // namespace gavel::conformance
