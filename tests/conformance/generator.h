// Makes the operations of a run from its seed.
//
// Deterministic: the next operation is a function of the seed and of the answers learned so far,
// and those are a function of the operations.
#pragma once

#include <cstdint>
#include <string>

#include "raft/random.h"
#include "tests/conformance/member_requests.h"
#include "tests/conformance/operation.h"
#include "tests/conformance/vocabulary.h"

namespace gavel::conformance {

class OperationSource {
 public:
  virtual ~OperationSource() = default;

  virtual Operation Next() = 0;
  // Tells what etcd answered to the last operation, so that later ones aim near it.
  virtual void Learn(const Operation& operation, const Answer& etcd) = 0;
};

// Tells `words` the revisions that an answer of etcd shows.
void LearnRevisions(const Operation& operation, const Answer& etcd, Vocabulary* words);

// Requests alone, mostly of the key-value service.
class Generator : public OperationSource {
 public:
  // Without `local`, members may be asked in turn: there are no serializable reads and no questions
  // about the member itself.
  Generator(uint64_t seed, bool local);

  Operation Next() override;
  void Learn(const Operation& operation, const Answer& etcd) override;

 private:
  Operation Draw();
  Operation Maintenance();

  raft::Random random_;
  Vocabulary words_;
  MemberRequests members_;
};

}  // namespace gavel::conformance
