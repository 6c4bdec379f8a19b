// The vocabulary of consensus: identifiers, log entries, hard state.
//
// Plain values, no behaviour. Every identifier is its own type, so that a term can never be
// passed where an index is meant.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace gavel::raft {

// A 64-bit number with a meaning. Zero means "none" for every tag below.
template <class Tag>
class Number {
 public:
  constexpr Number() = default;
  constexpr explicit Number(uint64_t value) : value_(value) {}

  constexpr uint64_t value() const { return value_; }
  constexpr bool is_none() const { return value_ == 0; }

  // The number after or before this one. Requires for Previous(): value() > 0.
  constexpr Number Next() const { return Number(value_ + 1); }
  constexpr Number Previous() const { return Number(value_ - 1); }

  friend constexpr auto operator<=>(Number, Number) = default;

  template <class H>
  friend H AbslHashValue(H state, Number number) {
    return H::combine(std::move(state), number.value_);
  }

 private:
  uint64_t value_ = 0;
};

// A numbered reign; at most one leader each; only grows.
using Term = Number<struct TermTag>;
// The position of an entry; the first entry of a history has index 1.
using Index = Number<struct IndexTag>;
// A member's permanent identity, never reused.
using NodeId = Number<struct NodeIdTag>;
// Numbers one Effects batch; completions are reported by it.
using BatchNumber = Number<struct BatchNumberTag>;
// Names one read round asked for by a driver; never used twice by one incarnation.
using ReadId = Number<struct ReadIdTag>;
// Counted up durably at every start of a member, before its first proposal.
using Incarnation = Number<struct IncarnationTag>;

// Names one proposal for ever: who took it, in which life, and its number there.
struct RequestId {
  NodeId member;
  Incarnation incarnation;
  uint64_t sequence = 0;

  friend auto operator<=>(const RequestId&, const RequestId&) = default;
};

// Bytes that are shared, immutable and opaque to Raft.
using Payload = std::shared_ptr<const std::string>;

enum class EntryKind : uint8_t {
  kEmpty = 0,          // A new leader's first entry; no payload.
  kCommand = 1,        // The state machine decodes the payload.
  kConfiguration = 2,  // The payload is an encoded Configuration.
};

// One log entry. `payload` is null for kEmpty and never null otherwise.
struct Entry {
  Index index;
  Term term;
  EntryKind kind = EntryKind::kEmpty;
  Payload payload;

  size_t payload_bytes() const { return payload ? payload->size() : 0; }
};

// What must survive a crash besides the log itself.
struct HardState {
  Term term;
  std::optional<NodeId> voted_for;
  Index commit;

  friend bool operator==(const HardState&, const HardState&) = default;
};

// An entry's name: no two different entries share one.
struct EntryId {
  Index index;
  Term term;

  friend auto operator<=>(const EntryId&, const EntryId&) = default;
};

}  // namespace gavel::raft

template <class Tag>
struct std::hash<gavel::raft::Number<Tag>> {
  size_t operator()(gavel::raft::Number<Tag> number) const noexcept {
    return std::hash<uint64_t>()(number.value());
  }
};
