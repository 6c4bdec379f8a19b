#include "tests/conformance/watch_story.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchResponse;

// Finds the faults of the responses of one stream, one after another.
class FaultFinder {
 public:
  FaultFinder(int64_t newest, WatchContext* context) : newest_(newest), context_(*context) {}

  void Look(const WatchResponse& response) {
    if (response.created()) return Created(response);
    if (response.canceled()) return Canceled(response);
    if (response.events_size() > 0) return Events(response);
    Progress(response);
  }

  // The segment ends at rest: all has been said.
  void LookAtRest() {
    for (const auto& [id, watch] : context_.open) {
      if (watch.continues) Fault("watch ", id, ": the last fragment is missing");
    }
  }

  std::vector<std::string> Take() { return std::move(faults_); }

 private:
  template <class... Parts>
  void Fault(const Parts&... parts) {
    faults_.push_back(absl::StrCat(parts...));
  }

  void Created(const WatchResponse& response) {
    if (response.events_size() > 0) Fault("an answer to a create request has events");
    if (context_.asked.empty()) return Fault("a create request is answered that nobody sent");
    WatchContext::Watch watch;
    watch.request = std::move(context_.asked.front());
    context_.asked.pop_front();
    if (response.canceled()) return;
    context_.created[response.watch_id()].push_back(watch.request);
    if (!context_.open.emplace(response.watch_id(), std::move(watch)).second) {
      Fault("watch ", response.watch_id(), " is created while it is open");
    }
  }

  void Canceled(const WatchResponse& response) {
    const int64_t id = response.watch_id();
    if (response.events_size() > 0) Fault("a cancellation has events");
    const bool was_open = context_.open.erase(id) > 0;
    if (was_open && response.compact_revision() != 0) {
      context_.compacted.insert(id);
    } else if (!was_open && context_.compacted.erase(id) == 0) {
      Fault("watch ", id, " is canceled and was not open");
    }
  }

  void Events(const WatchResponse& response) {
    const int64_t id = response.watch_id();
    const auto found = context_.open.find(id);
    if (found == context_.open.end()) return Fault("watch ", id, " has events and is not open");
    WatchContext::Watch& watch = found->second;
    const int64_t first = response.events(0).kv().mod_revision();
    if (first == watch.last_revision && !watch.continues) {
      Fault("watch ", id, ": revision ", first, " is split");
    }
    for (const mvccpb::Event& event : response.events()) {
      const int64_t revision = event.kv().mod_revision();
      if (revision < watch.last_revision) Fault("watch ", id, " goes back to ", revision);
      if (revision <= watch.progress) {
        Fault("watch ", id, ": an event of revision ", revision, " after progress beyond it");
      }
      watch.last_revision = revision;
    }
    if (response.fragment() && !watch.request.fragment()) {
      Fault("watch ", id, " did not ask for fragments");
    }
    watch.continues = response.fragment();
    const int64_t header = response.header().revision();
    if (header < watch.last_revision || header > newest_) {
      Fault("watch ", id, ": events up to revision ", watch.last_revision,
            " under a header of revision ", header, ", when the newest was ", newest_);
    }
  }

  void Progress(const WatchResponse& response) {
    const int64_t revision = response.header().revision();
    if (revision > newest_) Fault("progress of revision ", revision, ", beyond ", newest_);
    if (response.fragment()) Fault("a progress message is a fragment");
    if (response.watch_id() == -1) {
      // A watch that is created later may still start in the past.
      for (auto& [id, watch] : context_.open) Promise(revision, &watch);
      return;
    }
    const auto found = context_.open.find(response.watch_id());
    if (found == context_.open.end() || !found->second.request.progress_notify()) {
      return Fault("progress of watch ", response.watch_id(), ", which did not ask for it");
    }
    Promise(revision, &found->second);
  }

  void Promise(int64_t revision, WatchContext::Watch* watch) {
    if (revision < watch->progress) Fault("progress goes back to ", revision);
    watch->progress = revision;
  }

  int64_t newest_;
  WatchContext& context_;
  std::vector<std::string> faults_;
};

std::string AnswerText(const WatchResponse& response) {
  if (response.created()) return absl::StrCat("watch ", response.watch_id(), " created");
  // A watch below the compaction is canceled when its turn comes, not in answer to anything.
  if (response.canceled() && response.compact_revision() == 0) {
    return absl::StrCat("watch ", response.watch_id(), " canceled");
  }
  return IsProgress(response) ? "progress" : "";
}

}  // namespace

bool IsProgress(const WatchResponse& response) {
  return response.watch_id() == -1 && !response.created() && !response.canceled() &&
         response.events_size() == 0;
}

WatchStory Tell(const WatchSegment& segment) {
  WatchStory story;
  for (const WatchResponse& response : segment) {
    auto& items = story.items[response.watch_id()];
    std::string answer = AnswerText(response);
    if (!answer.empty()) story.answers.push_back(std::move(answer));
    if (response.events_size() == 0 || response.created() || response.canceled()) {
      items.push_back(response);
      continue;
    }
    WatchResponse empty = response;
    empty.clear_events();
    empty.clear_fragment();
    if (empty.has_header()) empty.mutable_header()->clear_revision();
    story.cuts[response.watch_id()].push_back(
        {response.events_size(), response.header().revision(), response.fragment()});
    for (const mvccpb::Event& event : response.events()) {
      // All but the cut stays, so that what should not be set in such a message shows.
      WatchResponse item = empty;
      *item.add_events() = event;
      items.push_back(std::move(item));
    }
  }
  return story;
}

std::vector<std::string> FindFaults(const WatchSegment& segment, int64_t newest,
                                    WatchContext* context) {
  context->created.clear();
  FaultFinder finder(newest, context);
  for (const WatchResponse& response : segment) finder.Look(response);
  finder.LookAtRest();
  return finder.Take();
}

}  // namespace gavel::conformance
