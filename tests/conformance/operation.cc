#include "tests/conformance/operation.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

#include "proto/etcdserverpb/auth.pb.h"
#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "proto/parse.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "tests/conformance/chunks.h"

namespace gavel::conformance {
namespace {

constexpr size_t kTextMax = 4000;
constexpr std::string_view kCrashMark = "crashes-etcd";
constexpr std::string_view kHastyMark = "hasty";
constexpr std::string_view kExpiredMark = "expired";
constexpr std::string_view kNumberMark = "number=";
// In the order of Kind. A method or a body that is empty is written as this and no more.
constexpr std::string_view kKinds[] = {"call", "open",   "send",  "half-close", "close",
                                       "rest", "expire", "begin", "await",      "abandon"};
constexpr std::string_view kNoMethod = "-";

const google::protobuf::MethodDescriptor* FindMethod(std::string_view method) {
  // The files whose services are looked for; naming them keeps the linker from dropping them.
  for (const auto* file : {etcdserverpb::AuthEnableRequest::descriptor()->file(),
                           etcdserverpb::MemberListRequest::descriptor()->file(),
                           etcdserverpb::PutRequest::descriptor()->file(),
                           etcdserverpb::LeaseGrantRequest::descriptor()->file(),
                           etcdserverpb::StatusRequest::descriptor()->file(),
                           etcdserverpb::WatchRequest::descriptor()->file(),
                           v3electionpb::LeaderKey::descriptor()->file(),
                           v3lockpb::LockRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      const auto* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) {
        if (absl::StrCat("/", service->full_name(), "/", service->method(j)->name()) ==
            std::string(method)) {
          return service->method(j);
        }
      }
    }
  }
  return nullptr;
}

std::unique_ptr<google::protobuf::Message> NewMessage(const google::protobuf::Descriptor* type) {
  const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  return std::unique_ptr<google::protobuf::Message>(prototype->New());
}

std::string BodyText(const std::unique_ptr<google::protobuf::Message>& message,
                     std::string_view body) {
  if (message == nullptr || !ParseMessage(body, kCommandDepthMax, message.get())) {
    return absl::StrCat(
        "bytes \"", absl::CEscape(absl::string_view(body.data(), std::min(body.size(), kTextMax))),
        "\"");
  }
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.SetTruncateStringFieldLongerThan(200);
  std::string text;
  printer.PrintToString(*message, &text);
  return absl::StrCat("{ ", text, "}");
}

std::string Cut(std::string text) {
  if (text.size() <= kTextMax) return text;
  return absl::StrCat(text.substr(0, kTextMax), "... (", text.size(), " bytes of text)");
}

// One of the words that follow method and body.
bool ReadMark(const std::string& word, Operation* operation) {
  if (word == kCrashMark) {
    operation->crashes_etcd = true;
    return true;
  }
  if (word == kHastyMark) {
    operation->hasty = true;
    return true;
  }
  if (word == kExpiredMark) {
    operation->expired = true;
    return true;
  }
  if (word.starts_with(kNumberMark)) {
    return absl::SimpleAtoi(word.substr(kNumberMark.size()), &operation->number);
  }
  const auto* kind = std::find(std::begin(kKinds), std::end(kKinds), word);
  if (kind == std::end(kKinds)) return false;
  operation->kind = static_cast<Kind>(kind - std::begin(kKinds));
  return true;
}

}  // namespace

Operation CallOf(const char* method, const google::protobuf::Message& request) {
  return {method, request.SerializeAsString()};
}

std::unique_ptr<google::protobuf::Message> NewRequest(std::string_view method) {
  const auto* found = FindMethod(method);
  return found == nullptr ? nullptr : NewMessage(found->input_type());
}

std::unique_ptr<google::protobuf::Message> NewResponse(std::string_view method) {
  const auto* found = FindMethod(method == kStreamMethod ? kWholeMethod : method);
  return found == nullptr ? nullptr : NewMessage(found->output_type());
}

std::string Describe(const Operation& operation) {
  std::string text;
  if (operation.kind != Kind::kCall) {
    text = absl::StrCat(std::string(kKinds[static_cast<size_t>(operation.kind)]), " ",
                        operation.number, operation.hasty ? " in haste " : " ");
  }
  if (operation.kind == Kind::kCall || operation.kind == Kind::kSend ||
      operation.kind == Kind::kBegin) {
    absl::StrAppend(&text, operation.method, " (", operation.body.size(), " bytes) ",
                    BodyText(NewRequest(operation.method), operation.body),
                    operation.crashes_etcd ? " (not sent to etcd)" : "");
  } else {
    absl::StrAppend(&text, operation.method);
  }
  return Cut(text);
}

std::string Describe(const Operation& operation, const Answer& answer) {
  if (answer.code != 0) {
    return absl::StrCat("code ", answer.code, " \"", absl::CEscape(answer.message), "\"");
  }
  return Cut(BodyText(NewResponse(operation.method), answer.body));
}

std::string ToLines(const std::vector<Operation>& operations) {
  std::string lines;
  for (const Operation& operation : operations) {
    absl::StrAppend(&lines, operation.method.empty() ? std::string(kNoMethod) : operation.method,
                    " x", absl::BytesToHexString(operation.body));
    if (operation.crashes_etcd) absl::StrAppend(&lines, " ", std::string(kCrashMark));
    if (operation.kind != Kind::kCall) {
      absl::StrAppend(&lines, " ", std::string(kKinds[static_cast<size_t>(operation.kind)]));
    }
    if (operation.hasty) absl::StrAppend(&lines, " ", std::string(kHastyMark));
    if (operation.expired) absl::StrAppend(&lines, " ", std::string(kExpiredMark));
    if (operation.number != 0) {
      absl::StrAppend(&lines, " ", std::string(kNumberMark), operation.number);
    }
    lines += '\n';
  }
  return lines;
}

bool FromLines(std::string_view lines, std::vector<Operation>* operations) {
  const absl::string_view text(lines.data(), lines.size());
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(text, '\n', absl::SkipEmpty()))) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() < 2 || words[1].empty() || words[1][0] != 'x') return false;
    const std::string hex = words[1].substr(1);
    if (hex.size() % 2 != 0 || !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit)) {
      return false;
    }
    Operation operation{words[0] == kNoMethod ? "" : words[0], absl::HexStringToBytes(hex)};
    for (size_t i = 2; i < words.size(); ++i) {
      if (!ReadMark(words[i], &operation)) return false;
    }
    operations->push_back(std::move(operation));
  }
  return true;
}

}  // namespace gavel::conformance
