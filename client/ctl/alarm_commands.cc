// alarm list and disarm.
#include "client/ctl/commands.h"
#include "client/ctl/session.h"

namespace gavel::client::ctl {
namespace {

MaybeFailure WriteAlarms(Session& session, const Expected<AlarmResponse>& response) {
  if (!response.ok()) return response.failure();
  session.printer().Alarms(*response);
  return std::nullopt;
}

}  // namespace

MaybeFailure RunAlarmList(Session& session) {
  if (!session.arguments().empty()) {
    return BadArguments("alarm list command accepts no arguments", "It lists all alarms.");
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  return WriteAlarms(session, session.Take((*client)->maintenance().Alarms()));
}

MaybeFailure RunAlarmDisarm(Session& session) {
  if (!session.arguments().empty()) {
    return BadArguments("alarm disarm command accepts no arguments", "It ends all alarms.");
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  return WriteAlarms(session,
                     session.Take((*client)->maintenance().DeactivateAlarm({}), Effect::kWrites));
}

}  // namespace gavel::client::ctl
