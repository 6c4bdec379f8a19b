#include "proto/parse.h"

#include <climits>
#include <cstdint>

#include <google/protobuf/io/coded_stream.h>

namespace gavel {

bool ParseMessage(std::string_view bytes, int depth_max, google::protobuf::MessageLite* message) {
  if (bytes.size() > INT_MAX) return false;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  input.SetRecursionLimit(depth_max);
  return message->ParseFromCodedStream(&input) && input.ConsumedEntireMessage();
}

}  // namespace gavel
