// The part of a session that is about watch streams.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/parse.h"
#include "tests/conformance/session.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

// What a server may take for anything, on a machine that is busy.
constexpr auto kPatience = std::chrono::seconds(30);

// The longest message that a server takes.
constexpr size_t kMessageBytesMax = 2048 * 1024;

constexpr char kNoRest[] = "the streams do not come to rest:\n";

// How a stream has ended that should not have.
std::string EndedByItself(const std::string& name, WatchPair& pair) {
  std::string text;
  const auto add = [&](const char* who, const std::optional<Answer>& ended) {
    if (!ended) return;
    absl::StrAppend(&text, name, " ended by itself at ", who, " with code ", ended->code, ": ",
                    ended->message, "\n");
  };
  add("etcd", pair.etcd().ended);
  add("gavel", pair.gavel().ended);
  return text;
}

}  // namespace

void Session::Drain() {
  if (witness_ != nullptr) witness_->Drain(names_, &history_);
  for (const auto& [number, pair] : watches_) pair->Drain(names_, nullptr);
  for (const auto& [number, pair] : keep_alives_) pair->Drain();
  for (const auto& [number, pair] : calls_) pair->Drain();
}

bool Session::WaitFor(const std::function<bool()>& done) {
  const Time deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const uint64_t told = arrivals_.told();
    Drain();
    if (done()) return true;
    if (std::chrono::steady_clock::now() > deadline) return false;
    arrivals_.Wait(told, deadline);
  }
}

Session::Outcome Session::SendToWatch(const Operation& operation) {
  const auto found = watches_.find(operation.number);
  if (found == watches_.end() || found->second->half_closed()) return {};
  WatchPair& pair = *found->second;
  WatchRequest message;
  const bool decodes = ParseMessage(operation.body, kCommandDepthMax, &message);
  if (!decodes || operation.body.size() > kMessageBytesMax) {
    std::string wrong = Rest();
    if (!wrong.empty()) return {{}, std::move(wrong)};
    pair.Send(operation.body);
    return {{}, Ended(operation, pair)};
  }
  switch (message.request_union_case()) {
    case WatchRequest::kCreateRequest:
      return AskWatch(operation, pair, message.create_request());
    case WatchRequest::kCancelRequest:
      return {{}, CancelWatch(operation, pair, message.cancel_request().watch_id())};
    case WatchRequest::kProgressRequest:
      return {{}, AskProgress(operation, pair)};
    case WatchRequest::REQUEST_UNION_NOT_SET:
      pair.Send(operation.body);
      return {{}, Fence(pair)};
  }
  return {};
}

Session::Outcome Session::AskWatch(const Operation& operation, WatchPair& pair,
                                   const WatchCreateRequest& request) {
  Outcome outcome;
  // Compared on its own: the two servers may disagree on whether there is such a watch.
  const bool negative = request.start_revision() < 0;
  if (negative) outcome.wrong = Rest();
  if (!outcome.wrong.empty()) return outcome;
  const int64_t etcd = pair.etcd().receiver.created();
  const int64_t gavel = pair.gavel().receiver.created();
  pair.Ask(request, operation.body, revision_, history_);
  const bool answered = WaitFor([&] {
    return pair.ended() ||
           (pair.etcd().receiver.created() > etcd && pair.gavel().receiver.created() > gavel);
  });
  if (!answered) outcome.wrong = absl::StrCat(kNoRest, pair.Unrest(history_));
  if (pair.ended()) outcome.wrong = Ended(operation, pair);
  if (!outcome.wrong.empty()) return outcome;
  outcome.answers.etcd.body = pair.etcd().receiver.last_created().SerializeAsString();
  if (negative) outcome.wrong = CancelNegative(pair);
  return outcome;
}

std::string Session::CancelNegative(WatchPair& pair) {
  pair.haste().negative_start = true;
  for (WatchPair::Half* half : {&pair.etcd(), &pair.gavel()}) {
    const WatchResponse& created = half->receiver.last_created();
    if (created.canceled()) continue;
    const int64_t id = created.watch_id();
    // Once something is compacted, the watch is canceled for that.
    if (history_.compacted() == 0) {
      WatchRequest message;
      message.mutable_cancel_request()->set_watch_id(id);
      half->stream->Send(message.SerializeAsString());
    }
    if (!WaitFor([&] { return !half->receiver.IsOpen(id); })) {
      return absl::StrCat(kNoRest, "a watch of a negative revision is not canceled\n");
    }
    half->receiver.ForgetEvents(id);
  }
  return Rest();
}

std::string Session::CancelWatch(const Operation& operation, WatchPair& pair, int64_t id) {
  // What is doomed is canceled anyway, and twice if the client is fast.
  const bool hasty =
      operation.hasty && !pair.etcd().receiver.IsDoomed(id) && !pair.gavel().receiver.IsDoomed(id);
  if (hasty) {
    pair.haste().canceled.insert(id);
  } else if (!WaitFor([&] { return HistoryIsWhole() && pair.AtRest(id, history_); })) {
    return absl::StrCat(kNoRest, pair.Unrest(history_), CompareStreams());
  }
  pair.Send(operation.body);
  return Fence(pair);
}

std::string Session::AskProgress(const Operation& operation, WatchPair& pair) {
  if (operation.hasty) {
    pair.AskProgress(operation.body, revision_, true);
    return Fence(pair);
  }
  std::string wrong = Rest();
  if (!wrong.empty()) return wrong;
  const int64_t etcd = pair.etcd().receiver.progressed();
  const int64_t gavel = pair.gavel().receiver.progressed();
  const bool both = pair.AskProgress(operation.body, revision_, false);
  const bool answered = WaitFor([&] {
    return pair.ended() || (pair.etcd().receiver.progressed() > etcd &&
                            (!both || pair.gavel().receiver.progressed() > gavel));
  });
  if (!answered) return "a progress request is not answered\n" + CompareStreams();
  return Fence(pair);
}

std::string Session::Fence(WatchPair& pair) {
  const int64_t etcd = pair.etcd().receiver.created();
  const int64_t gavel = pair.gavel().receiver.created();
  pair.SendFence();
  const bool answered = WaitFor([&] {
    return pair.ended() ||
           (pair.etcd().receiver.created() > etcd && pair.gavel().receiver.created() > gavel);
  });
  if (pair.ended()) return EndedByItself("the stream", pair);
  return answered ? "" : absl::StrCat(kNoRest, pair.Unrest(history_));
}

std::string Session::Ended(const Operation& operation, WatchPair& pair) {
  const bool both =
      WaitFor([&] { return pair.etcd().ended.has_value() && pair.gavel().ended.has_value(); });
  const Answer open{-1, "the stream has not ended", ""};
  const Answers answers{pair.etcd().ended.value_or(open), pair.gavel().ended.value_or(open)};
  watches_.erase(operation.number);
  ++counts_.refused;
  std::string wrong = Judge(operation, answers);
  if (wrong.empty() && !both) wrong = "both streams should have ended, and neither has\n";
  return wrong;
}

bool Session::CatchUp(WatchPair& pair, std::string* wrong) {
  if (!pair.may_be_behind() || pair.ended()) return true;
  if (pair.half_closed() || history_.events().empty()) return false;
  // etcd forgets a deletion that is compacted.
  if (history_.IsDropped(history_.events().size() - 1)) return false;
  const int64_t id = next_probe_++;
  WatchRequest create;
  create.mutable_create_request()->set_key(history_.events().back().kv().key());
  create.mutable_create_request()->set_start_revision(history_.newest());
  create.mutable_create_request()->set_watch_id(id);
  Operation operation{kWatchMethod, create.SerializeAsString(), false, Kind::kSend};
  *wrong = AskWatch(operation, pair, create.create_request()).wrong;
  if (!wrong->empty()) return false;
  WatchRequest cancel;
  cancel.mutable_cancel_request()->set_watch_id(id);
  operation.body = cancel.SerializeAsString();
  *wrong = CancelWatch(operation, pair, id);
  if (!wrong->empty()) return false;
  pair.set_may_be_behind(false);
  return true;
}

std::string Session::HalfCloseWatch(const Operation& operation) {
  const auto found = watches_.find(operation.number);
  if (found == watches_.end()) return "";
  std::string wrong = Rest();
  if (wrong.empty() && CatchUp(*found->second, &wrong)) found->second->HalfClose();
  return wrong;
}

std::string Session::Close(const Operation& operation) {
  if (operation.method != kWatchMethod) {
    keep_alives_.erase(operation.number);
    return "";
  }
  std::string wrong;
  if (!operation.hasty) wrong = Rest();
  watches_.erase(operation.number);
  return wrong;
}

std::string Session::Rest() {
  if (witness_ == nullptr) return "";
  const bool at_rest = WaitFor([&] {
    return HistoryIsWhole() && witness_->AtRest(history_) &&
           std::all_of(watches_.begin(), watches_.end(), [&](const auto& entry) {
             return entry.second->ended() || entry.second->AtRest(history_);
           });
  });
  std::string wrong;
  if (!at_rest) {
    absl::StrAppend(&wrong, kNoRest, "the revision is ", revision_, ", the last that etcd told ",
                    history_.newest(), "\n", witness_->Unrest(history_));
    for (const auto& [number, pair] : watches_) {
      const std::string unrest = pair->Unrest(history_);
      if (!unrest.empty()) absl::StrAppend(&wrong, "stream ", number, "\n", unrest);
    }
  }
  for (const auto& [number, pair] : watches_) {
    wrong += EndedByItself(absl::StrCat("stream ", number), *pair);
  }
  return wrong + CompareStreams();
}

std::string Session::CompareStreams() {
  std::string wrong;
  const auto compare = [&](const std::string& name, WatchPair& pair) {
    counts_.events += pair.etcd().receiver.TakeEventCount();
    const WatchPair::Verdict verdict =
        pair.Settle(revision_, history_, random_.Next(), &planted_, &counts_.hits);
    if (!verdict.differences.empty()) {
      absl::StrAppend(&wrong, "what ", name, " received differs:\n", Describe(verdict.differences));
    }
    if (verdict.blind) {
      absl::StrAppend(&wrong, "the comparison is blind: it does not see in what ", name,
                      " received that ", verdict.changed, "\n");
    }
    if (!verdict.changed.empty()) ++counts_.changed_streams;
  };
  compare("the watch of everything", *witness_);
  for (const auto& [number, pair] : watches_) compare(absl::StrCat("stream ", number), *pair);
  return wrong;
}

}  // namespace gavel::conformance
