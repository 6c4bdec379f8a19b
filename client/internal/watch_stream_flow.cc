// The life of a watch stream: opened, spoken on, lost, and opened again. The rest of WatchHub.
#include <algorithm>
#include <utility>

#include "client/internal/convert.h"
#include "client/internal/errors.h"
#include "client/internal/watch_hub.h"
#include "proto/parse.h"

namespace gavel::client::internal {
namespace {

constexpr char kWatchMethod[] = "/etcdserverpb.Watch/Watch";
// A stream that lived for so long did not fail at its beginning.
constexpr MonotonicUs kLived = 2'000'000;
// An answer to a request for progress comes only when all watchers are up to date.
constexpr MonotonicUs kAskProgressAgain = 200'000;
constexpr int64_t kWholeStream = -1;

// What a server says of itself rather than of the watcher: another one may serve it.
bool MayServeElsewhere(const Status& status) {
  return status.error_class() != ErrorClass::kRejected || status.reason() == Reason::kBadResponse;
}

}  // namespace

void WatchHub::Open(const WatchStreamPtr& stream) {
  const uint64_t life = ++stream->life;
  auto self = shared_from_this();
  StreamEvents events{
      .opened = [self, stream, life](const std::string&) { self->OnOpened(stream, life); },
      .message = [self, stream,
                  life](const std::string& bytes) { self->OnMessage(stream, life, bytes); },
      .ended = [self, stream, life](const Status& status) { self->OnEnded(stream, life, status); }};
  CallOptions options{.endpoint = stream->only, .require_leader = stream->require_leader};
  stream->stream =
      core_->OpenStream({.method = kWatchMethod, .options = std::move(options)}, std::move(events));
  if (!stream->stream) return;  // The Core is being closed, and the hub is told so at once.
  for (const auto& [id, watcher] : stream->watchers) SendCreate(stream, *watcher);
  core_->ReadOn(stream->stream);
}

void WatchHub::SendCreate(const WatchStreamPtr& stream, const WatcherState& watcher) {
  etcdserverpb::WatchRequest request;
  etcdserverpb::WatchCreateRequest& create = *request.mutable_create_request();
  create.set_key(watcher.options.range.key);
  create.set_range_end(watcher.options.range.end);
  create.set_start_revision(watcher.assembly.next_revision());
  create.set_progress_notify(watcher.options.progress_notify);
  if (watcher.options.no_put) create.add_filters(etcdserverpb::WatchCreateRequest::NOPUT);
  if (watcher.options.no_delete) create.add_filters(etcdserverpb::WatchCreateRequest::NODELETE);
  create.set_prev_kv(watcher.options.prev_kv);
  create.set_watch_id(watcher.id);
  create.set_fragment(true);
  if (stream->creating.empty()) stream->heard_at = Now();
  stream->creating.push_back(watcher.id);
  core_->Send(stream->stream, request.SerializeAsString());
}

void WatchHub::OnOpened(const WatchStreamPtr& stream, uint64_t life) {
  const LocalLock lock(mutex_);
  if (stream->dead || stream->life != life) return;
  stream->open = true;
  stream->opened_at = Now();
  stream->heard_at = stream->opened_at;
  WatchForSilence(stream);
}

void WatchHub::OnEnded(const WatchStreamPtr& stream, uint64_t life, const Status& status) {
  Watchers touched;
  {
    const LocalLock lock(mutex_);
    if (stream->dead || stream->life != life) return;
    const MonotonicUs now = Now();
    if (stream->open && now - stream->opened_at >= kLived) stream->failures = 0;
    stream->stream = nullptr;
    stream->open = false;
    stream->creating.clear();
    core_->CancelTimer(std::exchange(stream->answer, nullptr));
    core_->CancelTimer(std::exchange(stream->progress, nullptr));
    core_->CancelTimer(std::exchange(stream->again, nullptr));
    const Watchers watchers = [&] {
      Watchers all;
      for (const auto& [id, watcher] : stream->watchers) all.push_back(watcher);
      return all;
    }();
    const bool final = !status.ok() && !MayServeElsewhere(status);
    // Where no endpoint is a member, waiting is in vain.
    const bool in_vain = status.reason() == Reason::kBadResponse &&
                         status.error_class() == ErrorClass::kRejected &&
                         static_cast<size_t>(stream->failures) >= core_->Endpoints().size();
    for (const WatcherPtr& watcher : watchers) {
      watcher->assembly.OnStreamLost();
      if (watcher->unreachable_since == 0) watcher->unreachable_since = now;
      const MonotonicUs patience = ToUs(watcher->options.unreachable_timeout);
      const bool began = watcher->first_revision != 0;
      if (final || (in_vain && !began) ||
          (patience > 0 && now - watcher->unreachable_since >= patience)) {
        End(watcher, status, &touched);
      } else if (watcher->full) {
        // What comes on a new stream would not fit either.
        Leave(watcher);
        parked_[watcher->id] = watcher;
      }
    }
    if (!stream->dead) {
      stream->again =
          core_->StartTimer(now + core_->BackOffDelay(++stream->failures),
                            [self = shared_from_this(), stream] { self->OnAgain(stream); });
    }
  }
  for (const WatcherPtr& watcher : touched) Deliver(watcher);
}

void WatchHub::OnAgain(const WatchStreamPtr& stream) {
  const LocalLock lock(mutex_);
  if (stream->dead) return;
  stream->again = nullptr;
  if (stream->watchers.empty()) {
    GiveUp(stream);
  } else if (!stream->stream) {
    Open(stream);
  }
}

// --- Silence
// --------------------------------------------------------------------------------------

void WatchHub::WatchForSilence(const WatchStreamPtr& stream) {
  if (!stream->open || stream->answer || stream->creating.empty() || stream->unread) return;
  const MonotonicUs at = stream->heard_at + ToUs(core_->options().silence_timeout);
  stream->answer = core_->StartTimer(at, [self = shared_from_this(), stream, life = stream->life] {
    self->OnAnswerTimer(stream, life);
  });
}

void WatchHub::OnAnswerTimer(const WatchStreamPtr& stream, uint64_t life) {
  const LocalLock lock(mutex_);
  if (stream->dead || stream->life != life || !stream->stream) return;
  stream->answer = nullptr;
  if (stream->creating.empty() || stream->unread) return;
  const MonotonicUs now = Now();
  if (now - stream->heard_at >= ToUs(core_->options().silence_timeout)) {
    if (core_->LeaveSilentStream(stream->stream)) return;
    stream->heard_at = now;
  }
  WatchForSilence(stream);
}

// --- Messages
// -------------------------------------------------------------------------------------

void WatchHub::OnMessage(const WatchStreamPtr& stream, uint64_t life, const std::string& bytes) {
  etcdserverpb::WatchResponse response;
  const bool parsed = ParseMessage(bytes, kRequestDepthMax, &response);
  Watchers touched;
  {
    const LocalLock lock(mutex_);
    if (stream->dead || stream->life != life) return;
    stream->heard_at = Now();
    if (parsed) {
      Handle(stream, &response, &touched);
    } else {
      const std::map<int64_t, WatcherPtr> watchers = stream->watchers;
      for (const auto& [id, watcher] : watchers) End(watcher, BadResponse(), &touched);
    }
  }
  for (const WatcherPtr& watcher : touched) Deliver(watcher);
  const LocalLock lock(mutex_);
  if (stream->dead || stream->life != life || !stream->stream) return;
  if (MakeRoom(stream)) core_->ReadOn(stream->stream);
}

void WatchHub::Handle(const WatchStreamPtr& stream, etcdserverpb::WatchResponse* response,
                      Watchers* touched) {
  if (response->created()) return HandleCreated(stream, *response, touched);
  if (response->watch_id() == kWholeStream) return HandleProgress(stream, *response, touched);
  const auto found = stream->watchers.find(response->watch_id());
  if (found == stream->watchers.end()) return;  // It was cancelled, and this was on its way.
  const WatcherPtr watcher = found->second;
  if (response->canceled()) return HandleCanceled(watcher, *response, touched);
  WatchBatch batch{.header = FromProto(response->header()), .events = {}};
  if (response->events_size() == 0) {
    if (response->fragment()) return;
    watcher->assembly.OnProgress(batch.header.revision);
    if (!watcher->options.progress_notify) return;
  } else {
    batch.events = watcher->assembly.TakeEvents(response);
    if (batch.events.empty()) return;
  }
  Add(watcher, std::move(batch));
  touched->push_back(watcher);
}

void WatchHub::HandleCreated(const WatchStreamPtr& stream,
                             const etcdserverpb::WatchResponse& response, Watchers* touched) {
  if (stream->creating.empty()) return;
  const int64_t id = stream->creating.front();
  stream->creating.pop_front();
  const auto found = stream->watchers.find(id);
  if (found == stream->watchers.end()) return;  // Cancelled since.
  const WatcherPtr watcher = found->second;
  if (response.canceled()) return HandleCanceled(watcher, response, touched);
  if (response.watch_id() != id) return End(watcher, BadResponse(), touched);
  const uint64_t cluster_id = response.header().cluster_id();
  if (watcher->cluster_id != 0 && cluster_id != 0 && watcher->cluster_id != cluster_id) {
    return End(watcher, OtherCluster(watcher->cluster_id, cluster_id), touched);
  }
  watcher->cluster_id = cluster_id;
  watcher->unreachable_since = 0;
  watcher->assembly.OnCreated(response.header().revision());
  if (watcher->first_revision == 0) watcher->first_revision = watcher->assembly.next_revision();
  if (watcher->progress_asked) SendProgress(stream);
  touched->push_back(watcher);
}

void WatchHub::HandleCanceled(const WatcherPtr& watcher,
                              const etcdserverpb::WatchResponse& response, Watchers* touched) {
  if (response.compact_revision() != 0) {
    return End(watcher, WatchCompacted(response.compact_revision()), touched);
  }
  Status status = FromCancelReason(response.cancel_reason());
  if (!MayServeElsewhere(status)) return End(watcher, std::move(status), touched);
  // The stream is opened again, and goes elsewhere if the member cannot serve.
  if (watcher->stream->stream) core_->CancelStream(watcher->stream->stream);
}

// --- Progress
// -------------------------------------------------------------------------------------

void WatchHub::HandleProgress(const WatchStreamPtr& stream,
                              const etcdserverpb::WatchResponse& response, Watchers* touched) {
  for (const auto& [id, watcher] : stream->watchers) {
    // It does not move next_revision: old servers answer too early.
    if (!watcher->progress_asked || watcher->first_revision == 0) continue;
    watcher->progress_asked = false;
    Add(watcher, {.header = FromProto(response.header()), .events = {}});
    touched->push_back(watcher);
  }
}

void WatchHub::SendProgress(const WatchStreamPtr& stream) {
  if (!stream->stream) return;
  etcdserverpb::WatchRequest request;
  request.mutable_progress_request();
  core_->Send(stream->stream, request.SerializeAsString());
  if (stream->progress) return;
  stream->progress =
      core_->StartTimer(Now() + kAskProgressAgain,
                        [self = shared_from_this(), stream] { self->OnProgressTimer(stream); });
}

void WatchHub::OnProgressTimer(const WatchStreamPtr& stream) {
  const LocalLock lock(mutex_);
  if (stream->dead) return;
  stream->progress = nullptr;
  const bool asked = std::any_of(
      stream->watchers.begin(), stream->watchers.end(),
      [](const auto& of) { return of.second->progress_asked && of.second->first_revision != 0; });
  if (asked && !stream->unread) SendProgress(stream);
}

}  // namespace gavel::client::internal
