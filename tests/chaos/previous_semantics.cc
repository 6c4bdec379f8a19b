// Takes the place of storage/state/semantics.cc in a gaveld that knows one version less.
#include "storage/state/semantics.h"

namespace gavel::storage {

uint32_t SemanticsVersion() { return 3; }

}  // namespace gavel::storage
