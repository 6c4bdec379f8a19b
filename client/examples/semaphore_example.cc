// Takes one of so many places, and holds it until the input ends.
//
//   semaphore_example 127.0.0.1:2379 downloads 3
#include <string>
#include <vector>

#include "client/examples/example.h"
#include "client/recipes/semaphore.h"

using gavel::client::Client;
using gavel::client::Session;
using gavel::client::recipes::Fence;
using gavel::client::recipes::Semaphore;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 3, "ENDPOINTS NAME LIMIT");
  const Client client = examples::Connect(arguments[0]);
  Session session = examples::Check(client.lease().Open({.ttl = examples::kTtl}));
  Semaphore semaphore(client, session, arguments[1], std::atoll(arguments[2].c_str()));
  const Fence held = examples::Check(semaphore.Acquire());
  examples::Say("held " + std::to_string(held.token));
  examples::WaitForEndOfInput();
  examples::Check(semaphore.Release());
  examples::Check(session.Close());
  examples::Say("released");
  return 0;
}
