#include "tests/chaos/contender.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

#include "client/client.h"
#include "raft/random.h"

namespace gavel::chaos {
namespace {

using client::Client;
using client::Result;
using client::Session;
using client::recipes::Fence;
using std::chrono::milliseconds;

// As short as leases may be, so that a pause outlives it.
constexpr std::chrono::seconds kTtl{2};

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Sleep(uint64_t ms) { std::this_thread::sleep_for(milliseconds(ms)); }

// One system call: a line is told as a whole or not at all.
void Tell(const std::string& line) {
  if (write(STDOUT_FILENO, (line + "\n").data(), line.size() + 1) < 0) _exit(1);
}

class Contender {
 public:
  Contender(const ContenderOptions& options, const Client& client)
      : options_(options),
        client_(client),
        random_(options.seed * 1000 + static_cast<uint64_t>(options.number * 100 + options.life)) {}

  // Until the session is of no use any more.
  void LiveOneSession() {
    Result<Session> session = client_.lease().Open({.ttl = kTtl});
    if (!session.ok()) return Sleep(100);
    const std::unique_ptr<LockClient> lock = MakeLockClient(
        options_.way, client_, *session, options_.targets[random_.Below(options_.targets.size())]);
    bool clean = true;
    while (clean) {
      const int64_t start = NowNs();
      const std::optional<Fence> fence = lock->Take();
      const int64_t end = NowNs();
      if (!fence) break;
      Tell("locked " + std::to_string(fence->token) + " " + std::to_string(start) + " " +
           std::to_string(end));
      clean = AddSomeTimes(*fence, *lock);
      clean = lock->GiveUp() && clean;
      Sleep(random_.Below(20));
    }
    // A write without an answer must find its guard broken, if it still comes.
    static_cast<void>(session->Close());
  }

 private:
  // False if a write was refused, or got no answer. Whether the session says that it is alive is
  // not asked: the guard alone has to do.
  bool AddSomeTimes(const Fence& fence, LockClient& lock) {
    for (uint64_t left = random_.Between(1, 8); left > 0; --left) {
      if (random_.OneIn(3) && !lock.Proclaim(std::to_string(left))) return false;
      const Result<client::GetResponse> counter = client_.kv().Get(kCounterKey);
      if (!counter.ok()) return false;
      CounterValue value;
      if (counter->kv && !ParseCounter(counter->kv->value, &value)) return false;
      Sleep(random_.Below(80));
      if (!Add(fence, value.counter + 1)) return false;
    }
    return true;
  }

  bool Add(const Fence& fence, int64_t counter) {
    const std::string writer = std::to_string(options_.number) + "." +
                               std::to_string(options_.life) + "." + std::to_string(++writes_);
    const std::string token = std::to_string(fence.token);
    Tell("try " + writer + " " + token);
    client::Txn txn;
    txn.If(fence.guard())
        .Then(client::PutRequest{.key = kCounterKey,
                                 .value = std::to_string(counter) + " " + token + " " + writer});
    const Result<client::TxnResponse> response = client_.kv().Commit(txn);
    if (!response.ok()) return false;
    Tell((response->succeeded ? "done " : "refused ") + writer + " " +
         std::to_string(response->header.revision));
    return response->succeeded;
  }

  const ContenderOptions& options_;
  const Client& client_;
  raft::Random random_;
  int64_t writes_ = 0;
};

}  // namespace

void RunContender(const ContenderOptions& options) {
  Result<Client> client = Client::Create({.endpoints = options.targets,
                                          .timeout = milliseconds(4000),
                                          .silence_timeout = milliseconds(1000)});
  if (!client.ok()) return Tell("cannot begin: " + client.status().ToString());
  Contender contender(options, *client);
  while (true) contender.LiveOneSession();
}

bool ParseCounter(const std::string& text, CounterValue* value) {
  std::istringstream words(text);
  return static_cast<bool>(words >> value->counter >> value->token >> value->writer);
}

bool ReadContenderLog(const std::string& path, int number, FencingHistory* history,
                      std::string* error) {
  std::map<std::string, size_t> writes;  // Where each writer is in the history.
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string what;
    std::string writer;
    words >> what;
    bool good = false;
    if (what == "locked") {
      Acquisition acquisition;
      acquisition.contender = number;
      good = static_cast<bool>(words >> acquisition.token >> acquisition.start_ns >>
                               acquisition.end_ns);
      history->acquisitions.push_back(acquisition);
    } else if (what == "try") {
      GuardedWrite write;
      good = static_cast<bool>(words >> write.writer >> write.token);
      writes[write.writer] = history->writes.size();
      history->writes.push_back(write);
    } else if ((what == "done" || what == "refused") && words >> writer &&
               writes.contains(writer)) {
      GuardedWrite& write = history->writes[writes[writer]];
      write.end = what == "done" ? GuardedWrite::End::kDone : GuardedWrite::End::kRefused;
      good = static_cast<bool>(words >> write.revision);
    }
    if (!good) {
      *error = path + ": " + line;
      return false;
    }
  }
  return true;
}

}  // namespace gavel::chaos
