#!/usr/bin/env python3
"""Members with a disk that fails, is full or stands still.

  bad_disk_test.py --server build/bin/gaveld --faults build/tests/libpowercut.so [-k NAME]

One member of three has the bad disk: it says what is wrong and what to do, the others go on, and
nothing that was acknowledged is lost.
"""
import concurrent.futures
import contextlib
import glob
import json
import os
import time

from checks import check, parse_options, run, test
from servers import Cluster, etcdctl

VICTIM = 1
OTHERS = (0, 2)
WRITERS = 2


def put(cluster, key, value, member=0):
    return etcdctl(cluster.endpoint(member), 'put', key, value).code == 0


def get(cluster, key, member=0):
    return etcdctl(cluster.endpoint(member), 'get', key, '--print-value-only').text().strip()


def keys_of(name, count):
    return ['%s%02d' % (name, number) for number in range(count)]


def put_all(cluster, keys, value='v', member=0):
    """In transactions of 50, so that it takes a few processes."""
    for begin in range(0, len(keys), 50):
        lines = ['put %s %s' % (key, value) for key in keys[begin:begin + 50]]
        done = etcdctl(cluster.endpoint(member), 'txn',
                       stdin=('\n' + '\n'.join(lines) + '\n\n\n').encode())
        check(done.code == 0, 'a write fails: ' + done.err)


def check_all_there(cluster, keys, member=0):
    listed = etcdctl(cluster.endpoint(member), 'get', '', '--from-key', '--keys-only')
    check(listed.code == 0, listed.err)
    missing = sorted(set(keys) - set(listed.text().split()))
    check(not missing, 'acknowledged keys are lost: %s' % missing[:5])


def check_replicas_equal(cluster):
    """The hash of each member at the revision that the first one has."""
    done = etcdctl(cluster.endpoints(), 'endpoint', 'hashkv', write_out='json')
    check(done.code == 0, done.err)
    hashes = {entry['HashKV']['hash'] for entry in json.loads(done.text())}
    check(len(hashes) == 1, 'members differ: ' + done.text())


def leader_of(cluster):
    answer = json.loads(etcdctl(cluster.endpoint(OTHERS[0]), 'endpoint', 'status',
                                write_out='json').text())[0]['Status']
    listed = json.loads(etcdctl(cluster.endpoint(OTHERS[0]), 'member', 'list',
                                write_out='json').text())['members']
    names = {member['ID']: member['name'] for member in listed}
    return int(names[answer['leader']][1:])


def wait_for_line(cluster, member, *words, begin=0, seconds=30):
    """Waits until the member's log has, behind `begin`, a line with all the words."""
    end = time.time() + seconds
    while True:
        for line in cluster.log(member)[begin:].splitlines():
            if all(word in line for word in words):
                return line
        check(time.time() < end, 'member %d does not say %s:\n%s' % (
            member, words, cluster.log(member)[begin:][-3000:]))
        time.sleep(0.1)


def last_line(cluster, member):
    return cluster.log(member).splitlines()[-1]


class FaultyDisk:
    """Switches faults of tests/support/powercut for one member, on its real disk."""

    def __init__(self, options, cluster, member=0):
        if not os.path.exists(options.faults):
            raise SystemExit('%s is missing: build it first' % options.faults)
        os.makedirs(cluster.data_dir(member), exist_ok=True)
        self.rules = os.path.join(cluster.root, 'rules%d' % member)
        self.told = os.path.join(cluster.root, 'struck%d' % member)
        self.env = {'LD_PRELOAD': options.faults, 'POWERCUT_DIR': cluster.data_dir(member),
                    'POWERCUT_CONTROL': self.rules, 'POWERCUT_LOG': self.told}

    def on(self, rules):
        with open(self.rules + '.new', 'w') as file:
            file.write(rules)
        os.rename(self.rules + '.new', self.rules)

    def off(self):
        os.unlink(self.rules)

    def struck(self):
        """How many calls have met a fault so far."""
        if not os.path.exists(self.told):
            return 0
        with open(self.told) as file:
            return sum(line.startswith('struck') for line in file)


@contextlib.contextmanager
def cluster_with_a_bad_disk(options, extra=()):
    """Three members that serve; the disk of VICTIM obeys what is yielded beside them."""
    with contextlib.closing(Cluster(options.server, 3, extra)) as cluster:
        disk = FaultyDisk(options, cluster, VICTIM)
        cluster.start(VICTIM, env=disk.env)
        cluster.start(*OTHERS)
        cluster.wait_ready()
        yield cluster, disk


def others_serve(cluster, name):
    keys = keys_of(name, 20)
    put_all(cluster, keys, member=OTHERS[0])
    check_all_there(cluster, keys, member=OTHERS[1])
    return keys


def comes_back(cluster, disk, keys):
    """The victim starts on a disk that is well, has everything, and leads as well as any other."""
    disk.off()
    cluster.stop(VICTIM)
    cluster.start(VICTIM, env=disk.env)
    cluster.wait_ready()
    check_all_there(cluster, keys, member=VICTIM)
    check_replicas_equal(cluster)
    check(put(cluster, 'after', 'v', VICTIM), 'no write through the member that came back')


def fill(cluster, name='fill', kilobytes=1000):
    """Writes until no member takes a write: the acknowledged keys, and the last refusal."""
    acknowledged = []
    end = time.time() + 120
    while time.time() < end:
        for member in range(len(cluster.processes)):
            key = name + str(len(acknowledged))
            done = etcdctl(cluster.endpoint(member), 'put', key, stdin=b'v' * 1000 * kilobytes)
            if done.code == 0:
                acknowledged.append(key)
                break
        else:
            return acknowledged, done.err
    raise AssertionError('the disk never ran full')


@test
def failed_sync(options):
    """The first failed sync ends the process with a message; nothing acknowledged is lost."""
    with contextlib.closing(Cluster(options.server)) as cluster:
        disk = FaultyDisk(options, cluster)
        cluster.start(env=disk.env)
        cluster.wait_ready()
        keys = keys_of('k', 20)
        put_all(cluster, keys)
        disk.on('eio sync * 1')
        check(not put(cluster, 'lost', 'v'), 'a write was acknowledged after a failed sync')
        check(cluster.wait_exit() == 1, 'the process goes on after a failed sync')
        check('sync' in last_line(cluster, 0).lower(), cluster.log()[-2000:])
        cluster.start()
        cluster.wait_ready()
        check_all_there(cluster, keys)


@test
def log_unreadable_at_the_start(options):
    """A member that cannot read its log at the start says which file, and ends; others go on."""
    with cluster_with_a_bad_disk(options) as (cluster, disk):
        keys = keys_of('before', 50)
        put_all(cluster, keys)
        cluster.stop(VICTIM)
        disk.on('eio read member/wal/*.wal *')
        cluster.start(VICTIM, env=disk.env)
        check(cluster.wait_exit(VICTIM) == 1, 'a member starts without its log')
        said = last_line(cluster, VICTIM)
        check('.wal' in said and 'nput/output error' in said and disk.struck() > 0,
              'the message does not name file and cause: ' + said)
        check('check the disk' in said, 'the message does not say what to do: ' + said)
        keys += others_serve(cluster, 'meanwhile')
        comes_back(cluster, disk, keys)


@test
def log_unreadable_for_another_member(options):
    """A leader that cannot read what a member lacks says so and serves on; later it is sent."""
    with contextlib.closing(Cluster(options.server, 3)) as cluster:
        lagging = 2
        disks = [FaultyDisk(options, cluster, member) for member in (0, 1)]
        cluster.start()
        cluster.wait_ready()
        cluster.stop(lagging)
        keys = keys_of('before', 200)
        put_all(cluster, keys)
        # Members that have just started hold nothing in memory of what they have applied.
        cluster.stop(0, 1)
        for member in (0, 1):
            cluster.start(member, env=disks[member].env)
        cluster.wait_ready(0, 1)
        for disk in disks:
            disk.on('eio read member/wal/*.wal *')
        cluster.start(lagging)
        leader = leader_of(cluster)
        wait_for_line(cluster, leader, 'reading the log for another member failed', '.wal',
                      'nput/output error', 'what to do')
        check(put(cluster, 'meanwhile', 'v', leader), 'a leader that cannot read does not write')
        check(cluster.log(leader).count('reading the log') == 1, 'it says so again and again')
        for disk in disks:
            disk.off()
        cluster.wait_ready(lagging)
        check_all_there(cluster, keys + ['meanwhile'], member=lagging)
        check_replicas_equal(cluster)


@test
def table_unreadable(options):
    """What cannot be read is an error for whoever asks; the next change ends the member."""
    with cluster_with_a_bad_disk(options) as (cluster, disk):
        keys = keys_of('before', 500)
        put_all(cluster, keys, 'v' * 1000)
        cluster.stop(VICTIM)  # Writes what is in memory to a table.
        cluster.start(VICTIM, env=disk.env)
        cluster.wait_ready(VICTIM)
        begin = len(cluster.log(VICTIM))
        disk.on('eio read *.sst *')
        got = etcdctl(cluster.endpoint(VICTIM), 'get', 'before', '--prefix', '--consistency=s')
        check(got.code != 0 and got.out == b'', 'rows come out of a file that cannot be read')
        for said in (got.err, wait_for_line(cluster, VICTIM, 'state engine', begin=begin)):
            check('.sst' in said and 'nput/output error' in said,
                  'the message does not name file and cause: ' + said)
        keys += others_serve(cluster, 'meanwhile')
        check(cluster.wait_exit(VICTIM) == 1, 'a member goes on without its state')
        said = last_line(cluster, VICTIM)
        check('.sst' in said and 'what to do' in said, said)
        keys += others_serve(cluster, 'later')
        disk.off()
        disk.on('eio read *.sst *')
        cluster.start(VICTIM, env=disk.env)
        check(cluster.wait_exit(VICTIM) == 1, 'a member starts without its state')
        said = last_line(cluster, VICTIM)
        check('.sst' in said and 'nput/output error' in said, said)
        comes_back(cluster, disk, keys)


@test
def full_disk(options):
    """On a full disk nothing is acknowledged that is not kept, and space brings it back."""
    with contextlib.closing(Cluster(options.server)) as cluster:
        disk = FaultyDisk(options, cluster)
        cluster.start(env=disk.env)
        cluster.wait_ready()
        check(put(cluster, 'before', 'v'), 'put')
        disk.on('enospc write * *')
        keys = ['before'] + fill(cluster)[0]
        disk.off()
        cluster.stop()
        cluster.start(env=disk.env)
        cluster.wait_ready()
        check(put(cluster, 'after', 'v'), 'no write after the disk has space again')
        check_all_there(cluster, keys)


@test
def one_disk_runs_full(options):
    """A member whose disk takes 30 MB more says so; the others acknowledge, and it comes back."""
    with cluster_with_a_bad_disk(options) as (cluster, disk):
        begin = len(cluster.log(VICTIM))
        disk.on('enospc write * * 30000000')
        keys = []
        end = time.time() + 120
        while disk.struck() == 0:
            check(time.time() < end, 'the disk never ran full')
            key = 'fill%d' % len(keys)
            done = etcdctl(cluster.endpoint(OTHERS[0]), 'put', key, stdin=b'v' * 1000000)
            check(done.code == 0, 'the others do not go on: ' + done.err)
            keys.append(key)
        wait_for_line(cluster, VICTIM, 'o space', begin=begin)
        keys += others_serve(cluster, 'meanwhile')
        if cluster.processes[VICTIM].poll() is not None:
            check(cluster.processes[VICTIM].poll() == 1, 'it ended with another status')
            said = last_line(cluster, VICTIM)
            check('o space' in said and 'free space' in said, said)
        comes_back(cluster, disk, keys)


@test
def no_space_for_the_log(options):
    """Without space for more log writes are refused, and taken again once there is space."""
    with contextlib.closing(Cluster(options.server)) as cluster:
        disk = FaultyDisk(options, cluster)
        cluster.start(env=disk.env)
        cluster.wait_ready()
        # The first two segments have their blocks; there are none for those that follow.
        disk.on('enospc write member/wal/prepared-[2-9]*.tmp *;'
                'enospc write member/wal/prepared-??*.tmp *')
        with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
            filled = list(pool.map(lambda writer: fill(cluster, 'fill%d-' % writer, 1400),
                                   range(WRITERS)))
        keys = [key for own, _ in filled for key in own]
        check(cluster.processes[0].poll() is None, 'it ended:\n' + cluster.log()[-2000:])
        for _, refusal in filled:
            check('too many requests' in refusal, 'refused in another way: ' + refusal)
        wait_for_line(cluster, 0, 'no space for the next segment of the log', 'what to do')
        check_all_there(cluster, keys)
        disk.off()
        wait_for_line(cluster, 0, 'there is space for the log again')
        check(put(cluster, 'after', 'v'), 'no write after the disk has space again')
        check_all_there(cluster, keys + ['after'])


@test
def all_disks_run_full(options):
    """A cluster without space acknowledges nothing that it does not keep, and comes back."""
    with contextlib.closing(Cluster(options.server, 3)) as cluster:
        disks = [FaultyDisk(options, cluster, member) for member in range(3)]
        for member in range(3):
            cluster.start(member, env=disks[member].env)
        cluster.wait_ready()
        for member in range(3):
            disks[member].on('enospc write * * %d' % (20000000 + member * 2000000))
        keys = fill(cluster)[0]
        ended = [m for m in range(3) if cluster.processes[m].poll() is not None]
        for member in ended:
            check(cluster.processes[member].poll() == 1, 'it ended with another status')
            said = last_line(cluster, member)
            check('o space' in said and 'free space' in said, said)
        check(any(disk.struck() > 0 for disk in disks), 'no disk ran full')
        for disk in disks:
            disk.off()
        cluster.stop()
        for member in range(3):
            cluster.start(member, env=disks[member].env)
        cluster.wait_ready()
        for member in range(3):
            check_all_there(cluster, keys, member)
        check_replicas_equal(cluster)
        check(put(cluster, 'after', 'v'), 'no write after the disks have space again')


@test
def one_disk_stands_still(options):
    """Syncs that take seconds are told; the others go on, and so does it."""
    with cluster_with_a_bad_disk(options) as (cluster, disk):
        begin = len(cluster.log(VICTIM))
        disk.on('stall sync member/wal/* 1 4000')
        keys = others_serve(cluster, 'meanwhile')
        wait_for_line(cluster, VICTIM, 'slow disk', 'has not returned', begin=begin)
        wait_for_line(cluster, VICTIM, 'slow disk', 'took long', begin=begin)
        check(cluster.processes[VICTIM].poll() is None, 'a slow disk ends a member')
        cluster.wait_ready(VICTIM)
        check_all_there(cluster, keys, member=VICTIM)
        check_replicas_equal(cluster)


@test
def the_leaders_disk_stands_still(options):
    """A leader whose disk stands still hands over; writes go on elsewhere meanwhile."""
    with contextlib.closing(Cluster(options.server, 3)) as cluster:
        disks = [FaultyDisk(options, cluster, member) for member in range(3)]
        for member in range(3):
            cluster.start(member, env=disks[member].env)
        cluster.wait_ready()
        leader = leader_of(cluster)
        other = (leader + 1) % 3
        disks[leader].on('stall sync member/wal/* 1 20000')
        etcdctl(cluster.endpoint(other), '--command-timeout=1s', 'put', 'first', 'v')
        wait_for_line(cluster, leader, 'handing leadership over because of the slow disk')
        end = time.time() + 60
        while not put(cluster, 'meanwhile', 'v', other):
            check(time.time() < end, 'nobody else leads')
        check(disks[leader].struck() == 1, 'the disk of the leader has not stood still')
        cluster.wait_ready()
        check_all_there(cluster, ['meanwhile'], leader)
        check_replicas_equal(cluster)


def main():
    options = parse_options(__doc__, 'server', 'faults')
    run(options, options)


main()
