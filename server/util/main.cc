// gavelutl: offline work on snapshots and data directories.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

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

struct CommandLine {
  std::string format = "simple";
  std::string snapshot;
  std::string data_dir;
  int64_t revision = 0;
  gavel::server::RestoreFlags restore;
};

void AddRestore(CLI::App& snapshot, CommandLine& line) {
  CLI::App* restore = snapshot.add_subcommand(
      "restore", "Make a data directory from a snapshot, for one member of a new cluster.");
  restore->footer(
      "Do this for every member, from one file and with the same --initial-cluster and\n"
      "--initial-cluster-token; then start gaveld on each with the same flags again.");
  restore->add_option("FILE", line.restore.snapshot, "The snapshot.")->required();
  const auto pass = [&](const char* name, const char* help) {
    restore
        ->add_option_function<std::string>(
            absl::StrCat("--", name),
            [&line, name](const std::string& value) {
              line.restore.member.push_back(absl::StrCat("--", name, "=", value));
            },
            help)
        ->take_last();
  };
  pass("name", "Name of this member. (default)");
  pass("data-dir", "The new data directory. (${name}.etcd)");
  pass("wal-dir", "The new folder of the log, if not inside the data directory.");
  pass("initial-cluster", "All members, a=http://10.0.0.1:2380,b=...");
  pass("initial-cluster-token", "Tells clusters apart. (etcd-cluster)");
  pass("initial-advertise-peer-urls", "Where other members reach this one.");
  restore->add_option("--bump-revision", line.restore.bump_revision,
                      "Raise the revision by so much; with --mark-compacted.");
  restore->add_flag("--mark-compacted", line.restore.mark_compacted,
                    "Give up all history, so that watches of the old cluster begin anew.");
  restore->add_flag("--skip-hash-check", line.restore.skip_hash_check,
                    "Do not compare the SHA-256 at the end; blocks are checked all the same.");
}

std::string Version() {
  return absl::StrCat("gavelutl version: ", std::string(gavel::server::GavelVersion()),
                      "\nAPI version: 3.7\n");
}

absl::StatusOr<std::string> RunCommand(const CLI::App& app, const CommandLine& line,
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
  CommandLine line;
  CLI::App app("Offline work on snapshots and data directories of Gavel.", "gavelutl");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("-w,--write-out", line.format, "simple, fields, json or table.");
  CLI::App* snapshot = app.add_subcommand("snapshot", "Look at snapshots, and start from them.");
  snapshot->require_subcommand(1);
  snapshot->fallthrough();
  CLI::App* status = snapshot->add_subcommand(
      "status", "Check a snapshot, and show its hash, revision, number of rows and size.");
  status->fallthrough();
  status->add_option("FILE", line.snapshot, "The snapshot.")->required();
  AddRestore(*snapshot, line);
  CLI::App* hashkv = app.add_subcommand(
      "hashkv", "The hash of all keys and their history, of a member that does not run.");
  hashkv->fallthrough();
  hashkv->add_option("DATA_DIR", line.data_dir, "The member's data directory.")->required();
  hashkv->add_option("--rev", line.revision, "Up to this revision; 0: the newest on disk.");
  app.add_subcommand("version", "Show the version.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadArguments;
  }
  const auto format = gavel::server::ParsePrintFormat(line.format);
  if (!format) {
    std::fprintf(stderr, "Error: --write-out=%s: it is simple, fields, json or table\n",
                 line.format.c_str());
    return kBadArguments;
  }
  const absl::StatusOr<std::string> text = RunCommand(app, line, *format);
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
