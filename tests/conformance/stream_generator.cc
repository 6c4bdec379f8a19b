#include "tests/conformance/stream_generator.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/parse.h"
#include "tests/conformance/lease_names.h"
#include "tests/conformance/requests.h"

namespace gavel::conformance {
namespace {

using std::string_view_literals::operator""sv;

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

constexpr char kGrant[] = "/etcdserverpb.Lease/LeaseGrant";
constexpr char kRevoke[] = "/etcdserverpb.Lease/LeaseRevoke";
constexpr char kTimeToLive[] = "/etcdserverpb.Lease/LeaseTimeToLive";
constexpr char kLeases[] = "/etcdserverpb.Lease/LeaseLeases";
constexpr char kPut[] = "/etcdserverpb.KV/Put";
constexpr char kDelete[] = "/etcdserverpb.KV/DeleteRange";

constexpr size_t kStreamsMax = 5;
constexpr size_t kKeepAlivesMax = 2;
constexpr size_t kWatchesMax = 12;  // Of a stream.
constexpr size_t kLeasesMax = 25;
// Ids below are also picked by servers.
constexpr int64_t kUniqueIds = 1000;

Operation ToStream(const char* method, int64_t number, const google::protobuf::Message& message) {
  Operation operation = CallOf(method, message);
  operation.kind = Kind::kSend;
  operation.number = number;
  return operation;
}

Operation OnStream(Kind kind, const char* method, int64_t number) {
  return {method, "", false, kind, number};
}

Operation Rest() { return OnStream(Kind::kRest, "", 0); }

template <class Container>
auto Pick(raft::Random& random, const Container& container) {
  return *std::next(std::begin(container),
                    static_cast<ptrdiff_t>(random.Below(std::size(container))));
}

Operation Put(const std::string& key, const std::string& value, int64_t lease) {
  etcdserverpb::PutRequest put;
  put.set_key(key);
  put.set_value(value);
  put.set_lease(lease);
  return CallOf(kPut, put);
}

}  // namespace

StreamGenerator::StreamGenerator(uint64_t seed, const WatchHistory& history)
    : random_(seed),
      words_(random_, true),
      recipes_(words_),
      history_(history),
      next_lease_name_(kFirstLeaseName) {}

Operation StreamGenerator::First(std::deque<Operation> several) {
  Operation first = std::move(several.front());
  several.pop_front();
  for (Operation& operation : several) following_.push_back(std::move(operation));
  return first;
}

Operation StreamGenerator::Next() {
  if (!following_.empty()) {
    Operation operation = std::move(following_.front());
    following_.pop_front();
    recipes_.Complete(&operation);
    return operation;
  }
  if (random_.OneIn(700)) return Fragments();
  if (random_.OneIn(1500)) return Expiry();
  if (random_.OneIn(1500)) return RenewalsAtOnce();
  if (random_.OneIn(300)) return First(recipes_.NewLockScene(&next_number_));
  if (random_.OneIn(300)) return First(recipes_.NewElectionScene(&next_number_));
  const uint64_t kind = random_.Below(100);
  if (kind < 38) return Write();
  if (kind < 41) return CallOf("/etcdserverpb.KV/Range", NewRange(words_));
  if (kind < 60) return LeaseCall();
  if (kind < 90) return OnWatchStream();
  if (kind < 97) return Rest();
  return random_.OneIn(5) ? BadMessage() : Compaction();
}

Operation StreamGenerator::Write() {
  const uint64_t kind = random_.Below(100);
  if (kind < 50) return CallOf(kPut, NewPut(words_));
  if (kind < 65) return CallOf(kDelete, NewDelete(words_));
  etcdserverpb::TxnRequest txn =
      kind < 75 ? NewSiblings(words_) : NewTxn(words_, words_.Chance(10) ? 4 : 1);
  KeepEtcdAlive(&txn);
  return CallOf("/etcdserverpb.KV/Txn", txn);
}

int64_t StreamGenerator::AnyLease() {
  if (!words_.leases().empty() && words_.Chance(70)) return Pick(random_, words_.leases());
  if (!ended_leases_.empty() && words_.Chance(40)) return Pick(random_, ended_leases_);
  return words_.Chance(10) ? 0 : words_.Lease();
}

Operation StreamGenerator::LeaseCall() {
  const uint64_t kind = random_.Below(100);
  if (kind < 30) return Grant();
  if (kind < 45 || words_.leases().size() > kLeasesMax) {
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(AnyLease());
    return CallOf(kRevoke, request);
  }
  if (kind < 65) {
    etcdserverpb::LeaseTimeToLiveRequest request;
    request.set_id(AnyLease());
    request.set_keys(words_.Chance(60));
    return CallOf(kTimeToLive, request);
  }
  if (kind < 72) return CallOf(kLeases, etcdserverpb::LeaseLeasesRequest());
  return KeepAlive();
}

Operation StreamGenerator::Grant() {
  constexpr int64_t kHuge[] = {9000000000, 9000000001, std::numeric_limits<int64_t>::max()};
  constexpr int64_t kShort[] = {0, -1, 1, 2, std::numeric_limits<int64_t>::min()};
  etcdserverpb::LeaseGrantRequest request;
  Operation operation;
  const uint64_t id = random_.Below(100);
  if (id < 50) {
    operation.number = next_lease_name_++;
  } else if (id < 65 && !words_.leases().empty()) {
    request.set_id(Pick(random_, words_.leases()));
  } else {
    request.set_id(words_.Lease());
  }
  const uint64_t ttl = random_.Below(100);
  request.set_ttl(ttl < 12   ? Pick(random_, kShort)
                  : ttl < 20 ? Pick(random_, kHuge)
                             : static_cast<int64_t>(random_.Between(60, 5000)));
  const int64_t number = operation.number;
  operation = CallOf(kGrant, request);
  operation.number = number;
  if (ttl >= 12) return operation;
  // What ends soon is asked about at once, given no keys, and revoked.
  const int64_t lease = number != 0 ? number : request.id();
  if (std::find(words_.leases().begin(), words_.leases().end(), lease) != words_.leases().end()) {
    return operation;
  }
  etcdserverpb::LeaseTimeToLiveRequest left;
  left.set_id(lease);
  etcdserverpb::LeaseRevokeRequest revocation;
  revocation.set_id(lease);
  return First({operation, CallOf(kTimeToLive, left),
                CallOf(kLeases, etcdserverpb::LeaseLeasesRequest()), CallOf(kRevoke, revocation)});
}

Operation StreamGenerator::KeepAlive() {
  if (keep_alives_.size() < kKeepAlivesMax) {
    const int64_t number = next_number_++;
    keep_alives_[number] = true;
    return OnStream(Kind::kOpen, kKeepAliveMethod, number);
  }
  const int64_t number = Pick(random_, keep_alives_).first;
  if (words_.Chance(5)) {
    keep_alives_.erase(number);
    return OnStream(words_.Chance(70) ? Kind::kHalfClose : Kind::kClose, kKeepAliveMethod, number);
  }
  std::deque<Operation> messages;
  const uint64_t count = words_.Chance(70) ? 1 : random_.Between(2, 6);
  for (uint64_t i = 0; i < count; ++i) {
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(AnyLease());
    messages.push_back(ToStream(kKeepAliveMethod, number, request));
    messages.back().hasty = i + 1 < count;
  }
  return First(std::move(messages));
}

Operation StreamGenerator::OpenWatchStream() {
  const int64_t number = next_number_++;
  streams_[number];
  return OnStream(Kind::kOpen, kWatchMethod, number);
}

Operation StreamGenerator::OnWatchStream() {
  if (streams_.empty() || (streams_.size() < kStreamsMax && words_.Chance(10))) {
    return OpenWatchStream();
  }
  const int64_t number = Pick(random_, streams_).first;
  WatchStream& stream = streams_[number];
  const uint64_t kind = random_.Below(100);
  if (kind < 3 || (stream.half_closed && words_.Chance(10))) {
    streams_.erase(number);
    Operation close = OnStream(Kind::kClose, kWatchMethod, number);
    close.hasty = words_.Chance(30);
    return close;
  }
  if (stream.half_closed) return Write();
  if (kind < 4) {
    stream.half_closed = true;
    return OnStream(Kind::kHalfClose, kWatchMethod, number);
  }
  if (kind < 18) {
    WatchRequest request;
    request.mutable_progress_request();
    Operation progress = ToStream(kWatchMethod, number, request);
    progress.hasty = words_.Chance(50);
    return progress;
  }
  if (kind < 34 || stream.open.size() > kWatchesMax) return WatchCancel(number, stream);
  return WatchCreate(number, stream);
}

int64_t StreamGenerator::StartRevision() {
  const uint64_t kind = random_.Below(100);
  const int64_t newest = words_.revision();
  const int64_t compacted = history_.compacted();
  // What etcd has at the compacted revision itself is chance until it has compacted.
  const bool chance = history_.MayDropAtCompacted() && !history_.compacted_physically();
  const int64_t low = std::max<int64_t>(1, chance ? compacted + 1 : compacted);
  if (kind < 50) return 0;
  if (kind < 60) return std::max(low, newest) + static_cast<int64_t>(random_.Below(6));
  if (kind < 61) return std::numeric_limits<int64_t>::max();
  if (kind < 63) return -static_cast<int64_t>(random_.Between(1, 3));
  if (kind < 72 && compacted > 1) {
    return static_cast<int64_t>(random_.Between(1, static_cast<uint64_t>(compacted - 1)));
  }
  if (kind < 80) return low;
  return static_cast<int64_t>(
      random_.Between(static_cast<uint64_t>(low), static_cast<uint64_t>(std::max(low, newest))));
}

int64_t StreamGenerator::WatchId(const WatchStream& stream) {
  const uint64_t kind = random_.Below(100);
  if (kind < 55) return 0;
  if (kind < 62 && !stream.open.empty()) return Pick(random_, stream.open);
  if (kind < 65 && !stream.ended.empty()) return Pick(random_, stream.ended);
  if (kind < 70) return next_unique_id_++;
  constexpr int64_t kOdd[] = {-2, -7, std::numeric_limits<int64_t>::max(),
                              std::numeric_limits<int64_t>::min()};
  const int64_t id = kind < 75 ? Pick(random_, kOdd) : static_cast<int64_t>(random_.Between(1, 10));
  return stream.burnt.contains(id) ? 0 : id;
}

Operation StreamGenerator::WatchCreate(int64_t number, WatchStream& stream) {
  WatchRequest message;
  WatchCreateRequest& create = *message.mutable_create_request();
  if (words_.Chance(20)) {
    // Everything, or all that begins with the letter most keys begin with.
    const bool all = words_.Chance(50);
    create.set_key(all ? std::string(1, '\0') : "k");
    create.set_range_end(all ? std::string(1, '\0') : "l");
  } else {
    if (!words_.Chance(4)) create.set_key(words_.Key());
    create.set_range_end(words_.RangeEnd(create.key()));
  }
  create.set_start_revision(StartRevision());
  create.set_prev_kv(words_.Chance(40));
  create.set_progress_notify(words_.Chance(20));
  create.set_fragment(words_.Chance(15));
  if (words_.Chance(20)) {
    constexpr int kFilters[] = {WatchCreateRequest::NOPUT, WatchCreateRequest::NODELETE, 7, -1};
    for (uint64_t i = random_.Between(1, 3); i > 0; --i) {
      create.add_filters(static_cast<WatchCreateRequest::FilterType>(Pick(random_, kFilters)));
    }
  }
  create.set_watch_id(WatchId(stream));
  if (create.start_revision() < 0) {
    // An id that the server picks would be picked by one of the two only.
    create.set_watch_id(next_unique_id_++);
    stream.burnt.insert(create.watch_id());
  }
  return ToStream(kWatchMethod, number, message);
}

Operation StreamGenerator::WatchCancel(int64_t number, WatchStream& stream) {
  WatchRequest message;
  int64_t id = static_cast<int64_t>(random_.Below(2000)) - 1;
  bool hasty = false;
  if (!stream.ended.empty() && words_.Chance(15)) {
    id = Pick(random_, stream.ended);
  } else if (!stream.open.empty() && words_.Chance(85)) {
    id = Pick(random_, stream.open);
    // Events that etcd then holds back would come with the next watch of that id.
    hasty = words_.Chance(30) && (id >= kUniqueIds || id <= stream.highest_picked);
  }
  if (hasty) stream.burnt.insert(id);
  stream.open.erase(id);
  stream.ended.erase(id);
  message.mutable_cancel_request()->set_watch_id(id);
  Operation operation = ToStream(kWatchMethod, number, message);
  operation.hasty = hasty;
  return operation;
}

Operation StreamGenerator::BadMessage() {
  // Cut off in a tag, in a length, in a field, in a number; no field number; no wire type. The last
  // two are fine: nothing, and a field that nobody knows.
  constexpr std::string_view kBytes[] = {"\xff\xff"sv, "\x0a\x85"sv, "\x0a\x05xy"sv,   "\x08\xff"sv,
                                         "\x00\x01"sv, "\x0f"sv,     "\xa0\x06\x01"sv, ""sv};
  const size_t choice = random_.Below(std::size(kBytes));
  const bool to_watch = !streams_.empty() && words_.Chance(60);
  if (!to_watch && keep_alives_.empty()) return Rest();
  const int64_t number =
      to_watch ? Pick(random_, streams_).first : Pick(random_, keep_alives_).first;
  Operation operation = OnStream(Kind::kSend, to_watch ? kWatchMethod : kKeepAliveMethod, number);
  operation.body = kBytes[choice];
  bool ends = choice < std::size(kBytes) - 2;
  if (to_watch && random_.OneIn(20)) {
    WatchRequest message;
    message.mutable_create_request()->set_key(std::string(2100 * 1024, 'x'));
    operation.body = message.SerializeAsString();
    ends = true;
  }
  if (ends && to_watch) streams_.erase(number);
  if (ends && !to_watch) keep_alives_.erase(number);
  return operation;
}

Operation StreamGenerator::Compaction() {
  etcdserverpb::CompactionRequest request;
  const int64_t low = std::max<int64_t>(1, words_.revision() - 30);
  request.set_revision(
      words_.Chance(80) ? static_cast<int64_t>(random_.Between(
                              static_cast<uint64_t>(low), static_cast<uint64_t>(words_.revision())))
                        : words_.Revision());
  request.set_physical(words_.Chance(60));
  return CallOf("/etcdserverpb.KV/Compact", request);
}

Operation StreamGenerator::Fragments() {
  const int64_t number = next_number_++;
  std::deque<Operation> several;
  several.push_back(OnStream(Kind::kOpen, kWatchMethod, number));
  const int64_t start = words_.revision() + 1;
  for (const char* key : {"big/1", "big/2", "big/3"}) {
    several.push_back(Put(key, std::string(900 * 1024, 'v'), 0));
  }
  WatchRequest message;
  WatchCreateRequest& create = *message.mutable_create_request();
  create.set_key("big/");
  create.set_range_end("big0");
  create.set_start_revision(start);
  create.set_fragment(true);
  create.set_prev_kv(true);
  several.push_back(ToStream(kWatchMethod, number, message));
  create.set_fragment(false);
  several.push_back(ToStream(kWatchMethod, number, message));
  etcdserverpb::DeleteRangeRequest deletion;
  deletion.set_key("big/");
  deletion.set_range_end("big0");
  several.push_back(CallOf(kDelete, deletion));
  several.push_back(OnStream(Kind::kClose, kWatchMethod, number));
  return First(std::move(several));
}

Operation StreamGenerator::Expiry() {
  const int64_t lease = next_lease_name_++;
  etcdserverpb::LeaseGrantRequest grant;
  grant.set_ttl(5);
  std::deque<Operation> several;
  several.push_back(CallOf(kGrant, grant));
  several.back().number = lease;
  for (const char* key : {"exp/c", "exp/a", "exp/b", "exp/d"}) {
    several.push_back(Put(key, "v", lease));
  }
  several.push_back(Put("exp/d", "stays", 0));
  several.push_back(OnStream(Kind::kExpire, "", 0));
  ended_leases_.push_back(lease);
  return First(std::move(several));
}

Operation StreamGenerator::RenewalsAtOnce() {
  std::deque<Operation> several;
  const int64_t number = next_number_++;
  several.push_back(OnStream(Kind::kOpen, kKeepAliveMethod, number));
  // Gavel renews some of them in the same moment, and then lists them by their ids.
  std::vector<int64_t> leases;
  for (int i = 0; i < 4; ++i) leases.push_back(next_chosen_lease_--);
  for (const int64_t lease : leases) {
    etcdserverpb::LeaseGrantRequest grant;
    grant.set_id(lease);
    grant.set_ttl(6000);
    several.push_back(CallOf(kGrant, grant));
  }
  for (const int64_t lease : leases) {
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    several.push_back(ToStream(kKeepAliveMethod, number, request));
    several.back().hasty = lease != leases.back();
  }
  several.push_back(CallOf(kLeases, etcdserverpb::LeaseLeasesRequest()));
  for (const int64_t lease : leases) {
    etcdserverpb::LeaseRevokeRequest revocation;
    revocation.set_id(lease);
    several.push_back(CallOf(kRevoke, revocation));
  }
  several.push_back(OnStream(Kind::kClose, kKeepAliveMethod, number));
  return First(std::move(several));
}

void StreamGenerator::LearnWatch(const Operation& operation, const Answer& etcd) {
  const auto stream = streams_.find(operation.number);
  WatchResponse created;
  WatchRequest request;
  if (stream == streams_.end() || !created.ParseFromString(etcd.body) || !created.created() ||
      created.canceled() || !request.ParseFromString(operation.body)) {
    return;
  }
  const int64_t id = created.watch_id();
  const int64_t start = request.create_request().start_revision();
  if (request.create_request().watch_id() == 0) {
    stream->second.highest_picked = std::max(stream->second.highest_picked, id);
  }
  if (start < 0) return;
  const bool doomed = start != 0 && start < history_.compacted();
  (doomed ? stream->second.ended : stream->second.open).insert(id);
}

void StreamGenerator::LearnLease(const Operation& operation) {
  std::vector<int64_t>& leases = words_.leases();
  etcdserverpb::LeaseGrantRequest grant;
  etcdserverpb::LeaseRevokeRequest revocation;
  if (operation.method == kGrant && grant.ParseFromString(operation.body) && grant.ttl() > 30) {
    leases.push_back(operation.number != 0 ? operation.number : grant.id());
  } else if (operation.method == kRevoke && revocation.ParseFromString(operation.body)) {
    std::erase(leases, revocation.id());
    ended_leases_.push_back(revocation.id());
    if (ended_leases_.size() > kLeasesMax) ended_leases_.erase(ended_leases_.begin());
  }
}

void StreamGenerator::Learn(const Operation& operation, const Answer& etcd) {
  if (etcd.code != 0) return;
  if (operation.kind == Kind::kSend && operation.method == kWatchMethod) {
    return LearnWatch(operation, etcd);
  }
  if (operation.kind != Kind::kCall && operation.kind != Kind::kAwait) return;
  recipes_.Learn(operation, etcd);
  LearnRevisions(operation, etcd, &words_);
  LearnLease(operation);
}

}  // namespace gavel::conformance
