"""Measures what no load is needed for: failover, start, and members with nothing to do."""
import contextlib
import time

from compare_lib import machine
from compare_lib.problem import Problem
from compare_lib.rows import CLUSTER

IDLE_REPETITIONS = 2
MEMBERS = 3


def measure(bench):
    wanted = {row.name for row in bench.wanted(CLUSTER)}
    if 'failover' in wanted:
        failovers(bench)
    for size in (3, 1):
        if 'start-%d' % size in wanted:
            starts(bench, size)
    if wanted & {'idle-cpu', 'idle-memory'}:
        idle(bench)


def keep(bench, row, members, name, repetition, figure, **more):
    bench.records.add('cluster', row=row, members=members, server=name, repetition=repetition,
                      figure=figure, **more)
    bench.say('  %s %s: %.4g' % (name, row, figure))


def failovers(bench):
    """Seconds from kill -9 of the leader to the first success of a put begun after it."""
    with contextlib.ExitStack() as stack:
        clusters = {name: stack.enter_context(bench.cluster(name, MEMBERS))
                    for name in bench.binaries}
        for cluster in clusters.values():
            cluster.launch()
        for repetition, name in bench.turns(bench.options.failovers):
            cluster = clusters[name]
            leader = cluster.leader()
            result = cluster.run(
                {'kind': 'gaps', 'action': 'kill', 'kill_pid': cluster.pid(leader),
                 'quiet_seconds': bench.options.quiet / 5}, without=leader)
            if not result['gaps']['recovered']:
                raise Problem('%s took no put for half a minute after its leader was killed'
                              % name)
            keep(bench, 'failover', MEMBERS, name, repetition,
                 result['gaps']['recovery_ms'] / 1000, other_cores=result['other_cores'])
            cluster.stop(leader)
            cluster.start(leader)


def starts(bench, size):
    for repetition, name in bench.turns(bench.options.starts):
        with bench.cluster(name, size) as cluster:
            seconds = cluster.launch()
            keep(bench, 'start-%d' % size, size, name, repetition, seconds,
                 other_cores=cluster.other_cores)


def idle(bench):
    """CPU in percent of a core, the mean of the members; memory of the largest."""
    span = bench.options.idle_seconds
    for repetition, name in bench.turns(bench.repetitions(IDLE_REPETITIONS)):
        with bench.cluster(name, MEMBERS) as cluster:
            cluster.launch()
            cluster.leader()
            time.sleep(span / 2)
            others = machine.Others(lambda: sum(cluster.cpu_seconds()))
            before, since = sum(cluster.cpu_seconds()), time.monotonic()
            time.sleep(span)
            spent = sum(cluster.cpu_seconds()) - before
            percent = 100 * spent / (time.monotonic() - since) / MEMBERS
            used = others.cores()
            keep(bench, 'idle-cpu', MEMBERS, name, repetition, percent, other_cores=used)
            keep(bench, 'idle-memory', MEMBERS, name, repetition, max(cluster.memory_mb()))
