// Takes a lock, writes under its guard, and holds it until the input ends.
//
//   mutex_example 127.0.0.1:2379 locks/report
#include <string>
#include <vector>

#include "client/examples/example.h"
#include "client/recipes/mutex.h"

using gavel::client::Client;
using gavel::client::PutRequest;
using gavel::client::Session;
using gavel::client::Txn;
using gavel::client::TxnResponse;
using gavel::client::recipes::Fence;
using gavel::client::recipes::Mutex;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 2, "ENDPOINTS NAME");
  const std::string& name = arguments[1];
  const Client client = examples::Connect(arguments[0]);
  Session session = examples::Check(client.lease().Open({.ttl = examples::kTtl}));
  Mutex mutex(client, session, name);
  const Fence held = examples::Check(mutex.Lock());
  examples::Say("held " + std::to_string(held.token));

  // Whatever happened to this process since it got the lock: if the lock is another's by now, this
  // does nothing.
  Txn write;
  write.If(held.guard()).Then(PutRequest{.key = name + "-data", .value = "written under the lock"});
  const TxnResponse written = examples::Check(client.kv().Commit(write));
  examples::Say(written.succeeded ? "wrote" : "lost");

  examples::WaitForEndOfInput();
  examples::Check(mutex.Unlock());
  examples::Check(session.Close());
  examples::Say("unlocked");
  return 0;
}
