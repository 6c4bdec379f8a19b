#include "tests/sim/trace.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace gavel::sim {
namespace {

std::string Line(const TraceEvent& event) {
  std::string line = absl::StrFormat("%14.6f ms ", static_cast<double>(event.at) / 1e6);
  line += event.node < 0 ? "   " : absl::StrFormat("m%d ", event.node);
  line += absl::StrFormat("%-10s", std::string(EventName(event.kind)));
  switch (event.kind) {
    case EventKind::kFrame:
      line += absl::StrFormat(" from m%d, %d bytes", event.a, event.b & 0xffffffff);
      break;
    case EventKind::kCore:
      line += absl::StrFormat(" term %d, commit %d", event.a, event.b);
      break;
    case EventKind::kLog:
      line += absl::StrFormat(" durable up to %d, term %d", event.a, event.b);
      break;
    case EventKind::kApply:
      line += absl::StrFormat(" applied %d, revision %d", event.a, event.b);
      break;
    case EventKind::kCall:
      // A stream has a number of its own.
      if (event.a != 0) line += absl::StrFormat(" operation %d", event.a);
      if (event.b != 0) line += absl::StrFormat(" stream %d", event.b);
      break;
    case EventKind::kAnswer:
      line += std::string_view(event.text) == "watch"
                  ? absl::StrFormat(" watcher %d, revision %d", event.a, event.b)
                  : absl::StrFormat(" operation %d, status %d", event.a, event.b);
      break;
    case EventKind::kFault:
      line += absl::StrFormat(" number %d, with m%d, %d ms", event.a, event.b >> 32,
                              event.b & 0xffffffff);
      break;
    case EventKind::kStart:
      line += absl::StrFormat(" life %d, log up to %d", event.a, event.b);
      break;
    case EventKind::kPoint:
      line += event.a <= 1   ? " crash"
              : event.a == 2 ? " pause"
              : event.a == 3 ? " a stage stands still"
                             : " the disk fails";
      break;
    case EventKind::kDown:
      line += absl::StrFormat(" life %d", event.a);
      break;
    default:
      break;
  }
  std::string_view text = event.text;
  constexpr std::string_view kService = "/etcdserverpb.";
  if (text.starts_with(kService)) text.remove_prefix(kService.size());
  if (!text.empty()) line.append("  ").append(text);
  return line;
}

}  // namespace

std::string_view EventName(EventKind kind) {
  constexpr std::array<std::string_view, 13> kNames = {
      "frame",  "core",  "log",   "apply", "background", "flush", "call",
      "answer", "fault", "start", "down",  "point",      "timer"};
  return kNames[static_cast<size_t>(kind)];
}

std::string TraceTail::Transcript(size_t events) const {
  std::string text;
  const uint64_t shown = std::min<uint64_t>({count, kKept, events});
  for (uint64_t i = count - shown; i < count; ++i) text += Line(last[i % kKept]) + "\n";
  return text;
}

void Trace::Compare(const TraceEvent& event) {
  if (same_ < expected_->size()) {
    const TraceEvent& earlier = (*expected_)[same_];
    if (event.at == earlier.at && event.kind == earlier.kind && event.node == earlier.node &&
        event.a == earlier.a && event.b == earlier.b) {
      ++same_;
      return;
    }
  }
  first_difference_ = event;
}

std::optional<std::string> Trace::Difference(bool ended) const {
  if (expected_ == nullptr) return std::nullopt;
  if (!first_difference_ && !(ended && same_ < expected_->size())) return std::nullopt;
  return absl::StrCat("run twice, the seed gives two traces: event ", same_ + 1, " was ",
                      same_ < expected_->size() ? Line((*expected_)[same_]) : "none", ", then ",
                      first_difference_ ? Line(*first_difference_) : "none");
}

void Trace::Print(const TraceEvent& event) { std::puts(Line(event).c_str()); }

}  // namespace gavel::sim
