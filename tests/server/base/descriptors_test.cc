// Who gets how many of the files and sockets that the process may have.
#include "server/descriptors.h"

#include <sys/resource.h>

#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

DescriptorShares Wanted() {
  DescriptorShares wanted;
  wanted.client_connections_max = 20000;
  wanted.metrics_connections_max = 256;
  wanted.engine_files_max = 1024;
  return wanted;
}

TEST(DescriptorsTest, SharesStayWithinTheLimit) {
  for (uint64_t limit = 150; limit < 5000; ++limit) {
    const absl::StatusOr<DescriptorShares> shares = ShareDescriptors(limit, Wanted());
    if (!shares.ok()) {
      EXPECT_LT(limit, 256u) << shares.status();
      continue;
    }
    EXPECT_EQ(shares->limit, limit);
    EXPECT_GE(shares->client_connections_max, 16u);
    EXPECT_LE(96u + static_cast<uint64_t>(shares->engine_files_max) +
                  shares->metrics_connections_max + shares->client_connections_max,
              limit);
  }
}

TEST(DescriptorsTest, NobodyGetsMoreThanIsWanted) {
  for (const uint64_t limit : {uint64_t{1} << 20, static_cast<uint64_t>(RLIM_INFINITY)}) {
    const absl::StatusOr<DescriptorShares> shares = ShareDescriptors(limit, Wanted());
    ASSERT_TRUE(shares.ok());
    EXPECT_EQ(shares->client_connections_max, 20000u);
    EXPECT_EQ(shares->metrics_connections_max, 256u);
    EXPECT_EQ(shares->engine_files_max, 1024);
  }
}

TEST(DescriptorsTest, TooFewAreRefusedWithWhatToDo) {
  const absl::StatusOr<DescriptorShares> shares = ShareDescriptors(100, Wanted());
  ASSERT_FALSE(shares.ok());
  EXPECT_NE(shares.status().message().find("only 100 files"), std::string::npos);
  EXPECT_NE(shares.status().message().find("ulimit -n"), std::string::npos);
}

TEST(DescriptorsTest, TheLimitIsRaisedToTheMostThatIsAllowed) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = before.rlim_max / 2;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(RaiseDescriptorLimit(), before.rlim_max);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace gavel::server
