// Tells every change of what begins so, from a revision on or from now on.
//
//   watch_example 127.0.0.1:2379 config/
//   watch_example 127.0.0.1:2379 config/ 17
//
// It goes on over members that fail. What was compacted before it was told is named, not left out.
#include <string>
#include <vector>

#include "client/client.h"
#include "client/examples/example.h"

using gavel::client::Client;
using gavel::client::EventType;
using gavel::client::KeyRange;
using gavel::client::Reason;
using gavel::client::Result;
using gavel::client::WatchBatch;
using gavel::client::Watcher;
using gavel::client::WatchEvent;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 2, "ENDPOINTS PREFIX [REVISION]");
  const Client client = examples::Connect(arguments[0]);
  int64_t revision = arguments.size() > 2 ? std::atoll(arguments[2].c_str()) : 0;
  while (true) {
    Watcher watcher =
        client.watch().Start({.range = KeyRange::Prefix(arguments[1]), .start_revision = revision});
    Result<int64_t> created = watcher.Created();
    if (created.ok()) examples::Say("watching from " + std::to_string(*created));
    Result<WatchBatch> batch = watcher.Next();
    for (; batch.ok(); batch = watcher.Next()) {
      for (const WatchEvent& event : batch->events) {
        examples::Say(event.type == EventType::kPut ? "put " + event.kv.key + " " + event.kv.value
                                                    : "deleted " + event.kv.key);
      }
    }
    if (batch.status().reason() != Reason::kCompacted) examples::Fail(batch.status());
    revision = batch.status().compact_revision();
    examples::Say("compacted before " + std::to_string(revision));
  }
}
