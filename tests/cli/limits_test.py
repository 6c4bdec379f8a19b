#!/usr/bin/env python3
"""What clients can use up: at its limits a member refuses, says so, and goes on.

  limits_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl [-k NAME]
"""
import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.request

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
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard)))
        cluster.wait_ready()
        limits = open('/proc/%d/limits' % cluster.processes[0].pid).read()
        line = [line for line in limits.splitlines() if line.startswith('Max open files')][0]
        check(line.split()[3] == line.split()[4], line)


@test
def largest_request(options):
    """What --max-request-bytes can be set to is logged, and reaches all members."""
    extra = ['--max-request-bytes=67108864', '--request-timeout=60s', '--heartbeat-interval=500',
             '--election-timeout=5000']
    with contextlib.closing(Cluster(options.server, 3, extra=extra)) as cluster:
        cluster.start()
        cluster.wait_ready()
        done = subprocess.run(
            [options.gavelctl, '--endpoints', cluster.endpoints(), '--command-timeout=60s', 'put',
             'large'], input=b'x' * (63 << 20), capture_output=True, timeout=120)
        check(done.returncode == 0, done.stderr.decode() + cluster.log()[-1000:])
        for member in range(3):
            check(eventually(lambda: etcdctl(cluster.endpoint(member), 'get', 'large',
                                             '--consistency=s', '--keys-only').text() != ''),
                  'member %d does not have it:\n%s' % (member, cluster.log(member)[-1000:]))
        check(cluster.stop() == [0, 0, 0], 'a member did not leave cleanly')


def refused(options, *flags):
    done = subprocess.run([options.server, '--data-dir=/nonexistent/d', *flags],
                          capture_output=True, text=True, timeout=30)
    check(done.returncode == 1, '%s was accepted' % (flags,))
    return done.stderr


@test
def bounds_of_requests(options):
    check('between 1024 and 67108864' in refused(options, '--max-request-bytes=67108865'),
          'the bound is not named')
    for flag in ('--pending-bytes-max', '--held-bytes-max'):
        said = refused(options, '--max-request-bytes=33554432', flag + '=2097152')
        check(flag in said and '--max-request-bytes' in said, said)


@test
def stop_during_the_start(options):
    """A member that waits for its disk at the start leaves when it is told to."""
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start()
        cluster.wait_ready()
        check(etcdctl(cluster.endpoint(), 'put', 'k', 'v').code == 0, 'a put failed')
        check(cluster.stop() == [0], 'it did not leave cleanly')
        # Reading it waits for a writer that never comes.
        current = cluster.data_dir() + '/member/state/CURRENT'
        os.rename(current, current + '.kept')
        os.mkfifo(current)
        before = len(cluster.log())
        cluster.start()
        check(eventually(lambda: '"starting"' in cluster.log()[before:]), 'it does not start')
        time.sleep(0.5)  # Or it might not wait yet; it must leave all the same.
        cluster.processes[0].send_signal(signal.SIGTERM)
        check(cluster.wait_exit() == 0, 'it did not leave cleanly:\n' + cluster.log()[before:])
        os.rename(current + '.kept', current)
        cluster.start()
        cluster.wait_ready()
        check(get(cluster, 'k') == 'v', 'the key is gone')


def health(port, query=''):
    """The code and the body of /health."""
    try:
        with urllib.request.urlopen('http://127.0.0.1:%d/health%s' % (port, query),
                                    timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@test
def health_without_a_quorum(options):
    """A member alone of three is unhealthy, but for who asks only for what it has."""
    with contextlib.closing(Cluster(options.server, 3)) as cluster:
        metrics = free_port()
        cluster.extra = ['--listen-metrics-urls=http://127.0.0.1:%d' % metrics]
        cluster.start(0)
        cluster.extra = []
        cluster.start(1, 2)
        cluster.wait_ready()
        check(health(metrics) == (200, '{"health":"true","reason":""}'), str(health(metrics)))
        cluster.stop(1, 2, how=signal.SIGKILL)
        check(eventually(lambda: 'RAFT NO LEADER' in health(metrics)[1]), str(health(metrics)))
        check(health(metrics, '?serializable=true')[0] == 200, 'what it has is not read')


def main():
    options = parse_options(__doc__, 'server', 'gavelctl')
    run(options, options)


main()
