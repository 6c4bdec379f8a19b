// From how an attempt ended to what a program is told: classes and reasons of all errors.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "client/status.h"

namespace gavel::client::internal {

// What gRPC reported. Whatever is not certain to have had no effect is kUnknown; etcd's texts are
// looked at before the codes, since etcd sends some with code UNKNOWN.
Status FromRpc(Code code, std::string_view message);

// A text of etcd's that says more than its code. Of a text that is not among them the code decides.
struct KnownText {
  std::string_view text;
  ErrorClass error_class;
  Reason reason;
};
std::span<const KnownText> KnownTexts();

// Why a server ended one watcher of a stream that goes on.
Status FromCancelReason(std::string_view reason);
// The history that a watch is to start in was given up; it is kept from `compact_revision` on.
Status WatchCompacted(int64_t compact_revision);

// --- Errors of the library's own ------------------------------------------------------------

Status InvalidOptions(std::string message);
// Nothing was sent; `details` names the endpoints and what is wrong with each.
Status NoEndpoint(std::string details);
// By ClientOptions::request_bytes_max; nothing was sent. As etcd's own client says it.
Status RequestTooLarge(size_t bytes, int64_t bytes_max);
// No answer came in time. `sent`: the request may have arrived.
Status DeadlineOver(std::chrono::nanoseconds timeout, bool sent);
// The same of a request that was sent again after `earlier`, which says more: both are told.
Status DeadlineOverAfter(const Status& earlier, std::chrono::nanoseconds timeout);
Status Cancelled(bool sent);
Status ClientClosed();
Status BadResponse();
// The watch began with cluster `expected`.
Status OtherCluster(uint64_t expected, uint64_t found);
Status LeaseNotFound();
// `ended`: the servers say so, rather than the clock.
Status LeaseLost(bool ended);

inline constexpr std::string_view kNoAnswer = "no answer to the attempt to connect";
// What is worth telling of gRPC's reason why a connection could not be made.
std::string ConnectError(std::string_view message);

}  // namespace gavel::client::internal
