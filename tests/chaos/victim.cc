#include "tests/chaos/victim.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "tests/chaos/kv_client.h"

namespace gavel::chaos {
namespace {

using std::chrono::steady_clock;

// What it misses: more than a segment of the log, and more than the others keep in memory.
constexpr int kMissedWrites = 160;
constexpr size_t kMissedBytes = 250'000;
constexpr std::chrono::seconds kPatience(60);
constexpr char kInstalled[] = "a snapshot has taken the place of the state";

void Sleep(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Puts `count` values of `bytes` each, under few keys.
void PutValues(const std::string& target, int count, size_t bytes) {
  KvClient client(target);
  client.set_timeout(std::chrono::seconds(10));
  for (int number = 0; number < count; ++number) {
    etcdserverpb::PutRequest request;
    request.set_key("large" + std::to_string(number % 4));
    request.set_value(std::string(bytes, 'v'));
    etcdserverpb::PutResponse response;
    // Without a leader it takes a moment.
    for (int tries = 0; tries < 100 && client.Put(request, &response) != Outcome::kOk; ++tries) {
      Sleep(20);
    }
  }
}

bool Has(const etcdserverpb::Member& member, const std::string& peer_url) {
  return std::find(member.peerurls().begin(), member.peerurls().end(), peer_url) !=
         member.peerurls().end();
}

}  // namespace

bool Victim::Do(Phase phase, bool expect_end) {
  const bool starts = phase == kRestart || phase == kSnapshot || phase == kJoin;
  if (!starts) cluster().SetRules(kVictim, rules_);
  switch (phase) {
    case kLoad:
    case kCut:
      PutValues(cluster().targets()[1], megabytes_, 1000 * 1000);
      Sleep(100);
      break;
    case kRestart:
      Kill();
      Start();
      break;
    case kStop:
      Stop(expect_end);
      break;
    case kSnapshot:
      InstallSnapshot();
      break;
    case kJoin:
      Join();
      break;
    default:
      break;
  }
  return expect_end || checked_.AllServe();
}

// What it is armed with must not strike a process that is about to be killed: nobody would know
// how that would have ended.
void Victim::Kill() {
  cluster().SetRules(kVictim, "");
  Sleep(50);
  if (const std::optional<int> status = cluster().Died(kVictim)) end_ = status;
  cluster().Kill(kVictim);
}

void Victim::Start() {
  cluster().SetRules(kVictim, rules_);
  // What has struck already is looked at first.
  if (!end_) cluster().Start(kVictim);
}

void Victim::Stop(bool expect_end) {
  if (!cluster().Runs(kVictim)) return;
  if (expect_end) return cluster().Ask(kVictim, SIGTERM);
  if (!cluster().Stop(kVictim)) checked_.Problem(kVictim, "did not stop");
  cluster().Start(kVictim);
}

void Victim::InstallSnapshot() {
  const int before = CountInstalls();
  Kill();
  PutValues(cluster().targets()[1], kMissedWrites, kMissedBytes);
  Start();
  const auto began = steady_clock::now();
  while (CountInstalls() == before && !cluster().HasEnded(kVictim)) {
    if (steady_clock::now() - began > kPatience) {
      return checked_.Problem(kVictim, "was not brought up by a snapshot within a minute");
    }
    Sleep(20);
  }
}

void Victim::Join() {
  Kill();
  if (!Readmit()) return checked_.Problem(kVictim, "was not removed and added within a minute");
  cluster().Wipe(kVictim);
  Start();
  const auto began = steady_clock::now();
  while (!cluster().HasEnded(kVictim) && steady_clock::now() - began < kPatience) {
    if (ServesNow(cluster().targets()[kVictim])) return;
    Sleep(20);
  }
}

// Removes it, and adds another member in its place.
bool Victim::Readmit() {
  KvClient client(cluster().targets()[1]);
  client.set_timeout(std::chrono::seconds(5));
  const std::string url = cluster().PeerUrl(kVictim);
  std::optional<uint64_t> old;
  const auto give_up = steady_clock::now() + kPatience;
  for (; steady_clock::now() < give_up; Sleep(50)) {
    etcdserverpb::MemberListResponse list;
    if (client.MemberList(&list) != Outcome::kOk) continue;
    const auto found = std::find_if(list.members().begin(), list.members().end(),
                                    [&](const auto& member) { return Has(member, url); });
    if (found == list.members().end()) {
      etcdserverpb::MemberAddRequest add;
      add.add_peerurls(url);
      etcdserverpb::MemberAddResponse response;
      client.MemberAdd(add, &response);
      if (!old) old = 0;
      continue;
    }
    if (!old) old = found->id();
    if (found->id() != *old) return true;
    etcdserverpb::MemberRemoveRequest remove;
    remove.set_id(*old);
    etcdserverpb::MemberRemoveResponse response;
    client.MemberRemove(remove, &response);
  }
  return false;
}

std::optional<int> Victim::TakeEnd() {
  if (end_) return std::exchange(end_, std::nullopt);
  return cluster().Died(kVictim);
}

std::string Victim::LogFrom(size_t from) {
  std::stringstream text;
  text << std::ifstream(cluster().LogPath(kVictim)).rdbuf();
  const std::string all = text.str();
  return all.substr(std::min(from, all.size()));
}

int Victim::CountInstalls() {
  const std::string log = LogFrom(0);
  int count = 0;
  for (size_t at = 0; (at = log.find(kInstalled, at)) != std::string::npos; ++at) ++count;
  return count;
}

}  // namespace gavel::chaos
