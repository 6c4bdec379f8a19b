#include "tests/sim/watch_clients.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "tests/sim/random_streams.h"
#include "tests/sim/world.h"
#include "tests/storage/mvcc/random_requests.h"

namespace gavel::sim {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;
using server::kNsPerMs;
using server::kNsPerSecond;
using Told = WatchRecord::Told;

namespace {

constexpr char kMethod[] = "/etcdserverpb.Watch/Watch";
constexpr size_t kWatchesMax = 12;  // Of one stream.
constexpr int64_t kIds = 6;         // From which clients choose ids, so that they meet.

}  // namespace

// What is asked for, and which revision its member had published when it was.
struct WatchClients::Creating {
  WatchCreateRequest request;
  std::shared_ptr<int64_t> published = std::make_shared<int64_t>(0);
};

struct WatchClients::Client {
  Client(uint64_t seed, uint64_t number)
      : requests(Stream(seed, "watch-requests", number).Next()),
        random(Stream(seed, "watch-client", number)) {}

  testing::RandomRequests requests;
  raft::Random random;
  int member = 0;
  uint64_t stream = 0;                      // 0: none.
  bool heard = false;                       // Anything on the stream.
  std::deque<Creating> creating;            // Not answered yet.
  std::map<int64_t, WatchRecord*> watches;  // By id: created, and not ended.
  std::set<int64_t> compacted;       // Ids that a compaction ended: in use until they are canceled.
  std::map<int64_t, int> canceling;  // Ids that were asked to end, and how often.
  std::vector<WatchCreateRequest> to_resume;
  bool resumes = false;  // Those are sent anew once there is a stream.
  uint64_t progress_asked = 0;
  uint64_t progress_told = 0;

  int64_t head = 0;  // At the end: what it must be told of.
  bool waits = false;
};

WatchClients::WatchClients(World& world) : world_(world) {
  for (int i = 0; i < world.plan().watch_clients; ++i) {
    clients_.push_back(std::make_unique<Client>(world.plan().seed, static_cast<uint64_t>(i)));
  }
}

WatchClients::~WatchClients() = default;

void WatchClients::Start() {
  for (auto& client : clients_) Think(*client);
}

void WatchClients::Think(Client& client) {
  if (stopped_) return;
  const auto mean = static_cast<uint64_t>(world_.plan().watch_think_time);
  const uint64_t pause = client.random.OneIn(3) ? 1 + mean / 100 : 2 * mean;
  world_.At(world_.now() + static_cast<int64_t>(1 + client.random.Below(pause)), EventKind::kTimer,
            -1, [this, &client] { Act(client); });
}

void WatchClients::Act(Client& client) {
  if (stopped_) return;
  raft::Random& random = client.random;
  if (client.stream == 0) {
    Open(client);
  } else if (client.watches.size() + client.creating.size() < kWatchesMax && random.OneIn(2)) {
    Create(client, NewRequest(client));
  } else {
    switch (random.Below(8)) {
      case 0:
      case 1:
        CancelOne(client);
        break;
      case 2:
      case 3:
      case 4:
        AskProgress(client);
        break;
      case 5:
      case 6:
        Read(client);
        break;
      default:
        // Gone without a word; half of the times it comes back where it was.
        if (!random.OneIn(3)) break;
        world_.client_streams().Drop(client.stream);
        Forget(client, random.OneIn(2));
    }
  }
  Think(client);
}

void WatchClients::Open(Client& client) {
  Open(client, static_cast<int>(client.random.Below(static_cast<uint64_t>(world_.size()))));
}

void WatchClients::Open(Client& client, int member) {
  client.member = member;
  client.heard = false;
  client.stream = world_.client_streams().Open(
      client.member, kMethod,
      {[this, &client](StreamMessage message) { OnMessage(client, std::move(message)); },
       [this, &client](const server::RpcStatus& status) { OnEnd(client, status); }});
  Resume(client);
}

void WatchClients::Resume(Client& client) {
  for (WatchCreateRequest& request : std::exchange(client.to_resume, {})) {
    // Ids are the stream's, and may be taken here.
    if (client.random.OneIn(2)) request.set_watch_id(0);
    Create(client, std::move(request));
  }
}

WatchCreateRequest WatchClients::NewRequest(Client& client) {
  raft::Random& random = client.random;
  const etcdserverpb::RangeRequest range = client.requests.Range(newest_revision_);
  WatchCreateRequest request;
  request.set_key(range.key());
  request.set_range_end(range.range_end());
  if (random.OneIn(3)) {
    request.set_key(std::string(1, '\0'));
    request.set_range_end(std::string(1, '\0'));
  }
  const uint64_t when = random.Below(16);
  if (when < 6) {
    // From now on.
  } else if (when < 12) {
    const auto back = static_cast<int64_t>(random.Below(random.OneIn(2) ? 10 : 100));
    request.set_start_revision(std::max<int64_t>(1, newest_revision_ - back));
  } else if (when < 14) {
    request.set_start_revision(newest_revision_ + static_cast<int64_t>(random.Below(20)));
  } else if (when < 15) {
    request.set_start_revision(
        1 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(newest_revision_))));
  } else {
    request.set_start_revision(random.OneIn(4) ? -1 : 1);
  }
  if (random.OneIn(5)) request.add_filters(WatchCreateRequest::NOPUT);
  if (random.OneIn(5)) request.add_filters(WatchCreateRequest::NODELETE);
  request.set_prev_kv(random.OneIn(2));
  request.set_fragment(random.OneIn(3));
  request.set_progress_notify(random.OneIn(3));
  if (random.OneIn(3)) request.set_watch_id(1 + static_cast<int64_t>(random.Below(kIds)));
  return request;
}

void WatchClients::Create(Client& client, WatchCreateRequest create) {
  WatchRequest request;
  *request.mutable_create_request() = create;
  client.creating.push_back({std::move(create)});
  const std::shared_ptr<int64_t> published = client.creating.back().published;
  world_.client_streams().Send(client.stream, request.SerializeAsString(),
                               [published](int64_t revision) { *published = revision; });
}

void WatchClients::Cancel(Client& client, int64_t id) {
  WatchRequest request;
  request.mutable_cancel_request()->set_watch_id(id);
  ++client.canceling[id];
  world_.client_streams().Send(client.stream, request.SerializeAsString());
}

void WatchClients::CancelOne(Client& client) {
  if (client.watches.empty() || client.random.OneIn(8)) {
    return Cancel(client, static_cast<int64_t>(client.random.Below(kIds)));
  }
  auto one = client.watches.begin();
  std::advance(one, static_cast<std::ptrdiff_t>(client.random.Below(client.watches.size())));
  Cancel(client, one->first);
}

void WatchClients::AskProgress(Client& client) {
  WatchRequest request;
  request.mutable_progress_request();
  ++client.progress_asked;
  world_.client_streams().Send(client.stream, request.SerializeAsString());
}

void WatchClients::Read(Client& client) {
  constexpr int64_t kPauses[] = {kNsPerMs, kNsPerMs, 20 * kNsPerMs, 300 * kNsPerMs,
                                 3 * kNsPerSecond};
  world_.client_streams().SetReading(client.stream,
                                     kPauses[client.random.Below(std::size(kPauses))]);
}

void WatchClients::OnMessage(Client& client, StreamMessage message) {
  WatchResponse response;
  if (!response.ParseFromString(message.bytes)) {
    return world_.Fail("what a watcher is told is no message of its type");
  }
  client.heard = true;
  const int64_t revision = response.header().revision();
  world_.Record(EventKind::kAnswer, -1, static_cast<uint64_t>(response.watch_id()),
                static_cast<uint64_t>(revision), "watch");
  if (revision > message.revision) {
    return world_.Fail(absl::StrCat("D2: a watcher on m", client.member, " is told of revision ",
                                    revision, " before it is published there"));
  }
  OnRevision(revision);
  if (response.created()) return OnCreated(client, response, message);
  if (response.canceled()) return OnCanceled(client, response, message);
  if (response.events().empty()) return OnProgress(client, response, message);
  OnEvents(client, std::move(response), message);
}

void WatchClients::OnCreated(Client& client, const Response& response, const StreamMessage&) {
  if (client.creating.empty()) return world_.Fail("a watch is created that nobody asked for");
  WatchCreateRequest request = std::move(client.creating.front().request);
  const int64_t published = *client.creating.front().published;
  client.creating.pop_front();
  if (response.header().revision() < published) {
    return world_.Fail(absl::StrCat("W5: a watch is created at revision ",
                                    response.header().revision(), ", but ", published,
                                    " was published on m", client.member, " before"));
  }
  const int64_t id = request.watch_id();
  const bool empty = !request.range_end().empty() && request.range_end() != std::string(1, '\0') &&
                     request.key() >= request.range_end();
  const bool in_use = client.watches.contains(id) || client.compacted.contains(id);
  const bool refused = request.start_revision() < 0 || empty || (id != 0 && in_use);
  if (refused != response.canceled() || (refused && response.watch_id() != -1)) {
    return world_.Fail(absl::StrCat("a watch is ", refused ? "not refused" : "refused",
                                    " by mistake: ", response.cancel_reason()));
  }
  if (refused) return world_.Sometimes("a watch was refused");
  const int64_t given = response.watch_id();
  const bool free = !client.watches.contains(given) && !client.compacted.contains(given);
  if ((id != 0 && given != id) || !free) {
    return world_.Fail(absl::StrCat("watch id ", given, " is given by mistake"));
  }
  auto record = std::make_unique<WatchRecord>();
  record->number = records_.size();
  record->member = client.member;
  record->request = std::move(request);
  record->created_at = response.header().revision();
  record->seen = record->request.start_revision() > 0 ? record->request.start_revision() - 1
                                                      : record->created_at;
  if (record->request.start_revision() > record->created_at + 1) {
    world_.Sometimes("a watch from the future");
  }
  client.watches[given] = record.get();
  records_.push_back(std::move(record));
}

void WatchClients::OnCanceled(Client& client, const Response& response,
                              const StreamMessage& message) {
  const auto found = client.watches.find(response.watch_id());
  if (found == client.watches.end()) {
    const bool was = response.compact_revision() == 0 &&
                     client.compacted.erase(response.watch_id()) > 0 &&
                     --client.canceling[response.watch_id()] >= 0;
    if (!was) world_.Fail("a watch is canceled that is none");
    return;
  }
  WatchRecord& record = *found->second;
  client.watches.erase(found);
  if (response.compact_revision() == 0) {
    int& asked = client.canceling[response.watch_id()];
    if (--asked < 0) world_.Fail("a watch is canceled although nobody wanted it");
    return;
  }
  client.compacted.insert(response.watch_id());
  world_.Sometimes("a watch was canceled by a compaction");
  if (!record.told.empty()) world_.Sometimes("a compaction overtook a watcher that was behind");
  record.told.push_back({Told::Kind::kCompacted, response, message.compacted});
  // Goes on with what is left.
  if (stopped_ || client.random.OneIn(2)) return;
  WatchCreateRequest again = record.request;
  again.set_start_revision(response.compact_revision());
  Create(client, std::move(again));
}

void WatchClients::OnProgress(Client& client, const Response& response,
                              const StreamMessage& message) {
  const auto take = [&](WatchRecord& record) {
    record.told.push_back({Told::Kind::kProgress, response, message.compacted});
    record.seen = std::max(record.seen, response.header().revision());
  };
  if (response.watch_id() == -1) {
    if (++client.progress_told > client.progress_asked) {
      return world_.Fail("progress is told that nobody asked for");
    }
    world_.Sometimes("progress was asked for and told");
    for (const auto& [id, record] : client.watches) take(*record);
    if (client.waits && response.header().revision() >= client.head) client.waits = false;
    return;
  }
  const auto found = client.watches.find(response.watch_id());
  if (found == client.watches.end() || !found->second->request.progress_notify()) {
    return world_.Fail("progress of a watch that is none, or that did not ask for it");
  }
  world_.Sometimes("progress was told by itself");
  take(*found->second);
}

void WatchClients::OnEvents(Client& client, Response response, const StreamMessage& message) {
  const auto found = client.watches.find(response.watch_id());
  if (found == client.watches.end()) return world_.Fail("events of a watch that is none");
  WatchRecord& record = *found->second;
  if (response.fragment()) {
    world_.Sometimes("a revision came in fragments");
    if (!record.request.fragment()) return world_.Fail("fragments that nobody asked for");
  } else {
    record.seen = std::max(record.seen, response.header().revision());
  }
  record.told.push_back({Told::Kind::kEvents, std::move(response), message.compacted});
}

void WatchClients::OnEnd(Client& client, const server::RpcStatus& status) {
  if (status.code == server::StatusCode::kInternal || status.ok()) {
    const Machine& machine = world_.machine(client.member);
    if (status.ok() || !machine.faulty) {
      return world_.Fail(absl::StrCat("a stream of watchers ends: ", status.message));
    }
  }
  const bool resume = client.random.Below(4) > 0;
  Forget(client, resume);
  if (!stopped_ || !resume) return;
  world_.At(world_.now() + 100 * kNsPerMs, EventKind::kTimer, -1, [this, &client] {
    if (client.stream == 0) Open(client);
  });
}

// The stream is over; what it watched may go on elsewhere.
void WatchClients::Forget(Client& client, bool resume) {
  if (resume) {
    for (const auto& [id, record] : client.watches) {
      WatchCreateRequest request = record->request;
      request.set_start_revision(record->seen + 1);
      client.to_resume.push_back(std::move(request));
    }
    if (!client.to_resume.empty()) world_.Sometimes("a watcher went on elsewhere where it was");
    for (Creating& creating : client.creating) {
      client.to_resume.push_back(std::move(creating.request));
    }
  } else {
    client.to_resume.clear();
  }
  client.stream = 0;
  client.creating.clear();
  client.watches.clear();
  client.compacted.clear();
  client.canceling.clear();
  client.progress_asked = client.progress_told = 0;
}

void WatchClients::WatchNow(size_t number, int member, bool at_once) {
  Client& client = *clients_[number];
  if (client.stream == 0) Open(client, member);
  WatchCreateRequest request;
  request.set_key(std::string(1, '\0'));
  request.set_range_end(std::string(1, '\0'));
  Create(client, std::move(request));
  if (at_once) world_.client_streams().Hurry(client.stream);
}

size_t WatchClients::WatchesOf(size_t client) const { return clients_[client]->watches.size(); }

void WatchClients::AskAll(int64_t head, bool again) {
  for (auto& client : clients_) {
    if (!again) {
      client->head = head;
      client->waits = true;
    }
    if (client->stream == 0 && !client->to_resume.empty()) Open(*client);
    if (!client->waits || client->stream == 0) continue;
    world_.client_streams().SetReading(client->stream, kNsPerMs);
    for (const auto& [id, record] : client->watches) {
      // There is no progress while one of them has not begun.
      if (record->request.start_revision() > head) Cancel(*client, id);
    }
    AskProgress(*client);
  }
}

bool WatchClients::AllToldHead() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) {
    return !client->waits ||
           (client->watches.empty() && client->creating.empty() && client->to_resume.empty());
  });
}

std::string WatchClients::Missing() const {
  std::string text;
  for (const auto& client : clients_) {
    if (!client->waits) continue;
    absl::StrAppend(&text, " m", client->member, ": ", client->watches.size(), " watches, ",
                    client->creating.size(), " to be created, up to");
    for (const auto& [id, record] : client->watches) absl::StrAppend(&text, " ", record->seen);
    absl::StrAppend(&text, " of ", client->head, ";");
  }
  return text;
}

std::optional<std::string> WatchClients::Check(const WatchHistory& history) {
  for (const auto& record : records_) {
    if (auto violation = history.Check(*record)) return violation;
  }
  world_.figures().watches += records_.size();
  world_.figures().watch_events += history.events_checked();
  return std::nullopt;
}

}  // namespace gavel::sim
