// What an operator is told of the members: a line for each that comes, goes or changes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "raft/configuration.h"
#include "server/logging.h"

namespace gavel::server {

// Not thread-safe.
class ConfigurationTeller {
 public:
  // `name_of` gives a member's name, or nothing of one that has not started.
  using NameOf = std::function<std::string(raft::NodeId)>;
  ConfigurationTeller(Logger& logger, NameOf name_of)
      : logger_(logger), name_of_(std::move(name_of)) {}

  // `configuration` is in force. Says nothing if it was already.
  void Tell(const raft::Configuration& configuration);

 private:
  void TellChanges(const raft::Configuration& before, const raft::Configuration& now);
  void TellOne(std::string_view what, const raft::MemberAddress& member, const LogField& detail);

  Logger& logger_;
  const NameOf name_of_;
  std::optional<raft::Configuration> told_;
};

}  // namespace gavel::server
