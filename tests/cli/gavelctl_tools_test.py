#!/usr/bin/env python3
"""What takes longer or starts more than a command: gavelctl and Debian's etcdctl 3.4 side by side.

  gavelctl_tools_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl [-k NAME]

Variables, check perf, check datascale and make-mirror. gavelctl_etcdctl_test.py has the rest.
"""
import base64
import contextlib
import json
import re
import signal
import subprocess

from checks import check, parse_options, run, test, wait
from gavelctl import Gavelctl, clean_environment
from scenes import Running
from servers import Cluster, Result, etcdctl, free_port, need


class World:
    def __init__(self, options, stack):
        self.gavelctl_path = options.gavelctl
        self.gavelctl = Gavelctl(options.gavelctl)
        self.server = options.server
        self._stack = stack
        self.metrics = 'http://127.0.0.1:%d' % free_port()
        self.one = self.cluster('--listen-metrics-urls=' + self.metrics)
        self.other = self.cluster()

    def cluster(self, *extra, server=None):
        cluster = Cluster(server or self.server, extra=extra)
        self._stack.enter_context(contextlib.closing(cluster))
        cluster.start()
        cluster.wait_ready()
        return cluster

    def start(self, tool, endpoint, *arguments):
        """Either tool, which goes on running; its endpoints are told by a variable."""
        running = Running(endpoint, [tool, *arguments])
        self._stack.callback(running.close)
        return running


def complaint(text):
    """The first line, which both have: gavelctl has hints below, and etcdctl log lines before."""
    lines = [line for line in text.splitlines() if line and not line.startswith('{')]
    return lines[0].replace('etcdctl', 'gavelctl') if lines else ''


def same_mistake(world, cluster, code, *command):
    theirs = etcdctl(cluster.endpoint(), *command)
    ours = world.gavelctl(cluster.endpoint(), *command)
    check(theirs.code == ours.code == code, '%s: %d, %d' % (command, theirs.code, ours.code))
    check(complaint(theirs.err) == complaint(ours.err) != '',
          '%r, %r' % (theirs.err, ours.err))


@test
def variables(world):
    """Each variable that etcdctl takes, on one cluster: the same, letter by letter."""
    endpoint = world.one.endpoint()
    world.gavelctl(endpoint, 'mset', 'v/a', '1', 'v/b', 'two')
    seen = set()
    for variables in ({}, {'WRITE_OUT': 'json'}, {'WRITE_OUT': 'fields'}, {'WRITE_OUT': 'xml'},
                      {'WRITE_OUT': 'json', 'HEX': '1'}, {'HEX': 'true'}, {'HEX': 'false'},
                      {'HEX': ''}, {'DIAL_TIMEOUT': '5s'}, {'COMMAND_TIMEOUT': '3s'},
                      {'KEEPALIVE_TIME': '20s', 'KEEPALIVE_TIMEOUT': '9s'},
                      {'INSECURE_TRANSPORT': 'true', 'INSECURE_SKIP_TLS_VERIFY': 'true'},
                      {'ENDPOINTS': '127.0.0.1:1,' + endpoint},
                      {'API': '3'}):
        environment = clean_environment(
            {'ETCDCTL_API': '3', 'ETCDCTL_ENDPOINTS': endpoint,
             **{'ETCDCTL_' + name: value for name, value in variables.items()}})
        for command in (('get', 'v/', '--prefix'), ('get', 'v/a', '--print-value-only'),
                        ('get', 'none')):
            theirs, ours = (
                Result(subprocess.run([tool, *command], capture_output=True, env=environment,
                                      stdin=subprocess.DEVNULL, timeout=60))
                for tool in (need('etcdctl'), world.gavelctl_path))
            said = [re.sub(r'"(raft_term|RaftTerm)" ?: ?\d+', 'TERM', result.text())
                    for result in (theirs, ours)]
            check(said[0] == said[1], '%s %s: %r, %r' % (variables, command, *said))
            check(theirs.code == ours.code, '%s: %d, %d' % (variables, theirs.code, ours.code))
            seen.add(said[1])
    check(len(seen) > 8, 'the variables change nothing: %s' % seen)


PERF_FORM = [r'(PASS: Throughput is|FAIL: Throughput too low:) \d+ writes/s',
             r'(PASS: Slowest request took|Slowest request took too long:) \d+\.\d{6}s',
             r'(PASS: Stddev is|Stddev too high:) \d+\.\d{6}s', r'PASS|FAIL']
AFTER_FORM = [r'Compacting with revision \d+', r'Compacted with revision \d+',
              r'Defragmenting "127\.0\.0\.1:\d+"', r'Defragmented "127\.0\.0\.1:\d+"']


def lines_of(text):
    """Without etcdctl's bar, which may stand before what a line says."""
    without = re.sub(r'\r +\d+ / \d+ +[\d.]+%( [0-9hms.]+)? *', '', text)
    return [line for line in without.splitlines() if line]


def check_form(what, lines, form):
    check(len(lines) == len(form) and all(map(re.fullmatch, form, lines)),
          '%s: %s is not %s' % (what, lines, form))


@test
def check_perf(world):
    """The same lines in the same form, and an exit code that is the last line's. How fast it goes
    is of no interest; etcdctl takes a minute, and cannot be told otherwise."""
    flags = ('check', 'perf', '--load=small', '--prefix=/perf/', '--auto-compact', '--auto-defrag')
    theirs = world.start(need('etcdctl'), world.one.endpoint(), *flags)
    ours = world.gavelctl(world.other.endpoint(), *flags, '--duration=2s')
    for name, text, code in (('gavelctl', ours.text(), ours.code),
                             ('etcdctl', *reversed((theirs.end(None), theirs.text())))):
        lines = lines_of(text)
        check_form(name, lines, AFTER_FORM + PERF_FORM)
        check(code == (lines[-1] != 'PASS'), '%s: exit code %d: %s' % (name, code, lines))
    for cluster in (world.one, world.other):
        check(etcdctl(cluster.endpoint(), 'get', '/perf/', '--prefix').out == b'', 'keys are left')


@test
def checks_refuse_the_same(world):
    for what in ('perf', 'datascale'):
        same_mistake(world, world.one, 4, 'check', what, '--load=huge')
        prefix = 'used/%s/' % what
        command = ('check', what, '--prefix=' + prefix)
        etcdctl(world.one.endpoint(), 'put', prefix + 'k', 'v')
        theirs = etcdctl(world.one.endpoint(), *command)
        ours = world.gavelctl(world.one.endpoint(), *command)
        check(theirs.code == ours.code == 3, '%d, %d' % (theirs.code, ours.code))
        # What to do stands below the error.
        check(complaint(theirs.err) ==
              complaint(ours.err) + '. Delete with gavelctl del --prefix %s first' % prefix,
              '%r, %r' % (theirs.err, ours.err))
        check("'gavelctl del --prefix %s' first" % prefix in ours.err, ours.err)


DATASCALE_FORM = [r'Start data scale check for work load \[10000 key-value pairs, 1024 bytes per '
                  r'key-value, 50 concurrent clients\]\.'] + AFTER_FORM + [
                      r'PASS: Approximate system memory used : -?\d+\.\d\d MB\.']


@test
def check_datascale(world):
    """On etcd, which tells its metrics at the clients' port, and on Gavel, which has another."""
    flags = ('check', 'datascale', '--load=s', '--auto-compact', '--auto-defrag')
    etcd = world.cluster(server=need('etcd'))
    theirs = etcdctl(etcd.endpoint(), *flags)
    check_form('etcdctl', lines_of(theirs.text()), DATASCALE_FORM)
    for cluster, more in ((etcd, ()), (world.one, ('--metrics-url=' + world.metrics,)),
                          (world.one, ('--metrics-url=' + world.metrics + '/metrics',))):
        ours = world.gavelctl(cluster.endpoint(), *flags, *more)
        check(ours.code == theirs.code == 0, ours.text() + ours.err)
        check_form('gavelctl', lines_of(ours.text()), DATASCALE_FORM)
        left = world.gavelctl(cluster.endpoint(), 'get', '/etcdctl-check-datascale/', '--prefix')
        check(left.out == b'', 'keys are left')
    theirs = etcdctl(world.one.endpoint(), *flags)
    ours = world.gavelctl(world.one.endpoint(), *flags)
    # etcdctl tells the reason on standard output, gavelctl on standard error.
    check(theirs.text().splitlines()[-1:] == ours.text().splitlines() != [] and
          theirs.code == ours.code == 1, '%r, %r' % (theirs.text(), ours.text()))
    check('--metrics-url' in ours.err, ours.err)
    for url, said in (('nonsense', 'is no URL'), (world.metrics + '/nothing', '404'),
                      ('http://127.0.0.1:1', 'refused')):
        ours = world.gavelctl(world.one.endpoint(), *flags, '--metrics-url=' + url)
        check(ours.code == 1 and said in ours.err, '%d %s' % (ours.code, ours.err))


def keys_of(endpoint):
    answer = json.loads(etcdctl(endpoint, 'get', '', '--prefix', write_out='json').out)
    return {base64.b64decode(kv['key']): base64.b64decode(kv.get('value', ''))
            for kv in answer.get('kvs', [])}


def changes_while_mirrored(world, endpoint):
    """Returns how many changes of keys below src/ it made."""
    world.gavelctl(endpoint, 'put', 'src/late', stdin=bytes(range(256)))
    world.gavelctl(endpoint, 'txn', stdin=b'\nput src/t1 1\nput src/t2 2\ndel src/0001\n\n\n')
    world.gavelctl(endpoint, 'put', 'src/src/', 'again')
    world.gavelctl(endpoint, 'put', 'elsewhere', 'not mirrored')
    world.gavelctl(endpoint, 'del', 'src/000', '--prefix')
    return 1 + 3 + 1 + 9


@test
def make_mirror(world):
    """Both tools mirror one source, each to a cluster of its own, in three ways at once. They write
    the same keys, the same counts, and end the same way."""
    source, theirs, ours = world.cluster(), world.cluster(), world.cluster()
    for first in range(0, 1200, 100):
        etcdctl(source.endpoint(), 'txn', stdin=b'\n' + b''.join(
            b'put src/%04d %d\n' % (i, i) for i in range(first, first + 100)) + b'\n\n')
    ways = (('--prefix=src/', 'src/'), ('--prefix=src/', '--dest-prefix=to/', 'to/'),
            ('--prefix=src/', '--no-dest-prefix', ''))
    mirrors = [world.start(tool, source.endpoint(), 'make-mirror', *way[:-1], cluster.endpoint())
               for tool, cluster in ((need('etcdctl'), theirs), (world.gavelctl_path, ours))
               for way in ways]
    for cluster in (theirs, ours):
        wait(lambda: len(keys_of(cluster.endpoint())) >= 3600, 'a copy is not whole')
    changes = changes_while_mirrored(world, source.endpoint())
    wanted = {way[-1].encode() + key[4:]: value
              for key, value in keys_of(source.endpoint()).items() if key.startswith(b'src/')
              for way in ways}
    check(len(wanted) == 3 * 1194, len(wanted))
    for name, cluster in (('etcdctl', theirs), ('gavelctl', ours)):
        wait(lambda: {k: v for k, v in keys_of(cluster.endpoint()).items() if k != b'ready'} ==
             wanted, name + ' has not mirrored what is there')
    for mirror in mirrors:
        mirror.wait_for(r'(?m)^%d$' % (1200 + changes))
    ends = [mirror.end(signal.SIGINT) for mirror in mirrors]
    check(set(ends) == {-signal.SIGINT}, ends)
    counts = [set(mirror.text().split()) for mirror in mirrors]
    check(all(each == {str(1200 + changes)} for each in counts), counts)


@test
def make_mirror_refuses_the_same(world):
    to = world.other.endpoint()
    same_mistake(world, world.one, 128, 'make-mirror')
    same_mistake(world, world.one, 128, 'make-mirror', to, to)
    same_mistake(world, world.one, 128, 'make-mirror', to, '--dest-prefix=a', '--no-dest-prefix')


@test
def make_mirror_says_what_to_do(world):
    """What etcdctl does not refuse, or waits for without end."""
    endpoint = world.one.endpoint()
    for arguments, code, said in (
            ((endpoint, '--prefix=a/', '--dest-prefix=a/b/'), 128, 'would be mirrored again'),
            (('127.0.0.1:1', '--dial-timeout=700ms'), 2, 'destination: no endpoint'),
            (('nonsense',), 128, 'port'),
            ((world.other.endpoint(), '--max-txn-ops=0'), 128, '--max-txn-ops is 0'),
            ((world.other.endpoint(), '--dest-cacert=/ca.pem'), 4, 'TLS'),
            ((world.other.endpoint(), '--dest-insecure-transport=false'), 4, 'TLS'),
            ((world.other.endpoint(), '--dest-user=root:x'), 4, 'log in')):
        refused = world.gavelctl(endpoint, 'make-mirror', *arguments)
        check(refused.code == code and said in refused.err, '%d %s' % (refused.code, refused.err))


def value_at(cluster, key, value):
    shown = etcdctl(cluster.endpoint(), 'get', key, '--print-value-only').text()
    return shown.rstrip('\n') == value


@test
def make_mirror_from_a_revision(world):
    """With --rev nothing is copied; where it ended is where it can go on from."""
    source, target = world.cluster(), world.cluster()
    for number in range(4):  # Revisions 2 to 5.
        etcdctl(source.endpoint(), 'put', 'k%d' % number, 'v')
    mirror = world.start(world.gavelctl_path, source.endpoint(), 'make-mirror', target.endpoint(),
                         '--rev=4', '--max-txn-ops=1', '--command-timeout=2s')
    wait(lambda: value_at(target, 'k3', 'v'), 'revision 5 is not mirrored')
    check(set(keys_of(target.endpoint())) == {b'k2', b'k3'}, keys_of(target.endpoint()))
    etcdctl(source.endpoint(), 'txn', stdin=b'\nput x 1\nput y 2\ndel k3\n\n\n')
    wait(lambda: value_at(target, 'k3', ''), 'revision 6 is not mirrored')
    check(set(keys_of(target.endpoint())) == {b'k2', b'x', b'y'}, keys_of(target.endpoint()))

    target.stop()
    etcdctl(source.endpoint(), 'put', 'missed', 'v')
    check(mirror.end(None) in (1, 2), mirror.text('err'))
    said = mirror.text('err')
    check('go on with --rev=7.' in said, said)
    etcdctl(source.endpoint(), 'put', 'missed-too', 'v')
    target.start()
    target.wait_ready()
    world.start(world.gavelctl_path, source.endpoint(), 'make-mirror', target.endpoint(), '--rev=7')
    wait(lambda: value_at(target, 'missed-too', 'v') and value_at(target, 'missed', 'v'),
         'it does not go on')

    etcdctl(source.endpoint(), 'compaction', '8')
    gone = world.gavelctl(source.endpoint(), 'make-mirror', target.endpoint(), '--rev=4')
    check(gone.code == 1 and 'compacted' in gone.err and 'without --rev' in gone.err, gone.err)


def main():
    options = parse_options(__doc__, 'server', 'gavelctl')
    with contextlib.ExitStack() as stack:
        run(World(options, stack), options)


main()
