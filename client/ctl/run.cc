#include "client/ctl/run.h"

#include <cstdlib>
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/help.h"
#include "client/ctl/session.h"

namespace gavel::client::ctl {
namespace {

// The release of etcd whose API this speaks.
constexpr char kApiVersion[] = "3.7";

MaybeFailure CheckFormat(const Command& command, const Settings& settings) {
  if (command.formats == kNoFormat) return std::nullopt;
  // Before anything is asked: a put must not be done and then not be told.
  if (!settings.format) {
    return Failure{ExitCode::kBadFeature, "unsupported output format",
                   "It is simple, fields, json, table or protobuf."};
  }
  if ((command.formats & static_cast<uint8_t>(*settings.format)) == 0) {
    return Failure{
        ExitCode::kBadFeature, settings.format_text + " not supported as output format", {}};
  }
  return std::nullopt;
}

MaybeFailure RunCommand(CommandLine* line, const char* const* variables, Output* output) {
  if (line->help) {
    output->Write(HelpText(line->path));
    return std::nullopt;
  }
  const Environment environment = [](const char* name) { return std::getenv(name); };
  if (MaybeFailure failure = ApplyEnvironment(environment, &line->flags)) return failure;
  for (const std::string& name : UnknownVariables(variables)) {
    output->Complain("Warning: the variable " + name + " names no global option");
  }
  Expected<Settings> settings = ReadSettings(line->flags);
  if (!settings.ok()) return settings.failure();
  if (settings->debug) {
    for (const std::string& text : DescribeSettings(line->flags)) output->Complain(text);
  }
  const Command& command = *line->path.back();
  if (MaybeFailure failure = CheckFormat(command, *settings)) return failure;
  Session session(*std::move(settings), *line, output);
  return command.run(session);
}

}  // namespace

MaybeFailure RunVersion(Session& session) {
  session.output().Line("gavelctl version: " GAVEL_CLIENT_VERSION);
  session.output().Line(std::string("API version: ") + kApiVersion);
  return std::nullopt;
}

int Run(std::vector<std::string> arguments, const char* const* variables, Output* output) {
  MaybeFailure failure;
  Expected<CommandLine> line = ReadCommandLine(std::move(arguments));
  if (line.ok()) {
    failure = RunCommand(&*line, variables, output);
  } else {
    failure = line.failure();
  }
  output->Flush();
  if (failure) output->Report(*failure);
  if (output->failed() && !failure) {
    failure = output->failed();
    output->Report(*failure);
  }
  return static_cast<int>(failure ? failure->code : ExitCode::kSuccess);
}

}  // namespace gavel::client::ctl
