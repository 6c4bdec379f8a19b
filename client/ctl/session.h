// What a running command has at hand.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "client/ctl/command.h"
#include "client/ctl/failure.h"
#include "client/ctl/output.h"
#include "client/ctl/printer.h"
#include "client/ctl/settings.h"

namespace gavel::client::ctl {

// One run of gavelctl. Connects when a command first asks for the client.
class Session {
 public:
  Session(Settings settings, const CommandLine& line, Output* output);

  const Settings& settings() const { return settings_; }
  const FlagValues& flags() const { return line_.flags; }
  const std::vector<std::string>& arguments() const { return line_.arguments; }
  // How many arguments stand before "--"; nothing if there is no "--".
  std::optional<size_t> separator() const { return line_.separator; }
  Output& output() { return output_; }
  Printer& printer() { return *printer_; }

  // Endpoints that cannot be read are the only failure.
  Expected<const Client*> client();

  // The value of a request, or its failure; --debug says how it ended.
  template <class T>
  Expected<T> Take(Result<T> result, Effect effect = Effect::kReads) {
    Note(result.status());
    if (!result.ok()) return FromStatus(result.status(), effect);
    return std::move(result).value();
  }

  // Waits for a call that itself waits for servers as long as it takes, or gives up if none could
  // be reached within --dial-timeout. Only from client() on.
  template <class T>
  MaybeFailure AwaitServer(const Pending<T>& call) {
    while (!call.WaitFor(settings_.client.dial_timeout)) {
      if (!Connected()) return NoServer();
    }
    return std::nullopt;
  }

 private:
  bool Connected() const;
  Failure NoServer() const;
  void Note(const Status& status);

  const Settings settings_;
  const CommandLine& line_;
  Output& output_;
  const std::unique_ptr<Printer> printer_;
  std::optional<Client> client_;
};

// The library takes host:port; members advertise URLs.
std::string AddressOf(const std::string& endpoint);

// The endpoints that were named or, with --cluster, those that the members advertise. Any member
// tells them from what it knows itself: they are wanted most when there is no quorum.
Expected<std::vector<std::string>> EndpointsToAsk(Session& session);

// Into a new file beside it, which then takes its place.
MaybeFailure WriteFile(const std::string& path, std::string_view content);

}  // namespace gavel::client::ctl
