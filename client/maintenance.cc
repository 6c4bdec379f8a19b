#include "client/maintenance.h"

#include <functional>
#include <stop_token>

#include "client/internal/deadline.h"
#include "client/internal/submit.h"
#include "client/kv.h"

namespace gavel::client {
namespace {

using internal::Block;
using internal::kRead;
using internal::kWrite;
using internal::Submit;

CallOptions At(std::string endpoint, CallOptions options) {
  if (!endpoint.empty()) options.endpoint = std::move(endpoint);
  return options;
}

Pending<AlarmResponse> AlarmAsync(const std::shared_ptr<internal::Core>& core,
                                  etcdserverpb::AlarmRequest::AlarmAction action, Alarm alarm,
                                  CallOptions options) {
  etcdserverpb::AlarmRequest request;
  request.set_action(action);
  request.set_memberid(alarm.member_id);
  request.set_alarm(static_cast<etcdserverpb::AlarmType>(alarm.type));
  return Submit<AlarmResponse, etcdserverpb::AlarmResponse>(
      core, "/etcdserverpb.Maintenance/Alarm", request,
      action == etcdserverpb::AlarmRequest::GET ? kRead : kWrite, std::move(options));
}

// Two calls, one after the other, that one request stops; so does the caller's own token.
struct StopRelay {
  explicit StopRelay(const std::stop_token& token)
      : relay(token, [stop = source]() mutable { stop.request_stop(); }) {}

  std::stop_source source;
  std::stop_callback<std::function<void()>> relay;
};

// Ends the alarms in `left`, the last one first, and then `state` with all that have ended.
void EndAlarms(std::shared_ptr<internal::Core> core, std::vector<Alarm> left, AlarmResponse ended,
               CallOptions options, std::shared_ptr<internal::PendingState<AlarmResponse>> state) {
  if (left.empty()) return state->Complete(std::move(ended));
  const Alarm next = left.back();
  left.pop_back();
  AlarmAsync(core, etcdserverpb::AlarmRequest::DEACTIVATE, next, options)
      .Then([core, left = std::move(left), ended = std::move(ended), options,
             state](const Result<AlarmResponse>& response) mutable {
        if (!response.ok()) return state->Complete(response.status());
        ended.alarms.insert(ended.alarms.end(), response->alarms.begin(), response->alarms.end());
        EndAlarms(std::move(core), std::move(left), std::move(ended), std::move(options),
                  std::move(state));
      });
}

std::string Describe(const std::vector<Alarm>& alarms) {
  std::string text = "active alarm(s): ";
  for (const Alarm& alarm : alarms) {
    text += AlarmName(alarm.type) + " ";
  }
  text.pop_back();
  return text;
}

}  // namespace

std::string AlarmName(AlarmType type) {
  switch (type) {
    case AlarmType::kNone:
      return "NONE";
    case AlarmType::kNoSpace:
      return "NOSPACE";
    case AlarmType::kCorrupt:
      return "CORRUPT";
  }
  return std::to_string(static_cast<int>(type));
}

Pending<StatusResponse> Maintenance::StatusAsync(std::string endpoint, CallOptions options) const {
  return Submit<StatusResponse, etcdserverpb::StatusResponse>(
      core_, "/etcdserverpb.Maintenance/Status", etcdserverpb::StatusRequest(), kRead,
      At(std::move(endpoint), std::move(options)));
}

Pending<HashKvResponse> Maintenance::HashKvAsync(std::string endpoint, int64_t revision,
                                                 CallOptions options) const {
  etcdserverpb::HashKVRequest request;
  request.set_revision(revision);
  return Submit<HashKvResponse, etcdserverpb::HashKVResponse>(
      core_, "/etcdserverpb.Maintenance/HashKV", request, kRead,
      At(std::move(endpoint), std::move(options)));
}

Pending<HashResponse> Maintenance::HashAsync(std::string endpoint, CallOptions options) const {
  return Submit<HashResponse, etcdserverpb::HashResponse>(
      core_, "/etcdserverpb.Maintenance/Hash", etcdserverpb::HashRequest(), kRead,
      At(std::move(endpoint), std::move(options)));
}

Pending<DefragmentResponse> Maintenance::DefragmentAsync(std::string endpoint,
                                                         CallOptions options) const {
  return Submit<DefragmentResponse, etcdserverpb::DefragmentResponse>(
      core_, "/etcdserverpb.Maintenance/Defragment", etcdserverpb::DefragmentRequest(), kWrite,
      At(std::move(endpoint), std::move(options)));
}

Pending<MoveLeaderResponse> Maintenance::MoveLeaderAsync(uint64_t target, std::string endpoint,
                                                         CallOptions options) const {
  etcdserverpb::MoveLeaderRequest request;
  request.set_targetid(target);
  return Submit<MoveLeaderResponse, etcdserverpb::MoveLeaderResponse>(
      core_, "/etcdserverpb.Maintenance/MoveLeader", request, kWrite,
      At(std::move(endpoint), std::move(options)));
}

SnapshotStream Maintenance::Snapshot(std::string endpoint, CallOptions options) const {
  return SnapshotStream(core_, At(std::move(endpoint), std::move(options)));
}

Pending<AlarmResponse> Maintenance::AlarmsAsync(CallOptions options) const {
  return AlarmAsync(core_, etcdserverpb::AlarmRequest::GET, {}, std::move(options));
}
Pending<AlarmResponse> Maintenance::ActivateAlarmAsync(Alarm alarm, CallOptions options) const {
  return AlarmAsync(core_, etcdserverpb::AlarmRequest::ACTIVATE, alarm, std::move(options));
}
Pending<AlarmResponse> Maintenance::DeactivateAlarmAsync(Alarm alarm, CallOptions options) const {
  if (alarm != Alarm()) {
    return AlarmAsync(core_, etcdserverpb::AlarmRequest::DEACTIVATE, alarm, std::move(options));
  }
  auto stop = std::make_shared<StopRelay>(options.stop);
  options.stop = stop->source.get_token();
  auto state = std::make_shared<internal::PendingState<AlarmResponse>>();
  AlarmsAsync(options).Then(
      [core = core_, options, state, stop](const Result<AlarmResponse>& raised) {
        if (!raised.ok()) return state->Complete(raised.status());
        std::vector<Alarm> left(raised->alarms.rbegin(), raised->alarms.rend());
        // What has neither a member nor a kind would end all, again and again.
        std::erase(left, Alarm());
        EndAlarms(core, std::move(left), {}, options, state);
      });
  return Pending<AlarmResponse>(state, [stop] { stop->source.request_stop(); });
}

Pending<HealthResponse> Maintenance::HealthAsync(std::string endpoint, CallOptions options) const {
  options = At(std::move(endpoint), std::move(options));
  auto stop = std::make_shared<StopRelay>(options.stop);
  options.stop = stop->source.get_token();
  auto state = std::make_shared<internal::PendingState<HealthResponse>>();
  const internal::MonotonicUs start = internal::Now();
  const auto on_alarms = [state, stop](HealthResponse health, const Result<AlarmResponse>& alarms) {
    if (alarms.ok()) {
      health.alarms = alarms->alarms;
      if (!health.alarms.empty()) health.error = Describe(health.alarms);
    } else {
      health.error = "unable to fetch the alarm list: " + alarms.status().message();
    }
    health.healthy = health.error.empty();
    state->Complete(std::move(health));
  };
  // etcd's own tools ask for this key.
  Kv(core_)
      .GetAsync("health", options)
      .Then([state, self = *this, options, start, on_alarms](const Result<GetResponse>& read) {
        HealthResponse health;
        health.took = std::chrono::microseconds(internal::Now() - start);
        if (!read.ok() && read.status().reason() != Reason::kPermissionDenied) {
          health.error = read.status().message();
          return state->Complete(std::move(health));
        }
        self.AlarmsAsync(options).Then([health, on_alarms](const Result<AlarmResponse>& alarms) {
          on_alarms(health, alarms);
        });
      });
  return Pending<HealthResponse>(state, [stop] { stop->source.request_stop(); });
}

// --- The blocking forms -----------------------------------------------------------------------

HealthResponse Maintenance::Health(std::string endpoint, CallOptions options) const {
  const Result<HealthResponse> health =
      Block([&] { return HealthAsync(std::move(endpoint), std::move(options)); });
  if (health.ok()) return *health;
  return {.error = health.status().message()};
}
Result<StatusResponse> Maintenance::Status(std::string endpoint, CallOptions options) const {
  return Block([&] { return StatusAsync(std::move(endpoint), std::move(options)); });
}
Result<HashKvResponse> Maintenance::HashKv(std::string endpoint, int64_t revision,
                                           CallOptions options) const {
  return Block([&] { return HashKvAsync(std::move(endpoint), revision, std::move(options)); });
}
Result<HashResponse> Maintenance::Hash(std::string endpoint, CallOptions options) const {
  return Block([&] { return HashAsync(std::move(endpoint), std::move(options)); });
}
Result<DefragmentResponse> Maintenance::Defragment(std::string endpoint,
                                                   CallOptions options) const {
  return Block([&] { return DefragmentAsync(std::move(endpoint), std::move(options)); });
}
Result<MoveLeaderResponse> Maintenance::MoveLeader(uint64_t target, std::string endpoint,
                                                   CallOptions options) const {
  return Block([&] { return MoveLeaderAsync(target, std::move(endpoint), std::move(options)); });
}
Result<AlarmResponse> Maintenance::Alarms(CallOptions options) const {
  return Block([&] { return AlarmsAsync(std::move(options)); });
}
Result<AlarmResponse> Maintenance::ActivateAlarm(Alarm alarm, CallOptions options) const {
  return Block([&] { return ActivateAlarmAsync(alarm, std::move(options)); });
}
Result<AlarmResponse> Maintenance::DeactivateAlarm(Alarm alarm, CallOptions options) const {
  return Block([&] { return DeactivateAlarmAsync(alarm, std::move(options)); });
}

}  // namespace gavel::client
