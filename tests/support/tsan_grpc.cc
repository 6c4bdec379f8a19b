// What the thread sanitizer is not to report in programs that speak through gRPC, which Debian
// builds without instrumentation, as it does what gRPC is made of: their atomic operations are not
// seen, and what one thread gives to another by them looks unordered. A line matches what has a
// frame in that library in one of the two stacks.
//
// Linked into tests whose clients are gRPC's, and into no other program: elsewhere a report of
// abseil would be one of ours.

extern "C" {
// NOLINTNEXTLINE(bugprone-reserved-identifier): the sanitizer calls it so.
const char* __tsan_default_suppressions();

const char* __tsan_default_suppressions() {
  // gRPC's completion queues, calls and slices; its timers and executors.
  return "race:libgrpc.so\n"
         "race:libgrpc++.so\n"
         "race:libgpr.so\n"
         // Errors of gRPC are an absl::Status with text in absl::Cord and times: shared by
         // reference counts and freed by who is the last.
         "race:libabsl_status.so\n"
         "race:libabsl_strings.so\n"
         "race:libabsl_cord.so\n"
         "race:libabsl_cord_internal.so\n"
         "race:libabsl_time.so\n"
         "race:libabsl_time_zone.so\n"
         "race:libupb.so\n"
         // Its mutexes, which record in which order they are taken.
         "race:libabsl_synchronization.so\n"
         "race:libabsl_graphcycles_internal.so\n";
}
}
