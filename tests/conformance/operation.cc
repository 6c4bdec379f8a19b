#include "tests/conformance/operation.h"

#include <algorithm>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

#include "proto/etcdserverpb/auth.pb.h"
#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/parse.h"
#include "tests/conformance/chunks.h"

namespace gavel::conformance {
namespace {

constexpr size_t kTextMax = 4000;
constexpr std::string_view kCrashMark = "crashes-etcd";

const google::protobuf::MethodDescriptor* FindMethod(std::string_view method) {
  // The files whose services are looked for; naming them keeps the linker from dropping them.
  for (const auto* file : {etcdserverpb::AuthEnableRequest::descriptor()->file(),
                           etcdserverpb::MemberListRequest::descriptor()->file(),
                           etcdserverpb::PutRequest::descriptor()->file(),
                           etcdserverpb::LeaseGrantRequest::descriptor()->file(),
                           etcdserverpb::StatusRequest::descriptor()->file()}) {
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

}  // namespace

std::unique_ptr<google::protobuf::Message> NewRequest(std::string_view method) {
  const auto* found = FindMethod(method);
  return found == nullptr ? nullptr : NewMessage(found->input_type());
}

std::unique_ptr<google::protobuf::Message> NewResponse(std::string_view method) {
  const auto* found = FindMethod(method == kStreamMethod ? kWholeMethod : method);
  return found == nullptr ? nullptr : NewMessage(found->output_type());
}

std::string Describe(const Operation& operation) {
  return Cut(absl::StrCat(operation.method, " (", operation.body.size(), " bytes) ",
                          BodyText(NewRequest(operation.method), operation.body),
                          operation.crashes_etcd ? " (not sent to etcd)" : ""));
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
    absl::StrAppend(&lines, operation.method, " x", absl::BytesToHexString(operation.body),
                    operation.crashes_etcd ? " " : "",
                    operation.crashes_etcd ? std::string(kCrashMark) : std::string(), "\n");
  }
  return lines;
}

bool FromLines(std::string_view lines, std::vector<Operation>* operations) {
  const absl::string_view text(lines.data(), lines.size());
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(text, '\n', absl::SkipEmpty()))) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() < 2 || words.size() > 3 || words[1].empty() || words[1][0] != 'x') {
      return false;
    }
    if (words.size() == 3 && words[2] != kCrashMark) return false;
    const std::string hex = words[1].substr(1);
    if (hex.size() % 2 != 0 || !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit)) {
      return false;
    }
    operations->push_back({words[0], absl::HexStringToBytes(hex), words.size() == 3});
  }
  return true;
}

}  // namespace gavel::conformance
