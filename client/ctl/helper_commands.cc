// exists, incr, mget, mset and setnx: the library's helpers.
#include <string>
#include <utility>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/kv_requests.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

Failure AnswerIsNo() { return {ExitCode::kNo, {}, {}}; }

}  // namespace

MaybeFailure RunExists(Session& session) {
  if (session.arguments().size() != 1) return BadArguments("exists command needs 1 key");
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<bool> exists = session.Take((*client)->kv().Exists(session.arguments()[0]));
  if (!exists.ok()) return exists.failure();
  session.printer().Exists(session.arguments()[0], *exists);
  if (!*exists) return AnswerIsNo();
  return std::nullopt;
}

MaybeFailure RunIncrement(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  if (words.empty() || words.size() > 2) {
    return BadArguments("incr command needs 1 key and an optional number");
  }
  const std::optional<int64_t> delta = words.size() == 2 ? ParseInteger(words[1]) : 1;
  if (!delta) {
    return BadArguments("bad number " + Quote(words[1]) + ", expecting a whole one",
                        "It is added to what the key holds, such as 5, or -1 to count down, and is "
                        "from -9223372036854775808 to 9223372036854775807.");
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<IncrementResponse> response =
      session.Take((*client)->kv().Increment(words[0], *delta), Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().Increment(*response);
  return std::nullopt;
}

MaybeFailure RunGetMany(Session& session) {
  const std::vector<std::string>& keys = session.arguments();
  if (keys.empty()) return BadArguments("mget command needs at least 1 key");
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  Expected<GetManyResponse> response = session.Take((*client)->kv().GetMany(keys));
  if (!response.ok()) return response.failure();
  std::vector<FoundKey> found;
  bool all = true;
  for (size_t i = 0; i < keys.size(); ++i) {
    found.push_back({keys[i], std::move(response->kvs[i])});
    all = all && found.back().kv.has_value();
  }
  session.printer().GetMany(response->header, found);
  if (all) return std::nullopt;
  for (const FoundKey& entry : found) {
    if (!entry.kv) session.output().Complain("not found: " + Quote(entry.key));
  }
  return AnswerIsNo();
}

MaybeFailure RunPutMany(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  if (words.empty() || words.size() % 2 != 0) {
    return BadArguments("mset command needs pairs of key and value",
                        "It is mset <key> <value> [<key> <value>]...; an empty value is ''.");
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 0; i < words.size(); i += 2) pairs.emplace_back(words[i], words[i + 1]);
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<TxnResponse> response =
      session.Take((*client)->kv().PutMany(std::move(pairs)), Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().PutMany(*response);
  return std::nullopt;
}

MaybeFailure RunPutIfAbsent(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  if (words.size() != 2) return BadArguments("setnx command needs 1 key and 1 value");
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<PutIfAbsentResponse> response =
      session.Take((*client)->kv().PutIfAbsent(words[0], words[1]), Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().PutIfAbsent(*response);
  if (!response->created) return AnswerIsNo();
  return std::nullopt;
}

}  // namespace gavel::client::ctl
