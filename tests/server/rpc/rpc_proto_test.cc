// Every package, service, message, field, number and type is etcd's.
//
// The descriptors are written out in the form of a table, and compared with it entry by entry.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/authpb/auth.pb.h"
#include "proto/etcdserverpb/auth.pb.h"
#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "proto/health/health.pb.h"
#include "proto/mvccpb/kv.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "tests/server/rpc/proto_table.h"

namespace gavel::testing {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;

// "message etcdserverpb.Member" to its members, in order.
using Table = std::map<std::string, std::vector<std::string>>;

std::string Trim(std::string text) {
  text.erase(0, text.find_first_not_of(" \n"));
  text.erase(text.find_last_not_of(" \n") + 1);
  return text;
}

Table ParseTable(std::string_view text) {
  Table table;
  std::string entry;
  const auto add = [&] {
    const size_t colon = entry.find(':');
    if (colon == std::string::npos) return;
    auto& members = table[entry.substr(0, colon)];
    size_t at = colon + 1;
    while (at < entry.size()) {
      const size_t end = std::min(entry.find(';', at), entry.size());
      if (std::string member = Trim(entry.substr(at, end - at)); !member.empty()) {
        members.push_back(std::move(member));
      }
      at = end + 1;
    }
  };
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(" ")) {
      add();
      entry.clear();
    }
    entry += line;
  }
  add();
  return table;
}

// A type as the table names it: within its own package and message, without a prefix.
std::string TypeName(const FieldDescriptor& field) {
  if (field.type() != FieldDescriptor::TYPE_MESSAGE && field.type() != FieldDescriptor::TYPE_ENUM) {
    return field.type_name();
  }
  const bool message = field.type() == FieldDescriptor::TYPE_MESSAGE;
  const std::string name =
      message ? field.message_type()->full_name() : field.enum_type()->full_name();
  for (const std::string& scope : {field.containing_type()->full_name(), field.file()->package()}) {
    if (name.starts_with(scope + ".")) return name.substr(scope.size() + 1);
  }
  return name;
}

std::string Text(const FieldDescriptor& field) {
  std::string text = field.is_repeated() ? "repeated " : "";
  text += TypeName(field) + " " + field.name() + "=" + std::to_string(field.number());
  if (field.containing_oneof() != nullptr) text += " in " + field.containing_oneof()->name();
  return text;
}

void Add(const EnumDescriptor& type, Table& table) {
  auto& members = table["enum " + type.full_name()];
  for (int i = 0; i < type.value_count(); ++i) {
    members.push_back(type.value(i)->name() + "=" + std::to_string(type.value(i)->number()));
  }
}

void Add(const Descriptor& type, Table& table) {
  std::map<int, std::string> by_number;
  for (int i = 0; i < type.field_count(); ++i) {
    by_number[type.field(i)->number()] = Text(*type.field(i));
  }
  auto& members = table["message " + type.full_name()];
  for (auto& [number, text] : by_number) members.push_back(text);
  for (int i = 0; i < type.nested_type_count(); ++i) Add(*type.nested_type(i), table);
  for (int i = 0; i < type.enum_type_count(); ++i) Add(*type.enum_type(i), table);
}

void Add(const ServiceDescriptor& service, Table& table) {
  auto& members = table["service " + service.full_name()];
  for (int i = 0; i < service.method_count(); ++i) {
    const auto& method = *service.method(i);
    const std::string in = method.client_streaming() ? "stream " : "";
    const std::string out = method.server_streaming() ? "stream " : "";
    members.push_back(method.name() + " (" + in + method.input_type()->name() + ") (" + out +
                      method.output_type()->name() + ")");
  }
  std::sort(members.begin(), members.end());
}

Table Described() {
  const FileDescriptor* files[] = {mvccpb::KeyValue::descriptor()->file(),
                                   authpb::User::descriptor()->file(),
                                   etcdserverpb::ResponseHeader::descriptor()->file(),
                                   etcdserverpb::PutRequest::descriptor()->file(),
                                   etcdserverpb::WatchRequest::descriptor()->file(),
                                   etcdserverpb::LeaseGrantRequest::descriptor()->file(),
                                   etcdserverpb::MemberListRequest::descriptor()->file(),
                                   etcdserverpb::StatusRequest::descriptor()->file(),
                                   etcdserverpb::AuthEnableRequest::descriptor()->file(),
                                   v3lockpb::LockRequest::descriptor()->file(),
                                   v3electionpb::CampaignRequest::descriptor()->file(),
                                   grpc::health::v1::HealthCheckRequest::descriptor()->file()};
  Table table;
  for (const FileDescriptor* file : files) {
    EXPECT_EQ(file->syntax(), FileDescriptor::SYNTAX_PROTO3) << file->name();
    for (int i = 0; i < file->message_type_count(); ++i) Add(*file->message_type(i), table);
    for (int i = 0; i < file->enum_type_count(); ++i) Add(*file->enum_type(i), table);
    for (int i = 0; i < file->service_count(); ++i) Add(*file->service(i), table);
  }
  return table;
}

TEST(RpcProtoTest, EveryEntryOfTheTableIsDescribedAsItSays) {
  const Table expected = ParseTable(kProtoTable);
  const Table described = Described();
  ASSERT_GT(expected.size(), 100u);
  for (const auto& [name, members] : expected) {
    const auto found = described.find(name);
    ASSERT_NE(found, described.end()) << name;
    EXPECT_THAT(found->second, ::testing::ElementsAreArray(members)) << name;
  }
}

TEST(RpcProtoTest, NothingIsDescribedThatTheTableLacks) {
  const Table expected = ParseTable(kProtoTable);
  for (const auto& [name, members] : Described()) EXPECT_TRUE(expected.contains(name)) << name;
}

TEST(RpcProtoTest, FieldsOfAnUnknownNumberSurviveAPassThroughTheMessage) {
  // Field 99, a varint: unknown to PutRequest.
  const std::string bytes = std::string("\x0a\x01k\x12\x01v", 6) + "\x98\x06\x07";
  etcdserverpb::PutRequest request;
  ASSERT_TRUE(request.ParseFromString(bytes));
  EXPECT_EQ(request.key(), "k");
  EXPECT_EQ(request.SerializeAsString(), bytes);
}

}  // namespace
}  // namespace gavel::testing
