#!/usr/bin/env python3
"""Backups: saved from a running cluster, looked at, and restored to a new one.

  snapshot_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl
                   --gavelutl build/bin/gavelutl [-k NAME]
"""
import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading

import servers
from checks import check
from gavelctl import FakeServer, Gavelctl, clean_environment, proxy_to
from report import Report
from servers import Result, etcdctl


class Stage:
    def __init__(self, arguments):
        self.server = arguments.server
        self.gavelctl = Gavelctl(arguments.gavelctl)
        self.gavelutl_path = arguments.gavelutl

    def utl(self, *arguments):
        return Result(subprocess.run([self.gavelutl_path, *arguments], capture_output=True,
                                     stdin=subprocess.DEVNULL, env=clean_environment(),
                                     timeout=120))

    @contextlib.contextmanager
    def cluster(self, size=1, start=True):
        cluster = servers.Cluster(self.server, size)
        try:
            if start:
                cluster.start()
                cluster.wait_ready()
            yield cluster
        finally:
            cluster.close()

    def save(self, cluster, name='backup', member=0):
        """By Debian's etcdctl."""
        path = os.path.join(cluster.root, name)
        saved = etcdctl(cluster.endpoint(member), 'snapshot', 'save', path)
        check(saved.code == 0, saved.err)
        check('Snapshot saved at ' + path in saved.text(), saved.text())
        return path

    def restore(self, path, cluster, member, *more):
        initial = ','.join('m%d=http://127.0.0.1:%d' % (i, peer)
                           for i, (_, peer) in enumerate(cluster.ports))
        return self.utl('snapshot', 'restore', path, '--name=m%d' % member,
                        '--data-dir=' + cluster.data_dir(member), '--initial-cluster=' + initial,
                        '--initial-advertise-peer-urls=http://127.0.0.1:%d' %
                        cluster.ports[member][1], *more)


def fill(endpoint, leased=True):
    """Keys with history, one deleted, one on a lease; a compaction. Returns (lease, revision).

    While there are leases the state moves on by itself, with the lease clock.
    """
    for i in range(30):
        check(etcdctl(endpoint, 'put', 'key/%d' % (i % 10), 'value %d' % i).code == 0, 'put')
    check(etcdctl(endpoint, 'del', 'key/3').code == 0, 'del')
    lease = '0'
    if leased:
        granted = etcdctl(endpoint, 'lease', 'grant', '3600').text()
        lease = re.search(r'lease ([0-9a-f]+) granted', granted).group(1)
    check(etcdctl(endpoint, 'put', '--lease=' + lease, 'leased', 'x').code == 0, 'put on a lease')
    check(etcdctl(endpoint, 'compaction', '20').code == 0, 'compaction')
    status = json.loads(etcdctl(endpoint, 'endpoint', 'status', write_out='json').text())
    return lease, status[0]['Status']['header']['revision']


def all_keys(endpoint):
    result = etcdctl(endpoint, 'get', '', '--prefix', write_out='json')
    check(result.code == 0, result.err)
    return json.loads(result.text())['kvs']


def revision_of(endpoint):
    read = etcdctl(endpoint, 'get', 'none', write_out='json')
    return json.loads(read.text())['header']['revision']


def hash_of(endpoint):
    return json.loads(etcdctl(endpoint, 'endpoint', 'hashkv', write_out='json').text())[0]['HashKV']


def restore_to_three(stage):
    """What etcdctl saves from one member, gavelutl restores to three that agree on everything."""
    with stage.cluster() as old, stage.cluster(3, start=False) as new:
        lease, revision = fill(old.endpoint())
        before = all_keys(old.endpoint())
        hash_before = hash_of(old.endpoint())
        path = stage.save(old)
        old.stop()
        shown = stage.utl('snapshot', 'status', path, '-w', 'json')
        check(shown.code == 0, shown.err)
        check(json.loads(shown.text())['revision'] == revision, shown.text())
        check(json.loads(shown.text())['totalSize'] == os.path.getsize(path), shown.text())

        for member in range(3):
            restored = stage.restore(path, new, member)
            check(restored.code == 0, restored.err)
            check('revision %d' % revision in restored.text(), restored.text())
        new.start()
        new.wait_ready()
        for member in range(3):
            check(all_keys(new.endpoint(member)) == before, 'member %d has other keys' % member)
            check(hash_of(new.endpoint(member))['hash'] == hash_before['hash'], 'hashes differ')
        check(revision_of(new.endpoint()) == revision, 'another revision')
        members = etcdctl(new.endpoint(), 'member', 'list').text()
        check(len(re.findall(r'started, m[012], http://127', members)) == 3, members)

        # History is as it was, and goes on from there.
        past = etcdctl(new.endpoint(1), 'get', 'key/1', '--rev=20')
        check(past.text() == 'key/1\nvalue 11\n', past.text() + past.err)
        check('compacted' in etcdctl(new.endpoint(1), 'get', 'key/1', '--rev=19').err, 'compaction')
        check(etcdctl(new.endpoint(2), 'put', 'new', 'x').code == 0, 'put')
        check(revision_of(new.endpoint()) == revision + 1, 'the next revision')
        left = etcdctl(new.endpoint(), 'lease', 'timetolive', lease, '--keys').text()
        check(re.search(r'remaining\(3[0-9]{3}s\), attached keys\(\[leased\]\)', left), left)
        check(etcdctl(new.endpoint(1), 'lease', 'revoke', lease).code == 0, 'revoke')
        check(etcdctl(new.endpoint(2), 'get', 'leased').text() == '', 'a key without its lease')

        # And a crash takes nothing of it.
        new.stop(how=signal.SIGKILL)
        new.start()
        new.wait_ready()
        check(revision_of(new.endpoint()) == revision + 2, 'revision after a crash')


def bumped_revision(stage):
    """With a raised revision, clients of the old cluster learn that their history is gone."""
    with stage.cluster() as old, stage.cluster(start=False) as new:
        _, revision = fill(old.endpoint())
        before = all_keys(old.endpoint())
        path = stage.save(old)
        old.stop()
        for flags in (['--bump-revision=1000'], ['--mark-compacted']):
            refused = stage.restore(path, new, 0, *flags)
            check(refused.code == 128 and 'go together' in refused.err, refused.err)
        restored = stage.restore(path, new, 0, '--bump-revision=1000', '--mark-compacted')
        check(restored.code == 0, restored.err)
        for restart in range(2):
            new.start()
            new.wait_ready()
            keys = [kv for kv in all_keys(new.endpoint()) if kv['key'] != 'bmV3']  # new
            check(keys == before, 'other keys')
            check(revision_of(new.endpoint()) == revision + 1000 + restart, 'another revision')
            old_read = etcdctl(new.endpoint(), 'get', 'key/1', '--rev=%d' % revision)
            check('required revision has been compacted' in old_read.err, old_read.err)
            watch = stage.gavelctl(new.endpoint(), 'watch', 'key/1', '--rev=%d' % revision)
            check('compacted' in watch.err, watch.err)
            check(etcdctl(new.endpoint(), 'put', 'new', 'x').code == 0, 'put')
            check(new.stop() == [0], new.log())


def same_from_every_member(stage):
    """Both programs save, from any member, files with the same contents."""
    with stage.cluster(3) as cluster:
        fill(cluster.endpoint(), leased=False)
        hashes = set()
        for member in range(3):
            # After this it has applied all that was written.
            etcdctl(cluster.endpoint(member), 'get', 'key/1')
            path = stage.save(cluster, 'by-etcdctl-%d' % member, member)
            ours = os.path.join(cluster.root, 'by-gavelctl-%d' % member)
            saved = stage.gavelctl(cluster.endpoint(member), 'snapshot', 'save', ours)
            check(saved.code == 0, saved.err)
            check(saved.text() == 'Snapshot saved at %s\nServer version 3.7.0\n' % ours,
                  saved.text())
            check(os.stat(ours).st_mode & 0o777 == 0o600, 'readable by others')
            for file in (path, ours):
                with open(file, 'rb') as saved_file:
                    content = saved_file.read()
                check(len(content) % 512 == 32, 'length')
                check(hashlib.sha256(content[:-32]).digest() == content[-32:], 'digest')
                hashes.add(json.loads(stage.utl('snapshot', 'status', file, '-w', 'json').text())
                           ['hash'])
        check(len(hashes) == 1, str(hashes))
        check(not [name for name in os.listdir(cluster.root) if name.endswith('.part')], 'parts')


def under_load(stage):
    """A snapshot is of one moment, while writes go on."""
    with stage.cluster() as cluster:
        value = ''.join(random.Random(1).choices('abcdefghijklmnop', k=2000))
        stop = threading.Event()
        written = [0]

        def write():
            while not stop.is_set():
                text = '%d' % written[0]
                put = stage.gavelctl(cluster.endpoint(), 'mset', 'a', text, 'b', text,
                                     'big/%d' % written[0], value)
                check(put.code == 0, put.err)
                written[0] += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            paths = [stage.save(cluster, 'b%d' % i) for i in range(5)]
        finally:
            stop.set()
            writer.join()
        revisions = [json.loads(stage.utl('snapshot', 'status', path, '-w', 'json').text())
                     ['revision'] for path in paths]
        check(revisions == sorted(revisions), str(revisions))
        with stage.cluster(start=False) as new:
            check(stage.restore(paths[-1], new, 0).code == 0, 'restore')
            new.start()
            new.wait_ready()
            values = [etcdctl(new.endpoint(), 'get', key, '--print-value-only').text()
                      for key in 'ab']
            check(values[0] == values[1], str(values))
            check(revision_of(new.endpoint()) == revisions[-1], 'another revision')


def status_forms(stage):
    """The columns of etcd's own tool, in its forms."""
    with stage.cluster() as cluster:
        fill(cluster.endpoint(), leased=False)
        path = stage.save(cluster)
        simple = stage.utl('snapshot', 'status', path).text()
        check(re.fullmatch(r'[0-9a-f]+, 33, \d+, [0-9.]+ kB, 2\.4\n', simple), simple)
        fields = stage.utl('snapshot', 'status', path, '--write-out=fields').text()
        check(re.fullmatch(r'"Hash" : \d+\n"Revision" : 33\n"Keys" : \d+\n"Size" : \d+\n'
                           r'"Version" : "2\.4"\n', fields), fields)
        table = stage.utl('-w', 'table', 'snapshot', 'status', path).text()
        check(re.search(r'\|\s+HASH\s+\| REVISION \| TOTAL KEYS \| TOTAL SIZE \| STORAGE VERSION',
                        table), table)
        # Saved again, it is the same.
        again = stage.utl('snapshot', 'status', stage.save(cluster, 'again')).text()
        check(again.split(',')[0] == simple.split(',')[0], again)
        refused = stage.utl('-w', 'xml', 'snapshot', 'status', path)
        check(refused.code == 128 and 'simple, fields, json or table' in refused.err, refused.err)


def damaged_files(stage):
    """A file that is cut or changed is refused with its place, and leaves nothing behind."""
    with stage.cluster() as cluster, stage.cluster(start=False) as new:
        fill(cluster.endpoint())
        path = stage.save(cluster)
        with open(path, 'rb') as saved:
            content = saved.read()
        bad = os.path.join(cluster.root, 'bad')
        chance = random.Random(7)
        for variant in range(20):
            at = chance.randrange(len(content))
            damaged = bytearray(content[:at] if variant % 4 == 0 else content)
            if variant % 4:
                damaged[at] ^= 1 << chance.randrange(8)
            with open(bad, 'wb') as file:
                file.write(damaged)
            status = stage.utl('snapshot', 'status', bad)
            check(status.code == 1 and re.search(r'bad: (damaged at|cut off at) offset \d+',
                                                 status.err), status.err)
            if variant < 3:
                restored = stage.restore(bad, new, 0)
                check(restored.code == 1 and 'offset' in restored.err, restored.err)
                check(not os.path.exists(new.data_dir()), 'a data directory was made')
                refused = stage.restore(path, new, 0)
                check('an earlier restore did not finish' in refused.err, refused.err)
                subprocess.run(['rm', '-r', new.data_dir() + '.part'], check=True)
        for arguments, words in ((['snapshot', 'status', bad + '.none'], 'No such file'),
                                 (['snapshot', 'status', cluster.root], ''),
                                 (['snapshot', 'status', '/dev/null'], 'cut off at offset 0')):
            refused = stage.utl(*arguments)
            check(refused.code == 1 and words in refused.err, refused.err)


def used_directories(stage):
    """A directory that holds anything is not restored into, nor changed."""
    with stage.cluster() as cluster:
        fill(cluster.endpoint())
        path = stage.save(cluster)
        refused = stage.restore(path, cluster, 0)
        check(refused.code == 1 and 'not empty' in refused.err, refused.err)
        check(revision_of(cluster.endpoint()) == 33, 'the running member')
        unnamed = stage.utl('snapshot', 'restore', path, '--name=other',
                            '--data-dir=' + os.path.join(cluster.root, 'x'),
                            '--initial-cluster=m0=http://127.0.0.1:1')
        check(unnamed.code == 128 and 'other' in unnamed.err, unnamed.err)
        missing = stage.utl('snapshot', 'restore', path + '.none',
                            '--data-dir=' + cluster.root + '/y')
        check(missing.code == 1 and 'No such file' in missing.err, missing.err)
        check(not os.path.exists(cluster.root + '/y.part'), 'something was left behind')
        check(stage.utl('snapshot', 'restore').code == 128, 'no file')
        check(stage.utl('nonsense').code == 128, 'no such command')


def offline_hash(stage):
    """hashkv of a stopped member is what the running one answered."""
    with stage.cluster() as cluster:
        fill(cluster.endpoint())
        online = hash_of(cluster.endpoint())
        running = stage.utl('hashkv', cluster.data_dir())
        check(running.code == 1 and 'is in use' in running.err, running.err)
        check(cluster.stop() == [0], cluster.log())
        offline = json.loads(stage.utl('hashkv', cluster.data_dir(), '-w', 'json').text())
        check(offline == {'hash': online['hash'], 'hashRevision': 33,
                          'compactRevision': online['compact_revision']}, str((offline, online)))
        older = stage.utl('hashkv', cluster.data_dir(), '--rev=25')
        check(re.fullmatch(r'\d+, 25, 20\n', older.text()), older.text() + older.err)
        for revision, words in ((99, 'is not there yet'), (19, 'has been compacted')):
            refused = stage.utl('hashkv', cluster.data_dir(), '--rev=%d' % revision)
            check(refused.code == 1 and words in refused.err, refused.err)
        none = stage.utl('hashkv', cluster.root)
        check(none.code == 1 and 'no data directory' in none.err, none.err)
        # Nothing of it was changed.
        cluster.start()
        cluster.wait_ready()
        check(hash_of(cluster.endpoint())['hash'] == online['hash'], 'hash after a start')


def save_that_fails(stage):
    """gavelctl keeps no file that is not whole."""
    with stage.cluster(2, start=False) as cluster:
        path = os.path.join(cluster.root, 'backup')
        silent = stage.gavelctl(cluster.endpoint(), 'snapshot', 'save', path,
                                '--dial-timeout=200ms', '--command-timeout=2s')
        check(silent.code != 0 and os.listdir(cluster.root) == [], silent.err)
        two = stage.gavelctl(cluster.endpoints(), 'snapshot', 'save', path)
        check('snapshot must be requested to one selected node, not multiple' in two.err, two.err)
        check(stage.gavelctl(cluster.endpoint(), 'snapshot', 'save').code == 128, 'no file')
        nowhere = stage.gavelctl(cluster.endpoint(), 'snapshot', 'save', '/nowhere/at/all')
        check(nowhere.code == 6 and 'could not open /nowhere/at/all.part' in nowhere.err,
              nowhere.err)


def save_on_a_bad_way(stage):
    """What breaks off or is changed on its way from the member is told, and not kept."""
    with stage.cluster() as cluster:
        chance = random.Random(3)
        # Random bytes are not compressed, so what is marked can be found on the wire.
        value = b''.join(chance.randbytes(20000) + b'MARKED' for _ in range(60))
        put = stage.gavelctl(cluster.endpoint(), 'put', 'random', stdin=value)
        check(put.code == 0, put.err)
        path = os.path.join(cluster.root, 'backup')

        def save_through(on_answer):
            proxy = FakeServer(proxy_to(cluster.endpoint(), on_answer=on_answer))
            try:
                return stage.gavelctl(proxy.endpoint, 'snapshot', 'save', path)
            finally:
                proxy.close()

        passed = [0]

        def cut(chunk):
            passed[0] += len(chunk)
            return chunk if passed[0] < 500000 else b''

        refused = save_through(cut)
        check(refused.code == 1 and refused.err.startswith('Error: '), refused.err)
        refused = save_through(lambda chunk: chunk.replace(b'MARKED', b'BROKEN'))
        check(refused.code == 5 and 'the SHA-256 of the snapshot differs' in refused.err,
              refused.err)
        check(not [name for name in os.listdir(cluster.root) if 'backup' in name], 'something kept')
        check(save_through(lambda chunk: chunk).code == 0, 'a way that is good')
        check(stage.utl('snapshot', 'status', path).code == 0, 'what was saved')
        # Over an older one, which is not touched before.
        with open(path, 'rb') as saved:
            before = saved.read()
        check(save_through(lambda chunk: chunk.replace(b'MARKED', b'BROKEN')).code == 5, 'again')
        with open(path, 'rb') as saved:
            check(saved.read() == before, 'the older one')


SCENES = [restore_to_three, bumped_revision, same_from_every_member, under_load, status_forms,
          damaged_files, used_directories, offline_hash, save_that_fails, save_on_a_bad_way]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for program in ('server', 'gavelctl', 'gavelutl'):
        parser.add_argument('--' + program, required=True)
    parser.add_argument('-k', default='')
    arguments = parser.parse_args()
    stage = Stage(arguments)
    report = Report()
    for scene in SCENES:
        if arguments.k not in scene.__name__:
            continue
        try:
            scene(stage)
            report(scene.__name__, [])
        except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as error:
            report(scene.__name__, ['%s: %s' % (type(error).__name__, error)])
    sys.exit(1 if report.failed else 0)


if __name__ == '__main__':
    main()
