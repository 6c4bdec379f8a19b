// Queries of URLs, as clients write and miswrite them.
#include "server/http/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(QueryTest, AKeyMayComeSeveralTimes) {
  EXPECT_THAT(QueryValues("exclude=A&serializable=true&exclude=B", "exclude"),
              ElementsAre("A", "B"));
  EXPECT_THAT(QueryValues("a=1", "b"), IsEmpty());
  EXPECT_THAT(QueryValues("", "b"), IsEmpty());
}

TEST(QueryTest, ValuesAreDecoded) {
  EXPECT_THAT(QueryValues("k=a%20b+c%2f", "k"), ElementsAre("a b c/"));
  EXPECT_THAT(QueryValues("%6b=1", "k"), ElementsAre("1"));
}

TEST(QueryTest, MalformedPartsDoNoHarm) {
  EXPECT_THAT(QueryValues("k=%&k=%2&k=%zz&k&=&&k=a=b", "k"),
              ElementsAre("%", "%2", "%zz", "", "a=b"));
}

}  // namespace
}  // namespace gavel::server
