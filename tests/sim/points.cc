#include "tests/sim/points.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "raft/check.h"

namespace gavel::sim {
namespace {

// One simulation runs at a time, in one thread; the product's files have no other way here.
PointHandler* point_handler = nullptr;
int planted_bug = 0;
OnCheckFailed on_check_failed = nullptr;

// Without the folder of the checkout, which is another one everywhere.
std::string_view InTree(std::string_view file) {
  constexpr std::string_view kHere = __FILE__;
  constexpr std::string_view kName = "tests/sim/points.cc";
  constexpr std::string_view kRoot = kHere.substr(0, kHere.size() - kName.size());
  if (file.substr(0, kRoot.size()) == kRoot) file.remove_prefix(kRoot.size());
  return file;
}

}  // namespace

void SetPointHandler(PointHandler* handler) { point_handler = handler; }
void SetPlantedBug(int number) { planted_bug = number; }
void SetOnCheckFailed(OnCheckFailed handler) { on_check_failed = handler; }

void AtPoint(const char* name);
bool Planted(int number);

void AtPoint(const char* name) {
  if (point_handler != nullptr) point_handler->OnPoint(name);
}

bool Planted(int number) { return planted_bug == number; }

}  // namespace gavel::sim

namespace gavel {

// In the place of raft/check.cc: a failed check is a finding like any other.
void CheckFailed(const char* file, int line, const std::string& what) {
  const std::string text =
      "check failed: " + std::string(sim::InTree(file)) + ":" + std::to_string(line) + ": " + what;
  if (sim::on_check_failed != nullptr) sim::on_check_failed(text.c_str());
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace gavel
