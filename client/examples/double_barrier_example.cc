// Begins when so many have come, and ends when all are done, which each is when its input ends.
//
//   double_barrier_example 127.0.0.1:2379 step-1 3
#include <string>
#include <vector>

#include "client/examples/example.h"
#include "client/recipes/double_barrier.h"

using gavel::client::Client;
using gavel::client::Session;
using gavel::client::recipes::DoubleBarrier;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 3, "ENDPOINTS NAME COUNT");
  const Client client = examples::Connect(arguments[0]);
  Session session = examples::Check(client.lease().Open({.ttl = examples::kTtl}));
  DoubleBarrier barrier(client, session, arguments[1], std::atoll(arguments[2].c_str()));
  examples::Check(barrier.Enter());
  examples::Say("in");
  examples::WaitForEndOfInput();
  examples::Check(barrier.Leave());
  examples::Check(session.Close());
  examples::Say("out");
  return 0;
}
