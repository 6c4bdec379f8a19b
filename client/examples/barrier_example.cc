// Sets up a barrier and takes it away when the input ends, or waits for its end.
//
//   barrier_example 127.0.0.1:2379 migration hold
//   barrier_example 127.0.0.1:2379 migration wait
#include <string>
#include <vector>

#include "client/examples/example.h"
#include "client/recipes/barrier.h"

using gavel::client::Client;
using gavel::client::Session;
using gavel::client::recipes::Barrier;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 3, "ENDPOINTS NAME hold|wait");
  const Client client = examples::Connect(arguments[0]);
  const Barrier barrier(client, arguments[1]);
  if (arguments[2] == "wait") {
    examples::Check(barrier.Wait());
    examples::Say("passed");
    return 0;
  }
  // It falls with its holder.
  Session session = examples::Check(client.lease().Open({.ttl = examples::kTtl}));
  examples::Check(barrier.Hold(session.lease()));
  examples::Say("holding");
  examples::WaitForEndOfInput();
  examples::Check(barrier.Release());
  examples::Check(session.Close());
  examples::Say("released");
  return 0;
}
