// How a call of the client library ended: errors as values, with a type that says what may be
// done next.
//
// Every error has three parts. Its class says whether the request may have been carried out, and
// is all that a retry may be decided on. Its reason names what programs tell apart. Its message is
// the server's text, letter by letter, or ours if no server answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace gavel::client {

// gRPC's numbers, which are etcd's.
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// What is known about the effect of a call that failed.
enum class ErrorClass : uint8_t {
  kNone,      // It did not fail.
  kRejected,  // Nothing was done, and the same request would be refused again.
  kDropped,   // Nothing was done; the same request may be sent again.
  kUnknown,   // It may or may not have been carried out. For a read: there is no answer.
};

// Why a call failed, as far as programs care. kOther: see code() and message().
enum class Reason : uint8_t {
  kNone,
  kOther,
  // The request.
  kEmptyKey,
  kEmptyRange,     // A watch of a range that holds no key.
  kKeyNotFound,    // ignore_value or ignore_lease on a key that is not there.
  kValueProvided,  // ignore_value together with a value.
  kLeaseProvided,  // ignore_lease together with a lease.
  kTooManyOperations,
  kDuplicateKey,  // Two writes of one key in a branch of a transaction.
  kInvalidSort,
  kRequestTooLarge,
  kCompacted,       // The revision is no longer kept.
  kFutureRevision,  // The revision does not exist yet.
  kLeaseNotFound,
  kLeaseExists,       // The id that was asked for is in use.
  kLeaseTtlTooLarge,  // Above 9,000,000,000 s.
  kPermissionDenied,
  kAuthentication,  // No, or a wrong, proof of who asks.
  kNotServed,       // The server does not know this call.
  // Changes of members: cluster.h says when.
  kBadMemberUrls,
  kPeerUrlExists,
  kMemberExists,
  kMemberNotFound,
  kTooManyLearners,
  kNotLearner,
  kLearnerNotReady,
  kNotEnoughStarted,
  kUnhealthyCluster,
  // The member or the cluster.
  kNoSpace,
  kTooManyRequests,
  kNoLeader,
  kLeaderChanged,
  kTimedOut,  // A member gave up waiting for the cluster.
  kStopped,   // The member is stopping.
  kLearner,   // The member is a learner and does not serve this.
  kCorrupt,
  // The way there. These texts are the library's.
  kNoEndpoint,    // No endpoint could be reached: nothing was sent.
  kDeadline,      // The call's own time was up.
  kCancelled,     // By its stop token, Pending::Cancel or the end of the Client.
  kConnection,    // The connection broke while a request was under way.
  kBadResponse,   // What came back is no message of the expected type, or none of gRPC.
  kOtherCluster,  // An endpoint belongs to another cluster than a watcher began with.
  // The helpers. These texts are the library's.
  kInvalidOptions,  // Options that exclude one another, or an endpoint that cannot be parsed.
  kNotANumber,      // Increment: the value is no decimal 64-bit number.
  kOverflow,        // Increment: the sum leaves 64 bits.
  kContention,      // Increment, Append: others kept changing the key.
  kWouldDeadlock,   // A blocking call from within a callback of the same library.
  kLeaseLost,       // A lease that was kept alive has ended, or may have.
  kHeld,            // Somebody else has the lock.
  kNotHeld,         // The lock or the leadership is not, or no longer, one's own.
};

std::string_view ToString(Code code);
std::string_view ToString(ErrorClass error_class);

// The end of a call: OK, or an error. A value, cheap to move.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, ErrorClass error_class, Reason reason, std::string message);

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  ErrorClass error_class() const { return error_class_; }
  Reason reason() const { return reason_; }
  // etcd's text where a server answered; otherwise ours, which says what to do.
  const std::string& message() const { return message_; }
  // host:port of the endpoint that gave the last answer; empty if none was asked.
  const std::string& endpoint() const { return endpoint_; }

  // True if the request has had no effect for certain.
  bool not_carried_out() const {
    return error_class_ == ErrorClass::kRejected || error_class_ == ErrorClass::kDropped;
  }

  // One line for people: code, message, endpoint, and what is known about the effect.
  std::string ToString() const;

  // For Reason::kCompacted of a watch: what is asked for next must start at or above it. Otherwise,
  // and where the server does not say, 0.
  int64_t compact_revision() const { return compact_revision_; }

  void set_endpoint(std::string endpoint) { endpoint_ = std::move(endpoint); }
  void set_compact_revision(int64_t revision) { compact_revision_ = revision; }

 private:
  Code code_ = Code::kOk;
  ErrorClass error_class_ = ErrorClass::kNone;
  Reason reason_ = Reason::kNone;
  std::string message_;
  std::string endpoint_;
  int64_t compact_revision_ = 0;
};

// Ends the process after a line on standard error: a Result was asked for what it has not.
[[noreturn]] void DieOfMissingValue(const Status& status);

// A value, or the error why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  // Requires: !status.ok().
  Result(Status status) : status_(std::move(status)) {  // NOLINT: converts like StatusOr.
    if (status_.ok()) DieOfMissingValue(status_);
  }
  Result(T value) : value_(std::move(value)) {}  // NOLINT: converts like StatusOr.

  bool ok() const { return status_.ok(); }
  explicit operator bool() const { return ok(); }
  const Status& status() const { return status_; }

  // Requires: ok(). Checked: a wrong use ends the process.
  const T& value() const& {
    if (!ok()) DieOfMissingValue(status_);
    return *value_;
  }
  T& value() & {
    if (!ok()) DieOfMissingValue(status_);
    return *value_;
  }
  T&& value() && {
    if (!ok()) DieOfMissingValue(status_);
    return std::move(*value_);
  }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace gavel::client
