#include "tests/conformance/difference.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/unknown_field_set.h>

#include "absl/strings/str_cat.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/header.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"

namespace gavel::conformance {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Fields of responses whose value means nothing outside their own cluster: that they are there is
// compared, and what an answer says about itself (Contradictions, CheckMemberIds).
constexpr std::string_view kOwnToACluster[] = {
    // Ids are hashes over names, addresses and, in etcd, the time.
    "etcdserverpb.ResponseHeader.cluster_id",
    "etcdserverpb.ResponseHeader.member_id",
    "etcdserverpb.Member.ID",
    "etcdserverpb.AlarmMember.memberID",
    "etcdserverpb.StatusResponse.leader",
    // How often a cluster has elected, and how many entries it has written besides requests.
    "etcdserverpb.ResponseHeader.raft_term",
    "etcdserverpb.StatusResponse.raftTerm",
    "etcdserverpb.StatusResponse.raftIndex",
    "etcdserverpb.StatusResponse.raftAppliedIndex",
    // 3.4 here, 3.7 there; and what two engines need for the same keys.
    "etcdserverpb.StatusResponse.version",
    "etcdserverpb.StatusResponse.dbSize",
    "etcdserverpb.StatusResponse.dbSizeInUse",
};

constexpr std::string_view kGavelVersion = "3.7.1";
constexpr std::string_view kEtcdVersions = "3.4.";

// Also when it is zero, as the hash of nothing may be.
bool IsHash(const FieldDescriptor& field) {
  return field.full_name() == "etcdserverpb.HashKVResponse.hash" ||
         field.full_name() == "etcdserverpb.HashResponse.hash";
}

bool IsTimeLeft(const FieldDescriptor& field) {
  return field.full_name() == "etcdserverpb.LeaseTimeToLiveResponse.TTL";
}

bool IsOwnToACluster(const FieldDescriptor& field) {
  return std::find(std::begin(kOwnToACluster), std::end(kOwnToACluster),
                   std::string_view(field.full_name())) != std::end(kOwnToACluster);
}

// What belongs to a cluster, but cannot be, as the rest of the answer says. To be called before
// anything is replaced.
std::set<std::string> Contradictions(const Message& response) {
  std::set<std::string> fields;
  if (const auto* status = dynamic_cast<const etcdserverpb::StatusResponse*>(&response)) {
    const std::string_view version = status->version();
    if (version != kGavelVersion && !version.starts_with(kEtcdVersions)) fields.insert("version");
    if (status->raftterm() != status->header().raft_term()) fields.insert("raftTerm");
    if (status->raftappliedindex() > status->raftindex()) fields.insert("raftAppliedIndex");
    if (status->dbsizeinuse() > status->dbsize()) fields.insert("dbSizeInUse");
  }
  return fields;
}

using MemberList = google::protobuf::RepeatedPtrField<etcdserverpb::Member>;

template <class Response>
MemberList* MembersIf(Message& response) {
  auto* typed = dynamic_cast<Response*>(&response);
  return typed == nullptr ? nullptr : typed->mutable_members();
}

// The members that an answer of the cluster service lists; null for any other.
MemberList* MembersOf(Message& response) {
  for (MemberList* members : {MembersIf<etcdserverpb::MemberListResponse>(response),
                              MembersIf<etcdserverpb::MemberAddResponse>(response),
                              MembersIf<etcdserverpb::MemberRemoveResponse>(response),
                              MembersIf<etcdserverpb::MemberUpdateResponse>(response),
                              MembersIf<etcdserverpb::MemberPromoteResponse>(response)}) {
    if (members != nullptr) return members;
  }
  return nullptr;
}

// Every member has an id of its own, and among them are the member that answers and the new one.
void CheckMemberIds(Message& response) {
  MemberList* const members = MembersOf(response);
  if (members == nullptr) return;
  std::set<uint64_t> ids;
  for (etcdserverpb::Member& member : *members) {
    if (!ids.insert(member.id()).second) member.clear_id();
  }
  if (auto* list = dynamic_cast<etcdserverpb::MemberListResponse*>(&response)) {
    if (!ids.contains(list->header().member_id())) list->mutable_header()->clear_member_id();
  }
  auto* added = dynamic_cast<etcdserverpb::MemberAddResponse*>(&response);
  if (added != nullptr && !ids.contains(added->member().id())) added->mutable_member()->clear_id();
}

void NormaliseField(Message& message, const FieldDescriptor& field, bool contradicted) {
  const auto* reflection = message.GetReflection();
  if (contradicted) return reflection->ClearField(&message, &field);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(&message, &field, 1);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(&message, &field, 1);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(&message, &field, 1);
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(&message, &field, "*");
    default:
      return;
  }
}

// Of the ports that a sequence chooses; those of the servers have more.
constexpr size_t kSmallPortDigits = 3;

void NormaliseUrls(google::protobuf::RepeatedPtrField<std::string>* urls) {
  for (std::string& url : *urls) {
    const size_t colon = url.rfind(':');
    if (colon == std::string::npos || url.size() - colon <= kSmallPortDigits) continue;
    url = url.substr(0, colon) + ":*";
  }
}

void NormaliseMembers(MemberList& members) {
  for (etcdserverpb::Member& member : members) {
    NormaliseUrls(member.mutable_peerurls());
    NormaliseUrls(member.mutable_clienturls());
  }
  // Members come in the order of their ids.
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.name() < b.name(); });
}

// Text of one value; `index` is -1 for a field that is not repeated.
std::string ValueText(const Message& message, const FieldDescriptor& field, int index) {
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(message, &field, index, &text);
  return text;
}

const Message& SubMessage(const Message& message, const FieldDescriptor& field, int index) {
  const auto* reflection = message.GetReflection();
  return field.is_repeated() ? reflection->GetRepeatedMessage(message, &field, index)
                             : reflection->GetMessage(message, &field);
}

void AddRepeated(const Message& etcd, const Message& gavel, const FieldDescriptor& field,
                 const std::string& path, std::vector<Difference>* differences) {
  const int etcd_size = etcd.GetReflection()->FieldSize(etcd, &field);
  const int gavel_size = gavel.GetReflection()->FieldSize(gavel, &field);
  if (etcd_size != gavel_size) {
    differences->push_back(
        {path, absl::StrCat(etcd_size, " elements"), absl::StrCat(gavel_size, " elements")});
  }
  for (int i = 0; i < std::min(etcd_size, gavel_size); ++i) {
    const std::string at = absl::StrCat(path, "[", i, "]");
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      AddDifferences(SubMessage(etcd, field, i), SubMessage(gavel, field, i), at, differences);
      continue;
    }
    std::string left = ValueText(etcd, field, i);
    std::string right = ValueText(gavel, field, i);
    if (left != right) differences->push_back({at, std::move(left), std::move(right)});
  }
}

void AddSingle(const Message& etcd, const Message& gavel, const FieldDescriptor& field,
               const std::string& path, std::vector<Difference>* differences) {
  const bool etcd_has = !field.has_presence() || etcd.GetReflection()->HasField(etcd, &field);
  const bool gavel_has = !field.has_presence() || gavel.GetReflection()->HasField(gavel, &field);
  if (etcd_has && gavel_has && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return AddDifferences(SubMessage(etcd, field, -1), SubMessage(gavel, field, -1), path,
                          differences);
  }
  std::string left = etcd_has ? ValueText(etcd, field, -1) : "absent";
  std::string right = gavel_has ? ValueText(gavel, field, -1) : "absent";
  if (left != right) differences->push_back({path, std::move(left), std::move(right)});
}

std::string UnknownBytes(const Message& message) {
  std::string bytes;
  message.GetReflection()->GetUnknownFields(message).SerializeToString(&bytes);
  return bytes;
}

// Collects one change for each value in the message that is compared as it is.
void CollectChanges(Message& message, std::vector<std::function<void()>>* changes) {
  const auto* type = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor& field = *type->field(i);
    if (field.is_repeated()) {
      const int size = reflection->FieldSize(message, &field);
      if (size > 0)
        changes->push_back([=, m = &message, f = &field] { reflection->RemoveLast(m, f); });
      if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      for (int j = 0; j < size; ++j) {
        CollectChanges(*reflection->MutableRepeatedMessage(&message, &field, j), changes);
      }
      continue;
    }
    if (IsHash(field)) continue;
    if (IsTimeLeft(field)) {
      // What is left of a lease may differ by the time that requests take.
      changes->push_back([=, m = &message, f = &field] {
        reflection->SetInt64(m, f, reflection->GetInt64(*m, f) + 1000);
      });
      continue;
    }
    const bool has = reflection->HasField(message, &field);
    if (has) changes->push_back([=, m = &message, f = &field] { reflection->ClearField(m, f); });
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (has) CollectChanges(*reflection->MutableMessage(&message, &field), changes);
    } else if (!IsOwnToACluster(field) && !field.containing_oneof()) {
      changes->push_back([=, m = &message, f = &field] {
        if (f->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
          reflection->SetInt64(m, f, reflection->GetInt64(*m, f) + 1);
        } else if (f->cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
          reflection->SetBool(m, f, !reflection->GetBool(*m, f));
        } else if (f->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
          reflection->SetString(m, f, reflection->GetString(*m, f) + "x");
        } else {
          reflection->MutableUnknownFields(m)->AddVarint(1000, 1);
        }
      });
    }
  }
}

}  // namespace

std::string Describe(const std::vector<Difference>& differences) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(differences.size(), kShown); ++i) {
    absl::StrAppend(&text, "  ", differences[i].path, ": etcd ", differences[i].etcd, ", gavel ",
                    differences[i].gavel, "\n");
  }
  if (differences.size() > kShown) {
    absl::StrAppend(&text, "  and ", differences.size() - kShown, " more\n");
  }
  return text;
}

void Normalise(Message& response) {
  const auto* reflection = response.GetReflection();
  const std::set<std::string> contradictions = Contradictions(response);
  CheckMemberIds(response);
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(response, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      if (IsOwnToACluster(*field)) {
        NormaliseField(response, *field, contradictions.contains(field->name()));
      }
    } else if (field->is_repeated()) {
      for (int i = 0; i < reflection->FieldSize(response, field); ++i) {
        Normalise(*reflection->MutableRepeatedMessage(&response, field, i));
      }
    } else {
      Normalise(*reflection->MutableMessage(&response, field));
    }
  }
  if (auto* hash = dynamic_cast<etcdserverpb::HashKVResponse*>(&response)) hash->set_hash(1);
  if (auto* hash = dynamic_cast<etcdserverpb::HashResponse*>(&response)) hash->set_hash(1);
  if (MemberList* members = MembersOf(response)) NormaliseMembers(*members);
}

void AddDifferences(const Message& etcd, const Message& gavel, const std::string& path,
                    std::vector<Difference>* differences) {
  const auto* type = etcd.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor& field = *type->field(i);
    const std::string at = path.empty() ? field.name() : absl::StrCat(path, ".", field.name());
    if (field.is_repeated()) {
      AddRepeated(etcd, gavel, field, at, differences);
    } else {
      AddSingle(etcd, gavel, field, at, differences);
    }
  }
  if (UnknownBytes(etcd) != UnknownBytes(gavel)) {
    differences->push_back(
        {absl::StrCat(path, " unknown fields"),
         etcd.GetReflection()->GetUnknownFields(etcd).empty() ? "none" : "some",
         gavel.GetReflection()->GetUnknownFields(gavel).empty() ? "none" : "some"});
  }
}

bool Plant(Message& message, uint64_t choice) {
  std::vector<std::function<void()>> changes;
  CollectChanges(message, &changes);
  if (changes.empty()) return false;
  changes[choice % changes.size()]();
  return true;
}

}  // namespace gavel::conformance
