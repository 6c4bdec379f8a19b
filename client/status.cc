#include "client/status.h"

#include <cstdio>
#include <cstdlib>

namespace gavel::client {

std::string_view ToString(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kCancelled:
      return "Canceled";
    case Code::kUnknown:
      return "Unknown";
    case Code::kInvalidArgument:
      return "InvalidArgument";
    case Code::kDeadlineExceeded:
      return "DeadlineExceeded";
    case Code::kNotFound:
      return "NotFound";
    case Code::kAlreadyExists:
      return "AlreadyExists";
    case Code::kPermissionDenied:
      return "PermissionDenied";
    case Code::kResourceExhausted:
      return "ResourceExhausted";
    case Code::kFailedPrecondition:
      return "FailedPrecondition";
    case Code::kAborted:
      return "Aborted";
    case Code::kOutOfRange:
      return "OutOfRange";
    case Code::kUnimplemented:
      return "Unimplemented";
    case Code::kInternal:
      return "Internal";
    case Code::kUnavailable:
      return "Unavailable";
    case Code::kDataLoss:
      return "DataLoss";
    case Code::kUnauthenticated:
      return "Unauthenticated";
  }
  return "Unknown";
}

std::string_view ToString(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::kNone:
      return "none";
    case ErrorClass::kRejected:
      return "rejected";
    case ErrorClass::kDropped:
      return "dropped";
    case ErrorClass::kUnknown:
      return "unknown";
  }
  return "unknown";
}

Status::Status(Code code, ErrorClass error_class, Reason reason, std::string message)
    : code_(code), error_class_(error_class), reason_(reason), message_(std::move(message)) {}

std::string Status::ToString() const {
  if (ok()) return "OK";
  std::string text(client::ToString(code_));
  text += ": " + message_;
  if (!endpoint_.empty()) text += " [" + endpoint_ + "]";
  text += error_class_ == ErrorClass::kUnknown ? " (outcome unknown)" : " (nothing was done)";
  return text;
}

void DieOfMissingValue(const Status& status) {
  std::fprintf(stderr, "gavel::client::Result: %s\n",
               status.ok() ? "made of a status that is no error"
                           : ("there is no value, but an error: " + status.ToString()).c_str());
  std::abort();
}

}  // namespace gavel::client
