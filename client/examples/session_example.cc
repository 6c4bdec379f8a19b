// Puts a key that is there as long as this program is, and tells when its lease was lost.
//
//   session_example 127.0.0.1:2379 workers/7 10.0.0.7
#include <string>
#include <vector>

#include "client/client.h"
#include "client/examples/example.h"

using gavel::client::Client;
using gavel::client::PutRequest;
using gavel::client::Session;
using gavel::client::Status;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 3, "ENDPOINTS KEY VALUE");
  const Client client = examples::Connect(arguments[0]);
  // The callback runs on the client's thread, at the latest when the lease may have ended.
  Session session = examples::Check(client.lease().Open({
      .ttl = examples::kTtl,
      .on_lost = [](const Status& why) { examples::Say("lost: " + why.message()); },
  }));
  examples::Check(client.kv()
                      .Put({.key = arguments[1], .value = arguments[2], .lease = session.lease()})
                      .status());
  examples::Say("alive " + std::to_string(session.lease()));
  examples::WaitForEndOfInput();
  examples::Say(session.alive() ? "closing" : "gone already");
  examples::Check(session.Close());
  return 0;
}
