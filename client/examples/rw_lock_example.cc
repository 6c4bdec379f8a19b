// Takes a lock for reading or for writing, and holds it until the input ends.
//
//   rw_lock_example 127.0.0.1:2379 locks/table read|write
#include <string>
#include <vector>

#include "client/examples/example.h"
#include "client/recipes/rw_lock.h"

using gavel::client::Client;
using gavel::client::Session;
using gavel::client::recipes::Fence;
using gavel::client::recipes::RwLock;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 3, "ENDPOINTS NAME read|write");
  const Client client = examples::Connect(arguments[0]);
  Session session = examples::Check(client.lease().Open({.ttl = examples::kTtl}));
  RwLock lock(client, session, arguments[1]);
  const Fence held =
      examples::Check(arguments[2] == "write" ? lock.LockForWriting() : lock.LockForReading());
  examples::Say("held " + std::to_string(held.token));
  examples::WaitForEndOfInput();
  examples::Check(lock.Unlock());
  examples::Check(session.Close());
  examples::Say("unlocked");
  return 0;
}
