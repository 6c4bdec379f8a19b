// What a Client and a single call can be told.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

namespace gavel::client {

struct ClientOptions {
  // host:port or http://host:port, of any members of one cluster. At least one.
  std::vector<std::string> endpoints = {"127.0.0.1:2379"};

  // A call's time from start to end, over all attempts, unless CallOptions say otherwise. Longer
  // than the 7 s after which a member gives up itself, so that its reason is heard.
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);

  // How long a call waits for a connection to any endpoint before it ends as
  // Reason::kNoEndpoint.
  std::chrono::milliseconds dial_timeout{2'000};

  // After this long without an answer from one endpoint, a read is asked of another. Writes are
  // never asked twice, and wait for their whole time.
  std::chrono::milliseconds silence_timeout{3'000};

  // A connection on which calls are under way is asked for a sign of life this often, and given
  // up if none comes in time. Servers end connections that ask more often than each 5 s.
  std::chrono::milliseconds keepalive_time{10'000};
  std::chrono::milliseconds keepalive_timeout{5'000};

  // A larger request is refused before it is sent (Reason::kRequestTooLarge), and a larger response
  // is not taken, whose call then ends as unknown. In bytes; 0: no limit but the servers'.
  int64_t request_bytes_max = 0;
  int32_t response_bytes_max = 0;
};

struct CallOptions {
  // 0: the client's.
  std::chrono::nanoseconds timeout{0};

  // Asks this endpoint only, instead of any that answers; it need not be one of the client's. Such
  // a call ends at once if the endpoint refuses the connection.
  std::string endpoint = {};

  // The member refuses with Reason::kNoLeader if it knows of no leader, instead of waiting.
  bool require_leader = false;

  // Ends the call early when stop is requested, like Pending::Cancel.
  std::stop_token stop = {};
};

}  // namespace gavel::client
