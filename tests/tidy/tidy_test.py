#!/usr/bin/env python3
"""Plants each kind of violation and expects the checks to find it, and only it."""

import unittest

import banned_calls
import layers
import links
import shape
import source_files
import tidy


def file(path, text):
    return source_files.SourceFile("", path, text)


class LayersTest(unittest.TestCase):
    def findings(self, path, header):
        return list(layers.check([file(path, f"#include {header}\n")]))

    def test_crossings_are_found(self):
        for path, header in (
                ("raft/log.cc", '"storage/wal/wal.h"'),
                ("raft/log.cc", "<mutex>"),
                ("raft/log.h", "<chrono>"),
                ("raft/log.cc", '"proto/internal/command.pb.h"'),
                ("storage/mvcc/range.cc", '"server/clock.h"'),
                ("storage/mvcc/range.cc", "<rocksdb/db.h>"),
                ("storage/state/state.cc", "<chrono>"),
                ("storage/wal/wal.cc", '"storage/mvcc/range.h"'),
                ("storage/engine/engine.cc", '"proto/mvccpb/kv.pb.h"'),
                ("client/client.cc", '"raft/types.h"'),
                ("server/node/core.cc", "<grpcpp/grpcpp.h>"),
                ("server/options.h", "<yaml-cpp/yaml.h>"),
                ("server/node/core.cc", '"tests/support/matchers.h"'),
        ):
            self.assertTrue(self.findings(path, header), f"{path} {header}")

    def test_what_is_allowed_is_not_found(self):
        for path, header in (
                ("raft/log.cc", '"raft/types.h"'),
                ("raft/log.cc", '"absl/status/status.h"'),
                ("storage/engine/rocksdb_engine.cc", "<rocksdb/db.h>"),
                ("server/node/core.cc", '"raft/raft.h"'),
                ("server/peer/grpc_transport.cc", "<grpcpp/grpcpp.h>"),
                ("tests/raft/a_test.cc", "<random>"),
        ):
            self.assertEqual(self.findings(path, header), [], f"{path} {header}")


class LinksTest(unittest.TestCase):
    LISTS = (
        ("raft/CMakeLists.txt", "gavel_library(gavel_raft SOURCES log.cc)"),
        ("server/a/CMakeLists.txt", """# Two.
            gavel_library(gavel_a SOURCES a.cc DEPS gavel_raft PRIVATE_DEPS gavel_b)
            add_executable(a_tool tool.cc)"""),
        ("server/b/CMakeLists.txt", "gavel_library(gavel_b SOURCES b.cc DEPS gavel_raft)"),
    )
    NEEDED = (
        ("server/a/a.h", '#include "raft/log.h"'),
        ("server/a/a.cc", '#include "server/b/only_a_header.h"'),
        ("server/b/b.h", '#include "raft/log.h"'),
    )

    def findings(self, *more):
        return list(links.check([file(*each) for each in self.LISTS + self.NEEDED + more]))

    def test_what_is_linked_may_be_included(self):
        self.assertEqual(self.findings(), [])
        self.assertEqual(self.findings(("server/a/tool.cc", '#include "client/client.h"')), [])

    def test_what_is_not_linked_is_found(self):
        for path, header in (("server/b/b.cc", "server/a/a.h"),
                             ("server/b/b.h", "server/a/only_a_header.h"),
                             ("server/a/a.h", "server/b/b.h"),  # Linked for a.cc alone.
                             ("raft/log.cc", "proto/internal/command.pb.h")):
            self.assertEqual(len(self.findings((path, f'#include "{header}"'))), 1, path)

    def test_a_link_that_nothing_needs_is_found(self):
        [found] = links.check([file(*each) for each in self.LISTS + self.NEEDED[:2]])
        self.assertIn("gavel_b: nothing of it includes a header of gavel_raft", found)

    def test_a_circle_is_found(self):
        lists = (("server/a/CMakeLists.txt", "gavel_library(gavel_a SOURCES a.cc DEPS gavel_b)"),
                 ("server/b/CMakeLists.txt", "gavel_library(gavel_b SOURCES b.cc DEPS gavel_a)"))
        code = (("server/a/a.h", '#include "server/b/b.h"'),
                ("server/b/b.h", '#include "server/a/a.h"'))
        found = list(links.check([file(*each) for each in lists + code]))
        self.assertEqual(len(found), 2)
        self.assertIn("gavel_a: depends on itself", found[0])


class BannedCallsTest(unittest.TestCase):
    def findings(self, path, text):
        return list(banned_calls.check([file(path, text + "\n")]))

    def test_calls_are_found(self):
        for path, text in (
                ("server/node/core.cc", "auto now = std::chrono::steady_clock::now();"),
                ("storage/wal/wal.cc", "time(nullptr);"),
                ("server/node/core.cc", "std::this_thread::sleep_for(x);"),
                ("server/node/core.cc", "std::random_device device;"),
                ("storage/state/state.cc", "int x = rand();"),
                ("server/node/core.h", "absl::Mutex mutex_;"),
                ("raft/raft.cc", "std::mutex mutex_;"),
                ("server/node/core.h", "mutable std::mutex mutex_;"),
                ("storage/wal/wal.cc", "const std::lock_guard lock(mutex_);"),
                ("client/kv.cc", "std::unique_lock lock(mutex_);"),
                ("server/a.cc", "throw Oops();"),
                ("tests/a.cc", "using namespace std;"),
                ("server/a.cc", "auto* p = new Thing();"),
                ("server/a.cc", "delete thing;"),
                ("server/a.cc", 'std::cerr << "x";'),
                ("server/a.cc", "exit(1);"),
                ("server/a.cc", "for (const Member& member : *gate_->members()) {"),
                ("tests/a.cc", "for (auto& [id, row] : *cluster.gate(0).members()) {"),
                ("server/a.cc", "for (const Alarm& alarm : s.gate->limits()->alarms) {"),
                ("server/a.cc", "// TODO later"),
                ("tests/a_test.cc", "TEST(A, DISABLED_B) {"),
                ("tests/a_test.cc", "GTEST_SKIP();"),
        ):
            self.assertEqual(len(self.findings(path, text)), 1, f"{path} {text}")

    def test_owners_comments_and_literals_are_not_found(self):
        for path, text in (
                ("server/system_clock.cc", "std::chrono::steady_clock::now();"),
                ("server/a.cc", "// std::cerr and new Thing()"),
                ("server/a.cc", 'const char* text = "throw x; sleep(1)";'),
                ("server/a.cc", "/* delete\n everything */ int x;"),
                ("server/a.cc", "Thing(const Thing&) = delete;"),
                ("server/a.cc", "return std::unique_ptr<T>(\n    new T(x));"),
                ("server/a.cc", "std::snprintf(buffer, 1, x);"),
                ("server/a.cc", "for (Entry& entry : *message.mutable_entries()) {"),
                ("server/a.cc", "for (const Entry& entry : *entries) Write(entry);"),
                ("server/a.cc", "for (const Command& one : path.back()->subcommands) {"),
                ("server/a.cc", "for (const Member& member : configuration().members) {"),
                ("server/a.cc", "int64_t big = 1'000'000; f('\"');"),
                ("server/a.cc", 'auto raw = R"(new Thing())";'),
                ("tests/a.cc", "std::this_thread::sleep_for(x);"),
                ("tests/a.cc", "std::mutex mutex;"),
                ("storage/mutex.h", "std::mutex mutex_;"),
                ("client/internal/local_mutex.h", "std::unique_lock<std::mutex> lock_;"),
        ):
            self.assertEqual(self.findings(path, text), [], f"{path} {text}")

    def test_line_numbers_are_right(self):
        finding, = self.findings("server/a.cc", "/* a\nb */\nint x;\nthrow x;")
        self.assertTrue(finding.startswith("server/a.cc:4:"), finding)

    def test_exemptions_of_files_that_do_not_exist_are_found(self):
        paths = [path for rule in banned_calls.RULES for path in rule.allowed]
        self.assertEqual(list(banned_calls.unused_exemptions(paths)), [])
        for path in set(paths):
            others = [each for each in paths if not each.startswith(path)]
            findings = list(banned_calls.unused_exemptions(others))
            self.assertTrue(any(line.startswith(path) for line in findings), path)


class ShapeTest(unittest.TestCase):
    def findings(self, path, text):
        return list(shape.check([file(path, text), file("raft/a.h", "// A.\n#pragma once\n")]))

    def test_misshapen_files_are_found(self):
        for path, text in (
                ("raft/b.cc", "x\n" * 521),
                ("raft/b.cc", "x" * 101 + "\n"),
                ("raft/b.cc", "x \n"),
                ("raft/b.cc", "\tx\n"),
                ("raft/b.cc", "x"),
                ("raft/b.h", "// B.\n"),
                ("raft/b.h", "#pragma once\n"),
                ("raft/BigFile.cc", "x\n"),
                ("data/member/000001.log", "x"),
                ("server.log", "x\n"),
                ("raft/b.cc", '#include "../raft/a.h"\n'),
                ("raft/a.cc", '#include <map>\n#include "raft/a.h"\n'),
        ):
            self.assertEqual(len(self.findings(path, text)), 1, f"{path} {text[:30]!r}")

    def test_a_file_in_shape_is_not_found(self):
        self.assertEqual(self.findings("raft/a.cc", '#include "raft/a.h"\n\n#include <map>\n'), [])
        self.assertEqual(self.findings(".ci/run", "x\n"), [])


class HeadersTest(unittest.TestCase):
    def test_only_a_file_that_is_compiled_proves_what_it_includes_first(self):
        files = [file("raft/a.h", ""), file("raft/b.h", ""), file("raft/c.h", ""),
                 file("raft/a.cc", '// A.\n#include "raft/a.h"\n\n#include "raft/b.h"\n'),
                 file("raft/c.cc", '#include "raft/c.h"\n')]
        self.assertEqual(tidy.headers_to_compile(files, {"raft/a.cc"}), ["raft/b.h", "raft/c.h"])


if __name__ == "__main__":
    unittest.main()
