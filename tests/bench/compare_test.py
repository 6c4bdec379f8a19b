#!/usr/bin/env python3
"""tests/bench/compare as a user types it: a short run, an interrupted one, and mistakes.

No figure is judged, since time on a shared machine proves nothing.

  compare_test.py --server build/bin/gaveld --build build [-k NAME]
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from compare_lib import load_program  # noqa: E402

COMPARE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'compare')
OPTIONS = None
PATIENCE_SECONDS = 60
SHORT = ['--members', '1', '--repetitions', '1', '--seconds', '1', '--rows', '^put-64$',
         '--tables', 'rows']


def processes_that_name(text):
    """The pids of processes that have it in their command line."""
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open('/proc/%s/cmdline' % entry, 'rb') as line:
                    if text.encode() in line.read():
                        found.append(int(entry))
            except OSError:
                continue  # It has ended.
    return found


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='compare-test-')
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def servers(self):
        return processes_that_name(self.folder + '/servers-')

    def command(self, *arguments):
        return [COMPARE, '--build', OPTIONS.build, '--gavel', OPTIONS.server, '--data',
                self.folder, '--json', self.folder + '/lines.jsonl', '--ports', OPTIONS.ports,
                *arguments]

    def run_compare(self, *arguments, **more):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True,
                              timeout=300, **more)

    def refused(self, said, *arguments, **more):
        done = self.run_compare(*arguments, **more)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertTrue(done.stderr.splitlines())
        self.assertIn(said, done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        return done.stderr

    def nothing_is_left(self):
        self.assertEqual(self.servers(), [])
        left = [name for name in os.listdir(self.folder) if name.startswith('servers-')]
        self.assertEqual(left, [])

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def test_both_servers_give_figures(self):
        done = self.run_compare(*SHORT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.nothing_is_left()
        with open(self.folder + '/lines.jsonl') as raw:
            lines = [json.loads(line) for line in raw]
        results = {line['server']: line['result'] for line in lines if line['table'] == 'rows'}
        self.assertEqual(sorted(results), ['etcd', 'gavel'])
        for result in results.values():
            self.assertEqual(result['errors'], 0, result)
            for figure in ('operations', 'per_second', 'p50_ms', 'p99_ms', 'server_rss_mb'):
                self.assertGreater(result[figure], 0, figure)
            self.assertGreaterEqual(result['server_cpu_s'], 0)  # It counts in hundredths.
            self.assertLessEqual(result['p50_ms'], result['p99_ms'])
        self.assertEqual(done.stdout.count('| put, 64 clients |'), 2, done.stdout)
        again = self.run_compare('--from', self.folder + '/lines.jsonl')
        self.assertEqual(again.stdout, done.stdout)
        self.refused('would lose rows: rows-1 has no put-256 of etcd', '--from',
                     self.folder + '/lines.jsonl', '--readme', self.copied_readme())

    def copied_readme(self):
        copy = self.folder + '/README.md'
        shutil.copy(os.path.join(os.path.dirname(COMPARE), 'README.md'), copy)
        return copy

    def start(self):
        running = subprocess.Popen(
            self.command('--servers', 'gavel', *SHORT, '--seconds', '60'),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        self.wait_for(self.servers, 'no server was started')
        return running

    def test_ctrl_c_leaves_nothing_behind(self):
        running = self.start()
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(PATIENCE_SECONDS), 130)
        self.nothing_is_left()

    def test_servers_end_also_if_it_is_killed(self):
        running = self.start()
        running.kill()
        running.wait()
        self.wait_for(lambda: not self.servers(), 'a server is left')

    def test_a_missing_server_is_named(self):
        self.refused('ninja -C build gaveld', '--gavel', self.folder + '/nowhere', *SHORT)
        self.refused('etcd-server', *SHORT, env={**os.environ, 'PATH': self.few_programs()})

    def few_programs(self):
        """A folder with what compare itself needs, and no etcd."""
        folder = self.folder + '/programs'
        os.mkdir(folder)
        for program in ('python3', 'go'):
            os.symlink(shutil.which(program), os.path.join(folder, program))
        return folder

    def fake(self, script):
        path = self.folder + '/fake'
        with open(path, 'w') as handle:
            handle.write('#!/bin/sh\n' + script)
        os.chmod(path, 0o755)
        return path

    def test_a_server_that_does_not_start_is_quoted(self):
        server = self.fake('[ "$1" = --version ] && exit 0\necho "a reason of its own" >&2\nexit 7')
        said = self.refused('a reason of its own', '--gavel', server, '--servers', 'gavel', *SHORT)
        self.assertIn('status 7', said)
        self.nothing_is_left()

    def test_other_ports_are_chosen_if_one_is_taken(self):
        once = self.folder + '/once'
        server = self.fake('if [ "$1" != --version ] && ! [ -e %s ]; then touch %s; '
                           'echo "bind: Address already in use" >&2; exit 1; fi\n'
                           'exec %s "$@"' % (once, once, OPTIONS.server))
        done = self.run_compare('--gavel', server, '--servers', 'gavel', *SHORT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(os.path.exists(once))
        self.nothing_is_left()

    def test_mistakes_are_told_before_anything_runs(self):
        self.refused('no row of rows has such a name', *SHORT, '--rows', 'nothing')
        self.refused('--rows', *SHORT, '--rows', '(')
        self.refused('0 parts', '--tables', 'rows', '--readme', COMPARE)
        self.refused('takes whole tables', *SHORT, '--readme', COMPARE)
        self.assertFalse([name for name in os.listdir(self.folder) if name.startswith('serv')])


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--server', required=True, type=os.path.abspath)
    parser.add_argument('--build', required=True, type=os.path.abspath)
    parser.add_argument('--ports', default='20000-32000')
    OPTIONS, rest = parser.parse_known_args()
    # Here, since the first time it takes longer than a test has patience.
    load_program.build(os.path.join(OPTIONS.build, 'compare'))
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == '__main__':
    main()
