// How a command of gavelctl ends when it does not succeed: a message, what to try, an exit code.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "client/status.h"

namespace gavel::client::ctl {

// etcdctl's numbers, and kNo, which is ours.
enum class ExitCode : int {
  kSuccess = 0,
  kError = 1,
  kBadConnection = 2,  // No endpoint could be reached.
  kInvalidInput = 3,   // A transaction or a file that cannot be read.
  kBadFeature = 4,     // A flag with a value that is not supported.
  kInterrupted = 5,
  kIo = 6,  // A file or the output could not be read or written.
  kNo = 7,  // The question was answered, and the answer is no.
  kBadArguments = 128,
};

struct Failure {
  ExitCode code = ExitCode::kError;
  std::string message = {};  // Empty: all has been said.
  std::string hint = {};     // What to try, as whole sentences; may be empty.
};

using MaybeFailure = std::optional<Failure>;

// A value, or why there is none.
template <class T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : content_(std::move(value)) {}            // NOLINT: converts like Result.
  Expected(Failure failure) : content_(std::move(failure)) {}  // NOLINT

  bool ok() const { return std::holds_alternative<T>(content_); }
  // Requires: ok(). Ends the process otherwise.
  T& operator*() { return *std::get_if<T>(&content_); }
  const T& operator*() const { return *std::get_if<T>(&content_); }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }
  // Requires: !ok().
  const Failure& failure() const { return *std::get_if<Failure>(&content_); }

 private:
  std::variant<T, Failure> content_;
};

inline Failure BadArguments(std::string message, std::string hint = {}) {
  return {ExitCode::kBadArguments, std::move(message), std::move(hint)};
}

// A file could not be read or written: `what`, the system's text for `error`, and what to try.
// `hint` is said after that.
Failure IoFailure(const std::string& what, int error, std::string_view hint = {});

enum class Effect { kReads, kWrites };

// What a call of the library ended with, as a failure: its text, and a hint by its reason. Of a
// write it says if the outcome is unknown.
Failure FromStatus(const Status& status, Effect effect = Effect::kReads);

// The name among `names` that `word` was probably meant to be; empty if none is near.
std::string_view Nearest(std::string_view word, const auto& names);

// How many characters must be changed, added, taken away, or swapped with their neighbour to make
// `b` of `a`.
size_t EditDistance(std::string_view a, std::string_view b);

std::string_view Nearest(std::string_view word, const auto& names) {
  std::string_view nearest;
  // One slip in four characters; of a short word more would make any other.
  size_t best = 1 + std::max<size_t>(1, word.size() / 4);
  for (const std::string_view name : names) {
    const size_t distance = EditDistance(word, name);
    if (distance < best) {
      best = distance;
      nearest = name;
    }
  }
  return nearest;
}

}  // namespace gavel::client::ctl
