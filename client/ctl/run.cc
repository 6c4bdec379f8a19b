#include "client/ctl/run.h"

#include <cstdlib>
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/help.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

// The release of etcd whose API this speaks.
constexpr char kApiVersion[] = "3.7";

// "simple, fields or json": those of a command.
std::string FormatNames(Formats formats) {
  constexpr std::pair<std::string_view, Format> kKnown[] = {{"simple", Format::kSimple},
                                                            {"fields", Format::kFields},
                                                            {"json", Format::kJson},
                                                            {"table", Format::kTable},
                                                            {"protobuf", Format::kProtobuf}};
  std::vector<std::string> names;
  for (const auto& [name, format] : kKnown) {
    if ((formats & static_cast<uint8_t>(format)) != 0) names.emplace_back(name);
  }
  if (names.size() == 1) return names.front() + " only";
  const std::string last = std::move(names.back());
  names.pop_back();
  return Join(names, ", ") + " or " + last;
}

MaybeFailure CheckFormat(const Command& command, const Settings& settings, const Output& output) {
  if (command.formats == kNoFormat) return std::nullopt;
  // Before anything is asked: a put must not be done and then not be told.
  const std::string hint = "It is " + FormatNames(command.formats) + ".";
  if (!settings.format) {
    return Failure{ExitCode::kBadFeature, "unsupported output format", hint};
  }
  if ((command.formats & static_cast<uint8_t>(*settings.format)) == 0) {
    return Failure{ExitCode::kBadFeature, settings.format_text + " not supported as output format",
                   hint};
  }
  if (*settings.format == Format::kProtobuf && output.terminal()) {
    return Failure{ExitCode::kBadFeature, "protobuf is not written to a terminal",
                   "It is for programs: send it to a file or through a pipe."};
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
  if (MaybeFailure failure = CheckFormat(command, *settings, *output)) return failure;
  Session session(*std::move(settings), *line, output);
  MaybeFailure failure = command.run(session);
  if (failure && failure->code == ExitCode::kBadArguments && failure->hint.empty()) {
    failure->hint =
        "It is " + UsageLine(line->path) + ". See '" + FullName(line->path) + " --help'.";
  }
  return failure;
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
