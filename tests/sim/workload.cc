#include "tests/sim/workload.h"

#include <algorithm>
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
  if (!operation.write) return Normalize<etcdserverpb::RangeResponse>(bytes, operation);
  switch (operation.command.body_case()) {
    case internal::Command::kPut:
      return Normalize<etcdserverpb::PutResponse>(bytes, operation);
    case internal::Command::kDeleteRange:
      return Normalize<etcdserverpb::DeleteRangeResponse>(bytes, operation);
    case internal::Command::kTxn:
      return Normalize<etcdserverpb::TxnResponse>(bytes, operation);
    default:
      return Normalize<etcdserverpb::CompactionResponse>(bytes, operation);
  }
}

// What an error says of a write.
Operation::Outcome OutcomeOf(const server::RpcStatus& status) {
  if (status.message == "etcdserver: too many requests") return Operation::Outcome::kNotDone;
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
  Operation operation;
  operation.number = next_number_++;
  if (random.Below(100) < world_.plan().reads_percent) {
    operation.range = client.requests.Range(newest_revision_);
    operation.serializable = random.OneIn(4);
    operation.range.set_serializable(operation.serializable);
    Send(client, client.member, std::move(operation));
    return;
  }
  operation.write = true;
  internal::Command& command = operation.command;
  if (random.Below(1000) < world_.plan().compactions_per_mille) {
    const auto back = static_cast<int64_t>(random.Below(40));
    command.mutable_compact()->set_revision(std::max<int64_t>(1, newest_revision_ - back));
    command.mutable_compact()->set_physical(random.OneIn(4));
  } else {
    do {
      command = client.requests.Command(newest_revision_, /*compactions=*/false);
    } while (command.has_txn() && storage::IsReadOnly(command.txn()));
    if (command.has_put() && random.OneIn(8)) {
      // One draw a statement: compilers differ in the order of arguments.
      const uint64_t bytes = random.Below(world_.plan().value_bytes_max);
      const auto letter = static_cast<char>('a' + random.Below(26));
      command.mutable_put()->set_value(std::string(bytes, letter));
    }
  }
  SetNumber(*MethodOf(command).request, operation.number);
  Send(client, client.member, std::move(operation));
}

void Workload::Send(Client& client, int member, Operation operation) {
  raft::Random& random = client.random;
  operation.start = world_.now();
  std::string request;
  std::string method = "/etcdserverpb.KV/Range";
  if (operation.write) {
    const Encodable encodable = MethodOf(operation.command);
    method = encodable.method;
    request = encodable.request->SerializeAsString();
  } else {
    request = operation.range.SerializeAsString();
  }
  const size_t place = operations_.size();
  operations_.push_back(std::move(operation));
  const uint64_t turn = ++client.turn;
  const auto hop = [&] { return static_cast<int64_t>(1 + random.Below(2 * kNsPerMs)); };
  const int64_t there = hop();
  const int64_t back =
      hop() + (random.OneIn(50)
                   ? static_cast<int64_t>(random.Below(2000 * static_cast<uint64_t>(kNsPerMs)))
                   : 0);  // A slow reader, now and then.
  const int64_t patience = world_.plan().client_timeout;
  world_.At(world_.now() + there, EventKind::kCall, member,
            [this, &client, place, turn, member, method, request, back, patience] {
              world_.Call(member, method, request, patience,
                          [this, &client, place, turn, back](const server::RpcStatus& status,
                                                             const std::string& response) {
                            world_.At(world_.now() + back, EventKind::kAnswer, -1,
                                      [this, &client, place, turn, status, response] {
                                        if (client.turn != turn) return;
                                        ++client.turn;
                                        OnAnswer(place, status, response);
                                        if (!status.ok()) {
                                          client.member = static_cast<int>(client.random.Below(
                                              static_cast<uint64_t>(world_.size())));
                                        }
                                        Think(client);
                                      });
                          });
            });
  world_.At(world_.now() + patience, EventKind::kTimer, -1, [this, &client, turn] {
    if (client.turn != turn) return;
    ++client.turn;  // Given up: the outcome stays unknown.
    client.member = static_cast<int>(client.random.Below(static_cast<uint64_t>(world_.size())));
    Think(client);
  });
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
  world_.Call(member, "/etcdserverpb.KV/Put", request, 2000 * kNsPerMs,
              [this, place, done](const server::RpcStatus& status, const std::string& response) {
                OnAnswer(place, status, response);
                if (status.ok()) *done = true;
              });
}

}  // namespace gavel::sim
