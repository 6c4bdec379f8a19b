#include "tests/sim/history.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>

#include <google/protobuf/unknown_field_set.h>

#include "absl/strings/str_cat.h"

#include "server/rpc/checks.h"
#include "server/rpc/error_map.h"
#include "tests/storage/mvcc/model.h"

namespace gavel::sim {
namespace {

constexpr size_t kViolationsMax = 5;

std::string Name(const Operation& operation) {
  return absl::StrCat(operation.write ? "write " : "read ", operation.number, " [",
                      static_cast<double>(operation.start) / 1e6, " ms, ",
                      static_cast<double>(operation.end) / 1e6, " ms]");
}

const google::protobuf::Message* BodyOf(const internal::Command& command) {
  switch (command.body_case()) {
    case internal::Command::kPut:
      return &command.put();
    case internal::Command::kDeleteRange:
      return &command.delete_range();
    case internal::Command::kTxn:
      return &command.txn();
    case internal::Command::kCompact:
      return &command.compact();
    case internal::Command::kLeaseGrant:
      return &command.lease_grant();
    case internal::Command::kLeaseRevoke:
      return &command.lease_revoke();
    default:
      return nullptr;
  }
}

std::string Encoded(const storage::CommandResponse& response) {
  return std::visit(
      [](const auto& message) -> std::string {
        using Message = std::decay_t<decltype(message)>;
        // Renewals are no writes of their own (lease_history.h), and alarms no keys.
        if constexpr (std::is_same_v<Message, std::monostate> ||
                      std::is_same_v<Message, storage::RenewOutcome> ||
                      std::is_same_v<Message, storage::AlarmTable>) {
          return "";
        } else {
          return message.SerializeAsString();
        }
      },
      response);
}

// What the checks say of a request, before any state is looked at.
std::optional<server::Error> CheckRequest(const Operation& operation) {
  constexpr int64_t kTxnOpsMax = 128;
  constexpr int64_t kLeaseTtlSecondsMax = 9'000'000'000;
  const internal::Command& command = operation.command;
  switch (command.body_case()) {
    case internal::Command::kPut:
      return server::CheckPut(command.put());
    case internal::Command::kDeleteRange:
      return server::CheckDeleteRange(command.delete_range());
    case internal::Command::kTxn:
      return server::CheckTxn(command.txn(), kTxnOpsMax);
    case internal::Command::kCompact:
    case internal::Command::kLeaseRevoke:
      return std::nullopt;
    case internal::Command::kLeaseGrant:
      if (command.lease_grant().ttl() <= kLeaseTtlSecondsMax) return std::nullopt;
      return server::Error::kLeaseTtlTooLarge;
    default:
      break;
  }
  const std::optional<server::Error> error = server::CheckRange(operation.range);
  return error || !operation.stream ? error : server::CheckRangeStream(operation.range);
}

class Checker {
 public:
  Checker(const std::vector<Operation>& operations, const std::vector<raft::Payload>& log,
          const std::vector<uint64_t>& terms, ReplayObserver* observer)
      : operations_(operations), log_(log), terms_(terms), observer_(observer) {}

  HistoryResult Run() {
    for (const Operation& operation : operations_) {
      if (operation.write) {
        writes_.emplace(operation.number, &operation);
      } else if (operation.outcome == Operation::Outcome::kAnswered) {
        reads_.emplace(operation.revision, &operation);
      }
    }
    PlaceRefusedReads();
    Replay();
    if (observer_ != nullptr) observer_->OnEnd(model_);
    for (; next_read_ != reads_.end(); ++next_read_) {
      Fail(*next_read_->second, "answered with a revision that the store never reached");
    }
    for (const Operation& operation : operations_) CheckPresence(operation);
    CheckRealTime();
    return std::move(result_);
  }

 private:
  void Fail(const Operation& operation, const std::string& what) {
    if (result_.violations.size() >= kViolationsMax) return;
    result_.violations.push_back(absl::StrCat("L1: ", Name(operation), ": ", what));
  }

  // A read that was refused is judged at one end of its time: at the earliest if it was told that
  // its revision is in the future, at the latest otherwise, since what is compacted stays so.
  void PlaceRefusedReads() {
    std::map<int64_t, uint64_t> begun;  // By time: the last entry of a write begun by then.
    std::map<int64_t, uint64_t> ended;
    for (size_t i = 0; i < log_.size(); ++i) {
      internal::Command command;
      if (log_[i] == nullptr || !command.ParseFromString(*log_[i])) continue;
      const google::protobuf::Message* body = BodyOf(command);
      const auto write = body == nullptr ? writes_.end() : writes_.find(NumberOf(*body));
      if (write == writes_.end()) continue;
      begun[write->second->start] = i + 1;
      if (write->second->outcome == Operation::Outcome::kAnswered) {
        ended[write->second->end] = i + 1;
      }
    }
    for (auto* entries : {&begun, &ended}) {
      uint64_t highest = 0;
      for (auto& [at, entry] : *entries) highest = entry = std::max(highest, entry);
    }
    const auto last = [](const std::map<int64_t, uint64_t>& entries, int64_t at) {
      const auto after = entries.upper_bound(at);
      return after == entries.begin() ? 0 : std::prev(after)->second;
    };
    const std::string future = server::ToStatus(storage::RequestError::kFutureRevision).message;
    for (const Operation& operation : operations_) {
      if (operation.write || operation.outcome != Operation::Outcome::kRefused) continue;
      uint64_t entry = last(begun, operation.end);
      if (operation.error == future) {
        entry = operation.serializable ? 0 : last(ended, operation.start);
      }
      refused_reads_.emplace(entry, &operation);
    }
  }

  // The refused reads that belong behind entry `index`.
  void CheckRefusedReads(uint64_t index) {
    for (auto [at, end] = refused_reads_.equal_range(index); at != end; ++at) {
      const Operation& operation = *at->second;
      if (const std::optional<server::Error> error = CheckRequest(operation)) {
        if (server::ToStatus(*error).message != operation.error) {
          Fail(operation, absl::StrCat("told \"", operation.error, "\" by mistake"));
        }
        continue;
      }
      if (!Refuses(operation)) {
        Fail(operation, absl::StrCat("told \"", operation.error, "\" by mistake"));
      }
    }
  }

  // Whether the model, as it stands, may tell a read what it was told.
  bool Refuses(const Operation& operation) {
    const auto told = [&](storage::RequestError error) {
      return error != storage::RequestError::kNone &&
             server::ToStatus(error).message == operation.error;
    };
    if (operation.command.has_txn()) {
      // Which branch was taken depends on the moment, so any range may have been refused.
      const etcdserverpb::TxnRequest& txn = operation.command.txn();
      for (const auto* ops : {&txn.success(), &txn.failure()}) {
        for (const auto& op : *ops) {
          internal::Command alone;
          *alone.mutable_txn()->add_success() = op;
          if (told(model_.Apply(alone).error)) return true;
        }
      }
      return false;
    }
    // A stream at the newest revision ends when a compaction overtakes it.
    if (operation.stream && operation.range.revision() <= 0 && model_.compacted() > 1 &&
        told(storage::RequestError::kCompacted)) {
      return true;
    }
    return told(model_.Range(operation.range).error);
  }

  // Applies the log to the model, and compares each answer at its place.
  void Replay() {
    next_read_ = reads_.begin();
    CheckReads();
    CheckRefusedReads(0);
    for (size_t i = 0; i < log_.size(); ++i) {
      Replay(i);
      CheckRefusedReads(i + 1);
    }
  }

  void Replay(size_t i) {
    internal::Command command;
    const uint64_t term = i < terms_.size() ? terms_[i] : 1;
    if (log_[i] == nullptr || !command.ParseFromString(*log_[i])) {
      // Of the core itself; the state is what it was, as of a later entry.
      if (observer_ != nullptr) observer_->OnEntry(i + 1, term, internal::Command(), {}, model_);
      return;
    }
    const google::protobuf::Message* body = BodyOf(command);
    const int64_t before = model_.revision();
    const testing::ModelOutcome outcome = model_.Apply(command, i + 1, term);
    if (body != nullptr) {
      CheckWrite({i + 1, model_.revision(), model_.revision() > before}, NumberOf(*body), outcome);
    }
    if (observer_ != nullptr) observer_->OnEntry(i + 1, term, command, outcome, model_);
    CheckReads();
  }

  // Where a write took effect, and whether it made a revision of its own.
  struct Effect {
    uint64_t index;
    int64_t revision;
    bool changed;
  };

  void CheckWrite(const Effect& effect, uint64_t number, const testing::ModelOutcome& outcome) {
    const auto found = writes_.find(number);
    if (found == writes_.end()) {
      if (result_.violations.size() < kViolationsMax) {
        result_.violations.push_back(
            absl::StrCat("D3: entry ", effect.index, " holds a write that no client sent"));
      }
      return;
    }
    const Operation& operation = *found->second;
    const uint64_t index = effect.index;
    const auto [at, fresh] = carried_out_.emplace(number, effect);
    if (!fresh) {
      return Fail(operation,
                  absl::StrCat("carried out twice, by entries ", at->second.index, " and ", index));
    }
    switch (operation.outcome) {
      case Operation::Outcome::kNotDone:
        return Fail(operation, absl::StrCat("refused for certain, but entry ", index, " has it"));
      case Operation::Outcome::kUnknown:
        return;
      case Operation::Outcome::kRefused:
        if (outcome.error == storage::RequestError::kNone ||
            server::ToStatus(outcome.error).message != operation.error) {
          Fail(operation, absl::StrCat("told \"", operation.error, "\" by mistake"));
        }
        return;
      case Operation::Outcome::kAnswered:
        if (outcome.error != storage::RequestError::kNone) {
          Fail(operation, "acknowledged, but the model refuses it");
        } else if (operation.response != Encoded(outcome.response)) {
          Fail(operation, absl::StrCat("answered otherwise than the model at entry ", index));
        }
    }
  }

  // The reads at the model's revision, before anything is compacted there.
  void CheckReads() {
    for (; next_read_ != reads_.end() && next_read_->first <= model_.revision(); ++next_read_) {
      const Operation& operation = *next_read_->second;
      if (next_read_->first < model_.revision()) {
        Fail(operation, "answered with a revision that was never visible");
        continue;
      }
      if (CheckRequest(operation).has_value() || Expected(operation) != operation.response) {
        Fail(operation,
             absl::StrCat("at revision ", operation.revision, " the model holds something else"));
      }
    }
  }

  // What the model answers to a read, or nothing if it refuses it.
  std::optional<std::string> Expected(const Operation& operation) {
    if (operation.command.has_txn()) {
      const testing::ModelOutcome outcome = model_.Apply(operation.command);
      if (outcome.error != storage::RequestError::kNone) return std::nullopt;
      return Encoded(outcome.response);
    }
    const testing::Model::RangeOutcome outcome = model_.Range(operation.range);
    if (outcome.error != storage::RequestError::kNone) return std::nullopt;
    return outcome.response.SerializeAsString();
  }

  void CheckPresence(const Operation& operation) {
    using Outcome = Operation::Outcome;
    if (!operation.write) {
      if (operation.outcome == Outcome::kAnswered) ++result_.reads;
      return;
    }
    const bool present = carried_out_.contains(operation.number);
    if (operation.outcome == Outcome::kUnknown) {
      ++result_.unknown;
      if (present) ++result_.unknown_present;
    } else if (operation.outcome == Outcome::kAnswered) {
      ++result_.writes;
      if (!present) Fail(operation, "D1: acknowledged, and in no committed entry");
    } else if (operation.outcome == Outcome::kRefused && !present) {
      // Only the checks refuse what no entry holds.
      const std::optional<server::Error> error = CheckRequest(operation);
      if (!error.has_value() || server::ToStatus(*error).message != operation.error) {
        Fail(operation, absl::StrCat("told \"", operation.error, "\", and in no entry"));
      }
    }
  }

  // In order of time: what begins after something has ended comes after it. Writes are placed by
  // their entries, reads by revisions.
  void CheckRealTime() {
    struct Moment {
      int64_t at;
      bool end;
      const Operation* operation;
    };
    std::vector<Moment> moments;
    for (const Operation& operation : operations_) {
      if (operation.write && !carried_out_.contains(operation.number)) continue;
      // A write that the state refused has a place in the log like any other.
      const bool answered = operation.outcome == Operation::Outcome::kAnswered ||
                            (operation.write && operation.outcome == Operation::Outcome::kRefused);
      if (!operation.write && !answered) continue;
      // A write of unknown outcome ends never, but it cannot have been seen before it began.
      moments.push_back({operation.start, false, &operation});
      if (answered) moments.push_back({operation.end, true, &operation});
    }
    std::stable_sort(moments.begin(), moments.end(), [](const Moment& a, const Moment& b) {
      return std::pair(a.at, a.end) < std::pair(b.at, b.end);
    });
    uint64_t index_floor = 0;
    int64_t revision_floor = 0;
    for (const Moment& moment : moments) {
      const Operation& operation = *moment.operation;
      if (operation.serializable) continue;
      const Effect effect = operation.write ? carried_out_.at(operation.number)
                                            : Effect{0, operation.revision, false};
      if (moment.end) {
        index_floor = std::max(index_floor, effect.index);
        revision_floor = std::max(revision_floor, effect.revision);
        continue;
      }
      const bool stale = effect.revision < revision_floor ||
                         (effect.changed && effect.revision == revision_floor) ||
                         (operation.write && effect.index <= index_floor);
      if (stale) {
        Fail(operation, absl::StrCat("stale: revision ", revision_floor, " and entry ", index_floor,
                                     " had been answered before it began"));
      }
    }
  }

  const std::vector<Operation>& operations_;
  const std::vector<raft::Payload>& log_;
  const std::vector<uint64_t>& terms_;
  ReplayObserver* const observer_;
  testing::Model model_;
  std::unordered_map<uint64_t, const Operation*> writes_;
  std::multimap<int64_t, const Operation*> reads_;
  std::multimap<int64_t, const Operation*>::const_iterator next_read_;
  std::multimap<uint64_t, const Operation*> refused_reads_;  // By the entry to judge them behind.
  std::unordered_map<uint64_t, Effect> carried_out_;         // By number.
  HistoryResult result_;
};

}  // namespace

void SetNumber(google::protobuf::Message& request, uint64_t number) {
  google::protobuf::UnknownFieldSet* const fields =
      request.GetReflection()->MutableUnknownFields(&request);
  fields->DeleteByNumber(kNumberField);
  fields->AddVarint(kNumberField, number);
}

uint64_t NumberOf(const google::protobuf::Message& request) {
  const auto& fields = request.GetReflection()->GetUnknownFields(request);
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == kNumberField) return fields.field(i).varint();
  }
  return 0;
}

HistoryResult CheckHistory(const std::vector<Operation>& operations,
                           const std::vector<raft::Payload>& log,
                           const std::vector<uint64_t>& terms, ReplayObserver* observer) {
  return Checker(operations, log, terms, observer).Run();
}

}  // namespace gavel::sim
