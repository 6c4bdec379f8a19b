// Makes the operations of a run from its seed.
//
// Deterministic: the next operation is a function of the seed and of the answers learned so far,
// and those are a function of the operations.
#pragma once

#include <cstdint>
#include <string>

#include "raft/random.h"
#include "tests/conformance/operation.h"
#include "tests/conformance/vocabulary.h"

namespace gavel::conformance {

class Generator {
 public:
  // Without `local`, members may be asked in turn: there are no serializable reads and no questions
  // about the member itself.
  Generator(uint64_t seed, bool local);

  Operation Next();
  // Tells what etcd answered to the last operation, so that later ones aim at revisions near it.
  void Learn(const Operation& operation, const Answer& answer);
  // The newest revision learned of.
  int64_t revision() const { return words_.revision(); }

 private:
  Operation Draw();
  Operation Maintenance();

  raft::Random random_;
  Vocabulary words_;
};

}  // namespace gavel::conformance
