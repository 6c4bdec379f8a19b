#!/usr/bin/env python3
"""Keeping a cluster well: moving the leadership, defragmenting, compacting by itself.

  maintenance_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl [-k NAME]

Debian's etcdctl and gavelctl do the same things to clusters of real members.
"""
import argparse
import contextlib
import sys

import servers
from checks import check, wait
from gavelctl import Gavelctl
from report import Report
from servers import etcdctl


class Stage:
    def __init__(self, arguments):
        self.server = arguments.server
        self.gavelctl = Gavelctl(arguments.gavelctl)

    @contextlib.contextmanager
    def cluster(self, size=1, extra=()):
        cluster = servers.Cluster(self.server, size, extra)
        try:
            cluster.start()
            cluster.wait_ready()
            yield cluster
        finally:
            cluster.close()


def roles(cluster):
    """(id of the leader, ids of the others), as the members themselves say."""
    rows = [row.split(', ')
            for row in etcdctl(cluster.endpoints(), 'endpoint', 'status').text().splitlines()]
    leaders = [row[1] for row in rows if row[4] == 'true']
    check(len(rows) == 3 and len(leaders) == 1, rows)
    return leaders[0], [row[1] for row in rows if row[4] != 'true']


def leadership_moves_to_whom_it_is_told(stage):
    with stage.cluster(3) as cluster:
        for tool in (etcdctl, stage.gavelctl) * 3:
            leader, others = roles(cluster)
            moved = tool(cluster.endpoints(), 'move-leader', others[0])
            check(moved.code == 0, moved.err)
            check(moved.text() == 'Leadership transferred from %s to %s\n' % (leader, others[0]),
                  moved.text())
            check(roles(cluster)[0] == others[0], 'somebody else leads')
            check(tool(cluster.endpoints(), 'put', 'k', 'v').code == 0, 'no put')
        leader, others = roles(cluster)
        for tool in (etcdctl, stage.gavelctl):
            moved = tool(cluster.endpoints(), 'move-leader', leader)
            check(moved.code == 0, moved.err)
            moved = tool(cluster.endpoints(), 'move-leader', '1234')
            check(moved.code == 1 and 'etcdserver: bad leader transferee' in moved.err, moved.err)
        check(roles(cluster)[0] == leader, 'somebody else leads')


def only_the_leader_hands_over(stage):
    with stage.cluster(3) as cluster:
        leader, others = roles(cluster)
        followers = [endpoint for endpoint in cluster.endpoints().split(',')
                     if leader not in etcdctl(endpoint, 'endpoint', 'status').text()]
        check(len(followers) == 2, followers)
        for tool in (etcdctl, stage.gavelctl):
            moved = tool(','.join(followers), 'move-leader', others[0])
            check(moved.code == 128, moved.err)
            check('no leader endpoint given at [%s]' % ' '.join(followers) in moved.err, moved.err)


def defragmentation_needs_nobody_to_wait(stage):
    with stage.cluster(3) as cluster:
        for i in range(50):
            check(etcdctl(cluster.endpoint(), 'put', 'k%d' % (i % 5), 'v' * 1000).code == 0, i)
        for tool in (etcdctl, stage.gavelctl):
            for arguments in (['defrag'], ['defrag', '--cluster']):
                done = tool(cluster.endpoints(), *arguments)
                check(done.code == 0, done.err)
                for member in range(3):
                    check('Finished defragmenting etcd member[%s%s]' % (
                        'http://' if '--cluster' in arguments else '',
                        cluster.endpoint(member)) in done.text(), done.text())
        check(etcdctl(cluster.endpoint(), 'get', '', '--prefix', '--keys-only').text().split() ==
              ['k%d' % i for i in range(5)], 'keys are missing')
        cluster.stop(2)
        done = stage.gavelctl(cluster.endpoints(), 'defrag')
        check(done.code == 1 and '1 of 3 endpoints did not defragment' in done.err, done.err)
        check(done.text().count('Finished') == 2, done.text())


def history_is_compacted_by_itself(stage):
    with stage.cluster(3, ['--auto-compaction-retention=2s']) as cluster:
        endpoints = cluster.endpoints()
        for i in range(5):
            check(etcdctl(endpoints, 'put', 'k', str(i)).code == 0, i)

        def compacted():
            old = etcdctl(endpoints, 'get', 'k', '--rev=5')
            return old.code == 1 and 'required revision has been compacted' in old.err

        wait(compacted, 'the history is still there')
        check(etcdctl(endpoints, 'get', 'k', '--print-value-only').text() == '4\n', 'k is gone')
        check(any('compacted by itself' in cluster.log(member) for member in range(3)), 'not told')


TESTS = [leadership_moves_to_whom_it_is_told, only_the_leader_hands_over,
         defragmentation_needs_nobody_to_wait, history_is_compacted_by_itself]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--server', required=True)
    parser.add_argument('--gavelctl', required=True)
    parser.add_argument('-k', default='', help='only tests whose name contains this')
    options = parser.parse_args()
    stage = Stage(options)
    report = Report()
    for test in TESTS:
        if options.k in test.__name__:
            try:
                test(stage)
                report(test.__name__, [])
            except AssertionError as failure:
                report(test.__name__, [str(failure)])
    sys.exit(1 if report.failed else 0)


main()
