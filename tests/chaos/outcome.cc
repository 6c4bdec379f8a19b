#include "tests/chaos/outcome.h"

namespace gavel::chaos {

Outcome OutcomeOf(server::StatusCode code, std::string_view text) {
  using server::StatusCode;
  if (text == "etcdserver: no leader" || text == "etcdserver: too many requests") {
    return Outcome::kDropped;
  }
  switch (code) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
    case StatusCode::kNotFound:
    case StatusCode::kResourceExhausted:
      return Outcome::kRefused;
    default:
      return Outcome::kUnknown;
  }
}

}  // namespace gavel::chaos
