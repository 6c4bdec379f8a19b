#include "tests/conformance/session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/header.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "proto/parse.h"
#include "tests/conformance/accepted.h"

namespace gavel::conformance {
namespace {

constexpr char kGrant[] = "/etcdserverpb.Lease/LeaseGrant";
constexpr char kRevoke[] = "/etcdserverpb.Lease/LeaseRevoke";
constexpr char kLeases[] = "/etcdserverpb.Lease/LeaseLeases";
constexpr char kMemberAdd[] = "/etcdserverpb.Cluster/MemberAdd";
constexpr char kCompact[] = "/etcdserverpb.KV/Compact";

// Watch ids that no sequence chooses.
constexpr int64_t kFirstProbe = int64_t{1} << 40;

// A lease of so many seconds might end while a sequence still asks about it.
constexpr int64_t kShortTtl = 30;

// Room for what is added to a time that is not known.
constexpr std::chrono::hours kFarAhead(24);

// Changes `answer` in one place; false if there is nothing that could be.
bool Change(const Operation& operation, uint64_t choice, Answer* answer) {
  if (answer->code != 0) {
    if (choice % 2 == 0) {
      ++answer->code;
    } else {
      answer->message += "x";
    }
    return true;
  }
  const auto body = NewResponse(operation.method);
  if (body == nullptr || !ParseMessage(answer->body, kCommandDepthMax, body.get())) return false;
  if (!Plant(*body, choice)) return false;
  answer->body = body->SerializeAsString();
  return true;
}

Operation WithIds(const LeaseNames& names, const Operation& operation) {
  Operation sent = operation;
  const auto request = NewRequest(operation.method);
  sent.body = names.ToIds(operation.body, request.get());
  return sent;
}

Operation WithMemberIds(const MemberNames& names, Operation operation) {
  operation.body = names.ToIds(operation.method, std::move(operation.body));
  return operation;
}

void GiveNames(const LeaseNames& names, const std::string& method, Answer* answer) {
  if (answer->code != 0) return;
  const auto response = NewResponse(method);
  answer->body = names.ToNames(answer->body, response.get());
}

// The lease that a request of the lease service is about; 0 for none.
int64_t LeaseOf(const Operation& operation) {
  const auto request = NewRequest(operation.method);
  if (request == nullptr || !ParseMessage(operation.body, kCommandDepthMax, request.get())) {
    return 0;
  }
  const auto* field = request->GetDescriptor()->FindFieldByName("ID");
  if (field != nullptr) return request->GetReflection()->GetInt64(*request, field);
  const auto* put = dynamic_cast<const etcdserverpb::PutRequest*>(request.get());
  return put == nullptr ? 0 : put->lease();
}

// An empty one if the answer has none.
etcdserverpb::ResponseHeader HeaderOf(const Operation& operation, const Answer& answer) {
  const auto response = NewResponse(operation.method);
  if (answer.code != 0 || response == nullptr ||
      !ParseMessage(answer.body, kCommandDepthMax, response.get())) {
    return {};
  }
  const auto* field = response->GetDescriptor()->FindFieldByName("header");
  if (field == nullptr) return {};
  return dynamic_cast<const etcdserverpb::ResponseHeader&>(
      response->GetReflection()->GetMessage(*response, field));
}

}  // namespace

Session::Session(Servers& servers, uint64_t seed, bool streams)
    : servers_(servers), random_(seed), next_probe_(kFirstProbe) {
  counts_.hits.resize(AcceptedDifferences().size() + AcceptedDifferencesInStreams().size());
  if (!streams) return;
  witness_ = std::make_unique<WatchPair>(servers, 0, arrivals_);
  etcdserverpb::WatchRequest everything;
  everything.mutable_create_request()->set_key(std::string(1, '\0'));
  everything.mutable_create_request()->set_range_end(std::string(1, '\0'));
  witness_->Ask(everything.create_request(), everything.SerializeAsString(), revision_, history_);
}

Session::~Session() = default;

Session::Outcome Session::Do(const Operation& operation, size_t turn, bool planted) {
  planted_ |= planted && operation.kind != Kind::kCall;
  switch (operation.kind) {
    case Kind::kCall:
      return Call(operation, turn, planted);
    case Kind::kOpen:
      if (operation.method == kWatchMethod) {
        watches_[operation.number] = std::make_unique<WatchPair>(servers_, turn, arrivals_);
      } else {
        keep_alives_[operation.number] = std::make_unique<KeepAlivePair>(servers_, turn, arrivals_);
      }
      return {};
    case Kind::kSend:
      return operation.method == kWatchMethod ? SendToWatch(operation) : SendToKeepAlive(operation);
    case Kind::kHalfClose:
      if (operation.method != kWatchMethod) return SendToKeepAlive(operation);
      return {{}, HalfCloseWatch(operation)};
    case Kind::kClose:
      return {{}, Close(operation)};
    case Kind::kRest:
      return {{}, Rest()};
    case Kind::kExpire:
      return {{}, Expire()};
    case Kind::kBegin:
      return Begin(operation, turn);
    case Kind::kAwait:
      return Await(operation);
    case Kind::kAbandon:
      return {{}, Abandon(operation)};
  }
  return {};
}

Session::Outcome Session::Call(const Operation& operation, size_t turn, bool planted) {
  Outcome outcome;
  // Of what is compacted while events are on their way, some would be told and some not.
  if (operation.method == kCompact && witness_ != nullptr) {
    outcome.wrong = Rest();
    for (const auto& [number, pair] : watches_) {
      if (outcome.wrong.empty()) CatchUp(*pair, &outcome.wrong);
    }
    // What CatchUp asked for is judged by the history of before.
    if (outcome.wrong.empty()) outcome.wrong = CompareStreams();
  }
  if (!outcome.wrong.empty()) return outcome;
  const Time sent = std::chrono::steady_clock::now();
  Answers& answers = outcome.answers;
  answers = servers_.Send(WithMemberIds(members_.etcd, WithIds(names_.etcd, operation)),
                          WithMemberIds(members_.gavel, WithIds(names_.gavel, operation)), turn);
  longest_ = std::max(longest_, std::chrono::steady_clock::now() - sent);
  LearnLease(operation, answers, sent);
  LearnMembers(operation, answers);
  GiveNames(names_.etcd, operation.method, &answers.etcd);
  GiveNames(names_.gavel, operation.method, &answers.gavel);
  if (answers.etcd.code != 0) ++counts_.refused;
  LearnCluster(operation, answers.gavel);
  if (planted) Change(operation, random_.Next(), &answers.gavel);
  outcome.wrong = Judge(operation, answers);
  Learn(operation, answers.etcd);
  return outcome;
}

std::string Session::Judge(const Operation& operation, const Answers& answers) {
  if (IsLate(operation)) {
    ++counts_.late;
    return "";
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest_);
  const Terms terms{revision_, 1 + seconds.count(), servers_.both_are_etcd(), gavel_cluster_,
                    &lease_ends_};
  const auto describe = [&](const std::string& what) {
    return absl::StrCat("etcd answered:  ",
                        operation.crashes_etcd ? "(not asked)" : Describe(operation, answers.etcd),
                        "\ngavel answered: ", Describe(operation, answers.gavel), "\n", what);
  };
  const std::vector<Difference> differences =
      Compare(operation, terms, answers.etcd, answers.gavel, &counts_.hits);
  if (!differences.empty()) return describe("what differs:\n" + Describe(differences));
  Answer changed = answers.gavel;
  if (!Change(operation, random_.Next(), &changed)) return "";
  // A change may also make the answers equal, where the difference was an accepted one.
  if (AllDifferences(Exchange(operation, terms, answers.etcd, changed)).empty() &&
      !AllDifferences(Exchange(operation, terms, answers.etcd, answers.gavel)).empty()) {
    return "";
  }
  ++counts_.changed_answers;
  if (!Compare(operation, terms, answers.etcd, changed, nullptr).empty()) return "";
  return describe(
      absl::StrCat("the comparison is blind: it does not see that this is another answer: ",
                   Describe(operation, changed), "\n"));
}

void Session::LearnCluster(const Operation& operation, const Answer& gavel) {
  if (gavel_cluster_ == 0) gavel_cluster_ = HeaderOf(operation, gavel).cluster_id();
}

void Session::Learn(const Operation& operation, const Answer& etcd) {
  revision_ = std::max(revision_, HeaderOf(operation, etcd).revision());
  if (etcd.code != 0) return;
  etcdserverpb::CompactionRequest compaction;
  if (operation.method == kCompact && compaction.ParseFromString(operation.body)) {
    history_.Compact(compaction.revision(), compaction.physical());
  }
}

void Session::LearnMembers(const Operation& operation, const Answers& raw) {
  members_.etcd.Learn(kSelfName, HeaderOf(operation, raw.etcd).member_id());
  members_.gavel.Learn(kSelfName, HeaderOf(operation, raw.gavel).member_id());
  etcdserverpb::MemberAddResponse etcd;
  etcdserverpb::MemberAddResponse gavel;
  if (operation.method != kMemberAdd || raw.etcd.code != 0 || raw.gavel.code != 0) return;
  if (!etcd.ParseFromString(raw.etcd.body) || !gavel.ParseFromString(raw.gavel.body)) return;
  members_.etcd.Learn(MemberName(operation.number), etcd.member().id());
  members_.gavel.Learn(MemberName(operation.number), gavel.member().id());
}

void Session::LearnLease(const Operation& operation, const Answers& raw, Time sent) {
  if (operation.method == kRevoke) {
    safe_until_.erase(LeaseOf(operation));
    return;
  }
  etcdserverpb::LeaseGrantRequest request;
  etcdserverpb::LeaseGrantResponse etcd;
  etcdserverpb::LeaseGrantResponse gavel;
  if (operation.method != kGrant || !request.ParseFromString(operation.body)) return;
  if (raw.etcd.code != 0 || !etcd.ParseFromString(raw.etcd.body)) return;
  int64_t id = request.id();
  if (id == 0 && operation.number != 0) {
    // An id that must not be picked gets no name, and so shows as a difference.
    id = operation.number;
    names_.etcd.Learn(id, etcd.id());
    if (raw.gavel.code == 0 && gavel.ParseFromString(raw.gavel.body)) {
      names_.gavel.Learn(id, gavel.id());
    }
  }
  const auto ttl = std::chrono::seconds(etcd.ttl());
  lease_ends_[id] = {sent + ttl, std::chrono::steady_clock::now() + ttl};
  if (etcd.ttl() < kShortTtl) safe_until_[id] = sent + std::chrono::seconds(etcd.ttl() - 1);
}

void Session::LearnRenewal(int64_t id, const Answer& answer) {
  const auto sent = renewal_sent_.find(id);
  const auto end = lease_ends_.find(id);
  etcdserverpb::LeaseKeepAliveResponse response;
  if (sent == renewal_sent_.end() || end == lease_ends_.end() || answer.code != 0 ||
      !response.ParseFromString(answer.body) || response.ttl() <= 0) {
    return;
  }
  const auto ttl = std::chrono::seconds(response.ttl());
  end->second.earliest = std::max(end->second.earliest, sent->second + ttl);
  end->second.latest = std::chrono::steady_clock::now() + ttl;
  renewal_sent_.erase(sent);
}

bool Session::IsLate(const Operation& operation) const {
  const Time now = std::chrono::steady_clock::now();
  if (operation.method == kLeases) {
    return std::any_of(safe_until_.begin(), safe_until_.end(),
                       [&](const auto& lease) { return lease.second < now; });
  }
  if (safe_until_.empty()) return false;
  const auto found = safe_until_.find(LeaseOf(operation));
  return found != safe_until_.end() && found->second < now;
}

Session::Outcome Session::SendToKeepAlive(const Operation& operation) {
  const auto found = keep_alives_.find(operation.number);
  if (found == keep_alives_.end()) return {};
  KeepAlivePair& pair = *found->second;
  if (operation.kind == Kind::kHalfClose) {
    pair.HalfClose();
  } else {
    const int64_t lease = LeaseOf(operation);
    renewal_sent_.emplace(lease, std::chrono::steady_clock::now());
    // Until it is answered it may have been renewed, or not.
    if (const auto end = lease_ends_.find(lease); end != lease_ends_.end()) {
      end->second.latest = Time::max() - kFarAhead;
    }
    pair.Send(operation, WithIds(names_.etcd, operation).body,
              WithIds(names_.gavel, operation).body);
  }
  if (operation.hasty) return {};
  const Time sent = std::chrono::steady_clock::now();
  WaitFor([&] { return pair.AtRest(); });
  longest_ = std::max(longest_, std::chrono::steady_clock::now() - sent);
  Outcome outcome;
  for (KeepAlivePair::Exchanged& each : pair.Take()) {
    GiveNames(names_.etcd, each.asked.method, &each.answers.etcd);
    GiveNames(names_.gavel, each.asked.method, &each.answers.gavel);
    outcome.answers = each.answers;
    LearnRenewal(LeaseOf(each.asked), each.answers.etcd);
    outcome.wrong = Judge(each.asked, each.answers);
    if (!outcome.wrong.empty()) return outcome;
  }
  if (pair.ended()) keep_alives_.erase(found);
  return outcome;
}

std::string Session::Expire() {
  std::string wrong = Rest();
  if (!wrong.empty()) return wrong;
  ++revision_;
  // Whose expiry this is has been forgotten: the sequence asks no more about it.
  wrong = Rest();
  safe_until_.clear();
  return wrong;
}

}  // namespace gavel::conformance
