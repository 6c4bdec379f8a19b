#include "tests/storage/snapshot/archives.h"

#include "absl/strings/str_cat.h"

#include "raft/check.h"

namespace gavel::testing {

void Fill(Store& store) {
  const auto grant = [&](int64_t id) {
    internal::Command command;
    command.mutable_lease_grant()->set_id(id);
    command.mutable_lease_grant()->set_ttl(60);
    store.Do(command);
  };
  for (const int64_t id : {7, 8, 9}) grant(id);
  for (int i = 0; i < 40; ++i) {
    internal::Command put = Put(absl::StrCat("key/", i % 17), absl::StrCat("value ", i));
    if (i % 5 == 0) put.mutable_put()->set_lease(7 + i % 3);
    store.Do(put);
    if (i % 7 == 0) store.Do(Delete(absl::StrCat("key/", i % 17)));
  }
  // Escaped in the key of its rows, and larger than a block.
  store.Do(Put(std::string_view("zero\0byte", 9), std::string(300'000, 'x')));
  internal::Command renew;
  renew.mutable_renew_leases()->add_ids(7);
  renew.mutable_renew_leases()->add_ids(9);
  store.Do(renew);
  internal::Command clock;
  clock.mutable_lease_clock()->set_now_ms(1234);
  store.Do(clock);
  store.Do(Compact(30));
  internal::Command quota;
  quota.mutable_set_quota()->set_bytes(1 << 30);
  store.Do(quota);
  internal::Command alarm;
  alarm.mutable_change_alarm()->set_member(3);
  alarm.mutable_change_alarm()->set_alarm(9);  // One that forbids nothing.
  alarm.mutable_change_alarm()->set_raise(true);
  store.Do(alarm);
}

std::string WriteArchive(const Store& store) {
  auto writer = storage::ArchiveWriter::Create(store.engine(), kOrigin);
  GAVEL_CHECK(writer.ok()) << writer.status().ToString();
  std::string archive;
  while (true) {
    const auto more = (*writer)->Step(&archive);
    GAVEL_CHECK(more.ok()) << more.status().ToString();
    if (!*more) return archive;
  }
}

absl::StatusOr<storage::ArchiveSummary> ReadArchive(std::string_view archive,
                                                    storage::ArchiveReaderOptions options) {
  storage::ArchiveReader reader(nullptr, options);
  // What it refuses here it refuses again there.
  (void)reader.Feed(archive);
  return reader.Finish();
}

absl::StatusOr<storage::ArchiveSummary> Install(std::string_view archive, storage::Engine& engine,
                                                size_t piece) {
  auto installer = storage::ArchiveInstaller::Create(engine);
  if (!installer.ok()) return installer.status();
  for (size_t at = 0; at < archive.size(); at += piece) {
    const absl::Status fed = (*installer)->Feed(archive.substr(at, piece));
    if (!fed.ok()) return fed;
  }
  return (*installer)->Finish();
}

}  // namespace gavel::testing
