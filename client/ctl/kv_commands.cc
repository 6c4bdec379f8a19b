// put, get, del, txn and compaction.
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/input.h"
#include "client/ctl/kv_requests.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"
#include "client/ctl/txn_text.h"

namespace gavel::client::ctl {
namespace {

constexpr std::chrono::seconds kTimeToThink{2};

// A transaction as a person types it: asks for each list. A line with an error can be typed again
// on a terminal, and ends a script.
Expected<Txn> ReadInteractively(Output* output, size_t bytes_max) {
  const bool person = isatty(STDIN_FILENO) == 1;
  InputLines lines(bytes_max);
  TxnReader reader;
  std::optional<TxnReader::Section> asked;
  while (reader.section() != TxnReader::Section::kDone) {
    if (asked != reader.section()) {
      asked = reader.section();
      output->Line(std::string(Describe(*asked)) + ":");
      output->Flush();
    }
    const Expected<std::optional<std::string>> line = lines.Next();
    if (!line.ok()) return line.failure();
    if (!*line) {
      return AtLine("input", reader.line_number() + 1,
                    {CountCharacters(lines.rest()) + 1,
                     "the input ends within the " + std::string(Describe(*asked))});
    }
    const std::optional<LineError> error = reader.Take(**line);
    if (!error) continue;
    Failure failure = AtLine("input", reader.line_number(), *error);
    if (!person) return failure;
    failure.hint += "\nType this line again; Ctrl-C gives up, and nothing has been done.";
    output->Report(failure);
  }
  return reader.txn();
}

Expected<Txn> ReadTxn(Session& session) {
  const size_t bytes_max = session.settings().input_bytes_max;
  if (session.flags().Switch("interactive")) {
    return ReadInteractively(&session.output(), bytes_max);
  }
  const std::string& path = session.flags().Text("file");
  const Expected<std::string> text =
      path.empty() ? ReadStandardInput(bytes_max) : ReadFile(path, bytes_max);
  if (!text.ok()) return text.failure();
  return ParseTxn(*text, path.empty() ? "standard input" : path);
}

// Writes a range chunk by chunk, so that its size does not matter.
MaybeFailure StreamKeys(Session& session, const RangeRequest& request, bool value_only) {
  if (session.settings().format != Format::kSimple) {
    return BadArguments("--stream is only for `--write-out=simple`",
                        "The other formats say first what is only known at the end.");
  }
  if (request.sort_target != SortTarget::kKey || request.sort_order != SortOrder::kNone) {
    return BadArguments("--stream writes the keys in their order, and cannot sort otherwise",
                        "Leave out --stream, or --order and --sort-by.");
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  RangeStream rows = (*client)->kv().Stream(request);
  while (!rows.done() && !session.output().failed()) {
    Expected<std::vector<KeyValue>> chunk = session.Take(rows.Next());
    if (!chunk.ok()) return chunk.failure();
    RangeResponse part;
    part.kvs = *std::move(chunk);
    session.printer().Get(part, value_only);
    session.output().Flush();
  }
  return std::nullopt;
}

}  // namespace

MaybeFailure RunPut(Session& session) {
  const Expected<PutRequest> request = ReadPut(session.flags(), session.arguments(), [&] {
    return ReadStandardInput(session.settings().input_bytes_max);
  });
  if (!request.ok()) return request.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<PutResponse> response =
      session.Take((*client)->kv().Put(*request), Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().Put(*response);
  return std::nullopt;
}

MaybeFailure RunGet(Session& session) {
  const Expected<RangeRequest> request = ReadGet(session.flags(), session.arguments());
  if (!request.ok()) return request.failure();
  const bool value_only = session.flags().Switch("print-value-only");
  const bool simple = session.settings().format == Format::kSimple;
  if (value_only && !simple) {
    return BadArguments("print-value-only is only for `--write-out=simple`");
  }
  if (request->count_only && simple) {
    return BadArguments("--count-only is only for `--write-out=fields`",
                        "It also goes with --write-out=json.");
  }
  if (session.flags().Switch("stream")) return StreamKeys(session, *request, value_only);
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<RangeResponse> response = session.Take((*client)->kv().Range(*request));
  if (!response.ok()) return response.failure();
  session.printer().Get(*response, value_only);
  return std::nullopt;
}

MaybeFailure RunDelete(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  const Expected<DeleteRequest> request = ReadDelete(session.flags(), words);
  if (!request.ok()) return request.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  if (words.size() == 2 && !session.flags().Switch("range")) {
    session.output().Complain("Warning: Keys between " + Quote(words[0]) + " and " +
                              Quote(words[1]) +
                              " will be deleted. Please interrupt the command within next 2 "
                              "seconds to cancel. You can provide `--range` flag to avoid the "
                              "delay.");
    std::this_thread::sleep_for(kTimeToThink);
  }
  const Expected<DeleteResponse> response =
      session.Take((*client)->kv().Delete(*request), Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().Delete(*response);
  return std::nullopt;
}

MaybeFailure RunTxn(Session& session) {
  if (!session.arguments().empty()) {
    return BadArguments("txn command does not accept argument",
                        "A file is named by --file, or comes on standard input.");
  }
  if (session.flags().Switch("interactive") && !session.flags().Text("file").empty()) {
    return BadArguments("--interactive and --file cannot be given at the same time",
                        "Drop --interactive to read the file, or --file to be asked.");
  }
  const Expected<Txn> txn = ReadTxn(session);
  if (!txn.ok()) return txn.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<TxnResponse> response = session.Take(
      (*client)->kv().Commit(*txn), txn->read_only() ? Effect::kReads : Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().Txn(*response);
  return std::nullopt;
}

MaybeFailure RunCompaction(Session& session) {
  if (session.arguments().size() != 1) return BadArguments("compaction command needs 1 argument");
  const std::optional<int64_t> revision = ParseInteger(session.arguments()[0]);
  if (!revision) {
    return Failure{
        ExitCode::kError,
        "bad revision " + Quote(session.arguments()[0]) + ", expecting a whole number",
        "The newest revision is in the header of any answer: 'gavelctl get \"\" --prefix "
        "--count-only -w fields'."};
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<CompactResponse> response =
      session.Take((*client)->kv().Compact(CompactRequest{
                       .revision = *revision, .physical = session.flags().Switch("physical")}),
                   Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.output().Line("compacted revision " + std::to_string(*revision));
  return std::nullopt;
}

}  // namespace gavel::client::ctl
