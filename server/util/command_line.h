// The command line of gavelutl as data: what main reads, and pages are made from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"

#include "server/util/commands.h"

namespace gavel::server {

struct UtilCommandLine {
  std::string format = "simple";
  std::string snapshot;
  std::string data_dir;
  int64_t revision = 0;
  RestoreFlags restore;
};

// Parsing fills in `line`, which must outlive what is returned.
std::unique_ptr<CLI::App> MakeUtilCommandLine(UtilCommandLine* line);

}  // namespace gavel::server
