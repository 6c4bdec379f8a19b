#include "tests/conformance/member_names.h"

#include "gtest/gtest.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"

namespace gavel::conformance {
namespace {

constexpr char kRemove[] = "/etcdserverpb.Cluster/MemberRemove";

uint64_t Sent(const MemberNames& names, uint64_t id) {
  etcdserverpb::MemberRemoveRequest request;
  request.set_id(id);
  EXPECT_TRUE(request.ParseFromString(names.ToIds(kRemove, request.SerializeAsString())));
  return request.id();
}

TEST(MemberNamesTest, ANameBecomesTheIdOfItsSide) {
  MemberNames names;
  names.Learn(MemberName(1), 77);
  names.Learn(MemberName(2), 0);
  EXPECT_EQ(Sent(names, MemberName(1)), 77u);
  EXPECT_EQ(Sent(names, MemberName(2)), MemberName(2)) << "nobody has learnt it";
  EXPECT_EQ(Sent(names, 5), 5u);
  EXPECT_EQ(Sent(names, 0), 0u);
}

TEST(MemberNamesTest, AlarmsHaveAMemberToo) {
  MemberNames names;
  names.Learn(kSelfName, 8);
  etcdserverpb::AlarmRequest request;
  request.set_memberid(kSelfName);
  EXPECT_TRUE(request.ParseFromString(
      names.ToIds("/etcdserverpb.Maintenance/Alarm", request.SerializeAsString())));
  EXPECT_EQ(request.memberid(), 8u);
}

TEST(MemberNamesTest, AnyOtherBodyStaysAsItIs) {
  MemberNames names;
  names.Learn(MemberName(1), 77);
  etcdserverpb::MemberRemoveRequest request;
  request.set_id(MemberName(1));
  const std::string body = request.SerializeAsString();
  EXPECT_EQ(names.ToIds("/etcdserverpb.KV/Put", body), body);
  EXPECT_EQ(names.ToIds("/nonsense", body), body);
  EXPECT_EQ(names.ToIds(kRemove, "\xff\xff"), "\xff\xff");
}

}  // namespace
}  // namespace gavel::conformance
