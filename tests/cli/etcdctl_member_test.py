#!/usr/bin/env python3
"""Members come and go, as Debian's etcdctl asks for it.

  etcdctl_member_test.py --server build/bin/gaveld [-k NAME]
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import threading
import time

import servers
from checks import check, wait
from report import Report
from servers import etcdctl


class Growing(servers.Cluster):
    """A cluster to which members are added: they start as etcdctl says."""

    def __init__(self, binary, size):
        super().__init__(binary, size)
        self.founders = size
        self.initial = {}

    def arguments(self, member=0):
        ports, self.ports = self.ports, self.ports[:self.founders]
        try:
            if member < self.founders:
                return super().arguments(member)
            self.ports = ports
            line = [argument for argument in super().arguments(member)
                    if not argument.startswith('--initial-cluster=')]
        finally:
            self.ports = ports
        return line + ['--initial-cluster=' + self.initial[member],
                       '--initial-cluster-state=existing']

    def peer(self, member):
        return 'http://127.0.0.1:%d' % self.ports[member][1]

    def reserve(self):
        """The number of a member that may be added."""
        self.ports.append((servers.free_port(), servers.free_port()))
        self.processes.append(None)
        return len(self.ports) - 1

    def add(self, *flags, via=0):
        """Adds a member; its number and id."""
        member = self.reserve()
        line = ['member', 'add', 'm%d' % member, '--peer-urls=' + self.peer(member), *flags]
        added = etcdctl(self.endpoint(via), *line)
        end = time.time() + 60
        # Where a member has come or gone just now, connections have not stood for long enough.
        while 'unhealthy cluster' in added.err and time.time() < end:
            time.sleep(0.1)
            added = etcdctl(self.endpoint(via), *line)
        check(added.code == 0, added.err)
        said = re.fullmatch(r'Member +([0-9a-f]+) added to cluster +[0-9a-f]+\n\n'
                            r'ETCD_NAME="m%d"\nETCD_INITIAL_CLUSTER="([^"]+)"\n'
                            r'ETCD_INITIAL_ADVERTISE_PEER_URLS="%s"\n'
                            r'ETCD_INITIAL_CLUSTER_STATE="existing"\n' % (
                                member, self.peer(member)), added.text())
        check(said is not None, added.text())
        self.initial[member] = said.group(2)
        return member, said.group(1)

    def members(self, via=0):
        """Rows of `member list` by name; those that have not started have none."""
        rows = [row.split(', ')
                for row in etcdctl(self.endpoint(via), 'member', 'list').text().splitlines()]
        return {row[2]: row for row in rows}

    def votes(self, member, via=0):
        row = self.members(via).get('m%d' % member)
        return row is not None and row[5] == 'false'


class Stage:
    def __init__(self, arguments):
        self.server = arguments.server

    @contextlib.contextmanager
    def cluster(self, size=3):
        cluster = Growing(self.server, size)
        try:
            cluster.start()
            cluster.wait_ready()
            # Connections must have stood for an election timeout before members may change.
            wait(lambda: 'unhealthy' not in etcdctl(
                cluster.endpoint(), 'member', 'add', 'x', '--peer-urls=' + cluster.peer(0)).err,
                 'the cluster is unhealthy')
            yield cluster
        finally:
            cluster.close()


def refused(result, text):
    check(result.code != 0 and text in result.err, '%s: %s' % (text, result.err))


def a_member_joins_and_votes(stage):
    with stage.cluster() as cluster:
        for i in range(100):
            check(etcdctl(cluster.endpoint(), 'put', 'k%d' % i, 'v').code == 0, 'put')
        member, _ = cluster.add()
        row = cluster.members()['']
        check(row[1] == 'unstarted', row)
        cluster.start(member)
        cluster.wait_ready(member)
        wait(lambda: cluster.votes(member), 'it does not vote')
        check(etcdctl(cluster.endpoint(member), 'get', 'k99').text() == 'k99\nv\n', 'get')
        check(etcdctl(cluster.endpoint(member), 'put', 'by', 'new').code == 0, 'put')
        # It keeps its identity, with the same arguments.
        check(cluster.stop(member) == [0], 'its stop')
        cluster.start(member)
        cluster.wait_ready(member)
        check(etcdctl(cluster.endpoint(member), 'get', 'by').text() == 'by\nnew\n', 'get')
        # Two of the four are gone: no quorum, so it counts.
        cluster.stop(1, 2)
        check(etcdctl(cluster.endpoint(member), '--command-timeout=2s', 'put', 'a', 'b').code != 0,
              'two of four are no quorum')


def a_learner_is_promoted(stage):
    with stage.cluster() as cluster:
        member, identity = cluster.add('--learner')
        refused(etcdctl(cluster.endpoint(), 'member', 'promote', identity),
                'can only promote a learner member which is in sync with leader')
        other = cluster.reserve()
        refused(etcdctl(cluster.endpoint(), 'member', 'add', 'y', '--learner',
                        '--peer-urls=' + cluster.peer(other)),
                'too many learner members in cluster')
        cluster.start(member)
        wait(lambda: 'm%d' % member in cluster.members(), 'it does not say its name')
        check(cluster.members()['m%d' % member][5] == 'true', 'it is a learner')
        serializable = etcdctl(cluster.endpoint(member), 'get', '--consistency=s', 'ready')
        check(serializable.code == 0, serializable.err)
        refused(etcdctl(cluster.endpoint(member), 'put', 'a', 'b'),
                'rpc not supported for learner')
        wait(lambda: etcdctl(cluster.endpoint(), 'member', 'promote', identity).code == 0,
             'it cannot be promoted')
        check(cluster.votes(member), 'it votes')
        refused(etcdctl(cluster.endpoint(), 'member', 'promote', identity),
                'can only promote a learner member')


def a_removed_member_stops(stage):
    with stage.cluster() as cluster:
        identity = cluster.members()['m2'][0]
        removed = etcdctl(cluster.endpoint(), 'member', 'remove', identity)
        check(re.fullmatch('Member +%s removed from cluster +[0-9a-f]+\n' % identity,
                           removed.text()), removed.text() + removed.err)
        check('m2' not in cluster.members(), 'it is listed')
        check(cluster.wait_exit(2) == 4, 'its exit code')
        check('this member was removed from the cluster and stops' in cluster.log(2),
              cluster.log(2)[-2000:])
        cluster.start(2)
        check(cluster.wait_exit(2) == 4, 'its exit code when it is started again')
        check('was removed from the cluster: its data directory is of no more use'
              in cluster.log(2), cluster.log(2)[-2000:])
        refused(etcdctl(cluster.endpoint(), 'member', 'remove', identity), 'member not found')
        check(etcdctl(cluster.endpoint(), 'put', 'a', 'b').code == 0, 'two go on')


def who_was_away_is_told(stage):
    with stage.cluster() as cluster:
        identity = cluster.members()['m2'][0]
        cluster.stop(2)
        check(etcdctl(cluster.endpoint(), 'member', 'remove', identity).code == 0, 'remove')
        cluster.start(2)
        check(cluster.wait_exit(2) == 4, 'its exit code')


def every_member_is_asked_to_remove_itself(stage):
    with stage.cluster() as cluster:
        status = json.loads(etcdctl(cluster.endpoint(), 'endpoint', 'status',
                                    write_out='json').text())
        leader = '%x' % status[0]['Status']['leader']
        name = next(row[2] for row in cluster.members().values() if row[0] == leader)
        number = int(name[1:])
        removed = etcdctl(cluster.endpoint(number), 'member', 'remove', leader)
        check(removed.code == 0, removed.err)
        check(cluster.wait_exit(number) == 4, 'its exit code')
        left = [m for m in range(3) if m != number][0]
        cluster.wait_ready(left)


def peer_urls_are_changed(stage):
    with stage.cluster() as cluster:
        identity = cluster.members()['m2'][0]
        moved = servers.free_port()
        refused(etcdctl(cluster.endpoint(), 'member', 'update', identity,
                        '--peer-urls=' + cluster.peer(1)), 'Peer URLs already exists')
        refused(etcdctl(cluster.endpoint(), 'member', 'update', '1234',
                        '--peer-urls=http://127.0.0.1:1'), 'member not found')
        check(etcdctl(cluster.endpoint(), 'member', 'update', identity,
                      '--peer-urls=http://127.0.0.1:%d' % moved).code == 0, 'update')
        check(cluster.members()['m2'][3] == 'http://127.0.0.1:%d' % moved, cluster.members())
        cluster.stop(2)
        cluster.ports[2] = (cluster.ports[2][0], moved)
        cluster.start(2)
        check(cluster.wait_exit(2) == 1, 'its flags name other founders than its directory')
        check('--initial-cluster-state=existing' in cluster.log(2), cluster.log(2)[-2000:])
        cluster.extra = ['--initial-cluster-state=existing']
        cluster.start(2)
        cluster.wait_ready(2)
        check(etcdctl(cluster.endpoint(2), 'put', 'a', 'b').code == 0, 'put')


def an_emptied_disk_is_refused(stage):
    with stage.cluster() as cluster:
        cluster.stop(2)
        shutil.rmtree(cluster.data_dir(2))
        cluster.start(2)
        check(cluster.wait_exit(2) == 1, 'its exit code')
        identity = cluster.members()['m2'][0]
        check('gavelctl member replace %s m2' % identity in cluster.log(2),
              cluster.log(2)[-2000:])


def who_does_not_belong_is_refused(stage):
    with stage.cluster() as cluster:
        member = cluster.reserve()
        cluster.initial[member] = ','.join(
            'm%d=%s' % (m, cluster.peer(m)) for m in range(member + 1))
        cluster.start(member)
        check(cluster.wait_exit(member) == 1, 'its exit code')
        check('no member of the cluster has the peer URLs' in cluster.log(member),
              cluster.log(member)[-2000:])
        check(not os.path.exists(os.path.join(cluster.data_dir(member), 'member', 'identity')),
              'nothing is laid out')
        refused(etcdctl(cluster.endpoint(), 'member', 'add', 'x',
                        '--peer-urls=' + cluster.peer(0)), 'Peer URLs already exists')
        cluster.stop(1)
        wait(lambda: 'unhealthy cluster' in etcdctl(
            cluster.endpoint(), 'member', 'add', 'x', '--peer-urls=' + cluster.peer(member)).err,
             'adding to three of which one is down')
        cluster.start(1)
        cluster.wait_ready(1)


def one_grows_to_three(stage):
    with stage.cluster(1) as cluster:
        for _ in range(2):
            member, _ = cluster.add()
            cluster.start(member)
            cluster.wait_ready(member)
            wait(lambda: cluster.votes(member), 'it does not vote')
        cluster.stop(0)
        cluster.wait_ready(1, 2)


class Writer(threading.Thread):
    """Puts keys through whoever answers; knows which were acknowledged."""

    def __init__(self, cluster):
        super().__init__()
        self.cluster = cluster
        self.acknowledged = []
        self.over = threading.Event()

    def run(self):
        number = 0
        while not self.over.is_set():
            number += 1
            endpoints = ','.join(self.cluster.endpoint(m)
                                 for m, process in enumerate(list(self.cluster.processes))
                                 if process is not None and process.poll() is None)
            if etcdctl(endpoints, '--command-timeout=5s', 'put', 'w%06d' % number, 'v').code == 0:
                self.acknowledged.append('w%06d' % number)


def all_are_replaced_under_load_and_kills(stage):
    with stage.cluster() as cluster:
        writer = Writer(cluster)
        writer.start()
        try:
            for old in range(3):
                via = old + 1
                identity = cluster.members(via)['m%d' % old][0]
                member, _ = cluster.add(via=via)
                cluster.start(member)
                wait(lambda: cluster.votes(member, via), 'it does not vote')
                cluster.stop(member, how=signal.SIGKILL)
                cluster.start(member)
                cluster.wait_ready(member)
                # The member that is asked must have been connected to it for a while again.
                wait(lambda: etcdctl(cluster.endpoint(via), 'member', 'remove',
                                     identity).code == 0, 'it cannot be removed')
                check(cluster.wait_exit(old) == 4, 'exit code of m%d' % old)
        finally:
            writer.over.set()
            writer.join()
        check(len(writer.acknowledged) > 20, 'only %d writes' % len(writer.acknowledged))
        for member in range(3, 6):
            cluster.wait_ready(member)
            kept = set(etcdctl(cluster.endpoint(member), 'get', 'w', '--prefix',
                               '--keys-only').text().split())
            lost = [key for key in writer.acknowledged if key not in kept]
            check(not lost, 'm%d has lost %s' % (member, lost[:10]))


TESTS = [a_member_joins_and_votes, a_learner_is_promoted, a_removed_member_stops,
         who_was_away_is_told, every_member_is_asked_to_remove_itself, peer_urls_are_changed,
         an_emptied_disk_is_refused, who_does_not_belong_is_refused, one_grows_to_three,
         all_are_replaced_under_load_and_kills]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--server', required=True)
    parser.add_argument('-k', help='only tests with this in their name')
    arguments = parser.parse_args()
    stage = Stage(arguments)
    report = Report()
    for test in TESTS:
        name = test.__name__.replace('_', ' ')
        if arguments.k and arguments.k not in name:
            continue
        try:
            test(stage)
            report(name, [])
        except AssertionError as error:
            report(name, [str(error)])
    return 1 if report.failed else 0


if __name__ == '__main__':
    sys.exit(main())
