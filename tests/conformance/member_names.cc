#include "tests/conformance/member_names.h"

#include <memory>

#include <google/protobuf/descriptor.h>

#include "proto/parse.h"
#include "tests/conformance/operation.h"

namespace gavel::conformance {

std::string MemberNames::ToIds(std::string_view method, std::string body) const {
  const bool names_one = method.starts_with("/etcdserverpb.Cluster/") ||
                         method.starts_with("/etcdserverpb.Maintenance/Alarm");
  const auto request = names_one ? NewRequest(method) : nullptr;
  if (request == nullptr || !ParseMessage(body, kCommandDepthMax, request.get())) return body;
  const auto* type = request->GetDescriptor();
  const auto* field = type->FindFieldByName("ID");
  if (field == nullptr) field = type->FindFieldByName("memberID");
  if (field == nullptr) return body;
  const auto* reflection = request->GetReflection();
  const auto known = ids_.find(reflection->GetUInt64(*request, field));
  if (known == ids_.end()) return body;
  reflection->SetUInt64(request.get(), field, known->second);
  return request->SerializeAsString();
}

}  // namespace gavel::conformance
