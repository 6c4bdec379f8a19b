#!/usr/bin/env python3
"""What clients can use up: at its limits a member refuses, says so, and goes on.

  limits_test.py --server build/bin/gaveld [-k NAME]
"""
import contextlib
import resource
import socket
import time

from checks import check, parse_options, run, test
from raw_grpc import Connection
from servers import Cluster, etcdctl, free_port


def may_open(count):
    """For a process that is about to start: so many descriptors and no more."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def connect_many(port, count):
    """So many connections that ask for nothing."""
    connections = []
    for _ in range(count):
        connections.append(socket.create_connection(('127.0.0.1', port), timeout=10))
    return connections


def eventually(condition, seconds=20):
    end = time.time() + seconds
    while not condition():
        if time.time() > end:
            return False
        time.sleep(0.1)
    return True


def get(cluster, key):
    return etcdctl(cluster.endpoint(), 'get', key, '--print-value-only').text().strip()


@test
def few_descriptors(options):
    """Clients cannot take the descriptors that the log and the state need."""
    # Small buffers, so that files are opened all the time.
    extra = ['--write-buffer-bytes=1048576']
    with contextlib.closing(Cluster(options.server, extra=extra)) as cluster:
        cluster.start(preexec=may_open(256))
        cluster.wait_ready()
        with contextlib.closing(Connection(cluster.ports[0][0])) as writer:
            check(writer.put(b'first', b'v'), 'a put failed')
            idle = connect_many(cluster.ports[0][0], 400)
            # More than two segments of the log, and many buffers.
            for number in range(600):
                check(writer.put(b'key%d' % (number % 7), b'x' * 60000),
                      'put %d failed:\n%s' % (number, cluster.log()[-2000:]))
        log = cluster.log()
        check('connections-max' in log and 'a client met a limit' in log, log[-2000:])
        for connection in idle:
            connection.close()
        check(eventually(lambda: get(cluster, 'first') == 'v'),
              'no connection is taken after the others are gone:\n' + cluster.log()[-2000:])
        check(cluster.stop() == [0], 'it did not leave cleanly')


@test
def too_few_descriptors(options):
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start(preexec=may_open(100))
        check(cluster.wait_exit() == 1, 'it started')
        last = cluster.log().splitlines()[-1]
        check('only 100 files' in last and 'ulimit -n' in last, last)


@test
def soft_limit(options):
    """A limit that the process may raise is raised."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    metrics = free_port()
    with contextlib.closing(Cluster(
            options.server, extra=['--listen-metrics-urls=http://127.0.0.1:%d' % metrics])) as cluster:
        cluster.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard)))
        cluster.wait_ready()
        limits = open('/proc/%d/limits' % cluster.processes[0].pid).read()
        line = [line for line in limits.splitlines() if line.startswith('Max open files')][0]
        check(line.split()[3] == line.split()[4], line)


def main():
    options = parse_options(__doc__, 'server')
    run(options, options)


main()
