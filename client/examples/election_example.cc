// Campaigns and leads until the input ends, or tells who leads.
//
//   election_example 127.0.0.1:2379 schedulers campaign 10.0.0.7:9000
//   election_example 127.0.0.1:2379 schedulers observe
#include <string>
#include <vector>

#include "client/examples/example.h"
#include "client/recipes/election.h"

using gavel::client::Client;
using gavel::client::Session;
using gavel::client::recipes::Election;
using gavel::client::recipes::ElectionObserver;
using gavel::client::recipes::Fence;
using gavel::client::recipes::Leader;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments =
      examples::Arguments(argc, argv, 3, "ENDPOINTS NAME campaign VALUE|observe");
  const Client client = examples::Connect(arguments[0]);
  if (arguments[2] == "observe") {
    ElectionObserver observer(client, arguments[1]);
    while (true) {
      const Leader leader = examples::Check(observer.Next());
      examples::Say("leader " + leader.value + " " + std::to_string(leader.token));
    }
  }
  Session session = examples::Check(client.lease().Open({.ttl = examples::kTtl}));
  Election election(client, session, arguments[1]);
  const Fence led = examples::Check(election.Campaign(arguments.back()));
  examples::Say("leading " + std::to_string(led.token));
  examples::WaitForEndOfInput();
  examples::Check(election.Resign());
  examples::Check(session.Close());
  examples::Say("resigned");
  return 0;
}
