// Names for the ids that servers pick for members, so that one sequence can be sent to both.
//
// A name is a member id of its own: a request may have it, and each side is sent its own id in its
// place. Answers need none: ids in them are not compared (difference.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace gavel::conformance {

// The member that answers, and those that a sequence has added, by number from 1 on.
inline constexpr uint64_t kFirstMemberName = 0x6d62720000000000;
inline constexpr uint64_t kSelfName = kFirstMemberName;
constexpr uint64_t MemberName(int64_t number) {
  return kFirstMemberName + static_cast<uint64_t>(number);
}

class MemberNames {
 public:
  // An id of 0 is none.
  void Learn(uint64_t name, uint64_t id) {
    if (id != 0) ids_[name] = id;
  }

  // The body of a request with ids for the names that are known; any other body as it is.
  std::string ToIds(std::string_view method, std::string body) const;

 private:
  std::map<uint64_t, uint64_t> ids_;
};

}  // namespace gavel::conformance
