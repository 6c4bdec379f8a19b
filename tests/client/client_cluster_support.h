// A cluster of real members that tests of the client library share.
//
//   client_cluster_test --server build/bin/gaveld [GoogleTest's flags]
//
// Any server with etcd's flags will do, so also etcd itself. Each test has a prefix of its own.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "gtest/gtest.h"

#include "client/client.h"
#include "tests/chaos/cluster.h"
#include "tests/support/temporary_directory.h"

namespace gavel::client::testing {

using std::chrono::milliseconds;

// The program that members run.
void SetServer(std::string path);

class ClientClusterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();

  // What the members said is gone with the directory, so a failure shows the end of it.
  void TearDown() override;

  // Ready to be used: the first call waits for the members, however slow their start is.
  static Client MakeClient(milliseconds timeout = milliseconds(30'000));
  // The member that leads, or thinks so.
  static int LeadingMember(const Client& client);
  // Kills a member, waits until the others can write, starts it again and waits until it
  // has a leader.
  static void KillAndRestart(const Client& client, int member);

  static std::unique_ptr<gavel::testing::TemporaryDirectory> directory_;
  static std::unique_ptr<chaos::ProcessCluster> cluster_;
};

}  // namespace gavel::client::testing
