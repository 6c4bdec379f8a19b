// Registers an instance until the input ends, lists a service, or follows it.
//
//   registry_example 127.0.0.1:2379 services/api register 7 10.0.0.7:80 '{"zone":"a"}'
//   registry_example 127.0.0.1:2379 services/api list
//   registry_example 127.0.0.1:2379 services/api follow
#include <string>
#include <vector>

#include "client/examples/example.h"
#include "client/recipes/service_registry.h"

using gavel::client::Client;
using gavel::client::recipes::Endpoint;
using gavel::client::recipes::EndpointChanges;
using gavel::client::recipes::EndpointWatcher;
using gavel::client::recipes::Registration;
using gavel::client::recipes::Resolve;
namespace examples = gavel::client::examples;

namespace {

std::string ToString(const Endpoint& endpoint) {
  return endpoint.name + " " + endpoint.address + " " + endpoint.metadata;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = examples::Arguments(
      argc, argv, 3, "ENDPOINTS TARGET register NAME ADDRESS [METADATA]|list|follow");
  const Client client = examples::Connect(arguments[0]);
  const std::string& target = arguments[1];
  if (arguments[2] == "list") {
    for (const Endpoint& endpoint : examples::Check(Resolve(client, target)).endpoints) {
      examples::Say(ToString(endpoint));
    }
    return 0;
  }
  if (arguments[2] == "follow") {
    EndpointWatcher watcher(client, target);
    while (true) {
      const EndpointChanges changes = examples::Check(watcher.Next());
      for (const Endpoint& endpoint : changes.set) examples::Say("set " + ToString(endpoint));
      for (const std::string& name : changes.removed) examples::Say("removed " + name);
    }
  }
  const Endpoint here{.name = arguments.size() > 3 ? arguments[3] : "",
                      .address = arguments.size() > 4 ? arguments[4] : "",
                      .metadata = arguments.size() > 5 ? arguments[5] : ""};
  Registration registration(client, target, here, {.ttl = examples::kTtl});
  examples::Check(registration.WaitUntilRegistered());
  examples::Say("registered");
  examples::WaitForEndOfInput();
  examples::Check(registration.Close());
  examples::Say("unregistered");
  return 0;
}
