// What clients saw, and the check that one linear history explains all of it.
//
// The committed log itself claims the order. The check replays it on a model of the store and
// compares: order with real time (a sweep, O(n log n)), every answer with the model's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/internal/command.pb.h"
#include "raft/types.h"
#include "tests/storage/mvcc/model.h"

namespace gavel::sim {

// One request of a client. Writes carry their number in the request, in a field that no message
// of the contract has; the log keeps the bytes as they were sent.
struct Operation {
  enum class Outcome : uint8_t {
    kUnknown,   // No answer, or one that leaves it open.
    kAnswered,  // `response` is what the member said.
    kRefused,   // By the checks, or by the state: `error` says how.
    kNotDone,   // Certainly not carried out.
  };
  uint64_t number = 0;
  bool write = false;
  bool serializable = false;
  bool stream = false;  // A read whose answer came in chunks.
  int64_t start = 0;
  int64_t end = 0;
  Outcome outcome = Outcome::kUnknown;
  internal::Command command;         // Of a write, or a transaction that only reads.
  etcdserverpb::RangeRequest range;  // Of any other read.
  std::string response;              // Encoded, with the header's revision alone.
  int64_t revision = 0;              // From its header.
  std::string error;
};

// The number that a client put into a request, or 0.
inline constexpr int kNumberField = 1000;
void SetNumber(google::protobuf::Message& request, uint64_t number);
uint64_t NumberOf(const google::protobuf::Message& request);

struct HistoryResult {
  std::vector<std::string> violations;
  uint64_t writes = 0;   // Acknowledged.
  uint64_t reads = 0;    // Answered.
  uint64_t unknown = 0;  // Writes.
  uint64_t unknown_present = 0;
};

// Is told of the log as the model carries it out, entry by entry; of an empty command where an
// entry carries none.
class ReplayObserver {
 public:
  virtual ~ReplayObserver() = default;
  virtual void OnEntry(uint64_t index, uint64_t term, const internal::Command& command,
                       const testing::ModelOutcome& outcome, const testing::Model& after) = 0;
  virtual void OnEnd(const testing::Model& model) = 0;
};

// Payloads of the committed log from index 1 on; null for what is no command. `terms`: of the
// same entries; 1 if there are none. `observer` may be null.
HistoryResult CheckHistory(const std::vector<Operation>& operations,
                           const std::vector<raft::Payload>& log,
                           const std::vector<uint64_t>& terms = {},
                           ReplayObserver* observer = nullptr);

}  // namespace gavel::sim
