// watch: changes as they happen, written or handed to a command.
#include <cstdlib>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/input.h"
#include "client/ctl/process.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"
#include "client/ctl/txn_text.h"
#include "client/ctl/watch_request.h"
#include "client/internal/local_mutex.h"

namespace gavel::client::ctl {
namespace {

// Go's %q of a list.
std::string QuotedList(const std::vector<std::string>& words) {
  std::vector<std::string> quoted;
  for (const std::string& word : words) quoted.push_back(Quote(word));
  return "[" + Join(quoted, " ") + "]";
}

// One watch, from its begin to its end. Several may run, each on a thread of its own; `writing`
// guards the output that they share.
class WatchRun {
 public:
  WatchRun(Session* session, const Client& client, internal::LocalMutex* writing,
           WatchRequest request)
      : session_(*session),
        writing_(*writing),
        command_(std::move(request.command)),
        watcher_(client.watch().Start(std::move(request.options))) {}

  // Tells of changes until the watch ends, and why it did; of one that was canceled by us, nothing.
  MaybeFailure Run() {
    // Servers that go away later are waited for as long as it takes.
    if (MaybeFailure failure = session_.AwaitServer(watcher_.CreatedAsync())) return failure;
    while (true) {
      const Result<WatchBatch> batch = watcher_.Next();
      if (!batch.ok()) return End(batch.status());
      {
        const internal::LocalLock lock(writing_);
        if (batch->progress()) {
          session_.output().Line("progress notify: " + std::to_string(batch->header.revision));
        }
        session_.printer().Watch(*batch);
        session_.output().Flush();
        if (session_.output().failed()) return session_.output().failed();
      }
      if (MaybeFailure failure = RunCommands(*batch)) return failure;
    }
  }

  void RequestProgress() { watcher_.RequestProgress(); }
  void Cancel() { watcher_.Cancel(); }

 private:
  MaybeFailure End(const Status& status) {
    if (status.reason() == Reason::kCancelled) return std::nullopt;
    const Failure failure = FromStatus(status);
    if (failure.code != ExitCode::kError) return failure;
    const internal::LocalLock lock(writing_);
    session_.output().Complain("watch was canceled (" + status.message() + ")");
    session_.printer().WatchCanceled(status.compact_revision());
    session_.output().Flush();
    return Failure{ExitCode::kInterrupted, "watch is canceled by the server", failure.hint};
  }

  MaybeFailure RunCommands(const WatchBatch& batch) {
    if (command_.empty()) return std::nullopt;
    for (const WatchEvent& event : batch.events) {
      // Text is quoted, as etcdctl does, so that every key and value fits into a variable.
      StartedCommand command(
          command_,
          {{"ETCD_WATCH_REVISION", std::to_string(batch.header.revision)},
           {"ETCD_WATCH_EVENT_TYPE", event.type == EventType::kPut ? "\"PUT\"" : "\"DELETE\""},
           {"ETCD_WATCH_KEY", Quote(event.kv.key)},
           {"ETCD_WATCH_VALUE", Quote(event.kv.value)}});
      const CommandEnd end = command.Wait();
      if (end.ok()) continue;
      const internal::LocalLock lock(writing_);
      session_.output().Complain("command " + QuotedList(command_) + " error (" + end.Describe() +
                                 ")");
      const std::string hint = end.Hint();
      if (!hint.empty()) session_.output().Complain(hint);
      return Failure{ExitCode::kError, {}, {}};
    }
    return std::nullopt;
  }

  Session& session_;
  internal::LocalMutex& writing_;
  const std::vector<std::string> command_;
  Watcher watcher_;
};

// Lines of standard input, each of which begins a watch or asks for progress.
class Interactive {
 public:
  Interactive(Session* session, const Client& client, WatchDefaults defaults)
      : session_(*session), client_(client), defaults_(std::move(defaults)) {}
  Interactive(const Interactive&) = delete;
  Interactive& operator=(const Interactive&) = delete;

  // Waits for commands that are under way.
  ~Interactive() {
    for (Watching& watching : watches_) watching.run.Cancel();
    for (Watching& watching : watches_) watching.thread.join();
  }

  // Takes a line. One that is not understood is told, and changes nothing.
  void Take(const std::string& line) {
    const Line<std::vector<std::string>> read = ReadWords(line);
    if (const LineError* const error = std::get_if<LineError>(&read)) {
      return Complain("Invalid command " + line + " (column " + std::to_string(error->column) +
                      ": " + error->message + ")");
    }
    const std::vector<std::string>& words = *std::get_if<std::vector<std::string>>(&read);
    if (words.empty()) {
      Complain("Invalid command: " + line + " (watch and progress supported)");
    } else if (words[0] == "progress") {
      for (Watching& watching : watches_) watching.run.RequestProgress();
    } else if (words[0] != "watch") {
      Complain("Invalid command " + line + " (only support watch)");
    } else if (words.size() < 2 && defaults_.key.empty()) {
      Complain("Invalid command " + line + " (command type or key is not provided)");
    } else {
      const Expected<WatchRequest> request = ReadWatchLine(words, defaults_);
      if (!request.ok()) {
        return Complain("Invalid command " + line + " (" + request.failure().message + ")");
      }
      Begin(*request);
    }
  }

 private:
  struct Watching {
    WatchRun run;
    std::thread thread = {};
  };

  void Begin(const WatchRequest& request) {
    Watching& watching =
        watches_.emplace_back(Watching{WatchRun(&session_, client_, &writing_, request)});
    watching.thread = std::thread([this, &watching] {
      const MaybeFailure failure = watching.run.Run();
      if (!failure) return;
      // What a watch ended with was told; the others go on, unless a command failed, nobody serves
      // or nothing can be written.
      if (failure->code == ExitCode::kInterrupted) return;
      const internal::LocalLock lock(writing_);
      session_.output().Report(*failure);
      std::_Exit(static_cast<int>(failure->code));  // The reader of lines cannot be woken.
    });
  }

  void Complain(const std::string& text) {
    const internal::LocalLock lock(writing_);
    session_.output().Complain(
        session_.output().error_terminal() ? SafeText(text, /*multi_line=*/false) : text);
  }

  Session& session_;
  const Client& client_;
  const WatchDefaults defaults_;
  internal::LocalMutex writing_;
  std::list<Watching> watches_;
};

MaybeFailure WatchInteractively(Session& session, const Client& client, WatchDefaults defaults) {
  Interactive interactive(&session, client, std::move(defaults));
  InputLines lines(session.settings().input_bytes_max);
  while (true) {
    const Expected<std::optional<std::string>> line = lines.Next();
    if (!line.ok()) return line.failure();
    if (!*line) break;
    interactive.Take(**line);
    lines.Restart();
  }
  return Failure{ExitCode::kInvalidInput, "error reading watch request line: EOF",
                 "Watching ends with the input."};
}

}  // namespace

MaybeFailure RunWatch(Session& session) {
  Expected<WatchDefaults> defaults =
      ReadWatchDefaults([](const char* name) { return std::getenv(name); });
  if (!defaults.ok()) return defaults.failure();
  const bool interactive = session.flags().Switch("interactive");
  WatchRequest request;
  if (!interactive) {
    Expected<WatchRequest> read =
        ReadWatch(session.flags(), session.arguments(), session.separator(), *defaults);
    if (!read.ok()) return read.failure();
    request = *std::move(read);
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  if (interactive) return WatchInteractively(session, **client, *std::move(defaults));
  internal::LocalMutex writing;
  return WatchRun(&session, **client, &writing, std::move(request)).Run();
}

}  // namespace gavel::client::ctl
