// Makes the operations that are about locks and elections: short scenes of two or three who want
// the same, each with a lease of its own, in every order that has one outcome.
//
// Deterministic, as Generator is.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "proto/v3electionpb/election.pb.h"
#include "tests/conformance/operation.h"
#include "tests/conformance/vocabulary.h"

namespace gavel::conformance {

class RecipeGenerator {
 public:
  explicit RecipeGenerator(Vocabulary& words) : words_(words) {}

  // The operations of one scene. `next_number` gives waiting calls their numbers.
  std::deque<Operation> NewLockScene(int64_t* next_number);
  std::deque<Operation> NewElectionScene(int64_t* next_number);

  // Completes a request that is about a leader who has been elected since it was made.
  void Complete(Operation* operation) const;
  void Learn(const Operation& operation, const Answer& etcd);

 private:
  // Those of a scene, whose leases it grants and revokes.
  struct Cast {
    std::string name;
    int64_t leases[3] = {};
  };

  Cast NewCast(const char* kind, std::deque<Operation>* scene);
  void Dismiss(const Cast& cast, std::deque<Operation>* scene);
  // Sometimes a write that is about something else.
  void Meanwhile(std::deque<Operation>* scene);
  void EndHolder(const Cast& cast, std::deque<Operation>* scene);
  void BadLockInput(std::deque<Operation>* scene);
  void BadElectionInput(const Cast& cast, std::deque<Operation>* scene);

  Vocabulary& words_;
  int64_t next_lease_ = 0x10c4000;
  int64_t next_scene_ = 0;
  std::map<std::string, v3electionpb::LeaderKey> leaders_;  // By key; the latest.
};

}  // namespace gavel::conformance
