#include "server/http2/limit_teller.h"

#include <string>

#include "server/table_rows.h"

namespace gavel::server {
namespace {

struct Row {
  ClientLimit limit;
  const char* flag;
  const char* consequence;
};

constexpr Row kRows[] = {
    {ClientLimit::kConnections, "connections-max",
     "connection closed as it came: close idle ones, or raise the flag and the process's limit of "
     "open files"},
    {ClientLimit::kHandshake, "handshake-timeout", "connection closed: it did not greet in time"},
    {ClientLimit::kWriteStall, "write-stall-timeout",
     "connection closed: its client takes nothing of what waits for it"},
    {ClientLimit::kPingAnswer, "grpc-keepalive-timeout",
     "connection closed: its client does not answer a ping"},
    {ClientLimit::kAnswer, "answer-timeout", "call ended: its client takes the answer too slowly"},
    {ClientLimit::kHeaders, "header-bytes-max", "call refused"},
    {ClientLimit::kContinuations, "continuations-max", "connection closed"},
    {ClientLimit::kHeld, "held-bytes-max",
     "call refused: clients have too many calls under way, or too large messages"},
    {ClientLimit::kResets, "resets-per-second",
     "connection closed: its client cancels calls as it makes them"},
    {ClientLimit::kIdleFrames, "idle-frames-per-second",
     "connection closed: its client sends frames that ask for nothing"},
    {ClientLimit::kPings, "grpc-keepalive-min-time",
     "connection closed: its client pings too often"},
    {ClientLimit::kStreams, "max-concurrent-streams", "call refused"},
};

static_assert(RowsFollow(kRows, &Row::limit, ClientLimit::kStreams));

CountedEvents::Family Limits() {
  CountedEvents::Family limits = {
      "gavel_clients_limited_total", "How often clients met a limit, by its flag.", "limit", {}};
  for (const Row& row : kRows) limits.kinds.emplace_back(row.flag);
  return limits;
}

}  // namespace

LimitTeller::LimitTeller(Clock& clock, Logger& logger, Metrics* metrics)
    : logger_(logger), events_(clock, metrics, Limits()) {}

void LimitTeller::Note(ClientLimit limit, std::string_view client) {
  const uint64_t times = events_.Count(static_cast<size_t>(limit));
  if (times == 0) return;
  const Row& row = kRows[static_cast<size_t>(limit)];
  logger_.Warn("a client met a limit", {{"limit", std::string("--") + row.flag},
                                        {"consequence", row.consequence},
                                        {"client", client},
                                        {"times", times}});
}

}  // namespace gavel::server
