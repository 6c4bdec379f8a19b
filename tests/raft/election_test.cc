// Elections: one test per rule of the thesis.
#include <gtest/gtest.h>

#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

TEST(ElectionTest, Smoke) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "a");
  cluster.Deliver();
  cluster.Propose(2, "b");
  cluster.Read(2, 7);
  cluster.Deliver();
  cluster.Run(5);
  EXPECT_EQ(cluster.core(2).status().commit, Index(4));
  EXPECT_EQ(cluster.core(3).status().commit, Index(4));
  ASSERT_EQ(cluster.member(2).reads.size(), 1u);
}

}  // namespace
}  // namespace gavel::raft
