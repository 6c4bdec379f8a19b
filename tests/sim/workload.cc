#include "tests/sim/workload.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "storage/mvcc/txn.h"
#include "tests/sim/random_streams.h"
#include "tests/sim/world.h"

namespace gavel::sim {
namespace {

using server::kNsPerMs;
using server::StatusCode;

struct Encodable {
  const char* method;
  google::protobuf::Message* request;
};

// The method of a command, and its request.
Encodable MethodOf(internal::Command& command) {
  switch (command.body_case()) {
    case internal::Command::kPut:
      return {"/etcdserverpb.KV/Put", command.mutable_put()};
    case internal::Command::kDeleteRange:
      return {"/etcdserverpb.KV/DeleteRange", command.mutable_delete_range()};
    case internal::Command::kTxn:
      return {"/etcdserverpb.KV/Txn", command.mutable_txn()};
    case internal::Command::kLeaseGrant:
      return {"/etcdserverpb.Lease/LeaseGrant", command.mutable_lease_grant()};
    case internal::Command::kLeaseRevoke:
      return {"/etcdserverpb.Lease/LeaseRevoke", command.mutable_lease_revoke()};
    default:
      return {"/etcdserverpb.KV/Compact", command.mutable_compact()};
  }
}

// The response as the model gives it: nothing in the header but the revision.
template <class Response>
bool Normalize(const std::string& bytes, Operation& operation) {
  Response response;
  if (!response.ParseFromString(bytes)) return false;
  const int64_t revision = response.header().revision();
  response.clear_header();
  response.mutable_header()->set_revision(revision);
  operation.revision = revision;
  operation.response = response.SerializeAsString();
  return true;
}

bool TakeResponse(const std::string& bytes, Operation& operation) {
  switch (operation.command.body_case()) {
    case internal::Command::BODY_NOT_SET:
      return Normalize<etcdserverpb::RangeResponse>(bytes, operation);
    case internal::Command::kPut:
      return Normalize<etcdserverpb::PutResponse>(bytes, operation);
    case internal::Command::kDeleteRange:
      return Normalize<etcdserverpb::DeleteRangeResponse>(bytes, operation);
    case internal::Command::kTxn:
      return Normalize<etcdserverpb::TxnResponse>(bytes, operation);
    case internal::Command::kLeaseGrant:
      return Normalize<etcdserverpb::LeaseGrantResponse>(bytes, operation);
    case internal::Command::kLeaseRevoke:
      return Normalize<etcdserverpb::LeaseRevokeResponse>(bytes, operation);
    default:
      return Normalize<etcdserverpb::CompactionResponse>(bytes, operation);
  }
}

// The answer that the chunks of a stream are, or nothing if they break a rule: what is said once
// is in the last of them.
std::optional<std::string> Merge(const std::vector<std::string>& chunks) {
  etcdserverpb::RangeResponse merged;
  for (size_t i = 0; i < chunks.size(); ++i) {
    etcdserverpb::RangeStreamResponse chunk;
    if (!chunk.ParseFromString(chunks[i])) return std::nullopt;
    const etcdserverpb::RangeResponse& part = chunk.range_response();
    const bool last = i + 1 == chunks.size();
    if (part.has_header() != last) return std::nullopt;
    if (!last && (part.kvs().empty() || part.more() || part.count() != 0)) return std::nullopt;
    merged.MergeFrom(part);
  }
  if (chunks.empty()) return std::nullopt;
  return merged.SerializeAsString();
}

// What an error says of a request.
Operation::Outcome OutcomeOf(const server::RpcStatus& status) {
  if (status.message == "etcdserver: too many requests" ||
      status.message == "etcdserver: no leader" || status.message == kRefusedConnection) {
    return Operation::Outcome::kNotDone;
  }
  switch (status.code) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kUnknown:
    case StatusCode::kCancelled:
      return Operation::Outcome::kUnknown;
    default:
      return Operation::Outcome::kRefused;
  }
}

}  // namespace

struct Workload::Client {
  Client(uint64_t seed, uint64_t number)
      : requests(Stream(seed, "client-requests", number).Next()),
        random(Stream(seed, "client", number)) {}

  testing::RandomRequests requests;
  raft::Random random;
  uint64_t turn = 0;  // Answers to earlier requests are ignored.
  int member = 0;
};

Workload::Workload(World& world) : world_(world) {
  for (int i = 0; i < world.plan().clients; ++i) {
    clients_.push_back(std::make_unique<Client>(world.plan().seed, static_cast<uint64_t>(i)));
  }
}

Workload::~Workload() = default;

void Workload::Start() {
  for (auto& client : clients_) Think(*client);
}

void Workload::Think(Client& client) {
  if (stopped_) return;
  const auto mean = static_cast<uint64_t>(world_.plan().think_time);
  // Bursts between pauses: requests that meet in one turn of the core take paths of their own.
  const uint64_t pause = client.random.OneIn(2) ? 1 + mean / 100 : 2 * mean;
  world_.At(world_.now() + static_cast<int64_t>(1 + client.random.Below(pause)), EventKind::kTimer,
            -1, [this, &client] { Next(client); });
}

void Workload::Next(Client& client) {
  if (stopped_) return;
  raft::Random& random = client.random;
  if (random.OneIn(5)) {
    client.member = static_cast<int>(random.Below(static_cast<uint64_t>(world_.size())));
  }
  operations_.push_back(random.Below(100) < world_.plan().reads_percent ? NewRead(client)
                                                                        : NewWrite(client));
  operations_.back().number = next_number_++;
  operations_.back().start = world_.now();
  if (operations_.back().write) {
    SetNumber(*MethodOf(operations_.back().command).request, operations_.back().number);
  }
  Send(client, client.member, operations_.size() - 1);
}

Operation Workload::NewRead(Client& client) {
  raft::Random& random = client.random;
  Operation operation;
  operation.serializable = random.OneIn(4);
  const uint64_t kind = random.Below(8);
  if (kind == 0) {
    etcdserverpb::TxnRequest& txn = *operation.command.mutable_txn();
    for (auto* ops : {txn.mutable_success(), txn.mutable_failure()}) {
      for (uint64_t i = random.Between(1, 3); i > 0; --i) {
        etcdserverpb::RangeRequest& range = *ops->Add()->mutable_request_range();
        range = client.requests.Range(newest_revision_);
        range.set_serializable(operation.serializable);
      }
    }
    etcdserverpb::Compare& compare = *txn.add_compare();
    compare.set_key(client.requests.Key());
    compare.set_target(etcdserverpb::Compare::VERSION);
    compare.set_version(static_cast<int64_t>(random.Below(3)));
    return operation;
  }
  operation.range = client.requests.Range(newest_revision_);
  operation.range.set_serializable(operation.serializable);
  operation.stream = kind <= 2;
  if (operation.stream && !random.OneIn(8)) {
    // All that a stream gives.
    operation.range.clear_sort_order();
    operation.range.clear_sort_target();
    operation.range.clear_min_mod_revision();
    operation.range.clear_max_mod_revision();
    operation.range.clear_min_create_revision();
    operation.range.clear_max_create_revision();
  }
  return operation;
}

Operation Workload::NewWrite(Client& client) {
  raft::Random& random = client.random;
  Operation operation;
  operation.write = true;
  internal::Command& command = operation.command;
  if (random.Below(1000) < world_.plan().compactions_per_mille) {
    const auto back = static_cast<int64_t>(random.Below(40));
    command.mutable_compact()->set_revision(std::max<int64_t>(1, newest_revision_ - back));
    command.mutable_compact()->set_physical(random.OneIn(4));
    return operation;
  }
  do {
    command = client.requests.Command(newest_revision_, /*compactions=*/false);
  } while (command.has_txn() && storage::IsReadOnly(command.txn()));
  if (command.has_put() && random.OneIn(8)) {
    // One draw a statement: compilers differ in the order of arguments.
    const uint64_t bytes = random.Below(world_.plan().value_bytes_max);
    const auto letter = static_cast<char>('a' + random.Below(26));
    command.mutable_put()->set_value(std::string(bytes, letter));
  }
  return operation;
}

void Workload::Send(Client& client, int member, size_t place) {
  raft::Random& random = client.random;
  const uint64_t turn = ++client.turn;
  const auto hop = [&] { return static_cast<int64_t>(1 + random.Below(2 * kNsPerMs)); };
  const int64_t there = hop();
  const int64_t back =
      hop() + (random.OneIn(50)
                   ? static_cast<int64_t>(random.Below(2000 * static_cast<uint64_t>(kNsPerMs)))
                   : 0);  // A slow reader, now and then.
  world_.At(world_.now() + there, EventKind::kCall, member,
            [this, &client, member, place, turn, back] { Ask(client, member, place, turn, back); });
  world_.At(world_.now() + world_.plan().client_timeout, EventKind::kTimer, -1,
            [this, &client, place, turn] {
              if (client.turn != turn) return;
              ++client.turn;  // Given up: the outcome stays unknown.
              client.member =
                  static_cast<int>(client.random.Below(static_cast<uint64_t>(world_.size())));
              if (!Insist(client, place)) Think(client);
            });
}

// People and programs do that: what is meant once may then be carried out twice, as two requests.
bool Workload::Insist(Client& client, size_t place) {
  if (stopped_ || !operations_[place].write || !client.random.OneIn(4)) return false;
  world_.Sometimes("a write of unknown outcome was sent again as another");
  Operation again;
  again.number = next_number_++;
  again.write = true;
  again.start = world_.now();
  again.command = operations_[place].command;
  SetNumber(*MethodOf(again.command).request, again.number);
  operations_.push_back(std::move(again));
  Send(client, client.member, operations_.size() - 1);
  return true;
}

// The request has reached the member.
void Workload::Ask(Client& client, int member, size_t place, uint64_t turn, int64_t back) {
  Operation& operation = operations_[place];
  const int64_t patience = world_.plan().client_timeout;
  const auto answer = [this, &client, place, turn, back](const server::RpcStatus& status,
                                                         const std::string& response) {
    world_.At(world_.now() + back, EventKind::kAnswer, -1,
              [this, &client, place, turn, status, response] {
                Arrive(client, place, turn, status, response);
              });
  };
  if (operation.stream) {
    world_.CallStream(
        member, "/etcdserverpb.KV/RangeStream", operation.number,
        operation.range.SerializeAsString(), patience,
        [this, answer](const server::RpcStatus& status, const std::vector<std::string>& chunks) {
          const std::optional<std::string> merged = Merge(chunks);
          if (status.ok() && !merged.has_value()) {
            return world_.Fail("the chunks of a stream are no answer");
          }
          if (status.ok() && chunks.size() > 1) {
            world_.Sometimes("a stream of several chunks");
          }
          answer(status, merged.value_or(""));
        });
    return;
  }
  if (operation.command.body_case() == internal::Command::BODY_NOT_SET) {
    world_.Call(member, "/etcdserverpb.KV/Range", operation.number,
                operation.range.SerializeAsString(), patience, answer);
    return;
  }
  const Encodable encodable = MethodOf(operation.command);
  world_.Call(member, encodable.method, operation.number, encodable.request->SerializeAsString(),
              patience, answer);
}

void Workload::Arrive(Client& client, size_t place, uint64_t turn, const server::RpcStatus& status,
                      const std::string& response) {
  if (client.turn != turn) return;
  ++client.turn;
  OnAnswer(place, status, response);
  if (!status.ok()) {
    client.member = static_cast<int>(client.random.Below(static_cast<uint64_t>(world_.size())));
  }
  Operation& operation = operations_[place];
  if (operation.outcome == Operation::Outcome::kNotDone && operation.write &&
      status.message != kRefusedConnection) {
    world_.Sometimes("a write was dropped for certain");
    if (!stopped_ && client.random.OneIn(2)) {
      // It is in no log, so that sending it again can do it only once.
      operation.outcome = Operation::Outcome::kUnknown;
      return Send(client, client.member, place);
    }
  }
  if (operation.outcome == Operation::Outcome::kUnknown && Insist(client, place)) return;
  Think(client);
}

void Workload::OnAnswer(size_t place, const server::RpcStatus& status,
                        const std::string& response) {
  Operation& operation = operations_[place];
  operation.end = world_.now();
  world_.Record(EventKind::kAnswer, -1, operation.number, static_cast<uint64_t>(status.code));
  if (!status.ok()) {
    operation.outcome = OutcomeOf(status);
    operation.error = status.message;
    return;
  }
  if (!TakeResponse(response, operation)) {
    world_.Fail("a response is no message of its type");
    return;
  }
  operation.outcome = Operation::Outcome::kAnswered;
  newest_revision_ = std::max(newest_revision_, operation.revision);
  world_.OnRevision(operation.revision);
}

void Workload::Write(int member, internal::Command command,
                     std::function<void(const Operation&)> done) {
  const size_t place = operations_.size();
  operations_.emplace_back();
  Operation& operation = operations_.back();
  operation.number = next_number_++;
  operation.write = true;
  operation.start = world_.now();
  operation.command = std::move(command);
  const Encodable encodable = MethodOf(operation.command);
  SetNumber(*encodable.request, operation.number);
  const auto over = std::make_shared<bool>(false);
  const auto end = [this, place, over, done = std::move(done)] {
    if (!std::exchange(*over, true)) done(operations_[place]);
  };
  const int64_t patience = world_.plan().client_timeout;
  world_.At(world_.now() + kNsPerMs, EventKind::kCall, member,
            [this, member, place, over, end, patience, method = encodable.method,
             number = operation.number, request = encodable.request->SerializeAsString()] {
              world_.Call(member, method, number, request, patience,
                          [this, place, over, end](const server::RpcStatus& status,
                                                   const std::string& response) {
                            world_.At(world_.now() + kNsPerMs, EventKind::kAnswer, -1,
                                      [this, place, over, end, status, response] {
                                        if (*over) return;
                                        OnAnswer(place, status, response);
                                        end();
                                      });
                          });
            });
  world_.At(world_.now() + patience, EventKind::kTimer, -1, end);
}

void Workload::Probe(int member, std::shared_ptr<bool> done) {
  Operation operation;
  operation.number = next_number_++;
  operation.write = true;
  operation.start = world_.now();
  etcdserverpb::PutRequest& put = *operation.command.mutable_put();
  put.set_key("probe");
  put.set_value(std::to_string(operation.number));
  SetNumber(put, operation.number);
  const std::string request = put.SerializeAsString();
  const size_t place = operations_.size();
  operations_.push_back(std::move(operation));
  world_.Call(member, "/etcdserverpb.KV/Put", operations_[place].number, request, 2000 * kNsPerMs,
              [this, place, done](const server::RpcStatus& status, const std::string& response) {
                OnAnswer(place, status, response);
                if (status.ok()) *done = true;
              });
}

}  // namespace gavel::sim
