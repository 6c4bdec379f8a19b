// Keeps a copy of what begins so: the whole of it first, and then each change.
//
//   follow_example 127.0.0.1:2379 config/
#include <map>
#include <string>
#include <vector>

#include "client/client.h"
#include "client/examples/example.h"

using gavel::client::Client;
using gavel::client::EventType;
using gavel::client::FollowBatch;
using gavel::client::Follower;
using gavel::client::KeyRange;
using gavel::client::KeyValue;
using gavel::client::WatchEvent;
namespace examples = gavel::client::examples;

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(argc, argv, 2, "ENDPOINTS PREFIX");
  const Client client = examples::Connect(arguments[0]);
  Follower follower = client.watch().Follow({.range = KeyRange::Prefix(arguments[1])});
  std::map<std::string, std::string> known;
  while (true) {
    const FollowBatch batch = examples::Check(follower.Next());
    if (batch.restarted) known.clear();
    for (const KeyValue& row : batch.rows) known[row.key] = row.value;
    for (const WatchEvent& event : batch.events) {
      if (event.type == EventType::kPut) {
        known[event.kv.key] = event.kv.value;
      } else {
        known.erase(event.kv.key);
      }
    }
    if (!batch.complete && batch.events.empty()) continue;
    std::string line = std::to_string(known.size()) + " keys:";
    for (const auto& [key, value] : known) line.append(" ").append(key).append("=").append(value);
    examples::Say(line);
  }
}
