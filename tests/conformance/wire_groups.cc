#include "tests/conformance/wire_groups.h"

#include <cstdint>
#include <vector>

#include <google/protobuf/io/coded_stream.h>

namespace gavel::conformance {
namespace {

enum WireType {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kBegin = 3,
  kEnd = 4,
  kFixed32 = 5
};

// The value of a field that is no group; false if it is cut off.
bool SkipValue(google::protobuf::io::CodedInputStream& input, uint32_t type) {
  uint64_t number = 0;
  uint32_t length = 0;
  switch (type) {
    case kVarint:
      return input.ReadVarint64(&number);
    case kFixed64:
      return input.Skip(8);
    case kFixed32:
      return input.Skip(4);
    case kLengthDelimited:
      return input.ReadVarint32(&length) && length <= INT32_MAX &&
             input.Skip(static_cast<int>(length));
    default:
      return false;
  }
}

}  // namespace

bool OnlyGroupsEndWrongly(std::string_view bytes) {
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  std::vector<uint32_t> open;  // The fields of the groups that have begun.
  bool wrong = false;
  while (const uint32_t tag = input.ReadTag()) {
    const uint32_t field = tag >> 3;
    const uint32_t type = tag & 7;
    if (field == 0) return false;
    if (type == kBegin) {
      open.push_back(field);
    } else if (type == kEnd) {
      if (open.empty()) return false;
      wrong |= open.back() != field;
      open.pop_back();
    } else if (!SkipValue(input, type)) {
      return false;
    }
  }
  return wrong && open.empty() && input.ConsumedEntireMessage();
}

}  // namespace gavel::conformance
