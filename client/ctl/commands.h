// The functions behind the commands. Each reads its arguments, asks the cluster and writes the
// answer.
#pragma once

#include "client/ctl/command.h"

namespace gavel::client::ctl {

MaybeFailure RunPut(Session& session);
MaybeFailure RunGet(Session& session);
MaybeFailure RunDelete(Session& session);
MaybeFailure RunTxn(Session& session);
MaybeFailure RunCompaction(Session& session);

MaybeFailure RunWatch(Session& session);

MaybeFailure RunLeaseGrant(Session& session);
MaybeFailure RunLeaseRevoke(Session& session);
MaybeFailure RunLeaseTimeToLive(Session& session);
MaybeFailure RunLeaseList(Session& session);
MaybeFailure RunLeaseKeepAlive(Session& session);

MaybeFailure RunLock(Session& session);
MaybeFailure RunElect(Session& session);

MaybeFailure RunExists(Session& session);
MaybeFailure RunIncrement(Session& session);
MaybeFailure RunGetMany(Session& session);
MaybeFailure RunPutMany(Session& session);
MaybeFailure RunPutIfAbsent(Session& session);

MaybeFailure RunMemberAdd(Session& session);
MaybeFailure RunMemberRemove(Session& session);
MaybeFailure RunMemberUpdate(Session& session);
MaybeFailure RunMemberPromote(Session& session);
MaybeFailure RunMemberReplace(Session& session);
MaybeFailure RunMemberList(Session& session);
MaybeFailure RunEndpointHealth(Session& session);
MaybeFailure RunEndpointStatus(Session& session);
MaybeFailure RunEndpointHashKv(Session& session);
MaybeFailure RunDefrag(Session& session);
MaybeFailure RunMoveLeader(Session& session);
MaybeFailure RunAlarmList(Session& session);
MaybeFailure RunAlarmDisarm(Session& session);
MaybeFailure RunSnapshotSave(Session& session);
MaybeFailure RunCheckPerf(Session& session);
MaybeFailure RunCheckDatascale(Session& session);
MaybeFailure RunMakeMirror(Session& session);

MaybeFailure RunConfigExport(Session& session);
MaybeFailure RunConfigDiff(Session& session);
MaybeFailure RunConfigApply(Session& session);
MaybeFailure RunConfigHistory(Session& session);
MaybeFailure RunConfigRevert(Session& session);

MaybeFailure RunCompletion(Session& session);
MaybeFailure RunManual(Session& session);
MaybeFailure RunVersion(Session& session);

}  // namespace gavel::client::ctl
