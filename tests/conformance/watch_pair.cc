#include "tests/conformance/watch_pair.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/parse.h"
#include "tests/conformance/watch_plant.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

}  // namespace

WatchPair::WatchPair(Servers& servers, size_t turn, Arrivals& arrivals)
    : etcd_(true), gavel_(servers.both_are_etcd()), both_are_etcd_(servers.both_are_etcd()) {
  etcd_.stream = servers.Open(Who::kEtcd, kWatchMethod, turn, arrivals);
  gavel_.stream = servers.Open(Who::kGavel, kWatchMethod, turn, arrivals);
}

void WatchPair::Drain(const LeaseNames& names, WatchHistory* history, Half* half) {
  ClientStream::Arrived arrived = half->stream->Take();
  for (const std::string& message : arrived.messages) {
    WatchResponse response;
    if (!ParseMessage(message, kCommandDepthMax, &response)) {
      // Shows as an answer that the other side does not have.
      response.set_cancel_reason("a message that does not decode");
    }
    Normalise(response);
    names.ToNames(response);
    if (history != nullptr) {
      for (const mvccpb::Event& event : response.events()) history->Add(event);
    }
    half->receiver.Receive(std::move(response));
  }
  half->ended = std::move(arrived.ended);
}

void WatchPair::Drain(const NamesOfBoth& names, WatchHistory* history) {
  Drain(names.etcd, history, &etcd_);
  Drain(names.gavel, nullptr, &gavel_);
}

void WatchPair::Send(const std::string& body) {
  etcd_.stream->Send(body);
  gavel_.stream->Send(body);
}

void WatchPair::Ask(const WatchCreateRequest& request, const std::string& body, int64_t revision,
                    const WatchHistory& history) {
  if (request.start_revision() != 0 && request.start_revision() <= revision) may_be_behind_ = true;
  for (Half* half : {&etcd_, &gavel_}) {
    half->receiver.Ask(request, revision, history);
    half->context.asked.push_back(request);
  }
  Send(body);
}

bool WatchPair::AskProgress(const std::string& body, int64_t revision, bool hasty) {
  const WatchReceiver& gavel = gavel_.receiver;
  const bool silent = !gavel.has_open() || gavel.has_future(revision);
  if (hasty) {
    ++haste_.progress_requests;
  } else {
    progress_revision_ = revision;
    haste_.silent_progress = silent;
    // What was owed is answered with this, or was on its way.
    if (!silent) haste_.progress_owed = std::min<int64_t>(haste_.progress_owed, 1);
  }
  Send(body);
  return !silent;
}

void WatchPair::SendFence() {
  WatchRequest reversed;
  reversed.mutable_create_request()->set_key("b");
  reversed.mutable_create_request()->set_range_end("a");
  Ask(reversed.create_request(), reversed.SerializeAsString(), 0, WatchHistory());
}

void WatchPair::HalfClose() {
  half_closed_ = true;
  etcd_.stream->HalfClose();
  gavel_.stream->HalfClose();
}

bool WatchPair::AtRest(const WatchHistory& history) {
  return etcd_.receiver.AtRest(history) && gavel_.receiver.AtRest(history);
}

std::string WatchPair::Unrest(const WatchHistory& history) {
  std::string text;
  const std::string etcd = etcd_.receiver.Unrest(history);
  const std::string gavel = gavel_.receiver.Unrest(history);
  if (!etcd.empty()) absl::StrAppend(&text, "  at etcd: ", etcd, "\n");
  if (!gavel.empty()) absl::StrAppend(&text, "  at gavel: ", gavel, "\n");
  return text;
}

WatchPair::Verdict WatchPair::Settle(int64_t newest, const WatchHistory& history, uint64_t choice,
                                     bool* planted, Hits* hits) {
  const WatchTerms terms{etcd_.context, gavel_.context, newest,        progress_revision_,
                         &history,      haste_,         both_are_etcd_};
  const WatchSegment etcd = etcd_.receiver.Take();
  WatchSegment gavel = gavel_.receiver.Take();
  WatchSegment changed = gavel;
  Verdict verdict;
  verdict.changed = Plant(haste_, choice, &changed);
  if (*planted && !verdict.changed.empty()) {
    *planted = false;
    gavel = changed;
    verdict.changed.clear();
  }
  verdict.differences = Compare(terms, etcd, gavel, hits);
  if (!verdict.changed.empty() && verdict.differences.empty()) {
    // A change may also make the two equal, where the difference was an accepted one.
    if (AllDifferences(WatchExchange(terms, etcd, changed)).empty()) {
      verdict.changed.clear();
    } else {
      verdict.blind = Compare(terms, etcd, changed, nullptr).empty();
    }
  }
  FindFaults(etcd, newest, &etcd_.context);
  FindFaults(gavel, newest, &gavel_.context);
  const int64_t answered = std::count_if(gavel.begin(), gavel.end(), IsProgress);
  const int64_t owed = haste_.progress_owed + haste_.progress_requests;
  haste_ = {};
  haste_.progress_owed = std::max<int64_t>(0, owed - answered);
  return verdict;
}

}  // namespace gavel::conformance
