#include "client/internal/errors.h"

#include <charconv>
#include <cstdio>
#include <utility>

namespace gavel::client::internal {
namespace {

using Row = KnownText;

constexpr std::string_view kCompactedText =
    "etcdserver: mvcc: required revision has been compacted";

constexpr std::string_view kLeaseNotFoundText = "etcdserver: requested lease not found";

// etcd's texts. A row is kDropped only if the server says so before it proposes anything.
constexpr Row kTexts[] = {
    {"etcdserver: key is not provided", ErrorClass::kRejected, Reason::kEmptyKey},
    {"mvcc: watcher range is empty", ErrorClass::kRejected, Reason::kEmptyRange},
    {"etcdserver: key not found", ErrorClass::kRejected, Reason::kKeyNotFound},
    {"etcdserver: value is provided", ErrorClass::kRejected, Reason::kValueProvided},
    {"etcdserver: lease is provided", ErrorClass::kRejected, Reason::kLeaseProvided},
    {"etcdserver: too many operations in txn request", ErrorClass::kRejected,
     Reason::kTooManyOperations},
    {"etcdserver: duplicate key given in txn request", ErrorClass::kRejected,
     Reason::kDuplicateKey},
    {"etcdserver: invalid sort option", ErrorClass::kRejected, Reason::kInvalidSort},
    {"etcdserver: request is too large", ErrorClass::kRejected, Reason::kRequestTooLarge},
    {"etcdserver: mvcc: required revision is a future revision", ErrorClass::kRejected,
     Reason::kFutureRevision},
    {kCompactedText, ErrorClass::kRejected, Reason::kCompacted},
    {kLeaseNotFoundText, ErrorClass::kRejected, Reason::kLeaseNotFound},
    {"etcdserver: lease already exists", ErrorClass::kRejected, Reason::kLeaseExists},
    {"etcdserver: too large lease TTL", ErrorClass::kRejected, Reason::kLeaseTtlTooLarge},
    // The write that fills the quota is carried out by etcd before it says so.
    {"etcdserver: mvcc: database space exceeded", ErrorClass::kUnknown, Reason::kNoSpace},
    {"etcdserver: too many requests", ErrorClass::kDropped, Reason::kTooManyRequests},
    {"etcdserver: too many bytes of range results under way, ask again for less",
     ErrorClass::kDropped, Reason::kTooManyRequests},
    {"etcdserver: permission denied", ErrorClass::kRejected, Reason::kPermissionDenied},
    {"etcdserver: user name is empty", ErrorClass::kRejected, Reason::kAuthentication},
    {"etcdserver: invalid auth token", ErrorClass::kRejected, Reason::kAuthentication},
    {"etcdserver: authentication failed, invalid user ID or password", ErrorClass::kRejected,
     Reason::kAuthentication},
    {"etcdserver: revision of auth store is old", ErrorClass::kRejected, Reason::kAuthentication},
    // Of a write, said only if no leader took it while the server waited for one.
    {"etcdserver: no leader", ErrorClass::kDropped, Reason::kNoLeader},
    // What etcd's core says if it knows of no leader to forward to.
    {"raft proposal dropped", ErrorClass::kDropped, Reason::kNoLeader},
    {"etcdserver: leader changed", ErrorClass::kUnknown, Reason::kLeaderChanged},
    {"etcdserver: server stopped", ErrorClass::kUnknown, Reason::kStopped},
    {"etcdserver: request timed out", ErrorClass::kUnknown, Reason::kTimedOut},
    {"etcdserver: request timed out, possibly due to previous leader failure", ErrorClass::kUnknown,
     Reason::kTimedOut},
    {"etcdserver: request timed out, possibly due to connection lost", ErrorClass::kUnknown,
     Reason::kTimedOut},
    {"etcdserver: request timed out, waiting for the applied index took too long",
     ErrorClass::kUnknown, Reason::kTimedOut},
    {"etcdserver: rpc not supported for learner", ErrorClass::kDropped, Reason::kLearner},
    {"etcdserver: corrupt cluster", ErrorClass::kRejected, Reason::kCorrupt},
    // Changes of members that are refused before they are proposed, or void when applied.
    {"etcdserver: member ID already exist", ErrorClass::kRejected, Reason::kMemberExists},
    {"etcdserver: Peer URLs already exists", ErrorClass::kRejected, Reason::kPeerUrlExists},
    {"etcdserver: given member URLs are invalid", ErrorClass::kRejected, Reason::kBadMemberUrls},
    {"etcdserver: member not found", ErrorClass::kRejected, Reason::kMemberNotFound},
    {"etcdserver: can only promote a learner member", ErrorClass::kRejected, Reason::kNotLearner},
    {"etcdserver: can only promote a learner member which is in sync with leader",
     ErrorClass::kRejected, Reason::kLearnerNotReady},
    {"etcdserver: too many learner members in cluster", ErrorClass::kRejected,
     Reason::kTooManyLearners},
    {"etcdserver: re-configuration failed due to not enough started members", ErrorClass::kRejected,
     Reason::kNotEnoughStarted},
    {"etcdserver: unhealthy cluster", ErrorClass::kRejected, Reason::kUnhealthyCluster},
};

// gRPC's own words for an answer that is none of gRPC; the number follows.
constexpr std::string_view kHttpStatus = "Received http2 header with status: ";

// gRPC's own words for a call that never left this process.
constexpr std::string_view kNeverSent[] = {"failed to connect to all addresses",
                                           "DNS resolution failed"};

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

std::string Hex(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

Row ByCode(Code code, std::string_view message) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
      return {{}, ErrorClass::kRejected, Reason::kOther};
    case Code::kPermissionDenied:
      return {{}, ErrorClass::kRejected, Reason::kPermissionDenied};
    case Code::kUnauthenticated:
      return {{}, ErrorClass::kRejected, Reason::kAuthentication};
    case Code::kUnimplemented:
      return {{}, ErrorClass::kRejected, Reason::kNotServed};
    case Code::kResourceExhausted:
      // A response can exhaust something too, after the request was carried out. Only a server's
      // words are about the request.
      if (StartsWith(message, "grpc: received message larger than max")) {
        return {{}, ErrorClass::kRejected, Reason::kRequestTooLarge};
      }
      if (StartsWith(message, "etcdserver: ")) return {{}, ErrorClass::kRejected, Reason::kOther};
      return {{}, ErrorClass::kUnknown, Reason::kOther};
    case Code::kInternal:
      if (StartsWith(message, "grpc: error unmarshalling request")) {
        return {{}, ErrorClass::kRejected, Reason::kOther};
      }
      return {{}, ErrorClass::kUnknown, Reason::kConnection};
    case Code::kUnavailable:
      // The connection stands.
      if (StartsWith(message, "etcdserver: ")) return {{}, ErrorClass::kUnknown, Reason::kOther};
      for (const std::string_view text : kNeverSent) {
        if (StartsWith(message, text)) return {{}, ErrorClass::kDropped, Reason::kConnection};
      }
      return {{}, ErrorClass::kUnknown, Reason::kConnection};
    case Code::kDeadlineExceeded:
      return {{}, ErrorClass::kUnknown, Reason::kDeadline};
    case Code::kUnknown:
      if (message == "Stream removed") return {{}, ErrorClass::kUnknown, Reason::kConnection};
      return {{}, ErrorClass::kUnknown, Reason::kOther};
    default:
      return {{}, ErrorClass::kUnknown, Reason::kOther};
  }
}

// Whoever answers with an HTTP status has not given the request to a member, or stands in front of
// one.
Status FromHttpStatus(Code code, std::string_view digits) {
  int number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  // Redirections and refusals. 408, 429 and 499 may be said later, and so may failures.
  const bool refused =
      number >= 300 && number < 500 && number != 408 && number != 429 && number != 499;
  return Status(code, refused ? ErrorClass::kRejected : ErrorClass::kUnknown, Reason::kBadResponse,
                "the answer is HTTP status " + std::string(digits) +
                    " and none of etcd's v3 API; is this endpoint the client port of a member?");
}

// To the nanosecond, in milliseconds if they are whole.
std::string WithUnit(std::chrono::nanoseconds time) {
  const int64_t ns = time.count();
  if (ns % 1'000'000 == 0) return std::to_string(ns / 1'000'000) + " ms";
  if (ns % 1000 == 0) return std::to_string(ns / 1000) + " \xc2\xb5s";
  return std::to_string(ns) + " ns";
}

}  // namespace

std::span<const KnownText> KnownTexts() { return kTexts; }

Status FromRpc(Code code, std::string_view message) {
  if (code == Code::kOk) return Status();
  if (StartsWith(message, kHttpStatus)) {
    return FromHttpStatus(code, message.substr(kHttpStatus.size()));
  }
  Row row = ByCode(code, message);
  for (const Row& known : kTexts) {
    if (known.text == message) row = known;
  }
  return Status(code, row.error_class, row.reason, std::string(message));
}

Status FromCancelReason(std::string_view reason) {
  // etcd writes some of them as Go prints an error with a code.
  constexpr std::string_view kDescription = " desc = ";
  if (StartsWith(reason, "rpc error: code = ")) {
    const size_t at = reason.find(kDescription);
    if (at != std::string_view::npos) reason.remove_prefix(at + kDescription.size());
  }
  for (const Row& known : kTexts) {
    if (known.text != reason) continue;
    return Status(Code::kFailedPrecondition, known.error_class, known.reason, std::string(reason));
  }
  return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kOther,
                reason.empty() ? "the server ended the watch" : std::string(reason));
}

Status WatchCompacted(int64_t compact_revision) {
  Status status(Code::kOutOfRange, ErrorClass::kRejected, Reason::kCompacted,
                std::string(kCompactedText));
  status.set_compact_revision(compact_revision);
  return status;
}

Status InvalidOptions(std::string message) {
  return Status(Code::kInvalidArgument, ErrorClass::kRejected, Reason::kInvalidOptions,
                std::move(message));
}

Status NoEndpoint(std::string details) {
  return Status(Code::kUnavailable, ErrorClass::kDropped, Reason::kNoEndpoint,
                "no endpoint can be reached: " + details +
                    "; check that the servers run and that these are their client URLs");
}

Status RequestTooLarge(size_t bytes, int64_t bytes_max) {
  return Status(Code::kResourceExhausted, ErrorClass::kRejected, Reason::kRequestTooLarge,
                "trying to send message larger than max (" + std::to_string(bytes) + " vs. " +
                    std::to_string(bytes_max) + ")");
}

Status DeadlineOver(std::chrono::nanoseconds timeout, bool sent) {
  const std::string within = " within " + WithUnit(timeout);
  return Status(Code::kDeadlineExceeded, sent ? ErrorClass::kUnknown : ErrorClass::kDropped,
                Reason::kDeadline, sent ? "no answer" + within : "could not be sent" + within);
}

Status DeadlineOverAfter(const Status& earlier, std::chrono::nanoseconds timeout) {
  const Status late = DeadlineOver(timeout, /*sent=*/true);
  return Status(
      late.code(), late.error_class(), late.reason(),
      late.message() + "; before that, " + earlier.endpoint() + " answered: " + earlier.message());
}

Status Cancelled(bool sent) {
  return Status(Code::kCancelled, sent ? ErrorClass::kUnknown : ErrorClass::kDropped,
                Reason::kCancelled, "the call was cancelled");
}

Status ClientClosed() {
  return Status(Code::kCancelled, ErrorClass::kDropped, Reason::kCancelled,
                "the client was closed");
}

Status BadResponse() {
  return Status(Code::kInternal, ErrorClass::kUnknown, Reason::kBadResponse,
                "the response is no message of the expected type; is this endpoint a server of "
                "etcd's v3 API?");
}

Status OtherCluster(uint64_t expected, uint64_t found) {
  return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kOtherCluster,
                "the watch began with cluster " + Hex(expected) + " and came to cluster " +
                    Hex(found) + ", whose revisions are others; check the endpoints");
}

Status LeaseNotFound() {
  return Status(Code::kNotFound, ErrorClass::kRejected, Reason::kLeaseNotFound,
                std::string(kLeaseNotFoundText));
}

Status LeaseLost(bool ended) {
  return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kLeaseLost,
                ended
                    ? "the lease has expired or was revoked"
                    : "no renewal of the lease was confirmed within its TTL, so it may have ended");
}

std::string ConnectError(std::string_view message) {
  constexpr std::string_view kOtherProtocol =
      "it speaks another protocol: no client port of a member";
  constexpr std::string_view kClosed =
      "it closed the connection: a port for TLS, or of another protocol?";
  constexpr std::pair<std::string_view, std::string_view> kPlainWords[] = {
      // It accepts connections and does not speak HTTP/2 in time, or drops what is sent to connect.
      {"before receiving SETTINGS frame", kNoAnswer},
      {"handshaker shutdown", kNoAnswer},
      {"http1.x server", "it speaks HTTP/1: no client port of a member"},
      {"Failed parsing HTTP/2", kOtherProtocol},
      {"Expected SETTINGS frame", kOtherProtocol},
      {"Socket closed", kClosed},
      {"Connection reset by peer", kClosed},
  };
  for (const auto& [words, plain] : kPlainWords) {
    if (message.find(words) != std::string_view::npos) return std::string(plain);
  }
  // The causes are in one line, the first of them last.
  const size_t at = message.rfind(": ");
  return std::string(at == std::string_view::npos ? message : message.substr(at + 2));
}

}  // namespace gavel::client::internal
