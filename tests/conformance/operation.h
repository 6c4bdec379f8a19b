// One request as it goes over the wire, or one step of a stream, and one answer as it comes back.
//
// Bodies stay bytes, so that what is no message at all can be sent and compared too.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/message.h>

namespace gavel::conformance {

inline constexpr char kWatchMethod[] = "/etcdserverpb.Watch/Watch";
inline constexpr char kObserveMethod[] = "/v3electionpb.Election/Observe";
inline constexpr char kKeepAliveMethod[] = "/etcdserverpb.Lease/LeaseKeepAlive";

enum class Kind {
  kCall,       // One request, one answer.
  kOpen,       // Opens a stream.
  kSend,       // One message to a stream.
  kHalfClose,  // No more messages will be sent to a stream.
  kClose,      // Cancels a stream, once it is at rest.
  kRest,       // Waits until every stream has received what it should, and compares.
  kExpire,     // Waits until a lease ends by itself, with one revision of deletions.
  kBegin,      // One request whose answer is not waited for; what waits in line has put its key.
  kAwait,      // Waits for the next answer to that.
  kAbandon,    // Cancels that while it waits.
};

struct Operation {
  std::string method;  // "/etcdserverpb.KV/Range"; empty for kRest and kExpire.
  std::string body;
  // What etcd 3.4 ends its process at. It is not sent this; Gavel's answer alone is judged.
  bool crashes_etcd = false;
  Kind kind = Kind::kCall;
  // The stream's or waiting call's own number in this sequence. Of a grant that lets the server
  // pick an id: what the sequence calls that lease (lease_names.h).
  int64_t number = 0;
  // Of a message to a stream, and of kClose: what the stream still owes is not waited for, before
  // or after.
  bool hasty = false;
  // Of kAwait: the lease of who waits has ended.
  bool expired = false;
};

// One request, one answer.
Operation CallOf(const char* method, const google::protobuf::Message& request);

struct Answer {
  int code = 0;  // gRPC's number.
  std::string message;
  std::string body;  // Empty unless code is 0.

  bool operator==(const Answer&) const = default;
};

// An empty message of the type that `method` takes or gives; null for a method that etcd's
// contract does not have. Of a stream of chunks, what they merge to (chunks.h).
std::unique_ptr<google::protobuf::Message> NewRequest(std::string_view method);
std::unique_ptr<google::protobuf::Message> NewResponse(std::string_view method);

// As text, on one line and cut to a readable length.
std::string Describe(const Operation& operation);
std::string Describe(const Operation& operation, const Answer& answer);

// A sequence as text of one operation a line, and back. False on a line that is none.
std::string ToLines(const std::vector<Operation>& operations);
bool FromLines(std::string_view lines, std::vector<Operation>* operations);

}  // namespace gavel::conformance
