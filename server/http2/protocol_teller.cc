#include "server/http2/protocol_teller.h"

#include <cctype>

#include "server/table_rows.h"

namespace gavel::server {
namespace {

struct Row {
  ProtocolFault fault;
  const char* label;
  const char* reason;
};

constexpr Row kRows[] = {
    {ProtocolFault::kTls, "tls",
     "its client begins with TLS and this port is not encrypted: give it an http:// endpoint"},
    {ProtocolFault::kHttp1, "http1", "its client speaks HTTP/1 and this port gRPC over HTTP/2"},
    {ProtocolFault::kUnknown, "unknown", "its client speaks no HTTP: is the port the right one?"},
    {ProtocolFault::kHttp2, "http2", "its client breaks the rules of HTTP/2"},
};

static_assert(RowsFollow(kRows, &Row::fault, ProtocolFault::kHttp2));

CountedEvents::Family Faults() {
  CountedEvents::Family faults = {
      "gavel_clients_protocol_errors_total",
      "Connections closed because their clients do not speak what the port speaks.",
      "fault",
      {}};
  for (const Row& row : kRows) faults.kinds.emplace_back(row.label);
  return faults;
}

// The record type of a handshake, and the major version that all of them have.
constexpr std::string_view kTlsGreeting = "\x16\x03";

}  // namespace

ProtocolFault FaultOf(std::string_view bytes) {
  // Methods are letters; anything else is no HTTP.
  if (std::isalpha(static_cast<unsigned char>(bytes.front())) != 0) return ProtocolFault::kHttp1;
  return bytes.substr(0, 2) == kTlsGreeting ? ProtocolFault::kTls : ProtocolFault::kUnknown;
}

ProtocolTeller::ProtocolTeller(Clock& clock, Logger& logger, Metrics* metrics)
    : logger_(logger), events_(clock, metrics, Faults()) {}

void ProtocolTeller::Note(ProtocolFault fault, std::string_view client) {
  const uint64_t times = events_.Count(static_cast<size_t>(fault));
  if (times == 0) return;
  const Row& row = kRows[static_cast<size_t>(fault)];
  logger_.Warn("a client's connection was closed",
               {{"reason", row.reason}, {"client", client}, {"times", times}});
}

}  // namespace gavel::server
