// Has a command replicated, and turns its outcome into the end of a call.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "raft/check.h"
#include "server/rpc/checks.h"
#include "server/rpc/error_map.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Proposes `bytes`; on success hands the Response, with its full header, to `finish`.
template <class Response, class Finish>
void Propose(const ServiceSurroundings& s, CommandField field, std::string bytes,
             std::optional<MonotonicNs> deadline, Completion done, Finish finish) {
  if (const auto error = CheckRequestBytes(bytes.size(), s.limits.request_bytes_max)) {
    return Fail(std::move(done), ToStatus(*error));
  }
  s.gate->Propose(field, std::move(bytes), deadline,
                  [gate = s.gate, done = std::move(done),
                   finish = std::move(finish)](ProposeResult result) mutable {
                    if (result.result == GateResult::kRefused) {
                      return Fail(std::move(done), ToStatus(result.outcome.error));
                    }
                    if (result.result != GateResult::kOk) {
                      return Fail(std::move(done), ToStatus(result.result));
                    }
                    if (result.outcome.response_too_large) {
                      return Fail(std::move(done), WriteAnswerTooLarge());
                    }
                    auto* response = std::get_if<Response>(&result.outcome.response);
                    GAVEL_CHECK(response != nullptr) << "the outcome is of another command";
                    FillHeader(*gate, result.term, response->mutable_header());
                    finish(std::move(*response), std::move(done));
                  });
}

// Whether the call, which would add to the store, is refused for want of space, and has been ended.
// Only spares the log an entry: what has the say is the state machine.
inline bool RefusedForSpace(const ServiceSurroundings& s, Completion& done) {
  if (!s.gate->no_space()) return false;
  Fail(std::move(done), ToStatus(Error::kNoSpace));
  return true;
}

// Ends a call with the response as it is.
struct Answer {
  explicit Answer(const ServiceSurroundings& s) : surroundings(s) {}
  template <class Response>
  void operator()(Response response, Completion done) const {
    AnswerWrite(surroundings, std::move(done), response);
  }
  ServiceSurroundings surroundings;
};

}  // namespace gavel::server
