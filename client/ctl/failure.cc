#include "client/ctl/failure.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace gavel::client::ctl {
namespace {

constexpr std::string_view kMayHaveHappened =
    "It is not known whether this was carried out: look before you do it again.";

constexpr char kHowMembersAre[] = "'gavelctl endpoint status --cluster'";

// About the way to a member, or the member that was asked.
std::string HintOfEndpoint(const Status& status) {
  const std::string member = status.endpoint().empty() ? "The server" : status.endpoint();
  const std::string how_members_are = kHowMembersAre;
  switch (status.reason()) {
    case Reason::kNoEndpoint:
      return "Name the endpoints with --endpoints host:port,... or ETCDCTL_ENDPOINTS, and give "
             "slow networks more time with --dial-timeout.";
    case Reason::kDeadline:
      return (status.endpoint().empty() ? ""
                                        : member +
                                              " did not answer in time, as one does that is "
                                              "too busy or has no quorum. ") +
             "See how the members are with " + how_members_are +
             ", and give it more time with --command-timeout.";
    case Reason::kTimedOut:
      return "Told by " + member + ". See how the members are with " + how_members_are +
             ": more than half of them must run.";
    case Reason::kNoLeader:
    case Reason::kLeaderChanged:
      return "The cluster has no leader at the moment; see how many members are up with " +
             how_members_are + ".";
    case Reason::kConnection:
      return (status.error_class() == ErrorClass::kDropped
                  ? "No connection to " + member + " could be made. "
                  : member + " broke off before the answer was whole. ") +
             "Try again, see how the members are with " + how_members_are +
             ", or name others with --endpoints.";
    case Reason::kBadResponse:
      return "Told by " + member +
             ". Name the members' client URLs with --endpoints host:port,... or ETCDCTL_ENDPOINTS.";
    case Reason::kStopped:
      return member + " is stopping. Try again, or name others with --endpoints.";
    case Reason::kTooManyRequests:
      return member + " is overloaded; try again in a moment.";
    case Reason::kNotServed:
      return member + " is of a release that does not serve this.";
    case Reason::kLearner:
      return member + " is a learner; name the endpoint of a voter.";
    case Reason::kCorrupt:
      return "Members hold different data: compare them with 'gavelctl endpoint hashkv --cluster'.";
    case Reason::kOther:
      if (status.endpoint().empty() || status.not_carried_out()) return {};
      return "Told by " + member + ".";
    default:
      return {};
  }
}

std::string HintOfRequest(Reason reason) {
  switch (reason) {
    case Reason::kEmptyKey:
      return "Give a key. All keys are '' with --prefix.";
    case Reason::kKeyNotFound:
      return "--ignore-value and --ignore-lease are for keys that exist.";
    case Reason::kValueProvided:
      return "--ignore-value keeps the value that the key has; give no other.";
    case Reason::kLeaseProvided:
      return "--ignore-lease keeps the lease that the key has; give no other with --lease.";
    case Reason::kInvalidSort:
      return "See --order and --sort-by in 'gavelctl get --help'.";
    case Reason::kCompacted:
      return "The history below the compacted revision is gone; ask for a newer revision, or "
             "without one for the newest.";
    case Reason::kFutureRevision:
      return "The newest revision is in the header of any answer: 'gavelctl get \"\" --prefix "
             "--count-only -w fields'.";
    case Reason::kTooManyOperations:
      return "Split it, or start the servers with a larger --max-txn-ops.";
    case Reason::kDuplicateKey:
      return "A branch of a transaction may write a key only once.";
    case Reason::kRequestTooLarge:
      return "Split it, or start the servers (and this program, if it was given) with a larger "
             "--max-request-bytes.";
    case Reason::kLeaseNotFound:
      return "The lease has expired or was never granted; its id is written in hexadecimal.";
    case Reason::kLeaseTtlTooLarge:
      return "9000000000 seconds are the most.";
    case Reason::kNoSpace:
      return "Delete keys and compact the history: the members are over their quota.";
    case Reason::kPermissionDenied:
    case Reason::kAuthentication:
      return "This cluster asks for a user, which this release cannot log in as.";
    case Reason::kBadMemberUrls:
      return "Peer URLs look like http://host:2380, with commas between them.";
    case Reason::kPeerUrlExists:
      return "'gavelctl member list' shows which member has it.";
    case Reason::kMemberExists:
      return "Try again: each try makes another id.";
    case Reason::kMemberNotFound:
      return "'gavelctl member list' shows the ids; that of a removed member never comes back.";
    case Reason::kTooManyLearners:
      return "Promote or remove the learner that 'gavelctl member list' shows, or start the "
             "servers "
             "with a larger --max-learners.";
    case Reason::kNotLearner:
      return "It is a voter already.";
    case Reason::kLearnerNotReady:
      return "Try again when it has caught up: 'gavelctl endpoint status --cluster' shows how far "
             "each member is.";
    case Reason::kNotEnoughStarted:
      return "Afterwards too few of the members would run. Start those that are down or that "
             "'gavelctl member list' shows as unstarted first.";
    case Reason::kUnhealthyCluster:
      return "More than half of the voters, with those that the change brings, must have been "
             "connected for 5 s: see 'gavelctl endpoint status --cluster', and try again.";
    case Reason::kNotANumber:
      return "Only keys that hold a decimal number can be counted up.";
    case Reason::kOverflow:
      return "Count by a smaller number, or put the key anew: it holds from "
             "-9223372036854775808 to 9223372036854775807.";
    case Reason::kContention:
      return "Others kept changing the key; try again.";
    default:
      return {};
  }
}

// Of an error number of the system.
std::string HintOfSystem(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return "Check the name: the file, or a folder on the way to it, is not there.";
    case EACCES:
    case EPERM:
      return "Name another file, or run this as a user who may use that one.";
    case EROFS:
      return "Name a file on another disk: nothing can be written to this one.";
    case EISDIR:
      return "That is a folder: name a file in it.";
    case ENOSPC:
    case EDQUOT:
      return "Make room on that disk, or name a file on another.";
    default:
      return "Check the file and the disk that it is on, or name another.";
  }
}

}  // namespace

Failure IoFailure(const std::string& what, int error, std::string_view hint) {
  Failure failure{ExitCode::kIo, what + ": " + strerror(error), HintOfSystem(error)};
  if (!hint.empty()) failure.hint += "\n" + std::string(hint);
  return failure;
}

Failure FromStatus(const Status& status, Effect effect) {
  Failure failure{ExitCode::kError, status.message(), HintOfEndpoint(status)};
  if (failure.hint.empty()) failure.hint = HintOfRequest(status.reason());
  // What a member's port for peers answers to everything else (server/peer).
  constexpr std::string_view kForPeers = "this port is for peers";
  if (status.reason() == Reason::kNotServed &&
      status.message().find(kForPeers) != std::string::npos) {
    failure.hint = "Members talk to each other at " + status.endpoint() +
                   ": name their client URLs with --endpoints.";
  }
  // gRPC's words.
  constexpr std::string_view kTooLarge = "Received message larger than max";
  if (status.code() == Code::kResourceExhausted && status.message().starts_with(kTooLarge)) {
    failure.hint = "Give it a larger --max-recv-bytes, or ask for less, with --limit say.";
  }
  if (status.reason() == Reason::kNoEndpoint) failure.code = ExitCode::kBadConnection;
  if (effect == Effect::kWrites && status.error_class() == ErrorClass::kUnknown) {
    failure.hint =
        std::string(kMayHaveHappened) + (failure.hint.empty() ? "" : "\n") + failure.hint;
  }
  if (status.reason() == Reason::kInvalidOptions) failure.code = ExitCode::kBadArguments;
  return failure;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::vector<size_t> last_row;
  std::vector<size_t> last_but_one;
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    last_but_one = std::exchange(last_row, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last_row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last_row[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], last_but_one[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace gavel::client::ctl
