// Whoever cannot listen is told which address it was, and why.
#include "server/listening_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace gavel::server {
namespace {

TEST(ListeningSocketsTest, AFreePortIsFoundAndTakenUntilItIsClosed) {
  absl::StatusOr<ListeningSockets> first = ListenOn("127.0.0.1:0");
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->fds.size(), 1u);
  ASSERT_GT(first->port, 0);
  const std::string address = "127.0.0.1:" + std::to_string(first->port);
  EXPECT_EQ(std::string(ListenOn(address).status().message()),
            "cannot listen on " + address + ": Address already in use");
  first->Close();
  EXPECT_TRUE(first->fds.empty());
  absl::StatusOr<ListeningSockets> second = ListenOn(address);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ("127.0.0.1:" + std::to_string(second->port), address);
  second->Close();
}

TEST(ListeningSocketsTest, WhatIsNoAddressIsNamed) {
  for (const std::string& address :
       {std::string("127.0.0.1"), std::string("no.such.host.invalid:1"), std::string("192.0.2.1:0"),
        std::string("unix:"), "unix:" + std::string(200, 'x'),
        std::string("unix:/no/such/dir/s")}) {
    EXPECT_THAT(std::string(ListenOn(address).status().message()),
                ::testing::StartsWith("cannot listen on " + address + ": "));
  }
}

}  // namespace
}  // namespace gavel::server
