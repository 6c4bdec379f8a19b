#include "server/util/command_line.h"

#include "absl/strings/str_cat.h"

namespace gavel::server {
namespace {

void AddRestore(CLI::App& snapshot, UtilCommandLine& line) {
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

}  // namespace

std::unique_ptr<CLI::App> MakeUtilCommandLine(UtilCommandLine* line) {
  auto app = std::make_unique<CLI::App>("Offline work on snapshots and data directories of Gavel.",
                                        "gavelutl");
  app->require_subcommand(1);
  app->fallthrough();
  app->add_option("-w,--write-out", line->format, "simple, fields, json or table.");
  CLI::App* snapshot = app->add_subcommand("snapshot", "Look at snapshots, and start from them.");
  snapshot->require_subcommand(1);
  snapshot->fallthrough();
  CLI::App* status = snapshot->add_subcommand(
      "status", "Check a snapshot, and show its hash, revision, number of rows and size.");
  status->fallthrough();
  status->add_option("FILE", line->snapshot, "The snapshot.")->required();
  AddRestore(*snapshot, *line);
  CLI::App* hashkv = app->add_subcommand(
      "hashkv", "The hash of all keys and their history, of a member that does not run.");
  hashkv->fallthrough();
  hashkv->add_option("DATA_DIR", line->data_dir, "The member's data directory.")->required();
  hashkv->add_option("--rev", line->revision, "Up to this revision; 0: the newest on disk.");
  app->add_subcommand("version", "Show the version.");
  return app;
}

}  // namespace gavel::server
