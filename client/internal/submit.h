// From a message to a Pending of what is wanted of the response.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/internal/convert.h"
#include "client/internal/core.h"
#include "client/internal/errors.h"
#include "client/pending.h"
#include "proto/parse.h"

namespace gavel::client::internal {

inline constexpr bool kRead = true;
inline constexpr bool kWrite = false;

// Starts a call. `convert` makes the result of the decoded response; it runs on the Core's
// thread.
template <class T, class Response>
Pending<T> Submit(const std::shared_ptr<Core>& core, const char* method,
                  const google::protobuf::MessageLite& request, bool read_only, CallOptions options,
                  std::function<Result<T>(Response*)> convert) {
  auto state = std::make_shared<PendingState<T>>();
  CallPtr call = core->Start({.method = method,
                              .request = request.SerializeAsString(),
                              .read_only = read_only,
                              .options = std::move(options)},
                             [state, convert](Status status, std::string bytes) {
                               if (!status.ok()) return state->Complete(std::move(status));
                               Response response;
                               if (!ParseMessage(bytes, kCommandDepthMax, &response)) {
                                 Status bad = BadResponse();
                                 bad.set_endpoint(status.endpoint());
                                 return state->Complete(std::move(bad));
                               }
                               state->Complete(convert(&response));
                             });
  return Pending<T>(state, [weak = std::weak_ptr(core), target = std::weak_ptr(call)] {
    const std::shared_ptr<Core> alive = weak.lock();
    const CallPtr running = target.lock();
    if (alive && running) alive->Cancel(running);
  });
}

// The same where the result is the response itself, by FromProto.
template <class T, class Response>
Pending<T> Submit(const std::shared_ptr<Core>& core, const char* method,
                  const google::protobuf::MessageLite& request, bool read_only,
                  CallOptions options) {
  return Submit<T, Response>(core, method, request, read_only, std::move(options),
                             [](Response* response) { return Result<T>(FromProto(response)); });
}

// A call that has ended before it began.
template <class T>
Pending<T> Ended(Result<T> result) {
  auto state = std::make_shared<PendingState<T>>();
  state->Complete(std::move(result));
  return Pending<T>(state, [] {});
}

struct PendingAccess {
  // Waits for a call to which there is no other handle.
  template <class T>
  static Result<T> Take(Pending<T> pending) {
    return pending.state_->Take();
  }
};

// The blocking form of a call: refuses to begin where it could not end.
template <class Start>
auto Block(Start start) -> decltype(start().Get()) {
  if (OnClientThread()) {
    const Status status = WouldDeadlock();
    return Status(status.code(), ErrorClass::kRejected, status.reason(), status.message());
  }
  return PendingAccess::Take(start());
}

}  // namespace gavel::client::internal
