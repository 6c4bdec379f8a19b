// Appends to a queue, or takes what comes until it is ended.
//
//   queue_example 127.0.0.1:2379 jobs put VALUE...
//   queue_example 127.0.0.1:2379 jobs take
#include <string>
#include <vector>

#include "client/examples/example.h"
#include "client/recipes/queue.h"

using gavel::client::Client;
using gavel::client::recipes::Queue;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 3, "ENDPOINTS NAME put VALUE...|take");
  const Client client = examples::Connect(arguments[0]);
  Queue queue(client, arguments[1]);
  for (size_t i = 3; i < arguments.size(); ++i) {
    examples::Check(queue.Enqueue(arguments[i]));
    examples::Say("put " + arguments[i]);
  }
  while (arguments[2] == "take") examples::Say("took " + examples::Check(queue.Dequeue()));
  return 0;
}
