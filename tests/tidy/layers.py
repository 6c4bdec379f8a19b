"""Who may include whom: the layers of the house, and the homes of heavy libraries."""

import re

# Folder -> what its files may include of the project. The longest matching folder counts.
MAY_INCLUDE = {
    "raft/": ("raft/",),
    "storage/": ("raft/", "proto/", "storage/"),
    "storage/disk/": ("raft/", "storage/disk/", "storage/mutex.h", "storage/status_macros.h"),
    "storage/wal/": ("raft/", "storage/disk/", "storage/wal/", "storage/mutex.h",
                     "storage/status_macros.h"),
    "storage/engine/": ("raft/", "storage/disk/", "storage/engine/", "storage/mutex.h",
                        "storage/status_macros.h"),
    "storage/mvcc/": ("raft/", "proto/", "storage/disk/crc32c.h", "storage/engine/",
                      "storage/mvcc/", "storage/request_error.h", "storage/mutex.h",
                      "storage/status_macros.h"),
    "server/": ("raft/", "proto/", "storage/", "server/"),
    "server/http/": ("raft/", "server/http/", "server/"),
    "client/": ("proto/", "client/"),
    # Recipes and examples use what programs may use, and the mutex that clang checks.
    "client/recipes/": ("client/recipes/", "client/client.h", "client/follow.h", "client/kv.h",
                        "client/internal/local_mutex.h", "client/lease.h", "client/options.h",
                        "client/pending.h", "client/status.h", "client/txn.h", "client/types.h",
                        "client/watch.h"),
    "client/examples/": ("client/client.h", "client/examples/", "client/recipes/"),
    # gavelctl is a program on the library's stable headers, like any other, but for the mutex.
    "client/ctl/": ("proto/", "client/ctl/", "client/client.h", "client/cluster.h", "client/kv.h",
                    "client/internal/local_mutex.h", "client/lease.h", "client/maintenance.h",
                    "client/options.h", "client/pager.h", "client/recipes/",
                    "client/snapshot_stream.h",
                    "client/status.h", "client/txn.h",
                    "client/types.h", "client/watch.h"),
    "tests/": ("raft/", "proto/", "storage/", "server/", "client/", "tests/"),
}

# The project's own top-level folders, by which its includes are told from others.
PROJECT = ("raft/", "storage/", "server/", "client/", "proto/", "tests/", "deploy/")

# Folder -> headers that its files must never see.
FORBIDDEN = {
    "raft/": (
        r"google/.*", r"grpc.*", r"rocksdb/.*", r".*\.pb\.h", r"spdlog/.*", r"boost/.*",
        r"thread", r"mutex", r"shared_mutex", r"condition_variable", r"atomic", r"future",
        r"semaphore", r"latch", r"barrier", r"stop_token", r"chrono", r"random", r"ctime",
        r"time\.h", r"fstream", r"filesystem", r"unistd\.h", r"fcntl\.h", r"poll\.h",
        r"pthread\.h", r"sys/.*", r"linux/.*", r"netinet/.*", r"arpa/.*",
        r"absl/time/.*", r"absl/synchronization/.*", r"absl/random/.*",
    ),
    "storage/": (r"grpc.*", r"chrono", r"ctime", r"time\.h", r"sys/time\.h", r"random",
                 r"absl/time/.*", r"absl/random/.*", r"absl/synchronization/.*"),
    "client/": (r"rocksdb/.*",),
    "server/": (r"random", r"absl/random/.*"),
}

# Library -> the only places outside tests that may see it.
HOMES = {
    r"rocksdb/.*": ("storage/engine/",),
    r"grpc(pp)?/.*": ("server/peer/", "client/"),
    r"boost/.*": ("server/http/", "client/ctl/metrics_page.cc"),
    r"nghttp2/.*": ("server/http2/",),
    r"spdlog/.*": ("server/logging.cc",),
    r"yaml-cpp/.*": ("server/options.cc", "client/ctl/config_yaml.cc"),
    r"prometheus/.*": ("server/metrics.cc",),
    r"nlohmann/.*": ("server/logging.cc", "server/http/", "client/ctl/", "client/recipes/"),
}

# Headers that would make every includer slow to compile, so that no header of ours has them.
HEAVY = (r"rocksdb/db\.h", r"boost/.*", r"spdlog/.*", r"yaml-cpp/.*", r"prometheus/.*",
         r"nlohmann/json\.hpp", r"grpcpp/.*")

# Headers that only their own folder includes may be as heavy as its library.
INTERNAL = ("server/peer/grpc_", "client/internal/")


def _longest(folders, path):
    matching = [folder for folder in folders if path.startswith(folder)]
    return max(matching, key=len) if matching else None


def _matches(patterns, header):
    return any(re.fullmatch(pattern, header) for pattern in patterns)


def check(files):
    """Yields a line for each include that crosses a border."""
    for file in files:
        if not file.is_code:
            continue
        folder = _longest(MAY_INCLUDE, file.path)
        for number, header in file.includes():
            where = f"{file.path}:{number}: #include {header}"
            if header.startswith(PROJECT):
                if folder and not header.startswith(MAY_INCLUDE[folder]):
                    yield f"{where}: {folder} may not see {header.split('/')[0]}/ here"
                continue
            for forbidder, patterns in FORBIDDEN.items():
                if file.path.startswith(forbidder) and _matches(patterns, header):
                    yield f"{where}: {forbidder} must never see it"
            if file.in_tests:
                continue
            for pattern, homes in HOMES.items():
                if re.fullmatch(pattern, header) and not file.path.startswith(homes):
                    yield f"{where}: only {', '.join(homes)} may see it"
            internal = file.path.startswith(INTERNAL)
            if file.path.endswith(".h") and not internal and _matches(HEAVY, header):
                yield f"{where}: too heavy for a header"
