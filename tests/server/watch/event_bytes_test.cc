// Events are encoded as protobuf would encode them, whatever is in them.

#include "server/watch/event_bytes.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/watch.pb.h"
#include "raft/random.h"

namespace gavel::testing {
namespace {

using server::EventBytes;
using server::Portion;
using storage::KeyChange;

std::string RandomBytes(raft::Random& random) {
  std::string bytes(random.OneIn(5) ? random.Below(40000) : random.Below(200), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

int64_t RandomNumber(raft::Random& random) {
  return static_cast<int64_t>(random.Next() >> random.Below(64));
}

TEST(EventBytesTest, AreWhatProtobufWrites) {
  raft::Random random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<KeyChange> changes;
    std::vector<uint8_t> wanted;
    std::vector<std::string> expected;
    for (uint64_t n = random.Between(1, 8); n > 0; --n) {
      KeyChange change;
      change.id = {static_cast<int64_t>(random.Between(1, 1 << 30)), 0};
      change.key = RandomBytes(random);
      change.tombstone = random.OneIn(3);
      change.create = RandomNumber(random);
      change.version = RandomNumber(random);
      change.lease = random.OneIn(2) ? 0 : RandomNumber(random);
      change.value = RandomBytes(random);
      wanted.push_back(random.OneIn(3) ? 0 : 1);
      etcdserverpb::WatchResponse response;
      mvccpb::Event& event = *response.add_events();
      event.mutable_kv()->set_key(change.key);
      event.mutable_kv()->set_mod_revision(change.id.main);
      if (change.tombstone) {
        event.set_type(mvccpb::Event::DELETE);
      } else {
        event.mutable_kv()->set_create_revision(change.create);
        event.mutable_kv()->set_version(change.version);
        event.mutable_kv()->set_value(change.value);
        event.mutable_kv()->set_lease(change.lease);
      }
      expected.push_back(wanted.back() != 0 ? response.SerializeAsString() : "");
      changes.push_back(std::move(change));
    }
    const Portion portion(changes, 1, 1 << 30);
    const auto encoded =
        EventBytes::Encode(portion, wanted, /*with_previous=*/false, /*compacted=*/0);
    std::string all;
    for (size_t i = 0; i < changes.size(); ++i) {
      EXPECT_EQ(encoded->Get(i, i + 1), expected[i]);
      all += expected[i];
    }
    EXPECT_EQ(encoded->Get(0, changes.size()), all);
  }
}

}  // namespace
}  // namespace gavel::testing
