// What goes wrong, and how it is put right again.
#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/disk/path.h"
#include "tests/sim/random_streams.h"
#include "tests/sim/world.h"

namespace gavel::sim {

using server::kNsPerMs;
using server::kNsPerSecond;
using testing::CrashMode;

namespace {

constexpr char kWalDirectory[] = "/data/member/wal";

}  // namespace

CrashMode World::AnyCrashMode(raft::Random& random) const {
  constexpr CrashMode kModes[] = {CrashMode::kLoseAll, CrashMode::kKeepAll, CrashMode::kTearBy512,
                                  CrashMode::kTearBy4096};
  return kModes[random.Below(4)];
}

bool World::impostor_about() const {
  return std::any_of(machines_.begin(), machines_.end(),
                     [](const auto& machine) { return machine->impostor; });
}

void World::Inject(const Fault& fault) {
  if (!faults_on_) return;
  // Those who remember the later life of a member that came back with less must stay up.
  const bool guarded = impostor_about();
  bool done = false;
  switch (fault.kind) {
    case FaultKind::kCrash:
    case FaultKind::kCrashInDisk:
    case FaultKind::kCrashAll:
    case FaultKind::kStop:
    case FaultKind::kPause:
    case FaultKind::kWallJump:
    case FaultKind::kHandOver:
    case FaultKind::kCrashQuorum:
    case FaultKind::kSlowProcess:
      done = !guarded && InjectNode(fault, machine(fault.node));
      break;
    case FaultKind::kIsolate:
    case FaultKind::kHalves:
    case FaultKind::kOneWay:
    case FaultKind::kBridge:
    case FaultKind::kFlap:
    case FaultKind::kClog:
    case FaultKind::kRing:
    case FaultKind::kSwizzle:
      done = InjectNetwork(fault);
      break;
    default:
      done = !guarded && InjectDisk(fault, machine(fault.node));
      break;
  }
  if (!done) return;
  switch (fault.kind) {
    case FaultKind::kPause:
    case FaultKind::kSlowDisk:
    case FaultKind::kSlowProcess:
    case FaultKind::kEngineStall:
      slow_times_.emplace_back(now_, now_ + fault.duration);
      break;
    default:
      break;
  }
  ++figures_.faults[std::string(FaultName(fault.kind))];
  Record(
      EventKind::kFault, fault.node, fault.number,
      static_cast<uint64_t>(fault.other) << 32 | static_cast<uint64_t>(fault.duration / kNsPerMs),
      FaultName(fault.kind).data());
}

bool World::InjectNode(const Fault& fault, Machine& machine) {
  raft::Random random(fault.chance);
  switch (fault.kind) {
    case FaultKind::kCrash:
      if (!machine.up()) return false;
      Down(machine.index, AnyCrashMode(random));
      StartLater(machine.index, fault.duration);
      return true;
    case FaultKind::kCrashInDisk:
      // Also while it is down: then its recovery is cut short.
      machine.disk->CrashAfter(random.Below(random.OneIn(2) ? 6 : 60));
      machine.armed = true;
      return true;
    case FaultKind::kCrashAll: {
      std::vector<int> all(machines_.size());
      std::iota(all.begin(), all.end(), 0);
      CrashSome(fault, all);
      Sometimes("all members were down at once");
      return true;
    }
    case FaultKind::kCrashQuorum: {
      // From one on, in a circle.
      std::vector<int> some(machines_.size() - static_cast<size_t>(size() / 2));
      for (size_t i = 0; i < some.size(); ++i) {
        some[i] = (fault.node + static_cast<int>(i)) % size();
      }
      CrashSome(fault, some);
      Sometimes("a quorum was down at once");
      return true;
    }
    case FaultKind::kSlowProcess:
      machine.slow_until = now_ + fault.duration;
      machine.slow_times = static_cast<int64_t>(random.Between(2, 50));
      return true;
    case FaultKind::kStop:
      if (!machine.up() || now_ < machine.paused_until) return false;
      machine.node->Finish();
      if (!machine.failure.ok()) return true;  // Its disk failed it; AfterEvent has the rest.
      Down(machine.index, CrashMode::kLoseAll);
      StartLater(machine.index, fault.duration);
      return true;
    case FaultKind::kPause:
      if (!machine.up()) return false;
      machine.paused_until = std::max(machine.paused_until, now_ + fault.duration);
      return true;
    case FaultKind::kWallJump: {
      const auto day = static_cast<uint64_t>(86400 * kNsPerSecond);
      machine.clock.JumpWall(static_cast<int64_t>(random.Below(2 * day)) -
                             static_cast<int64_t>(day));
      return true;
    }
    case FaultKind::kHandOver:
      for (int i = 0; i < size(); ++i) {
        if (!this->machine(i).up()) continue;
        this->machine(i).node->HandOver();
        Touch(this->machine(i));
      }
      return true;
    default:
      return false;
  }
}

void World::CutFor(int from, int to, int64_t duration) {
  if (from == to) return;
  SetCut(from, to, true);
  At(now_ + duration, EventKind::kTimer, -1, [this, from, to] {
    if (faults_on_) SetCut(from, to, false);
  });
}

void World::CrashSome(const Fault& fault, const std::vector<int>& members) {
  raft::Random random(fault.chance);
  const CrashMode mode = AnyCrashMode(random);
  for (const int i : members) {
    Down(i, mode);
    StartLater(i, 1 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(fault.duration))));
  }
}

// Leaves only the links of which `reach` says so.
void World::CutUnless(int64_t duration, const std::function<bool(int, int)>& reach) {
  for (int a = 0; a < size(); ++a) {
    for (int b = 0; b < a; ++b) {
      if (reach(a, b)) continue;
      CutFor(a, b, duration);
      CutFor(b, a, duration);
    }
  }
}

// Some members' links clog one member after the other, and clear in an order of their own.
void World::Swizzle(const Fault& fault) {
  raft::Random random(fault.chance);
  const uint64_t half = static_cast<uint64_t>(fault.duration) / 2 + 1;
  const uint64_t chosen = random.Next();
  for (int i = 0; i < size(); ++i) {
    const auto from = now_ + static_cast<int64_t>(random.Below(half));
    const auto until = now_ + static_cast<int64_t>(half + random.Below(half));
    if (((chosen >> i) & 1) == 0) continue;
    At(from, EventKind::kTimer, -1, [this, i, until] {
      if (!faults_on_) return;
      for (int other = 0; other < size(); ++other) {
        for (Link* clogged : {&link(i, other), &link(other, i)}) {
          clogged->clogged_until = std::max(clogged->clogged_until, until);
        }
      }
    });
  }
}

bool World::InjectNetwork(const Fault& fault) {
  if (size() < 2) return false;
  raft::Random random(fault.chance);
  const auto both = [&](int a, int b) {
    CutFor(a, b, fault.duration);
    CutFor(b, a, fault.duration);
  };
  switch (fault.kind) {
    case FaultKind::kIsolate:
      for (int i = 0; i < size(); ++i) both(fault.node, i);
      return true;
    case FaultKind::kOneWay:
      if (random.OneIn(2)) {
        CutFor(fault.node, fault.other, fault.duration);
      } else {
        for (int i = 0; i < size(); ++i) CutFor(fault.node, i, fault.duration);
      }
      return true;
    case FaultKind::kHalves:
    case FaultKind::kBridge: {
      const uint64_t sides = random.Next();
      CutUnless(fault.duration, [&](int a, int b) {
        const bool bridge =
            fault.kind == FaultKind::kBridge && (a == fault.node || b == fault.node);
        return bridge || ((sides >> a) & 1) == ((sides >> b) & 1);
      });
      return true;
    }
    case FaultKind::kRing:
      if (size() < 4) return false;  // Everyone reaches two others anyway.
      CutUnless(fault.duration,
                [&](int a, int b) { return (a + 1) % size() == b || (b + 1) % size() == a; });
      return true;
    case FaultKind::kSwizzle:
      Swizzle(fault);
      return true;
    case FaultKind::kFlap: {
      const int64_t period = 20 * kNsPerMs + static_cast<int64_t>(random.Below(400 * kNsPerMs));
      for (int64_t at = 0; at < fault.duration; at += period) {
        At(now_ + at, EventKind::kTimer, -1, [this, fault, period] {
          if (!faults_on_) return;
          CutFor(fault.node, fault.other, period / 2);
          CutFor(fault.other, fault.node, period / 2);
        });
      }
      return true;
    }
    default: {
      const bool all = random.OneIn(3);
      for (int i = 0; i < size(); ++i) {
        if (!all && i != fault.other) continue;
        Link& clogged = link(fault.node, i);
        clogged.clogged_until = std::max(clogged.clogged_until, now_ + fault.duration);
      }
      return true;
    }
  }
}

bool World::InjectDisk(const Fault& fault, Machine& machine) {
  raft::Random random(fault.chance);
  const int index = machine.index;
  switch (fault.kind) {
    case FaultKind::kFailSync: {
      const uint64_t nth = random.Between(1, 5);
      random.OneIn(3) ? machine.disk->FailSyncAndRevert(nth) : machine.disk->FailSync(nth);
      machine.faulty = true;
      return true;
    }
    case FaultKind::kFailWrite:
      machine.disk->FailWrite(random.Between(1, 8));
      machine.faulty = true;
      return true;
    case FaultKind::kFailRead:
      machine.disk->FailRead(random.Between(1, 8));
      machine.faulty = true;
      return true;
    case FaultKind::kFailDirSync:
      machine.disk->FailDirectorySync(random.Between(1, 3));
      machine.faulty = true;
      return true;
    case FaultKind::kFullDisk: {
      machine.disk->SetFreeBytes(random.Below(2 * plan_.wal_segment_bytes));
      machine.faulty = true;
      At(now_ + fault.duration, EventKind::kTimer, -1,
         [this, index] { this->machine(index).disk->SetUnlimitedSpace(); });
      return true;
    }
    case FaultKind::kSlowDisk:
      machine.log_slow_until = now_ + fault.duration;
      machine.log_slow_by =
          kNsPerMs + static_cast<int64_t>(random.Below(static_cast<uint64_t>(fault.duration)));
      return true;
    case FaultKind::kEngineStall:
      if (!machine.up()) return false;  // An engine that is being opened has nothing to flush.
      machine.engine->SetStalled(true);
      At(now_ + fault.duration, EventKind::kTimer, -1,
         [this, index] { this->machine(index).engine->SetStalled(false); });
      return true;
    case FaultKind::kEngineFails:
      if (!machine.up()) return false;  // It is opened anew at the start.
      machine.engine->Fail(absl::InternalError("write: Input/output error"));
      machine.faulty = true;
      return true;
    case FaultKind::kBadSector:
      return SpoilSector(fault, machine);
    case FaultKind::kBitFlip:
      return FlipBit(fault, machine);
    case FaultKind::kWipedDisk:
    case FaultKind::kOldImage:
      return StartImpostor(fault, machine);
    default:
      return false;
  }
}

// What is left of it on the disk, oldest first.
std::vector<WalWatch::Covered> World::CoveredLog(const Machine& machine) {
  std::vector<WalWatch::Covered> segments = machine.watch.covered();
  const std::vector<std::string> names = machine.disk->ListDurable(kWalDirectory);
  std::erase_if(segments, [&](const WalWatch::Covered& segment) {
    return std::none_of(names.begin(), names.end(), [&](const std::string& name) {
      return segment.path == storage::JoinPath(kWalDirectory, name);
    });
  });
  return segments;
}

// Anywhere in the log below its newest batch, so that damage is certain to be seen; and one member
// at a time, which keeps a good copy of everything in every quorum.
bool World::FlipBit(const Fault& fault, Machine& machine) {
  const bool elsewhere = std::any_of(machines_.begin(), machines_.end(),
                                     [](const auto& other) { return !other->flips.empty(); });
  if (elsewhere || !machine.up() || machine.impostor) return false;
  const std::vector<WalWatch::Covered> segments = CoveredLog(machine);
  if (segments.empty()) return false;
  raft::Random random(fault.chance);
  // The newest segment more often than its share: it is read by other code.
  const uint64_t oldest_first = random.Below(segments.size() + 1);
  const bool newest = oldest_first + 1 >= segments.size();
  const WalWatch::Covered& segment = newest ? segments.back() : segments[oldest_first];
  if (!newest) Sometimes("a bit of an older segment changed");
  Down(machine.index, CrashMode::kLoseAll);
  StartLater(machine.index, fault.duration);
  Machine::Flip flip;
  flip.path = segment.path;
  flip.offset = random.Below(segment.end);
  flip.mask = static_cast<uint8_t>(1 << random.Below(8));
  machine.disk->FlipBits(flip.path, flip.offset, flip.mask);
  machine.flips.push_back(flip);
  return true;
}

void World::FailDiskNow(Machine& machine, int64_t how_long) {
  Sometimes("a disk failed at a point");
  machine.faulty = true;
  switch (machine.point_random.Below(4)) {
    case 0:
      return machine.disk->FailSync(1);
    case 1:
      return machine.disk->FailWrite(1);
    case 2:
      return machine.disk->FailDirectorySync(1);
    default:
      machine.disk->SetFreeBytes(0);
      At(now_ + how_long, EventKind::kTimer, -1,
         [this, index = machine.index] { this->machine(index).disk->SetUnlimitedSpace(); });
  }
}

// A follower that lags, or the next start, comes upon it.
bool World::SpoilSector(const Fault& fault, Machine& machine) {
  if (machine.bad_sector || machine.impostor) return false;
  const std::vector<WalWatch::Covered> segments = CoveredLog(machine);
  if (segments.empty()) return false;
  constexpr uint64_t kSectorBytes = 512;
  raft::Random random(fault.chance);
  const WalWatch::Covered& segment = segments[random.Below(segments.size())];
  const uint64_t offset = random.Below(segment.end) / kSectorBytes * kSectorBytes;
  machine.disk->SetUnreadable(segment.path, offset, kSectorBytes);
  machine.bad_sector = true;
  At(now_ + fault.duration, EventKind::kTimer, -1,
     [this, index = machine.index] { MendSector(this->machine(index)); });
  return true;
}

void World::MendSector(Machine& machine) {
  if (!machine.bad_sector) return;
  machine.disk->SetUnreadable("", 0, 0);
  machine.bad_sector = false;
  if (machine.up()) machine.faulty = true;  // What has been read in vain may still show.
}

void World::HealDisk(Machine& machine) {
  for (const Machine::Flip& flip : machine.flips) {
    machine.disk->FlipBits(flip.path, flip.offset, flip.mask);
  }
  machine.flips.clear();
  machine.disk->SetUnlimitedSpace();
}

// A member comes back with less than it had. Legal only while all others run that have heard of
// its later life, since they are who must refuse it.
bool World::StartImpostor(const Fault& fault, Machine& machine) {
  if (size() < 3 || !machine.up() || machine.bad_sector || impostor_about()) return false;
  const bool wiped = fault.kind == FaultKind::kWipedDisk;
  if (!wiped && machine.old.disk == nullptr) {
    // The first such fault takes the copy, a later one puts it back.
    raft::Random random(fault.chance);
    machine.old.disk = machine.disk->CloneAfterCrash(CrashMode::kLoseAll, random);
    machine.old.engine = machine.engine->CrashKeeping(0);
    if (machine.received != nullptr) machine.old.received = machine.received->CrashKeeping(0);
    machine.old.life = machine.life;
    return true;
  }
  const uint64_t next_life = wiped ? 1 : machine.old.life + 1;
  if (next_life >= machine.life) return false;
  for (const auto& other : machines_) {
    if (other->index == machine.index) continue;
    const bool remembers = other->up() && !other->disk->crashed() && !other->faulty &&
                           !other->armed && !other->bad_sector && other->failure.ok() &&
                           other->heard[static_cast<size_t>(machine.index)] == machine.life;
    if (!remembers) return false;
  }
  const int index = machine.index;
  Down(index, CrashMode::kLoseAll);
  machine.real = {std::move(machine.disk), std::move(machine.engine), std::move(machine.received),
                  0};
  machine.impostor = true;
  if (wiped) {
    machine.disk = std::make_unique<testing::CrashDisk>();
    machine.engine = testing::NewMapEngine();
    machine.received = nullptr;
    Sometimes("a member came back with nothing");
  } else {
    machine.disk = std::move(machine.old.disk);
    machine.engine = std::move(machine.old.engine);
    machine.received = std::move(machine.old.received);
    machine.old = {};
    Sometimes("a member came back with an old copy");
  }
  StartLater(index, 1);
  At(now_ + fault.duration, EventKind::kTimer, -1, [this, index] { EndImpostor(index); });
  return true;
}

void World::EndImpostor(int index) {
  Machine& machine = this->machine(index);
  if (!machine.impostor) return;
  if (machine.up()) Down(index, CrashMode::kLoseAll);
  machine.impostor = false;
  machine.disk = std::move(machine.real.disk);
  machine.engine = std::move(machine.real.engine);
  machine.received = std::move(machine.real.received);
  machine.watch.Reset(*machine.disk, kWalDirectory);
  machine.before_crash = machine.watch;
  StartLater(index, 1);
}

}  // namespace gavel::sim
