#include "server/rpc/client_services.h"

#include <string>

#include <google/protobuf/descriptor.h>

#include "proto/etcdserverpb/auth.pb.h"
#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "proto/gavel/v1/cluster.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"
#include "server/rpc/call_guard.h"
#include "server/rpc/cluster_service.h"
#include "server/rpc/election_service.h"
#include "server/rpc/kv_service.h"
#include "server/rpc/lease_service.h"
#include "server/rpc/lock_service.h"
#include "server/rpc/maintenance_service.h"
#include "server/rpc/watch_service.h"

namespace gavel::server {
namespace {

// Names every service of the contract, so that a method which is not served is answered as etcd
// answers one that it does not have: "unknown method X for service S".
void AddContract(Router& router) {
  const google::protobuf::FileDescriptor* files[] = {
      etcdserverpb::PutRequest::descriptor()->file(),
      etcdserverpb::WatchRequest::descriptor()->file(),
      etcdserverpb::LeaseGrantRequest::descriptor()->file(),
      etcdserverpb::MemberListRequest::descriptor()->file(),
      etcdserverpb::StatusRequest::descriptor()->file(),
      etcdserverpb::AuthEnableRequest::descriptor()->file(),
      v3lockpb::LockRequest::descriptor()->file(),
      v3electionpb::CampaignRequest::descriptor()->file(),
      gavel::v1::MemberReplaceRequest::descriptor()->file()};
  for (const auto* file : files) {
    for (int i = 0; i < file->service_count(); ++i) {
      router.AddService(file->service(i)->full_name());
    }
  }
}

}  // namespace

ClientServices::ClientServices(Gate& gate, Metrics& metrics, const ServiceLimits& limits)
    : router_(std::make_shared<Router>()) {
  const ServiceSurroundings surroundings{
      &gate, limits, std::make_shared<ReadBytes>(limits.read_bytes_max), &metrics,
      &metrics.AddCounter("etcd_mvcc_range_total", "Ranges read for Range requests.")};
  const CallGuard guard(gate, metrics, limits.leader_patience);
  AddKvService(surroundings, guard, *router_);
  AddLeaseService(surroundings, guard, *router_);
  AddLockService(surroundings, guard, *router_);
  AddElectionService(surroundings, guard, *router_);
  AddClusterService(surroundings, guard, *router_);
  AddMaintenanceService(surroundings, guard, *router_);
  AddWatchService(surroundings, guard, *router_);
  health_.AddTo(*router_);
  AddContract(*router_);
}

}  // namespace gavel::server
