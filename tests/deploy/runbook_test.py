#!/usr/bin/env python3
"""The runbooks of deploy/README.md, line by line, in the situations that they are for.

  runbook_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl
                  --gavelutl build/bin/gavelutl --faults build/tests/libpowercut.so [-k NAME]

A scene brings a cluster of three into trouble, then runs the fenced commands of its section in bash
with the variables that the README names. A line that fails fails the test, and so does a section
without a scene.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from cluster_test import ROOT, check

sys.path.insert(0, os.path.join(ROOT, 'tests/cli'))
import checks  # noqa: E402
from servers import etcdctl, free_port  # noqa: E402

# What stands before a section's commands: a failing line is named, also within $(...) and pipes.
PROLOGUE = '''set -eEuo pipefail
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
'''
START = '''#!/bin/bash
# Starts a server and returns at once, as a service manager may.
set -e
setsid env {environment} {program} {flags} </dev/null >>{log} 2>&1 &
echo $! >{process}
'''
STOP = '''#!/bin/bash
# Ends a server, if it runs, and waits for it.
set -e
pid=$(cat {process} 2>/dev/null) || exit 0
alive() {{ [ -d /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status; }}
kill $pid || ! alive
for ((i = 0; i < 600; ++i)); do alive || break; sleep 0.1; done
if alive; then echo "process $pid goes on" >&2; exit 1; fi
rm -f {process}
'''


def runbooks():
    """The sections by title: each a list of (mark, commands)."""
    with open(os.path.join(ROOT, 'deploy/README.md')) as file:
        chapter = file.read().split('\n## Runbooks\n')[1].split('\n## ')[0]
    sections = {}
    for section in chapter.split('\n### ')[1:]:
        title, text = section.split('\n', 1)
        sections[title] = re.findall(r'^```sh ?(\S*)\n(.*?)^```$', text, re.M | re.S)
    return sections


class Member:
    """One member with its scripts; `folder` is its machine."""

    def __init__(self, folder, name, program):
        self.folder = folder
        self.name = name
        self.client, self.peer, self.metrics = (free_port() for _ in range(3))
        self.program = program
        os.makedirs(folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def endpoint(self):
        return '127.0.0.1:%d' % self.client

    @property
    def peer_url(self):
        return 'http://127.0.0.1:%d' % self.peer

    def write_scripts(self, flags, environment=''):
        client = 'http://' + self.endpoint
        flags = ['--data-dir=' + self.path('data'), '--listen-client-urls=' + client,
                 '--advertise-client-urls=' + client, '--listen-peer-urls=' + self.peer_url] + flags
        for name, text in (('start', START), ('stop', STOP)):
            with open(self.path(name), 'w') as script:
                script.write(text.format(
                    program=self.program, flags=' '.join(flags), log=self.path('log'),
                    process=self.path('process'), environment=environment))
            os.chmod(self.path(name), 0o755)

    def variables(self):
        return {'ENDPOINT': self.endpoint, 'NAME': self.name, 'PEER_URL': self.peer_url,
                'DATA_DIR': self.path('data'), 'START': self.path('start'),
                'STOP': self.path('stop'), 'LOG': self.path('log'),
                'VARIABLES': self.path('variables')}

    def run(self, script):
        subprocess.run([self.path(script)], check=True, timeout=60)

    def pid(self):
        with contextlib.suppress(OSError, ValueError):
            with open(self.path('process')) as file:
                return int(file.read())
        return None

    def runs(self):
        try:
            with open('/proc/%d/status' % (self.pid() or 0)) as status:
                return not re.search(r'^State:\tZ', status.read(), re.M)
        except OSError:
            return False

    def wait_end(self, seconds=60):
        end = time.time() + seconds
        while self.runs():
            check(time.time() < end, '%s goes on:\n%s' % (self.name, self.log()))
            time.sleep(0.1)

    def kill(self):
        if self.runs():
            os.kill(self.pid(), signal.SIGKILL)
            self.wait_end()

    def log(self):
        with open(self.path('log'), errors='replace') as log:
            return log.read()[-4000:]


class Machines:
    """Three members, the operator's programs on the path, and the operator's shell."""

    def __init__(self, options):
        self.folder = tempfile.mkdtemp(prefix='gavel-runbook-')
        self.programs = os.path.join(self.folder, 'bin')
        os.makedirs(self.programs)
        for name, program in (('gaveld', options.server), ('gavelctl', options.gavelctl),
                              ('gavelutl', options.gavelutl)):
            os.symlink(os.path.abspath(program), os.path.join(self.programs, name))
        self.faults = options.faults
        self.members = [Member(os.path.join(self.folder, 'machine%d' % n), 'm%d' % n,
                               os.path.join(self.programs, 'gaveld')) for n in (1, 2, 3)]
        self.created = list(self.members)  # Those too that are gone from the cluster.
        self.initial = ','.join('%s=%s' % (m.name, m.peer_url) for m in self.members)
        for member in self.members:
            self.write_scripts(member)

    def write_scripts(self, member, environment=''):
        member.write_scripts(['--name=' + member.name, '--initial-cluster=' + self.initial,
                              '--initial-advertise-peer-urls=' + member.peer_url], environment)

    def lose(self, member):
        """The machine of `member` is a new one: no data, and a server that is told who it joins."""
        member.kill()
        shutil.rmtree(member.path('data'))
        member.write_scripts([], environment="$(tr -d '\"' <%s)" % member.path('variables'))

    def endpoints(self, members=None):
        return ','.join(m.endpoint for m in members or self.members)

    def start(self):
        for member in self.members:
            member.run('start')
        self.wait_ready()

    def wait_ready(self):
        for member in self.members:
            end = time.time() + 60
            while etcdctl(member.endpoint, 'get', 'ready').code != 0:
                check(time.time() < end, '%s is not ready:\n%s' % (member.name, member.log()))
                time.sleep(0.1)

    def put(self, key, value='v', member=0):
        return etcdctl(self.members[member].endpoint, 'put', key, value).code == 0

    def keys(self, member):
        listed = etcdctl(member.endpoint, 'get', '', '--from-key', '--keys-only')
        check(listed.code == 0, listed.err)
        return set(listed.text().split())

    def follow(self, title, member=None, each=None, **variables):
        """Runs the commands of a section: plain blocks once, with the variables of `member`, and
        marked ones for each of `each`."""
        blocks = runbooks()[title]
        check(blocks, 'no commands in the section ' + title)
        shared = {'ENDPOINTS': self.endpoints(), 'INITIAL_CLUSTER': self.initial,
                  'BACKUP': os.path.join(self.folder, 'backup'), **variables}
        for mark, commands in blocks:
            for one in each if mark else [member or self.members[0]]:
                self.shell(title, commands, {**one.variables(), **shared})
        followed.add(title)

    def shell(self, title, commands, variables):
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(('ETCD', 'GAVEL'))}
        environment['PATH'] = self.programs + ':' + environment['PATH']
        process = subprocess.Popen(['bash', '-c', PROLOGUE + commands], env={
            **environment, **variables}, cwd=self.folder, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True)
        try:
            said, _ = process.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            raise AssertionError('%s does not end:\n%s\n%s' % (title, commands, said[-3000:]))
        check(process.returncode == 0, '%s:\n%s\n%s' % (title, commands, said[-3000:]))
        return said

    def close(self):
        for member in self.created:
            member.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


followed = set()


@contextlib.contextmanager
def machines(options):
    with contextlib.closing(Machines(options)) as three:
        three.start()
        yield three


@checks.test
def restore(options):
    """Two of three directories are gone; the backup brings everything up to it back."""
    with machines(options) as three:
        for number in range(20):
            check(three.put('kept%d' % number), 'put')
        before = three.keys(three.members[0])
        three.follow('A backup', three.members[1])
        check(three.put('late'), 'put')
        for member in three.members[1:]:
            member.kill()
            shutil.rmtree(member.path('data'))
            os.makedirs(member.path('data'))
        three.follow('Restore', each=three.members)
        three.wait_ready()
        for member in three.members:
            check(three.keys(member) == before, 'not what the backup has: %s' % member.name)
            check(os.path.isdir(member.path('data.old')), 'the old data is gone')
        check(three.put('after', member=2), 'no write after the restore')


@checks.test
def a_lost_member(options):
    """A machine is gone for good; another takes its place while the cluster serves."""
    with machines(options) as three:
        for number in range(20):
            check(three.put('kept%d' % number), 'put')
        wait_for_changes(three)
        lost = three.members.pop(1)
        lost.kill()
        new = Member(os.path.join(three.folder, 'machine4'), 'm4', lost.program)
        three.created.append(new)
        new.write_scripts([], environment="$(tr -d '\"' <%s)" % new.path('variables'))
        three.follow('A lost member', new, LOST=lost.name)
        three.members.append(new)
        three.wait_ready()
        checks.wait(lambda: only_voters(new, with_url=new.peer_url, without_url=lost.peer_url),
                    'the new member does not vote')
        check(three.put('after', member=2), 'no write through the new member')
        check(len(three.keys(new)) == 21, 'the new member lacks keys')
        # The old one does not disturb: it ends by itself.
        lost.run('start')
        lost.wait_end()
        check('removed' in lost.log(), lost.log())


def only_voters(member, with_url, without_url):
    """What the member lists: three voters, one with the first URL, none with the other."""
    listed = etcdctl(member.endpoint, 'member', 'list').text()
    return ([row.split(', ')[5] for row in listed.splitlines()] == ['false'] * 3 and
            with_url in listed and without_url not in listed)


def wait_for_changes(three):
    """Connections must have stood for a while before members may change."""
    end = time.time() + 60
    while 'unhealthy' in etcdctl(three.members[0].endpoint, 'member', 'add', 'x',
                                 '--peer-urls=' + three.members[0].peer_url).err:
        check(time.time() < end, 'the cluster stays unhealthy')
        time.sleep(0.2)


@checks.test
def lost_quorum(options):
    """Two of three are gone with their data; the third goes on, and two new ones come."""
    with machines(options) as three:
        for number in range(20):
            check(three.put('kept%d' % number), 'put')
        before = three.keys(three.members[0])
        survivor, *lost = three.members
        for member in lost:
            three.lose(member)
        three.follow('Lost quorum', survivor, each=lost, ENDPOINTS=survivor.endpoint)
        three.wait_ready()
        for member in three.members:
            check(three.keys(member) == before, 'not what the survivor had: ' + member.name)
        survivor.kill()
        end = time.time() + 60
        while not three.put('after', member=2):
            check(time.time() < end, 'the new members do not count')


@checks.test
def full_disk(options):
    """The disk of one member is full; the others acknowledge, and space brings it back."""
    with machines(options) as three:
        victim = three.members[1]
        victim.run('stop')
        rules = victim.path('rules')
        three.write_scripts(victim, 'LD_PRELOAD=%s POWERCUT_DIR=%s POWERCUT_CONTROL=%s' % (
            options.faults, victim.path('data'), rules))
        victim.run('start')
        three.wait_ready()
        with open(rules, 'w') as file:
            file.write('enospc write * * 5000000')
        acknowledged = set()
        for number in range(60):
            done = etcdctl(three.members[0].endpoint, 'put', 'fill%d' % number,
                           stdin=b'v' * 500000)
            check(done.code == 0, 'the others do not go on: ' + done.err)
            acknowledged.add('fill%d' % number)
            if 'o space' in victim.log():
                break
        check('o space' in victim.log(), 'the disk never ran full:\n' + victim.log())
        room = victim.path('make-room')
        with open(room, 'w') as file:
            file.write('#!/bin/sh\nrm %s\n' % rules)
        os.chmod(room, 0o755)
        three.follow('Full disk', victim, MAKE_ROOM=room)
        for member in three.members:
            check(acknowledged <= three.keys(member), 'acknowledged keys are lost')


@checks.test
def damaged_log(options):
    """One bit of what had been durable is wrong: refused, and a whole copy serves again."""
    with machines(options) as three:
        victim = three.members[2]
        for number in range(20):
            check(three.put('kept%d' % number), 'put')
        victim.run('stop')
        copy = victim.path('copy')
        shutil.copytree(victim.path('data'), copy)
        logs = os.path.join(victim.path('data'), 'member/wal')
        segment = os.path.join(logs, sorted(n for n in os.listdir(logs) if n.endswith('.wal'))[0])
        with open(segment, 'r+b') as file:
            content = file.read()
            at = content.index(b'kept7')
            file.seek(at)
            file.write(bytes([content[at] ^ 1]))
        victim.run('start')
        victim.wait_end()
        check('damaged at offset' in victim.log() and segment in victim.log(), victim.log())
        check(three.put('meanwhile'), 'the others do not go on')
        three.follow('Damaged log', victim, COPY=copy)
        three.wait_ready()
        check('meanwhile' in three.keys(victim) and 'kept7' in three.keys(victim), 'keys are lost')


@checks.test
def upgrade(options):
    """The program is replaced on every machine under load; each write is acknowledged or told."""
    with machines(options) as three:
        newer = os.path.join(three.folder, 'newer')
        shutil.copy(os.path.realpath(os.path.join(three.programs, 'gaveld')), newer)
        install = os.path.join(three.folder, 'install')
        with open(install, 'w') as file:
            file.write('#!/bin/sh\nln -sfn %s %s/gaveld\n' % (newer, three.programs))
        os.chmod(install, 0o755)
        acknowledged, stop = set(), threading.Event()

        def write():
            number = 0
            while not stop.is_set():
                done = etcdctl(three.endpoints(), 'put', 'load%d' % number, 'v')
                if done.code == 0:
                    acknowledged.add('load%d' % number)
                number += 1
        writer = threading.Thread(target=write)
        writer.start()
        try:
            three.follow('Upgrade', each=three.members, INSTALL=install)
        finally:
            stop.set()
            writer.join()
        three.wait_ready()
        for member in three.members:
            check(os.readlink('/proc/%d/exe' % member.pid()) == newer, 'not upgraded')
            check(acknowledged and acknowledged <= three.keys(member), 'keys are lost')


@checks.test
def every_section(options):
    """No runbook is without a scene."""
    check(followed == set(runbooks()) or options.k, 'not run: %s' % sorted(
        set(runbooks()) - followed))


if __name__ == '__main__':
    chosen = checks.parse_options(__doc__, 'server', 'gavelctl', 'gavelutl', 'faults')
    chosen.faults = os.path.abspath(chosen.faults)
    checks.run(chosen, chosen)
