#include "storage/state/semantics.h"

namespace gavel::storage {

uint32_t SemanticsVersion() { return 4; }

}  // namespace gavel::storage
