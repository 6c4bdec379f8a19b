// What is counted of calls, beyond what the front's tests look at.
#include "server/rpc/rpc_metrics.h"

#include <string>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gavel::testing {
namespace {

using server::kNsPerSecond;
using server::MethodMetrics;
using server::StatusCode;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(RpcMetricsTest, StreamsThatFailAreCountedAsEtcdDoes) {
  server::Metrics metrics;
  MethodMetrics watch(&metrics, "/etcdserverpb.Watch/Watch", "bidi_stream", false);
  MethodMetrics keep_alive(&metrics, "/etcdserverpb.Lease/LeaseKeepAlive", "bidi_stream", false);
  MethodMetrics observe(&metrics, "/v3electionpb.Election/Observe", "server_stream", false);
  const std::string name = "etcd_network_server_stream_failures_total";
  const auto told = [&](const std::string& api, int times) {
    return name + "{API=\"" + api + "\",Type=\"receive\"} " + std::to_string(times) + "\n";
  };
  // What a client may wish for is no failure.
  for (const StatusCode code :
       {StatusCode::kOk, StatusCode::kCancelled, StatusCode::kDeadlineExceeded}) {
    watch.OnHandled(code, kNsPerSecond);
  }
  EXPECT_THAT(metrics.Text(), HasSubstr(told("watch", 0)));
  watch.OnHandled(StatusCode::kUnavailable, kNsPerSecond);
  watch.OnHandled(StatusCode::kInvalidArgument, kNsPerSecond);
  keep_alive.OnHandled(StatusCode::kUnavailable, kNsPerSecond);
  observe.OnHandled(StatusCode::kUnavailable, kNsPerSecond);
  EXPECT_THAT(metrics.Text(), HasSubstr(told("watch", 2)));
  EXPECT_THAT(metrics.Text(), HasSubstr(told("lease-keepalive", 1)));
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("API=\"observe\"")));
}

TEST(RpcMetricsTest, MaintenanceHasTheDurationsThatEtcdTells) {
  server::Metrics metrics;
  for (const auto& [method, type, name] :
       {std::tuple("Hash", "unary", "etcd_mvcc_hash_duration_seconds"),
        std::tuple("HashKV", "unary", "etcd_mvcc_hash_rev_duration_seconds"),
        std::tuple("Defragment", "unary", "etcd_disk_backend_defrag_duration_seconds"),
        std::tuple("Snapshot", "server_stream", "etcd_disk_backend_snapshot_duration_seconds")}) {
    MethodMetrics calls(&metrics, std::string("/etcdserverpb.Maintenance/") + method, type, false);
    const std::string count = std::string(name) + "_count ";
    EXPECT_THAT(metrics.Text(), HasSubstr(count + "0\n"));
    calls.OnHandled(StatusCode::kOk, 3 * kNsPerSecond);
    calls.OnHandled(StatusCode::kUnavailable, kNsPerSecond);
    EXPECT_THAT(metrics.Text(), HasSubstr(count + "1\n"));
    EXPECT_THAT(metrics.Text(), HasSubstr(std::string(name) + "_sum 3\n"));
  }
}

}  // namespace
}  // namespace gavel::testing
