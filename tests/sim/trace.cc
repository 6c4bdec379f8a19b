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
    case EventKind::kAnswer:
      line += absl::StrFormat(" operation %d, %d", event.a, event.b);
      break;
    default:
      line += absl::StrFormat(" %d %d", event.a, event.b);
  }
  if (*event.text != '\0') line += absl::StrFormat("  %s", event.text);
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
