#include "tests/chaos/workload.h"

#include <chrono>
#include <optional>
#include <utility>

#include "raft/random.h"

namespace gavel::chaos {
namespace {

using etcdserverpb::Compare;
using raft::Random;

constexpr int kSingleKeys = 5;

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string SingleKey(uint64_t number) { return kPrefix + std::to_string(number); }
// These two are only ever written together, so a read that finds them unequal is torn.
std::string PairKey(int number) { return std::string(kPrefix) + "pair" + std::to_string(number); }

etcdserverpb::RangeRequest WholeKeySpace() {
  etcdserverpb::RangeRequest request;
  request.set_key(kPrefix);
  std::string end = kPrefix;
  ++end.back();
  request.set_range_end(end);
  return request;
}

Snapshot ToSnapshot(const etcdserverpb::RangeResponse& response) {
  Snapshot snapshot;
  for (const auto& kv : response.kvs()) snapshot[kv.key()] = kv.value();
  return snapshot;
}

void AddPut(etcdserverpb::TxnRequest& txn, const std::string& key, const std::string& value) {
  auto* put = txn.add_success()->mutable_request_put();
  put->set_key(key);
  put->set_value(value);
}

// One write as the history keeps it, and what the member said of it.
struct Attempt {
  Snapshot contents;
  Outcome outcome = Outcome::kUnknown;
  int64_t revision = 0;
  bool changed = true;  // False: carried out, but there was nothing to change.
};

Attempt PutOne(KvClient& client, const std::string& key, const std::string& value) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  etcdserverpb::PutResponse response;
  Attempt attempt{{{key, value}}, client.Put(request, &response), 0, true};
  attempt.revision = response.header().revision();
  return attempt;
}

Attempt PutPair(KvClient& client, const std::string& value) {
  etcdserverpb::TxnRequest request;
  AddPut(request, PairKey(0), value);
  AddPut(request, PairKey(1), value);
  etcdserverpb::TxnResponse response;
  Attempt attempt{
      {{PairKey(0), value}, {PairKey(1), value}}, client.Txn(request, &response), 0, true};
  attempt.revision = response.header().revision();
  return attempt;
}

// Writes only if the key still holds what a read just before had found.
Attempt CompareAndSwap(KvClient& client, const std::string& key, const std::string& value) {
  etcdserverpb::RangeRequest range;
  range.set_key(key);
  range.set_serializable(true);
  etcdserverpb::RangeResponse found;
  if (client.Range(range, &found) != Outcome::kOk) return {{}, Outcome::kRefused, 0, false};
  etcdserverpb::TxnRequest request;
  Compare* compare = request.add_compare();
  compare->set_target(Compare::MOD);
  compare->set_key(key);
  compare->set_mod_revision(found.kvs_size() ? found.kvs(0).mod_revision() : 0);
  AddPut(request, key, value);
  etcdserverpb::TxnResponse response;
  Attempt attempt{{{key, value}}, client.Txn(request, &response), 0, true};
  attempt.revision = response.header().revision();
  if (attempt.outcome == Outcome::kOk && !response.succeeded()) attempt.outcome = Outcome::kRefused;
  return attempt;
}

Attempt DeleteOne(KvClient& client, const std::string& key) {
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(key);
  etcdserverpb::DeleteRangeResponse response;
  Attempt attempt{{{key, ""}}, client.Delete(request, &response), 0, true};
  attempt.revision = response.header().revision();
  attempt.changed = response.deleted() > 0;
  return attempt;
}

Attempt RandomWrite(KvClient& client, Random& random, const std::string& value) {
  const std::string key = SingleKey(random.Below(kSingleKeys));
  switch (random.Below(10)) {
    case 0:
      return DeleteOne(client, key);
    case 1:
    case 2:
      return PutPair(client, value);
    case 3:
    case 4:
      return CompareAndSwap(client, key, value);
    default:
      return PutOne(client, key, value);
  }
}

}  // namespace

Workload::Workload(WorkloadOptions options) : options_(std::move(options)) {
  for (int client = 0; client < options_.writers; ++client) {
    threads_.emplace_back([this, client] { Write(client); });
  }
  for (int client = 0; client < options_.readers; ++client) {
    threads_.emplace_back([this, client] { Read(client); });
  }
}

Workload::~Workload() { Stop(); }

void Workload::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::vector<std::string> Workload::TakeRefused() {
  std::lock_guard lock(refused_mutex_);
  return std::exchange(refused_, {});
}

void Workload::AddRefused(std::string value) {
  std::lock_guard lock(refused_mutex_);
  refused_.push_back(std::move(value));
}

void Workload::Write(int client) {
  Random random(options_.seed * 1000 + static_cast<uint64_t>(client));
  std::optional<KvClient> member;
  for (int64_t number = 0; !stopping_; ++number) {
    if (!member) member.emplace(options_.targets[random.Below(options_.targets.size())]);
    const std::string value = "w" + std::to_string(client) + "." + std::to_string(number);
    const int64_t start = NowNs();
    Attempt attempt = RandomWrite(*member, random, value);
    const int64_t end = NowNs();
    if (attempt.outcome == Outcome::kRefused || attempt.outcome == Outcome::kDropped) {
      AddRefused(value);
    } else if (attempt.changed) {
      if (attempt.outcome == Outcome::kOk) ++acknowledged_;
      history_.Add({Operation::Kind::kWrite, start, end, attempt.outcome == Outcome::kOk,
                    attempt.revision, std::move(attempt.contents),
                    "writer " + std::to_string(client) + " value " + value});
    }
    if (attempt.outcome == Outcome::kUnknown || attempt.outcome == Outcome::kDropped) {
      member.reset();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(options_.pause_us));
  }
}

void Workload::Read(int client) {
  Random random(options_.seed * 1000 + 500 + static_cast<uint64_t>(client));
  std::optional<KvClient> member;
  while (!stopping_) {
    if (!member) member.emplace(options_.targets[random.Below(options_.targets.size())]);
    etcdserverpb::RangeResponse response;
    const int64_t start = NowNs();
    const Outcome outcome = member->Range(WholeKeySpace(), &response);
    const int64_t end = NowNs();
    if (outcome == Outcome::kOk) {
      history_.Add({Operation::Kind::kRead, start, end, true, response.header().revision(),
                    ToSnapshot(response), "reader " + std::to_string(client)});
    } else {
      member.reset();
    }
    // Moving between members now and then is what finds a stale one.
    if (random.OneIn(20)) member.reset();
    std::this_thread::sleep_for(std::chrono::microseconds(options_.pause_us));
  }
}

bool ReadTruth(const std::string& target, int64_t last, Truth* truth, std::string* error) {
  KvClient client(target);
  client.set_timeout(std::chrono::seconds(10));
  truth->first = 1;
  truth->at.clear();
  etcdserverpb::RangeRequest request = WholeKeySpace();
  request.set_serializable(true);
  for (int64_t revision = 1; revision <= last; ++revision) {
    request.set_revision(revision);
    etcdserverpb::RangeResponse response;
    if (client.Range(request, &response) != Outcome::kOk) {
      *error = "revision " + std::to_string(revision) + ": " + client.last_error();
      return false;
    }
    truth->at.push_back(ToSnapshot(response));
  }
  return true;
}

}  // namespace gavel::chaos
