#!/usr/bin/env python3
"""gavelctl member beside Debian's etcdctl, on clusters that grow and shrink.

  gavelctl_member_test.py --gavelctl build/bin/gavelctl [--server etcd|build/bin/gaveld] [-v]
                          [-k NAME]

Two clusters of the server are kept equal: each command runs by etcdctl on one and by gavelctl on
the other, and output, complaint and exit code must agree to the letter; ids, ports and terms, which
two clusters cannot have in common, are replaced by whose they are. A new member is started with the
variables that its cluster's tool has printed, and must come up.
"""
import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

from gavelctl import Gavelctl
from member_scenes import GrowingCluster, Names, variables_in
from report import Report
from servers import Result, etcdctl, need

FORMATS = ['simple', 'json', 'protobuf']
# etcdctl makes a change and then cannot tell of it in these formats.
OURS_ALONE = ['fields', 'table']

# Mistakes: the arguments, what gavelctl says where etcdctl speaks Go (None: the same), and the exit
# code of both.
MISTAKES = [
    (('add',), None, 128),
    (('add', 'a'), None, 128),
    (('add', 'a', '--peer-urls='), None, 128),
    (('add', 'a', 'b'), None, 128),
    (('add', 'a', 'http://x:1'), None, 128),
    (('add', 'a', 'HTTPS://x:1', 'http://y:1', 'z'), None, 128),
    (('add', 'a', '--peer-urls=ftp://x:1'), None, 1),
    (('add', 'a', '--peer-urls=localhost:2380'), None, 1),
    (('add', 'a', '--peer-urls=,'), None, 1),
    (('add', 'a', '--peer-urls=http://x:1,'), None, 1),
    (('add', 'a', '--peer-urls=http://x'), None, 1),
    (('add', 'a', '--peer-urls=http:x:1'), None, 1),
    (('add', 'a', '--peer-urls=http://::1:1'), None, 1),
    (('add', 'a', '--peer-urls=http://x:1/path'), None, 1),
    (('add', 'a', '--peer-urls=http://x:1/'), None, 1),
    (('add', 'a', '--peer-urls=http://u@x'), None, 1),
    (('add', 'a', '--peer-urls=10.0.0.1:2380'),
     'URL scheme must be http, https, unix, or unixs: 10.0.0.1:2380', 1),
    (('add', 'a', '--peer-urls=http://x:y'),
     'URL address does not have the form "host:port": http://x:y', 1),
    (('add', 'a', '--peer-urls=http://[::1'),
     'URL address does not have the form "host:port": http://[::1', 1),
    (('add', 'a', '--learner=perhaps', '--peer-urls=http://x:1'),
     'invalid argument "perhaps" for "--learner" flag', 1),
    (('add', 'a', '--peer-url=http://x:1'), 'unknown flag: --peer-url', 1),
    (('remove',), None, 128),
    (('remove', '1', '2'), None, 128),
    (('remove', 'zz'), 'bad member ID arg ("zz"), expecting ID in Hex', 128),
    (('remove', ''), 'bad member ID arg (""), expecting ID in Hex', 128),
    (('remove', '0x1'), 'bad member ID arg ("0x1"), expecting ID in Hex', 128),
    (('remove', '11111111111111111'),
     'bad member ID arg ("11111111111111111"), expecting ID in Hex', 128),
    (('remove', '00000000000000001'), None, 1),
    (('remove', 'ABCDEF'), None, 1),
    (('remove', '1', '--peer-urls=http://x:1'), 'unknown flag: --peer-urls', 1),
    (('promote',), None, 128),
    (('promote', '-', '-'), None, 128),
    (('promote', 'g'), 'bad member ID arg ("g"), expecting ID in Hex', 128),
    (('promote', '1'), None, 1),
    (('update',), None, 128),
    (('update', 'x'), 'bad member ID arg ("x"), expecting ID in Hex', 128),
    (('update', '1'), None, 128),
    (('update', '1', '--peer-urls=x'), None, 1),
    (('update', '1', '--peer-urls=http://x:1'), None, 1),
]

# Of a command that etcdctl lacks: arguments, complaint, exit code.
REPLACE_MISTAKES = [
    ((), 'member ID is not provided', 128),
    (('1',), 'member name not provided', 128),
    (('1', 'a', 'http://x:1'), 'too many arguments, did you mean --peer-urls=http://x:1', 128),
    (('name', 'a', '--peer-urls=http://x:1'),
     'bad member ID arg ("name"), expecting ID in Hex', 128),
    (('1', 'a'), 'member peer urls not provided', 128),
    (('1', 'a', '--peer-urls=x'), 'URL scheme must be http, https, unix, or unixs: x', 1),
    (('1', 'a', '--learner', '--peer-urls=http://x:1'), 'unknown flag: --learner', 1),
]


def is_etcd(options):
    return os.path.basename(options.server) == 'etcd'


def complaint(result):
    """The first line of complaint, without etcdctl's log lines before it and its whole help."""
    lines = [line for line in result.err.splitlines() if line.startswith('Error: ')]
    return lines[0] if lines else ''


class Pair:
    """Two equal clusters: etcdctl changes one, gavelctl the other."""

    def __init__(self, options, size):
        self.options = options
        self.clusters = [GrowingCluster(options.server, size) for _ in range(2)]
        self.names = [Names(cluster) for cluster in self.clusters]
        self.tools = [etcdctl, Gavelctl(options.gavelctl)]
        self.differences = []
        for cluster in self.clusters:
            for member in range(size + 4):  # Ports are known before they are printed.
                cluster.peer(member)
            cluster.ports.sort(key=lambda ports: ports[1])  # As etcd sorts URLs.

    def start(self):
        for cluster in self.clusters:
            cluster.start_founders()
        self.learn()

    def close(self):
        for cluster in self.clusters:
            cluster.close()

    def learn(self):
        for names in self.names:
            names.learn()

    def expand(self, side, word):
        """Puts what the side has of its own into {peerN} and {idN}."""
        cluster = self.clusters[side]
        ids = {name: '%x' % number for number, name in self.names[side]._ids.items()}
        fields = {'peer%d' % n: cluster.peer(n) for n in range(len(cluster.ports))}
        fields.update({name.lower(): text for name, text in ids.items()})
        return word.format(**fields)

    def both(self, *words, write_out='simple', until=None):
        """Runs the command on both sides; returns both results. `until` has a side try again as
        long as this is its complaint: what the server needs time for."""
        results = []
        for side in range(2):
            arguments = ['member'] + [self.expand(side, word) for word in words]
            end = time.time() + 60
            while True:
                result = self.tools[side](self.clusters[side].endpoint(), *arguments,
                                          write_out=write_out)
                if until is None or until not in result.err or time.time() > end:
                    break
                time.sleep(0.2)
            results.append(result)
        self.learn()
        if self.options.v:
            print('$ member %s (%s)\n%s%s' % (' '.join(words), write_out, results[1].text(),
                                              results[1].err))
        return results

    def same(self, *words, code=0, write_out='simple', until=None, says=None):
        """Output, complaint and exit code must agree, and be as they are expected."""
        results = self.both(*words, write_out=write_out, until=until)
        label = 'member %s (%s)' % (' '.join(words), write_out)
        outputs = [names.protobuf(result.out) if write_out == 'protobuf' and result.out else
                   names.text(result.text()) for names, result in zip(self.names, results)]
        complaints = [names.text(complaint(result)) for names, result in zip(self.names, results)]
        for what, theirs, ours in (('output', *outputs), ('complaint', *complaints),
                                   ('exit code', *(result.code for result in results))):
            if theirs != ours:
                self.differences.append('%s: %s\n  etcdctl:  %r\n  gavelctl: %r' % (
                    label, what, theirs, ours))
        if results[1].code != code or (says and says not in results[1].err):
            self.differences.append('%s: not %d, %s: %d, %s' % (
                label, code, says, results[1].code, results[1].err))
        return results

    def start_member(self, member, results):
        for cluster, result in zip(self.clusters, results):
            cluster.start_as_told(member, variables_in(result.text()))
        for cluster in self.clusters:
            wait_started(cluster, member)


def wait_started(cluster, member):
    """Until it reads and is listed with its name. A learner serves serializable reads only."""
    end = time.time() + 60
    named = ', started, m%d, ' % member
    while (etcdctl(cluster.endpoint(member), 'get', 'x', '--consistency=s').code != 0 or
           named not in etcdctl(cluster.endpoint(), 'member', 'list').text()):
        code = cluster.processes[member].poll()
        if code is not None or time.time() > end:
            raise AssertionError('member %d does not come up (%s):\n%s' % (
                member, code, cluster.log(member)[-3000:]))
        time.sleep(0.2)


@contextlib.contextmanager
def pair(options, size):
    with contextlib.closing(Pair(options, size)) as both:
        both.start()
        yield both


def a_learner_and_its_promotion(options):
    """Every change once, in every order that is refused too, on three members."""
    with pair(options, 3) as both:
        both.same('list')
        added = both.same('add', 'm3', '--peer-urls={peer3}', '--learner')
        both.same('list')
        both.same('add', 'm4', '--peer-urls={peer4}', '--learner', code=1, says='too many learner')
        both.same('add', 'm4', '--peer-urls={peer4},{peer0}', code=1, says='already exists')
        both.same('promote', '{id3}', code=1, says='in sync with leader')
        both.start_member(3, added)
        for fmt in ('simple', 'json', 'fields', 'table', 'protobuf'):
            lists_agree(both, fmt)
        both.same('promote', '{id3}', until='in sync with leader')
        both.same('promote', '{id3}', code=1, says='can only promote a learner member')
        both.same('promote', '{id0}', code=1, says='can only promote a learner member')
        both.same('update', '{id3}', '--peer-urls={peer0}', code=1, says='already exists')
        both.same('update', '{id3}', '--peer-urls={peer3},{peer4}')
        both.same('update', '{id3}', '--peer-urls={peer3}', write_out='json')
        both.same('remove', '{id3}')
        both.same('remove', '{id3}', code=1, says='member not found')
        both.same('update', '{id3}', '--peer-urls={peer3}', code=1, says='member not found')
        # A follower of etcd that is asked to promote it does not answer in time.
        both.same('list')
        return both.differences


def every_format(options):
    """What programs read of each change, ids in hexadecimal too."""
    with pair(options, 1) as both:
        # etcd makes an id of the URLs and the second: no two adds have the same URLs.
        for fmt, also in (('json', '{peer2}'), ('protobuf', '{peer3}')):
            both.same('add', 'm1', '--peer-urls={peer1},' + also, '--learner', write_out=fmt)
            both.same('update', '{id1}', '--peer-urls={peer1}', write_out=fmt)
            both.same('remove', '{id1}', write_out=fmt)
        ours = both.clusters[1]
        gavelctl = both.tools[1]
        told = gavelctl(ours.endpoint(), 'member', 'add', 'm1', '--peer-urls=' + ours.peer(1),
                        '--learner', '--hex', write_out='json')
        both.learn()
        number = [n for n, name in both.names[1]._ids.items() if name == 'ID1'][-1]
        if told.code or told.text().count('"ID":"%x"' % number) != 2:
            both.differences.append('--hex: %r' % told.text())
        removed = gavelctl(ours.endpoint(), 'member', 'remove', '%x' % number, write_out='fields')
        listed = gavelctl(ours.endpoint(), 'member', 'list', write_out='fields')
        if removed.text() != listed.text() or 'PeerURL' not in removed.text():
            both.differences.append('fields: %r, not %r' % (removed.text(), listed.text()))
        added = gavelctl(ours.endpoint(), 'member', 'add', 'm2', '--peer-urls=' + ours.peer(2),
                         '--learner', write_out='table')
        listed = gavelctl(ours.endpoint(), 'member', 'list', write_out='table')
        if added.text() != listed.text() or 'unstarted' not in added.text():
            both.differences.append('table: %r, not %r' % (added.text(), listed.text()))
        both.learn()
        number = next(n for n, name in both.names[1]._ids.items() if name == 'ID2')
        for fmt in OURS_ALONE:  # Refusals leave standard output empty.
            refused = gavelctl(ours.endpoint(), 'member', 'promote', '%x' % number, write_out=fmt)
            if refused.code != 1 or refused.out:
                both.differences.append('a refusal (%s): %d %r' % (fmt, refused.code, refused.out))
        return both.differences


def lists_agree(both, fmt):
    """On one cluster nothing at all is replaced."""
    for cluster in both.clusters:
        theirs = etcdctl(cluster.endpoint(), 'member', 'list', write_out=fmt)
        ours = both.tools[1](cluster.endpoint(), 'member', 'list', write_out=fmt)
        if fmt == 'fields':  # As in 3.6, a header without a revision shows none.
            theirs.out = theirs.out.replace(b'"Revision" : 0\n', b'')
        if theirs.out != ours.out:
            both.differences.append('member list (%s):\n  etcdctl:  %r\n  gavelctl: %r' % (
                fmt, theirs.out, ours.out))


def what_would_cost_the_quorum(options):
    """Refused with etcd's words, and with advice of ours."""
    with pair(options, 1) as both:
        both.same('add', 'm1', '--peer-urls={peer1}')
        if is_etcd(options):  # Gavel lets voters in as learners, which cost no quorum.
            both.same('add', 'm2', '--peer-urls={peer2}', code=1, says='not enough started')
        results = both.same('remove', '{id0}', code=1, says='not enough started')
        if 'unstarted' not in results[1].err:
            both.differences.append('no advice: ' + results[1].err)
    with pair(options, 3) as cut:
        for cluster in cut.clusters:
            cluster.stop(2)
        results = cut.same('add', 'm3', '--peer-urls={peer3}', code=1, says='unhealthy cluster')
        if 'endpoint status' not in results[1].err:
            cut.differences.append('no advice: ' + results[1].err)
        return both.differences + cut.differences


def mistakes(options):
    """A mistake is told in etcdctl's words where they are words, and changes nothing."""
    differences = []
    gavelctl = Gavelctl(options.gavelctl)
    with contextlib.closing(GrowingCluster(options.server, 1)) as cluster:
        cluster.start_founders()
        before = etcdctl(cluster.endpoint(), 'member', 'list').out
        for arguments, words, code in MISTAKES:
            theirs = etcdctl(cluster.endpoint(), 'member', *arguments)
            ours = gavelctl(cluster.endpoint(), 'member', *arguments)
            expected = complaint(theirs) if words is None else 'Error: ' + words
            if (complaint(ours), ours.code, theirs.code, ours.out) != (expected, code, code, b''):
                differences.append('%s: %r, exit code %d; etcdctl: %r, %d' % (
                    ' '.join(arguments), complaint(ours), ours.code, complaint(theirs),
                    theirs.code))
        for arguments, words, code in REPLACE_MISTAKES:
            ours = gavelctl(cluster.endpoint(), 'member', 'replace', *arguments)
            if (complaint(ours), ours.code, ours.out) != ('Error: ' + words, code, b''):
                differences.append('replace %s: %r, %d' % (
                    ' '.join(arguments), complaint(ours), ours.code))
        if etcdctl(cluster.endpoint(), 'member', 'list').out != before:
            differences.append('a mistake has changed the members')
    return differences


def replace_on_a_server_of_etcd(options):
    """etcd does not serve it: told with what to do in its place."""
    with contextlib.closing(GrowingCluster(need('etcd'), 1)) as cluster:
        cluster.start_founders()
        refused = Gavelctl(options.gavelctl)(
            cluster.endpoint(), 'member', 'replace', '%x' % cluster.ids()[0], 'm1',
            '--peer-urls=' + cluster.peer(1))
        if refused.code != 1 or 'gavelctl member remove' not in refused.err or refused.out:
            return ['%d %r %r' % (refused.code, refused.err, refused.out)]
    return []


def a_lost_member_is_replaced(options):
    """Of Gavel alone: one command, one server to start, and the lost one is gone."""
    if is_etcd(options):
        return []
    gavelctl = Gavelctl(options.gavelctl)
    with contextlib.closing(GrowingCluster(options.server, 3)) as cluster:
        cluster.start_founders()
        lost = '%x' % cluster.ids()[2]
        cluster.stop(2, how=signal.SIGKILL)
        flags = ('--peer-urls=' + cluster.peer(3),)
        unknown = gavelctl(cluster.endpoint(), 'member', 'replace', '1', 'm3', *flags)
        if unknown.code != 1 or 'etcdserver: member not found' not in unknown.err:
            return ['an unknown id: %d %r' % (unknown.code, unknown.err)]
        done = gavelctl(cluster.endpoint(), 'member', 'replace', lost, 'm3', *flags)
        said = re.fullmatch(r'Member ([ 0-9a-f]{16}) replaced by ([0-9a-f]+) in cluster '
                            r'[ 0-9a-f]{16}\n\nETCD_NAME="m3"\nETCD_INITIAL_CLUSTER="(.*)"\n'
                            r'ETCD_INITIAL_ADVERTISE_PEER_URLS="(.*)"\n'
                            r'ETCD_INITIAL_CLUSTER_STATE="existing"\n', done.text())
        if not said or said.group(1).strip() != lost or said.group(4) != cluster.peer(3):
            return ['replace: %d %r %r' % (done.code, done.text(), done.err)]
        if 'm3=' + cluster.peer(3) not in said.group(3).split(','):
            return ['the initial cluster lacks the new member: ' + said.group(3)]
        cluster.start_as_told(3, variables_in(done.text()))
        wait_started(cluster, 3)
        end = time.time() + 60
        while True:
            listed = gavelctl(cluster.endpoint(3), 'member', 'list', '--consistency=s').text()
            rows = {row.split(', ')[2]: row.split(', ') for row in listed.splitlines()}
            if set(rows) == {'m0', 'm1', 'm3'} and rows['m3'][5] == 'false':
                break
            if time.time() > end:
                return ['after a minute: ' + listed]
            time.sleep(0.2)
        if rows['m3'][0] != said.group(2):
            return ['another id than was told: ' + listed]
        written = gavelctl(cluster.endpoint(3), 'put', 'k', 'v')
        again = gavelctl(cluster.endpoint(), 'member', 'replace', lost, 'm4',
                         '--peer-urls=' + cluster.peer(4))
        if written.code or again.code != 1 or 'member not found' not in again.err:
            return ['afterwards: %r %d %r' % (written.err, again.code, again.err)]
    return []


def pages(options):
    """Help, completion and manual know every command."""
    problems = []
    run = lambda *words: Result(subprocess.run([options.gavelctl, *words], capture_output=True))
    for command in ('add', 'remove', 'update', 'promote', 'replace', 'list'):
        shown = run('member', command, '--help').text()
        for flag in ('--peer-urls',) if command in ('add', 'update', 'replace') else ():
            if flag not in shown:
                problems.append('--help of %s lacks %s' % (command, flag))
        for page in (run('manual'), run('completion', 'bash'), run('member', '--help')):
            if command not in page.text():
                problems.append('a page lacks ' + command)
    return problems


SCENES = [a_learner_and_its_promotion, every_format, what_would_cost_the_quorum, mistakes,
          replace_on_a_server_of_etcd, a_lost_member_is_replaced, pages]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--server', default=need('etcd'))
    parser.add_argument('--gavelctl', required=True)
    parser.add_argument('-v', action='store_true', help='print every command with its answer')
    parser.add_argument('-k', default='', help='only scenes whose name contains this')
    options = parser.parse_args()
    options.gavelctl = os.path.abspath(options.gavelctl)
    report = Report()
    for scene in SCENES:
        if options.k in scene.__name__:
            report(scene.__name__.replace('_', ' '), scene(options))
    sys.exit(1 if report.failed else 0)


main()
