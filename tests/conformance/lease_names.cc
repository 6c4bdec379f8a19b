#include "tests/conformance/lease_names.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include <google/protobuf/descriptor.h>

#include "proto/parse.h"

namespace gavel::conformance {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kLeaseFields[] = {
    "etcdserverpb.PutRequest.lease",
    "etcdserverpb.Compare.lease",
    "mvccpb.KeyValue.lease",
    "etcdserverpb.LeaseGrantRequest.ID",
    "etcdserverpb.LeaseGrantResponse.ID",
    "etcdserverpb.LeaseRevokeRequest.ID",
    "etcdserverpb.LeaseKeepAliveRequest.ID",
    "etcdserverpb.LeaseKeepAliveResponse.ID",
    "etcdserverpb.LeaseTimeToLiveRequest.ID",
    "etcdserverpb.LeaseTimeToLiveResponse.ID",
    "etcdserverpb.LeaseStatus.ID",
};

bool IsLease(const FieldDescriptor& field) {
  return std::find(std::begin(kLeaseFields), std::end(kLeaseFields),
                   std::string_view(field.full_name())) != std::end(kLeaseFields);
}

}  // namespace

bool LeaseNames::Learn(int64_t name, int64_t id) {
  if (id <= 0 || names_.contains(id)) return false;
  ids_[name] = id;
  names_[id] = name;
  return true;
}

bool LeaseNames::Replace(const Table& table, Message& message) {
  if (table.empty()) return false;
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  bool replaced = false;
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const int size = field->is_repeated() ? reflection->FieldSize(message, field) : 0;
      for (int i = 0; i < size; ++i) {
        replaced |= Replace(table, *reflection->MutableRepeatedMessage(&message, field, i));
      }
      if (!field->is_repeated()) {
        replaced |= Replace(table, *reflection->MutableMessage(&message, field));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64 && IsLease(*field)) {
      const auto found = table.find(reflection->GetInt64(message, field));
      if (found == table.end()) continue;
      reflection->SetInt64(&message, field, found->second);
      replaced = true;
    }
  }
  return replaced;
}

std::string LeaseNames::Replace(const Table& table, std::string_view bytes, Message* empty) {
  if (table.empty() || empty == nullptr || !ParseMessage(bytes, kCommandDepthMax, empty) ||
      !Replace(table, *empty)) {
    return std::string(bytes);
  }
  return empty->SerializeAsString();
}

std::string LeaseNames::ToIds(std::string_view bytes, Message* empty) const {
  return Replace(ids_, bytes, empty);
}

std::string LeaseNames::ToNames(std::string_view bytes, Message* empty) const {
  return Replace(names_, bytes, empty);
}

}  // namespace gavel::conformance
