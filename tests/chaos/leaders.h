// What observers of an election were told, and the check against what the store says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gavel::chaos {

// One version of the key of a candidate.
struct CandidateVersion {
  std::string key;
  int64_t created = 0;
  int64_t revision = 0;  // At which this version was put.
  std::string value;

  friend bool operator==(const CandidateVersion&, const CandidateVersion&) = default;
};

// One life of a candidate's key.
struct CandidateLife {
  std::string key;
  int64_t created = 0;
  int64_t deleted = 0;  // 0: it is still there.
};

// One message of Observe.
struct ToldLeader {
  CandidateVersion leader;
  int64_t revision = 0;  // In the header: when it led.
};

struct ElectionHistory {
  std::vector<CandidateVersion> versions;  // In the order of revisions.
  std::vector<CandidateLife> lives;
  std::vector<std::vector<ToldLeader>> streams;  // What each stream told, in order.
};

// Checks that
//   whoever is told to lead was the oldest candidate at the revision told, in a version that is
//   the store's;
//   each stream goes on: revisions and leaders grow;
//   of what a leader says while it is observed nothing is left out.
std::vector<std::string> CheckLeaders(const ElectionHistory& history);

}  // namespace gavel::chaos
