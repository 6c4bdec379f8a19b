#!/usr/bin/env python3
"""What the world can do to a member: garbage, wrong directories, damage, senseless flags.

  bad_input_test.py --server build/bin/gaveld [-k NAME]

Each test wants a clear message and no lost data; a member that must stop says why and what to do.
"""
import contextlib
import glob
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from checks import check, parse_options, run, test
from servers import Cluster, etcdctl


def put(cluster, key, value, member=0):
    return etcdctl(cluster.endpoint(member), 'put', key, value).code == 0


def get(cluster, key, member=0):
    return etcdctl(cluster.endpoint(member), 'get', key, '--print-value-only').text().strip()


def check_all_there(cluster, keys):
    missing = [key for key in keys if get(cluster, key) == '']
    check(not missing, 'acknowledged keys are lost: %s' % missing[:5])


def send_garbage(port, chunks):
    for chunk in chunks:
        with socket.create_connection(('127.0.0.1', port), timeout=5) as connection:
            connection.settimeout(2)
            with contextlib.suppress(OSError):
                connection.sendall(chunk)
                connection.recv(4096)


@test
def garbage_on_both_ports(options):
    dice = random.Random(1)
    preface = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
    chunks = [b'', b'\0' * 100, b'GET / HTTP/1.1\r\n\r\n', b'POST /v3/kv/range HTTP/1.1\r\n\r\n{',
              preface, preface + b'\xff' * 64, b'\x16\x03\x01\x02\x00' + bytes(range(256))]
    chunks += [dice.randbytes(dice.randrange(1, 3000)) for _ in range(50)]
    chunks += [preface + dice.randbytes(dice.randrange(1, 500)) for _ in range(50)]
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start()
        cluster.wait_ready()
        check(put(cluster, 'k', 'v'), 'put')
        for port in cluster.ports[0]:
            send_garbage(port, chunks)
        check(cluster.processes[0].poll() is None, 'the member ended:\n' + cluster.log())
        check(get(cluster, 'k') == 'v', 'the key is gone')


@test
def closed_descriptors(options):
    """What a member writes to closed standard descriptors goes nowhere, least of all to a file."""
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start(preexec=lambda: os.closerange(0, 3))
        cluster.wait_ready()
        check(put(cluster, 'k', 'v'), 'put')
        for descriptor in range(3):
            file = os.readlink('/proc/%d/fd/%d' % (cluster.processes[0].pid, descriptor))
            check(file == '/dev/null', '%d is %s' % (descriptor, file))
        check(cluster.stop() == [0], 'it did not leave cleanly')


@test
def second_process_on_one_directory(options):
    with contextlib.closing(Cluster(options.server)) as cluster, \
            contextlib.closing(Cluster(options.server)) as second:
        cluster.start()
        cluster.wait_ready()
        second.data_dir = cluster.data_dir
        second.start()
        check(second.wait_exit() != 0, 'the second process should fail')
        check(str(cluster.processes[0].pid) in second.log(),
              'the message does not name the process that holds the directory:\n' + second.log())
        check(put(cluster, 'k', 'v'), 'the first process is disturbed')


def check_refused_on_another_directory(cluster, why):
    own = cluster.data_dir
    cluster.data_dir = lambda member=0: own((member + 1) % 3)
    cluster.start(0)
    check(cluster.wait_exit(0) != 0, 'a member started on the directory of another')
    check(why in cluster.log(0).splitlines()[-1], cluster.log(0))
    cluster.data_dir = own


@test
def directory_of_another_member(options):
    with contextlib.closing(Cluster(options.server, 3)) as cluster:
        cluster.start()
        cluster.wait_ready()
        check(put(cluster, 'k', 'v'), 'put')
        cluster.stop()
        check_refused_on_another_directory(cluster, 'belongs to member')
        cluster.start()
        cluster.wait_ready()
        check(get(cluster, 'k', 2) == 'v', 'the key is gone')


@test
def cluster_named_at_the_first_start(options):
    """Started again, a member is who its directory says; a directory of another name is refused."""
    with contextlib.closing(Cluster(options.server, 3)) as cluster:
        cluster.start()
        cluster.wait_ready()
        check(put(cluster, 'k', 'v'), 'a put failed')
        check(cluster.stop() == [0, 0, 0], 'a member did not leave cleanly')
        full = cluster.arguments
        cluster.arguments = lambda member=0: [
            word for word in full(member) if not word.startswith('--initial-cluster=')
        ] + ['--initial-cluster-token=other']
        cluster.start()
        cluster.wait_ready()
        check(get(cluster, 'k', 2) == 'v', 'the key is gone')
        cluster.stop()
        check_refused_on_another_directory(cluster, 'belongs to the member named m1')
        shutil.rmtree(os.path.join(cluster.data_dir(0), 'member', 'state'))
        cluster.start(0)
        check(cluster.wait_exit(0) != 0, 'a member started without its state and its cluster')
        check('--initial-cluster' in cluster.log(0).splitlines()[-1], cluster.log(0))
        cluster.arguments = full
        cluster.start()
        cluster.wait_ready()
        check(get(cluster, 'k') == 'v', 'the key is gone')


@test
def member_of_another_cluster(options):
    """A member that reaches the peers of a cluster it does not belong to disturbs nobody."""
    with contextlib.closing(Cluster(options.server, 3)) as cluster, \
            contextlib.closing(
                Cluster(options.server, 3, ['--initial-cluster-token=other'])) as other:
        cluster.start()
        cluster.wait_ready()
        # The stranger believes that members 1 and 2 of the first cluster are its own.
        other.ports[1:] = cluster.ports[1:]
        other.start(0)
        time.sleep(3)
        check(put(cluster, 'k', 'v'), 'the cluster is disturbed')
        check(not put(other, 'k', 'v'), 'the stranger serves writes')
        said = ' '.join(cluster.log(m) for m in (1, 2)) + other.log(0)
        check('belongs to cluster' in said, 'nobody says it is another cluster:\n' + said[-3000:])
        lines = other.log(0).count('\n')
        check(lines < 60, 'the stranger fills its log: %d lines in 3 s' % lines)


def crc32c(data, crc=0):
    crc ^= 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def little_endian(number):
    return number.to_bytes(4, 'little')


def as_a_newer_identity(content):
    """Both slots of storage/disk/double_block.h with version 2 and the checksum it would have."""
    slots = b''
    for slot in (content[:len(content) // 2], content[len(content) // 2:]):
        length = int.from_bytes(slot[12:16], 'little')
        slot = slot[:8] + little_endian(2) + slot[12:]
        checksum = crc32c(slot[28:28 + length], crc32c(slot[:24]))
        slots += slot[:24] + little_endian(checksum) + slot[28:]
    return slots


def as_a_newer_segment(content):
    """storage/wal/FORMAT.md: magic, version, checksum of both."""
    head = content[:8] + little_endian(2)
    return head + little_endian(crc32c(head)) + content[16:]


@test
def directory_of_a_newer_version(options):
    """A newer format of identity or log is refused as such, and left as it is."""
    for pattern, newer in (('identity', as_a_newer_identity), ('wal/*.wal', as_a_newer_segment)):
        with contextlib.closing(Cluster(options.server)) as cluster:
            cluster.start()
            cluster.wait_ready()
            check(put(cluster, 'k', 'v'), 'put')
            cluster.stop()
            path = sorted(glob.glob(cluster.data_dir() + '/member/' + pattern))[0]
            with open(path, 'rb') as file:
                own = file.read()
            with open(path, 'r+b') as file:
                file.write(newer(own))
            cluster.start()
            check(cluster.wait_exit() != 0, 'a member started on a newer ' + pattern)
            said = cluster.log().splitlines()[-1]
            check('version 2' in said and 'newer gaveld' in said and os.path.basename(path) in said,
                  'the message does not say what it is: ' + said)
            with open(path, 'rb') as file:
                check(file.read() == newer(own), path + ' was changed')
            with open(path, 'r+b') as file:
                file.write(own)
            cluster.start()
            cluster.wait_ready()
            check(get(cluster, 'k') == 'v', 'the key is gone')


@test
def unreadable_identity(options):
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start()
        cluster.wait_ready()
        cluster.stop()
        identity = glob.glob(cluster.data_dir() + '/member/identity*')
        check(identity, 'no identity file in %s' % os.listdir(cluster.data_dir() + '/member'))
        for path in identity:
            with open(path, 'r+b') as damaged:
                content = bytearray(damaged.read())
                content[len(content) // 2] ^= 0xff
                content[8 % len(content)] ^= 0xff
                damaged.seek(0)
                damaged.write(content)
        cluster.start()
        check(cluster.wait_exit() != 0, 'a member started on an unreadable identity')
        check('identity' in cluster.log().splitlines()[-1], cluster.log())


@test
def damaged_log(options):
    """A flipped byte in the middle of the log is named with file and offset, never cut."""
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start()
        cluster.wait_ready()
        for number in range(50):
            check(put(cluster, 'k%d' % number, 'value %d' % number), 'put')
        cluster.stop(how=signal.SIGKILL)
        segments = [p for p in sorted(glob.glob(cluster.data_dir() + '/member/wal/*'))
                    if b'value 5' in open(p, 'rb').read()]
        check(len(segments) == 1, 'where is the log? %s' % segments)
        with open(segments[0], 'rb') as segment:
            content = segment.read()
        whole = cluster.data_dir() + '.whole'
        shutil.copytree(cluster.data_dir(), whole)
        at = content.index(b'value 5')
        with open(segments[0], 'r+b') as segment:
            segment.seek(at)
            segment.write(b'V')
        cluster.start()
        check(cluster.wait_exit() != 0, 'a member started on a damaged log')
        said = cluster.log().splitlines()[-1]
        check(os.path.basename(segments[0]) in said and 'offset' in said,
              'the message names no file and offset: ' + said)
        shutil.rmtree(cluster.data_dir())
        os.rename(whole, cluster.data_dir())
        cluster.start()
        cluster.wait_ready()
        check_all_there(cluster, ['k%d' % number for number in range(50)])


@test
def unreadable_directory(options):
    with contextlib.closing(Cluster(options.server)) as cluster:
        with open(cluster.data_dir(), 'w') as file:
            file.write('not a directory')
        cluster.start()
        check(cluster.wait_exit() != 0, 'a member started on a file')
        check(cluster.data_dir() in cluster.log(), cluster.log())


@test
def bad_flags(options):

    for arguments, expected in (
            (['--no-such-flag'], 'no-such-flag'),
            (['--cert-file=x'], 'cert-file'),
            (['--listen-client-urls=https://127.0.0.1:1'], 'https'),
            (['--force-new-cluster'], 'force-new-cluster'),
            (['--initial-cluster-state=old'], 'initial-cluster-state'),
            (['--listen-client-urls=nonsense'], 'listen-client-urls'),
            (['--heartbeat-interval=x'], 'heartbeat-interval'),
            (['--election-timeout=1'], 'election-timeout'),
            (['--name=x', '--initial-cluster=y=http://127.0.0.1:2380'], 'initial-cluster')):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([options.server, '--data-dir=' + folder + '/d'] + arguments,
                                  capture_output=True, text=True, timeout=30)
            check(done.returncode != 0, '%s was accepted' % arguments)
            check(expected in done.stdout + done.stderr,
                  '%s: the message does not name it: %s' % (arguments, done.stderr))
            check(not os.path.exists(folder + '/d'), '%s left a directory' % arguments)


def main():
    options = parse_options(__doc__, 'server')
    run(options, options)


main()
