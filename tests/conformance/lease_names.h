// What a sequence calls the leases whose ids a server picked.
//
// Each server picks its own ids, so a sequence gives such a lease a name, an id that no server is
// likely to pick. Before a message goes to a server its names become that server's ids, and in
// what comes back the ids become names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <google/protobuf/message.h>

namespace gavel::conformance {

// The names are this and what follows.
inline constexpr int64_t kFirstLeaseName = 0x6c65617365000000;  // "lease".
inline constexpr int64_t kLeaseNames = int64_t{1} << 24;

inline bool IsLeaseName(int64_t id) {
  return id >= kFirstLeaseName && id < kFirstLeaseName + kLeaseNames;
}

class LeaseNames {
 public:
  // False if the server has picked what it must not: an id that is not positive, or one that it
  // has picked before.
  bool Learn(int64_t name, int64_t id);

  // Replaces every lease id in `message`, nested ones too. True if there was one to replace.
  bool ToIds(google::protobuf::Message& message) const { return Replace(ids_, message); }
  bool ToNames(google::protobuf::Message& message) const { return Replace(names_, message); }

  // The same for an encoded message, of the type that `empty` has. What does not decode, and what
  // holds nothing to replace, is returned as it is.
  std::string ToIds(std::string_view bytes, google::protobuf::Message* empty) const;
  std::string ToNames(std::string_view bytes, google::protobuf::Message* empty) const;

 private:
  using Table = std::map<int64_t, int64_t>;

  static bool Replace(const Table& table, google::protobuf::Message& message);
  static std::string Replace(const Table& table, std::string_view bytes,
                             google::protobuf::Message* empty);

  Table ids_;    // By name.
  Table names_;  // By id.
};

}  // namespace gavel::conformance
