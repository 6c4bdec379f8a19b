// Requests that a client should not send, and what is no request at all.
#pragma once

#include "tests/conformance/operation.h"
#include "tests/conformance/vocabulary.h"

namespace gavel::conformance {

// One of them, drawn at random. Where etcd and Gavel are known to judge differently, it changes
// nothing, so that the stores stay alike.
Operation NewBadInput(Vocabulary& words);

}  // namespace gavel::conformance
