// Commands of the log at apply: whatever their bytes, each is carried out or refused with an
// error, the same on every member; and what the checks of requests let through is carried out as
// the model says.
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "proto/internal/command.pb.h"
#include "proto/parse.h"
#include "raft/check.h"
#include "server/node/command_bytes.h"
#include "server/rpc/checks.h"
#include "storage/disk/little_endian.h"
#include "storage/engine/map_engine.h"
#include "storage/mvcc/hash.h"
#include "storage/state/semantics.h"
#include "storage/state/state_machine.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/txn_maker.h"
#include "tests/storage/mvcc/model.h"
#include "tests/storage/state/store.h"

namespace gavel::fuzz {
namespace {

using server::CommandField;
using storage::StateMachine;

enum Kind { kEncoded, kMade, kRequest, kNested, kKinds };

constexpr StateMachine::Wanted kMe = {raft::NodeId(1), raft::Incarnation(1)};
constexpr raft::Term kTerm(1);
constexpr int64_t kOpsMax = 128;
// The one that puts name (txn_maker.cc), and some more.
constexpr int64_t kLeases[] = {7, -7, 8, 0, std::numeric_limits<int64_t>::min()};
// The model compares with whole histories.
constexpr int kCommandsMax = 12;

std::string Text(const storage::CommandResponse& response) {
  return std::visit(
      [](const auto& message) -> std::string {
        using Message = std::decay_t<decltype(message)>;
        if constexpr (std::is_same_v<Message, std::monostate>) {
          return "none";
        } else if constexpr (std::is_same_v<Message, storage::RenewOutcome>) {
          std::string ttls = "renewed";
          for (const int64_t ttl : message.ttl_seconds) ttls += " " + std::to_string(ttl);
          return ttls;
        } else if constexpr (std::is_same_v<Message, storage::AlarmTable>) {
          std::string alarms = "alarms";
          for (const storage::Alarm& alarm : message) {
            alarms += " " + storage::AlarmKey(alarm) + storage::EncodeAlarm(alarm);
          }
          return alarms;
        } else {
          return message.SerializeAsString();
        }
      },
      response);
}

std::string Text(const absl::StatusOr<storage::ApplyResult>& result) {
  if (!result.ok()) return std::string(result.status().message());
  std::string text;
  for (const storage::CommandOutcome& outcome : result->outcomes) {
    text += std::to_string(static_cast<int>(outcome.error)) + Text(outcome.response);
  }
  return text;
}

// One member's state.
class Member {
 public:
  explicit Member(size_t cache_bytes) {
    auto machine =
        StateMachine::Open(std::make_shared<storage::MapEngine>(), gavel::testing::OneMember(),
                           {.newest_cache_bytes_max = cache_bytes,
                            .lease_cache_rows_max = cache_bytes / 1000,
                            .lease_key_cache_bytes_max = cache_bytes,
                            .lease_renewals_max = 6});
    GAVEL_CHECK(machine.ok());
    machine_ = *std::move(machine);
  }

  absl::StatusOr<storage::ApplyResult> Apply(const std::string& payload) {
    const raft::Entry entry{machine_->applied().Next(), kTerm, raft::EntryKind::kCommand,
                            std::make_shared<const std::string>(payload)};
    return machine_->Apply({&entry, 1}, kMe);
  }

  uint32_t Hash() const {
    storage::HashCursor cursor(machine_->view(), 0);
    while (!cursor.Step(1000)) {
    }
    GAVEL_CHECK(cursor.status().ok());
    return cursor.hash();
  }

  const StateMachine& machine() const { return *machine_; }
  const storage::Engine& engine() const { return *machine_->view()->engine; }

 private:
  std::unique_ptr<StateMachine> machine_;
};

// Two members, of which one has no cache: they must agree.
class Pair {
 public:
  absl::StatusOr<storage::ApplyResult> Apply(const std::string& payload) {
    absl::StatusOr<storage::ApplyResult> result = one_.Apply(payload);
    GAVEL_CHECK(Text(result) == Text(two_.Apply(payload))) << "two members differ";
    return result;
  }
  void CheckEqual() const {
    GAVEL_CHECK(one_.Hash() == two_.Hash()) << "two members differ";
    // The hash leaves leases out.
    GAVEL_CHECK(gavel::testing::DumpReplicated(one_.engine()) ==
                gavel::testing::DumpReplicated(two_.engine()))
        << "two members differ";
  }
  const StateMachine& machine() const { return one_.machine(); }
  const storage::Engine& engine() const { return one_.engine(); }

 private:
  Member one_{1 << 20};
  Member two_{0};
};

std::string Payload(CommandField field, const std::string& request) {
  std::string payload = server::EncodeCommandHeader(field, {kMe.member, kMe.incarnation, 1});
  server::AppendCommandBody(field, request, &payload);
  return payload;
}

// Any bytes, one command after the other, each with its length.
void ApplyEncoded(Choices& choices) {
  Pair pair;
  while (!choices.empty()) {
    const uint64_t length = choices.Number(2);
    if (!pair.Apply(std::string(choices.Bytes(length))).ok()) break;
  }
  pair.CheckEqual();
}

int64_t MakeLease(Choices& choices) { return kLeases[choices.Below(std::size(kLeases))]; }

// A reading of the lease clock: mostly a little later than the others, now and then as
// far off as a number can be.
int64_t MakeReading(Choices& choices) {
  const uint8_t byte = choices.Byte();
  if (byte >= 250) return static_cast<int64_t>(choices.Number(8));
  return 100 * int64_t{byte};
}

internal::Command MakeLeaseCommand(Choices& choices, uint64_t index) {
  internal::Command command;
  switch (choices.Below(6)) {
    case 0:
    case 1:
      command.mutable_lease_grant()->set_id(MakeLease(choices));
      // What the service lets through.
      command.mutable_lease_grant()->set_ttl(1 + static_cast<int64_t>(choices.Below(12)));
      if (choices.Below(16) == 15) {
        command.mutable_lease_grant()->set_ttl(storage::kLeaseTtlSecondsMax);
      }
      break;
    case 2:
      command.mutable_lease_revoke()->set_id(MakeLease(choices));
      break;
    case 3:
      command.mutable_renew_leases();
      for (uint64_t count = choices.Below(5); count > 0; --count) {
        command.mutable_renew_leases()->add_ids(MakeLease(choices));
      }
      break;
    case 4:
      command.mutable_lease_clock()->set_now_ms(MakeReading(choices));
      break;
    default: {
      internal::ExpireLeases& expire = *command.mutable_expire_leases();
      expire.set_term(choices.Below(8) == 7 ? kTerm.value() + 1 : kTerm.value());
      expire.set_now_ms(MakeReading(choices));
      for (uint64_t count = choices.Below(5); count > 0; --count) {
        internal::LeaseExpiry& expiry = *expire.add_leases();
        expiry.set_id(MakeLease(choices));
        // One of the entries before this one.
        expiry.set_renewed_index(index - choices.Below(kCommandsMax));
      }
    }
  }
  return command;
}

// `index` is that of the entry it will be.
internal::Command MakeCommand(Choices& choices, int64_t revision, uint64_t index) {
  internal::Command command;
  command.set_semantics(storage::SemanticsVersion());
  command.set_member(kMe.member.value());
  command.set_incarnation(kMe.incarnation.value());
  switch (choices.Below(12)) {
    case 8:
    case 9:
    case 10:
    case 11:
      command.MergeFrom(MakeLeaseCommand(choices, index));
      break;
    case 0:
    case 1:
      *command.mutable_put() = MakePut(choices);
      break;
    case 2:
      *command.mutable_delete_range() = MakeDelete(choices);
      break;
    case 3:
      command.mutable_compact()->set_revision(revision - 4 +
                                              static_cast<int64_t>(choices.Below(8)));
      break;
    default:
      *command.mutable_txn() = MakeTxn(choices);
  }
  return command;
}

bool PassesChecks(const internal::Command& command) {
  if (command.has_put()) return !server::CheckPut(command.put());
  if (command.has_delete_range()) return !server::CheckDeleteRange(command.delete_range());
  if (command.has_txn()) return !server::CheckTxn(command.txn(), kOpsMax);
  return true;
}

// Well-formed commands against the model.
void ApplyMade(Choices& choices) {
  Pair pair;
  gavel::testing::Model model;
  for (int i = 0; i < kCommandsMax && !choices.empty(); ++i) {
    const uint64_t index = pair.machine().applied().Next().value();
    const internal::Command command = MakeCommand(choices, model.revision(), index);
    if (!PassesChecks(command)) continue;
    const absl::StatusOr<storage::ApplyResult> result = pair.Apply(command.SerializeAsString());
    GAVEL_CHECK(result.ok()) << std::string(result.status().message());
    const gavel::testing::ModelOutcome expected = model.Apply(command, index, kTerm.value());
    const storage::CommandOutcome& outcome = result->outcomes.front();
    GAVEL_CHECK(outcome.error == expected.error) << command.DebugString();
    GAVEL_CHECK(Text(outcome.response) == Text(expected.response)) << command.DebugString();
  }
  const StateMachine::Sizes sizes = pair.machine().sizes();
  const StateMachine::Sizes recounted = model.Sizes();
  GAVEL_CHECK(sizes.keys == recounted.keys && sizes.live_bytes == recounted.live_bytes &&
              sizes.superseded_bytes == recounted.superseded_bytes);
  GAVEL_CHECK(pair.machine().view()->revision == model.revision());
  const StateMachine::LeaseTotals leases = pair.machine().leases();
  GAVEL_CHECK(leases.clock_ms == model.lease_clock_ms);
  GAVEL_CHECK(leases.count == static_cast<int64_t>(model.leases.size()));
  GAVEL_CHECK(gavel::testing::StoredLeases(pair.engine()) == model.leases);
  GAVEL_CHECK(gavel::testing::StoredLeaseKeys(pair.engine()) == model.LeaseKeys());
  pair.CheckEqual();
}

// What arrives as a request and passes the checks can be decoded where it is applied.
void ApplyRequest(std::string_view bytes) {
  etcdserverpb::TxnRequest txn;
  if (!ParseMessage(bytes, kRequestDepthMax, &txn)) return;
  if (server::CheckTxn(txn, kOpsMax)) return;
  Pair pair;
  const auto result = pair.Apply(Payload(CommandField::kTxn, std::string(bytes)));
  GAVEL_CHECK(result.ok()) << std::string(result.status().message());
}

// Transactions inside each other, as deep as the input says.
void ApplyNested(Choices& choices) {
  const uint64_t levels = choices.Number(2) % 1200;
  std::string bytes = MakeTxn(choices).SerializeAsString();
  for (uint64_t level = 0; level < levels; ++level) {
    // The fields that hold a nested transaction: request_txn of the operation, success of the
    // transaction; encoded by hand since the class would decode all below.
    const auto wrap = [](char tag, const std::string& inner) {
      std::string out(1, tag);
      for (size_t left = inner.size();; left >>= 7) {
        out += static_cast<char>(left < 0x80 ? left : (left & 0x7f) | 0x80);
        if (left < 0x80) break;
      }
      return out + inner;
    };
    bytes = wrap(2 << 3 | 2, wrap(4 << 3 | 2, bytes));
  }
  ApplyRequest(bytes);
}

}  // namespace

void OneInput(std::string_view input) {
  Choices choices(input);
  switch (choices.Below(kKinds)) {
    case kEncoded:
      return ApplyEncoded(choices);
    case kMade:
      return ApplyMade(choices);
    case kRequest:
      return ApplyRequest(choices.left());
    default:
      return ApplyNested(choices);
  }
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  raft::Random random(1);
  const auto bytes = [&](size_t count) {
    std::string text;
    while (text.size() < count) text += static_cast<char>(random.Below(256));
    return text;
  };
  for (size_t i = 0; i < 10; ++i) {
    std::string encoded(1, kEncoded);
    for (size_t command = 0; command <= i; ++command) {
      const std::string choices = bytes(60);
      Choices made(choices);
      const std::string payload = MakeCommand(made, 3, command + 1).SerializeAsString();
      storage::AppendLittleEndian(encoded, static_cast<uint16_t>(payload.size()));
      encoded += payload;
    }
    seeds.push_back(encoded);
    seeds.push_back(std::string(1, kMade) + bytes(40 * (i + 1)));
    const std::string choices = bytes(30 * i);
    Choices made(choices);
    seeds.push_back(std::string(1, kRequest) + MakeTxn(made).SerializeAsString());
    const uint16_t levels = static_cast<uint16_t>(i * 55);
    std::string nested(1, kNested);
    storage::AppendLittleEndian(nested, levels);
    seeds.push_back(nested + bytes(i));
  }
  return seeds;
}

void Mend(std::string&, raft::Random&) {}

}  // namespace gavel::fuzz
