// gavelutl: offline work on snapshots and data directories.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "server/util/command_line.h"
#include "server/util/commands.h"
#include "server/version.h"
#include "storage/disk/posix_disk.h"

namespace {

using gavel::server::PrintFormat;

// etcdutl's numbers.
constexpr int kFailed = 1;
constexpr int kBadArguments = 128;

// To the beginning of a terminal's line, and all that stands there away.
constexpr char kClearLine[] = "\r\033[K";

std::string Version() {
  return absl::StrCat("gavelutl version: ", std::string(gavel::server::GavelVersion()),
                      "\nAPI version: 3.7\n");
}

absl::StatusOr<std::string> RunCommand(const CLI::App& app,
                                       const gavel::server::UtilCommandLine& line,
                                       PrintFormat format) {
  gavel::storage::PosixDisk disk;
  gavel::server::UtilSurroundings surroundings{
      disk, [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }, nullptr};
  if (isatty(STDERR_FILENO) == 1) {
    surroundings.tell_progress = [](const std::string& text) {
      std::fprintf(stderr, "%s%s", kClearLine, text.c_str());
    };
  }
  const CLI::App* snapshot = app.get_subcommand("snapshot");
  if (snapshot->got_subcommand("status")) {
    return gavel::server::SnapshotStatus(surroundings, line.snapshot, format);
  }
  if (snapshot->got_subcommand("restore")) {
    return gavel::server::SnapshotRestore(surroundings, line.restore);
  }
  if (app.got_subcommand("hashkv")) {
    return gavel::server::HashKvOffline(surroundings, line.data_dir, line.revision, format);
  }
  return Version();
}

}  // namespace

int main(int argc, char** argv) {
  gavel::server::UtilCommandLine line;
  const std::unique_ptr<CLI::App> app = gavel::server::MakeUtilCommandLine(&line);
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app->exit(error) == 0 ? 0 : kBadArguments;
  }
  const auto format = gavel::server::ParsePrintFormat(line.format);
  if (!format) {
    std::fprintf(stderr, "Error: --write-out=%s: it is simple, fields, json or table\n",
                 line.format.c_str());
    return kBadArguments;
  }
  const absl::StatusOr<std::string> text = RunCommand(*app, line, *format);
  if (!text.ok()) {
    std::fprintf(stderr, "%sError: %s\n", isatty(STDERR_FILENO) == 1 ? kClearLine : "",
                 std::string(text.status().message()).c_str());
    return absl::IsInvalidArgument(text.status()) ? kBadArguments : kFailed;
  }
  const bool written = std::fwrite(text->data(), 1, text->size(), stdout) == text->size() &&
                       std::fflush(stdout) == 0;
  if (!written) std::fprintf(stderr, "Error: standard output cannot be written\n");
  return written ? 0 : kFailed;
}
