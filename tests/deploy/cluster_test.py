#!/usr/bin/env python3
"""deploy/cluster, deploy/quickstart and deploy/install-deps as an operator types them.

  cluster_test.py --server build/bin/gaveld [-k NAME]
"""
import argparse
import os
import random
import re
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def free_base_port():
    """A port with thirty free ones from it on."""
    while True:
        base = random.randrange(20000, 31000)
        with tempfile.TemporaryDirectory() as empty:
            if Deploy(empty, base).run('check').returncode == 0:
                return base


class Deploy:
    """One cluster folder, of which every command is a process of its own, as for a person."""

    def __init__(self, folder, base, server=''):
        self.folder = folder
        self.base = base
        self.server = server

    def run(self, command, *arguments):
        line = [os.path.join(ROOT, 'deploy/cluster'), command, *arguments,
                '--data', self.folder + '/c']
        if command in ('start', 'check') and '--base-port' not in arguments:
            line += ['--base-port', str(self.base)]
        if command == 'start':
            line += ['--server', self.server]
        return subprocess.run(line, capture_output=True, text=True, timeout=120)

    def must(self, command, *arguments):
        done = self.run(command, *arguments)
        check(done.returncode == 0, '%s: %s%s' % (command, done.stdout, done.stderr))
        return done.stdout

    def refused(self, text, command, *arguments):
        done = self.run(command, *arguments)
        check(done.returncode == 1 and text in done.stderr,
              '%s %s: wanted a refusal with "%s", got %d: %s%s' % (
                  command, arguments, text, done.returncode, done.stdout, done.stderr))

    def states(self):
        lines = self.must('status').splitlines()[1:]
        return [line.split()[2] for line in lines]


@test
def commands_do_what_they_say(options):
    with tempfile.TemporaryDirectory() as folder:
        cluster = Deploy(folder, free_base_port(), options.server)
        try:
            cluster.must('start', '-n', '3')
            check(cluster.states() == ['running'] * 3, cluster.must('status'))
            roles = [line.split()[3] for line in cluster.must('status').splitlines()[1:]]
            check(sorted(roles) == ['follower', 'follower', 'leader'], str(roles))
            leader = cluster.must('leader').strip()
            check(roles[int(leader) - 1] == 'leader', leader)
            check(cluster.must('endpoints').strip() == ','.join(
                '127.0.0.1:%d' % (cluster.base + 10 * n) for n in range(3)), 'endpoints')
            cluster.must('kill', leader)
            check(cluster.states()[int(leader) - 1] == 'stopped', 'kill')
            cluster.refused('not running', 'kill', leader)
            cluster.must('restart', leader)
            cluster.must('pause', '2')
            check(cluster.states()[1] == 'paused', 'pause')
            cluster.must('resume', '2')
            check('leader changed' in cluster.must('logs', '1') + cluster.must('logs', '2'), 'logs')
            cluster.refused('no member 9', 'logs', '9')
            cluster.refused('no member 9', 'stop', '9')
            cluster.refused('takes no member', 'status', '2')
            cluster.refused('too many words', 'stop', '1', '2')
            cluster.must('stop', '3')
            check(cluster.states() == ['running', 'running', 'stopped'], cluster.must('status'))
            cluster.must('restart', '3')
            check('all 3 members' in cluster.must('start'), 'a second start')
            cluster.refused('not 5', 'start', '-n', '5')
            cluster.refused('its own ports', 'start', '--base-port', '19000')
            # Alone a member is not healthy; one is told so in time, with the end of its log.
            cluster.must('kill', 'all')
            os.environ['GAVEL_HEALTHY_SECONDS'] = '2'
            cluster.refused('member 1 is not healthy after 2 s', 'restart', '1')
            cluster.refused('pre-candidate', 'restart', '1')
        finally:
            os.environ.pop('GAVEL_HEALTHY_SECONDS', None)
            cluster.must('stop')
        check(cluster.states() == ['stopped'] * 3, 'stop')


@test
def a_server_named_by_a_relative_path_is_found_again(options):
    with tempfile.TemporaryDirectory() as folder:
        cluster = Deploy(folder, free_base_port(), os.path.relpath(options.server))
        cluster.must('start', '-n', '1')
        try:
            here = os.getcwd()
            os.chdir(folder)
            try:
                cluster.must('restart', '1')
            finally:
                os.chdir(here)
        finally:
            cluster.must('stop')


@test
def a_taken_port_is_named_with_its_process(options):
    base = free_base_port()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        taken.bind(('127.0.0.1', base + 21))
        taken.listen()
        cluster = Deploy(folder, base, options.server)
        owner = 'process %d' % os.getpid()
        cluster.refused(owner, 'start', '-n', '3')
        cluster.refused('port %d' % (base + 21), 'check', '-n', '3')
        check(not os.path.exists(folder + '/c'), 'something was left behind')
        cluster.must('check', '-n', '2')
        # Before it builds: this must not take minutes.
        done = subprocess.run(
            [os.path.join(ROOT, 'deploy/quickstart'), '--base-port', str(base), '--data',
             folder + '/q'], capture_output=True, text=True, timeout=60)
        check(done.returncode == 1 and owner in done.stderr, done.stdout + done.stderr)
        check('Building' not in done.stdout, done.stdout)


@test
def gaveld_says_what_to_do_about_a_taken_port(options):
    base = free_base_port()
    flags = ['--data-dir', 'unused']
    for name, port in (('client', base), ('peer', base + 1)):
        flags += ['--listen-%s-urls' % name, 'http://127.0.0.1:%d' % port]
    flags += ['--advertise-client-urls', 'http://127.0.0.1:%d' % base,
              '--initial-advertise-peer-urls', 'http://127.0.0.1:%d' % (base + 1),
              '--initial-cluster', 'default=http://127.0.0.1:%d' % (base + 1),
              '--listen-metrics-urls', 'http://127.0.0.1:%d' % (base + 2)]
    for n, name in enumerate(('client', 'peer', 'metrics')):
        with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
            taken.bind(('127.0.0.1', base + n))
            taken.listen()
            done = subprocess.run([os.path.abspath(options.server), *flags], cwd=folder,
                                  capture_output=True, text=True, timeout=60)
            check(done.returncode == 1 and 'choose another --listen-%s-urls' % name in done.stderr
                  and '127.0.0.1:%d' % (base + n) in done.stderr, done.stderr)


@test
def mistakes_are_told_in_words(options):
    with tempfile.TemporaryDirectory() as folder:
        cluster = Deploy(folder, 20000, options.server)
        cluster.refused('needs a number', 'start', '-n', 'x')
        cluster.refused('needs the number of a port', 'check', '--base-port', '0x10')
        cluster.refused('unknown option', 'start', '--frobnicate')
        cluster.refused('no cluster in', 'status')
    done = subprocess.run([os.path.join(ROOT, 'deploy/cluster'), 'start', '--data'],
                          capture_output=True, text=True, timeout=60)
    check(done.returncode == 1 and '--data needs a value' in done.stderr, done.stderr)


@test
def install_deps_is_quiet_when_nothing_is_missing(options):
    done = subprocess.run([os.path.join(ROOT, 'deploy/install-deps'), '--tests'],
                          capture_output=True, text=True, timeout=60)
    check((done.returncode, done.stdout, done.stderr) == (0, '', ''), str(done))


@test
def help_names_every_command(options):
    with open(os.path.join(ROOT, 'deploy/cluster')) as script:
        commands = re.findall(r'^  ([a-z]+)\) [a-z]', script.read(), re.MULTILINE)
    check(len(commands) >= 10, str(commands))
    said = subprocess.run([os.path.join(ROOT, 'deploy/cluster'), '--help'], capture_output=True,
                          text=True, timeout=60).stdout
    for command in commands:
        check(re.search(r'^  %s ' % command, said, re.MULTILINE), '--help lacks ' + command)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--server', required=True)
    parser.add_argument('-k', default='', help='only tests whose name contains this')
    options = parser.parse_args()
    options.server = os.path.abspath(options.server)
    failed = 0
    for function in TESTS:
        if options.k not in function.__name__:
            continue
        try:
            function(options)
            print('ok     ' + function.__name__, flush=True)
        except AssertionError as error:
            failed += 1
            print('FAILED %s: %s' % (function.__name__, error), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
