// What members hold for clients, and what of it is left when the clients are gone.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace gavel::chaos {

// Counted from outside; all others are metrics of the member.
inline constexpr char kSockets[] = "sockets";
// Is there for a moment only, between the apply of a write and its telling.
inline constexpr char kPendingEvents[] = "etcd_debugging_mvcc_pending_events_total";

// What has to come back to what it was.
inline constexpr const char* kHeldForClients[] = {
    kSockets,
    "gavel_clients_connections",
    "gavel_clients_held_bytes",
    "gavel_clients_stream_bytes",
    "etcd_debugging_mvcc_watch_stream_total",
    "etcd_debugging_mvcc_watcher_total",
    "etcd_debugging_mvcc_slow_watcher_total",
    kPendingEvents,
    "gavel_leases",
};

// Of one member.
struct MemberLoad {
  std::map<std::string, double> held;  // By the names above.
  double resident_bytes = 0;
};

// Says what each member holds more than at `base`, and what it does not tell of. Requires: as many
// members in both.
std::vector<std::string> Leftovers(const std::vector<MemberLoad>& base,
                                   const std::vector<MemberLoad>& now);

// Says what no client has ever made any member hold, by the most that each member has held: that
// nothing of it is left would mean nothing. Pending events may be missed.
std::vector<std::string> NeverHeld(const std::vector<MemberLoad>& base,
                                   const std::vector<MemberLoad>& most);

// Says which members' resident memory has grown by `share_max` of what it was, or more.
std::vector<std::string> Grown(const std::vector<MemberLoad>& before,
                               const std::vector<MemberLoad>& after, double share_max);

// Raises what is held in `most` to what is held in `now`.
void RaiseTo(const std::vector<MemberLoad>& now, std::vector<MemberLoad>* most);

}  // namespace gavel::chaos
