#include "client/ctl/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::ElementsAre;

TEST(RowsTest, FrameIsThatOfEtcdctl) {
  EXPECT_EQ(Framed({{"endpoint", "db_size"}, {{"127.0.0.1:2379", "20 kB"}, {"x", ""}}}),
            "+----------------+---------+\n"
            "|    ENDPOINT    | DB SIZE |\n"
            "+----------------+---------+\n"
            "| 127.0.0.1:2379 |   20 kB |\n"
            "|              x |         |\n"
            "+----------------+---------+\n");
  EXPECT_EQ(Framed({{"a"}, {}}), "+---+\n| A |\n+---+\n");
}

// Columns count characters, not bytes.
TEST(RowsTest, WidthsCountCharacters) {
  EXPECT_EQ(Framed({{"x"}, {{"\xc2\xb5s"}}}), "+----+\n| X  |\n+----+\n| \xc2\xb5s |\n+----+\n");
}

// etcdctl dies of a division by zero here.
TEST(RowsTest, AServerThatReportsNoSizeIsShown) {
  const Table table = StatusRows({{"e", StatusResponse{}}});
  EXPECT_EQ(table.rows[0].size(), table.header.size());
  EXPECT_EQ(table.rows[0][6], "0%");
  StatusResponse half;
  half.db_size = 1000;
  half.db_size_in_use = 334;
  EXPECT_EQ(StatusRows({{"e", half}}).rows[0][6], "67%");
}

TEST(RowsTest, MembersWithoutANameHaveNotStarted) {
  MemberListResponse response;
  response.members = {{.id = 0xab, .peer_urls = {"http://a:1", "http://b:1"}}};
  EXPECT_THAT(MemberRows(response.members).rows[0],
              ElementsAre("ab", "unstarted", "", "http://a:1,http://b:1", "", "false"));
}

}  // namespace
}  // namespace gavel::client::ctl
