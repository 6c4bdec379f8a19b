#include "tests/client/client_cluster_support.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>

#include "gmock/gmock.h"

namespace gavel::client::testing {
namespace {

std::string server_path;

}  // namespace

void SetServer(std::string path) { server_path = std::move(path); }

std::unique_ptr<gavel::testing::TemporaryDirectory> ClientClusterTest::directory_;
std::unique_ptr<chaos::ProcessCluster> ClientClusterTest::cluster_;

void ClientClusterTest::SetUpTestSuite() {
  directory_ = std::make_unique<gavel::testing::TemporaryDirectory>();
  chaos::ClusterOptions options;
  options.server = server_path;
  options.directory = directory_->path();
  cluster_ = std::make_unique<chaos::ProcessCluster>(options);
  for (int member = 0; member < cluster_->size(); ++member) cluster_->Start(member);
}

void ClientClusterTest::TearDownTestSuite() {
  cluster_.reset();
  directory_.reset();
}

void ClientClusterTest::TearDown() {
  if (!HasFailure()) return;
  for (int member = 0; member < cluster_->size(); ++member) {
    std::ifstream file(cluster_->LogPath(member));
    const std::string log((std::istreambuf_iterator<char>(file)), {});
    std::printf("--- %s, the end of its log:\n%s\n", cluster_->targets()[member].c_str(),
                log.substr(log.size() - std::min<size_t>(log.size(), 8000)).c_str());
  }
}

Client ClientClusterTest::MakeClient(milliseconds timeout) {
  Result<Client> client = Client::Create({.endpoints = cluster_->targets(),
                                          .timeout = timeout,
                                          .dial_timeout = milliseconds(60'000),
                                          .silence_timeout = milliseconds(500)});
  EXPECT_TRUE(client.ok());
  const Result<GetResponse> got = client->kv().Get("ready", {.timeout = milliseconds(60'000)});
  EXPECT_TRUE(got.ok()) << got.status().ToString();
  return *std::move(client);
}

int ClientClusterTest::LeadingMember(const Client& client) {
  for (int tries = 0; tries < 600; ++tries) {
    for (int member = 0; member < cluster_->size(); ++member) {
      if (!cluster_->Runs(member)) continue;
      const Result<StatusResponse> status = client.maintenance().Status(
          cluster_->targets()[member], {.timeout = milliseconds(1'000)});
      if (status.ok() && status->leader == status->header.member_id) return member;
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  ADD_FAILURE() << "nobody leads";
  return 0;
}

void ClientClusterTest::KillAndRestart(const Client& client, int member) {
  cluster_->Kill(member);
  Status put = client.kv().Put("ready", "").status();
  for (int tries = 0; tries < 30 && !put.ok(); ++tries) put = client.kv().Put("ready", "").status();
  EXPECT_TRUE(put.ok()) << put.ToString();
  cluster_->Start(member);
  const std::string& target = cluster_->targets()[static_cast<size_t>(member)];
  // It answers before it has heard from a leader: its part of the cluster is back only then.
  Result<StatusResponse> up = client.maintenance().Status(target);
  for (int tries = 0; tries < 400 && !(up.ok() && up->leader != 0); ++tries) {
    std::this_thread::sleep_for(milliseconds(50));
    up = client.maintenance().Status(target);
  }
  ASSERT_TRUE(up.ok()) << up.status().ToString();
  EXPECT_NE(up->leader, 0u);
}

}  // namespace gavel::client::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  if (argc != 3 || std::string_view(argv[1]) != "--server") {
    std::fprintf(stderr, "usage: %s --server PATH [flags of GoogleTest]\n", argv[0]);
    return 2;
  }
  if (access(argv[2], X_OK) != 0) {
    std::fprintf(stderr, "%s is no program; for etcd, install the package etcd-server\n", argv[2]);
    return 2;
  }
  gavel::client::testing::SetServer(argv[2]);
  return RUN_ALL_TESTS();
}
