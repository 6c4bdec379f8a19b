"""Calls that only the files that own them may make."""

import re


class Rule:
    """A pattern in code, why it is banned, and where it is not."""

    def __init__(self, pattern, reason, allowed=(), only=None, tests=False,
                 unless=None):
        self.pattern = re.compile(pattern)
        self.reason = reason
        self.allowed = allowed
        self.only = only      # Folders that the rule is for; all if None.
        self.tests = tests    # Whether it is for tests as well.
        self.unless = re.compile(unless) if unless else None  # In this line and the last.

    def applies_to(self, file):
        if file.in_tests and not self.tests:
            return False
        if self.only is not None and not file.path.startswith(self.only):
            return False
        return not (self.allowed and file.path.startswith(self.allowed))


RULES = (
    Rule(r"\b(system_clock|steady_clock|high_resolution_clock)\b|\babsl::Now\b|\bgettimeofday\b"
         r"|\bclock_gettime\b|\bgpr_now\b|\bstd::time\s*\(|\btime\s*\(\s*(nullptr|NULL|0)\s*\)",
         "time comes from server::Clock",
         allowed=("server/system_clock.cc", "client/internal/deadline.cc",
                  "client/recipes/waiting.", "client/ctl/config_history.cc", "client/ctl/load.cc",
                  "client/ctl/maintenance_commands.cc", "client/ctl/mirror_commands.cc",
                  # gRPC's deadlines are by its own clock.
                  "server/peer/grpc_", "server/peer/ask_for_cluster.cc")),
    Rule(r"\bsleep_for\b|\bsleep_until\b|\busleep\s*\(|\bnanosleep\b|\bSleepFor\b|[^_\w]sleep\s*\(",
         "nothing here waits for time to pass; wait for an event",
         allowed=("client/ctl/load.cc", "client/ctl/kv_commands.cc")),
    Rule(r"\brandom_device\b|\bgetrandom\b|\bgetentropy\b|\barc4random\w*|\bRAND_bytes\b"
         r"|[^\w.>]rand\s*\(|\bstd::mt19937\w*|\bdefault_random_engine\b",
         "randomness comes from a seeded raft::Random",
         allowed=("client/ctl/load.cc",)),
    Rule(r"\babsl::(Mutex|MutexLock|CondVar|Notification|BlockingCounter)\b|\bpthread_mutex_\w+",
         "storage/mutex.h or client/internal/local_mutex.h; the thread sanitizer sees into them"),
    # The standard library's say nothing to clang about what they guard.
    Rule(r"\bstd::(recursive_|timed_|shared_)*mutex\b"
         r"|\bstd::(lock_guard|unique_lock|scoped_lock|shared_lock)\b",
         "storage/mutex.h or client/internal/local_mutex.h; clang checks what they guard",
         allowed=("storage/mutex.h", "client/internal/local_mutex.h", "raft/")),
    Rule(r"\bstd::(mutex|thread|jthread|atomic|condition_variable|async|lock_guard|unique_lock)\b",
         "the core is passive: no thread, no lock", only=("raft/",)),
    Rule(r"[^\w]throw\s+\w|[^\w]throw\s*;", "no exceptions of ours"),
    Rule(r"\busing\s+namespace\b", "names are written out", tests=True),
    # C++20 ends what a call returned before the first turn, unless the range is that itself.
    Rule(r"\bfor \([^;]*[^:]: (\*[\w.:>()-]*\w\(\w*\)|[\w.:>()-]*\w\(\w*\)->\w+)\)",
         "a loop over what a pointer that a call returned points to: give the pointer a name",
         tests=True, unless=r"\bmutable_\w+\(\)\)|\b(back|front|begin)\(\)->"),
    # A private constructor is out of make_unique's reach: owned in the same breath.
    Rule(r"[^\w.:]new\s+[A-Za-z_:(]", "std::make_unique", unless=r"unique_ptr<.*[({]\s*new "),
    Rule(r"[^\w]delete\s+[a-z_*]|[^\w]delete\[\]", "std::unique_ptr"),
    Rule(r"\bstd::(cout|cerr|clog)\b|[^\w:]f?printf\s*\(|\bstd::f?printf\s*\(|[^\w]f?puts\s*\(",
         "what is told goes through server::Logger",
         allowed=("raft/check.cc", "server/main.cc", "server/util/main.cc", "client/")),
    Rule(r"\bstd::(exit|_Exit|quick_exit|abort|terminate)\b|[^\w:.>]_?exit\s*\(|[^\w:.>]abort\s*\(",
         "only the main function and a failed check end the process",
         allowed=("raft/check.cc", "server/main.cc", "client/")),
)

# Everywhere, also in comments and scripts.
TEXT_RULES = (
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "nothing is left for later"),
    (re.compile(r"not implemented yet|\bunimplemented!\b"), "no stubs"),
    (re.compile(r"(DISABLED_\w+|GTEST_SKIP\s*\()"), "no test is skipped"),
)


def unused_exemptions(paths):
    """Yields a line for each exemption that is of no file: it would excuse whatever comes there."""
    for rule in RULES:
        for exempted in rule.allowed:
            if not any(path.startswith(exempted) for path in paths):
                yield f"{exempted}: is exempted ({rule.reason}) and does not exist"


def check(files):
    """Yields a line for each banned call."""
    for file in files:
        if file.path.startswith("tests/tidy/"):
            continue
        if file.path.endswith((".h", ".cc", ".c", ".py", ".proto", ".txt", ".cmake")):
            for number, line in enumerate(file.text.splitlines(), 1):
                for pattern, reason in TEXT_RULES:
                    match = pattern.search(line)
                    if match:
                        yield f"{file.path}:{number}: {match.group(0).strip()}: {reason}"
        if not file.is_code or file.path.endswith(".c"):
            continue
        rules = [rule for rule in RULES if rule.applies_to(file)]
        previous = ""
        for number, line in file.code_lines():
            for rule in rules:
                match = rule.pattern.search(" " + line)
                if match and not (rule.unless and rule.unless.search(previous + line)):
                    yield f"{file.path}:{number}: {match.group(0).strip()}: {rule.reason}"
            previous = line
