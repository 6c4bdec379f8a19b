#include "tests/sim/history.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>

#include <google/protobuf/unknown_field_set.h>

#include "absl/strings/str_cat.h"

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
    default:
      return nullptr;
  }
}

std::string Encoded(const storage::CommandResponse& response) {
  return std::visit(
      [](const auto& message) -> std::string {
        using Message = std::decay_t<decltype(message)>;
        // Clients do not renew leases yet.
        if constexpr (std::is_same_v<Message, std::monostate> ||
                      std::is_same_v<Message, storage::RenewOutcome>) {
          return "";
        } else {
          return message.SerializeAsString();
        }
      },
      response);
}

class Checker {
 public:
  Checker(const std::vector<Operation>& operations, const std::vector<raft::Payload>& log)
      : operations_(operations), log_(log) {}

  HistoryResult Run() {
    for (const Operation& operation : operations_) {
      if (operation.write) {
        writes_.emplace(operation.number, &operation);
      } else if (operation.outcome == Operation::Outcome::kAnswered) {
        reads_.emplace(operation.revision, &operation);
      }
    }
    Replay();
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

  // Applies the log to the model, and compares each answer at its place.
  void Replay() {
    next_read_ = reads_.begin();
    CheckReads();
    for (size_t i = 0; i < log_.size(); ++i) {
      if (log_[i] == nullptr) continue;
      internal::Command command;
      if (!command.ParseFromString(*log_[i])) continue;
      const google::protobuf::Message* body = BodyOf(command);
      if (body == nullptr) continue;
      const int64_t before = model_.revision();
      const testing::ModelOutcome outcome = model_.Apply(command);
      CheckWrite({i + 1, model_.revision(), model_.revision() > before}, NumberOf(*body), outcome);
      CheckReads();
    }
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
      testing::Model::RangeOutcome expected = model_.Range(operation.range);
      if (expected.error != storage::RequestError::kNone ||
          expected.response.SerializeAsString() != operation.response) {
        Fail(operation,
             absl::StrCat("at revision ", operation.revision, " the model holds something else"));
      }
    }
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
      const bool answered = operation.outcome == Operation::Outcome::kAnswered;
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
  testing::Model model_;
  std::unordered_map<uint64_t, const Operation*> writes_;
  std::multimap<int64_t, const Operation*> reads_;
  std::multimap<int64_t, const Operation*>::const_iterator next_read_;
  std::unordered_map<uint64_t, Effect> carried_out_;  // By number.
  HistoryResult result_;
};

}  // namespace

void SetNumber(google::protobuf::Message& request, uint64_t number) {
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(kNumberField, number);
}

uint64_t NumberOf(const google::protobuf::Message& request) {
  const auto& fields = request.GetReflection()->GetUnknownFields(request);
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == kNumberField) return fields.field(i).varint();
  }
  return 0;
}

HistoryResult CheckHistory(const std::vector<Operation>& operations,
                           const std::vector<raft::Payload>& log) {
  return Checker(operations, log).Run();
}

}  // namespace gavel::sim
