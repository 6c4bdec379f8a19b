"""Measures a store with many keys: memory, disk, restarts, pages, and what stalls writes.

One server at a time, so that the other's memory and cache are not in the way.
"""
import os
import signal

from compare_lib import machine
from compare_lib.rows import MILLION

REPETITIONS = 2
REVISIONS = 100000  # to be compacted
CLIENTS = {'clients': 256, 'connections': 100}
RESTARTS = (('restart-term', signal.SIGTERM), ('restart-kill', signal.SIGKILL))


def measure(bench):
    wanted = {row.name for row in bench.wanted(MILLION)}
    if not wanted:
        return
    for repetition, name in bench.turns(bench.repetitions(REPETITIONS)):
        with bench.cluster(name, 1) as cluster:
            Store(bench, cluster, repetition, wanted).measure()


class Store:
    """One server's turn."""

    def __init__(self, bench, cluster, repetition, wanted):
        self._bench = bench
        self._cluster = cluster
        self._repetition = repetition
        self._wanted = wanted
        self._keys = bench.options.keys
        self._memory_reading = []

    def measure(self):
        self._load()
        if 'cpu-put' in self._wanted:
            self._run('cpu-put', 'server_cpu_s_per_1k', {'kind': 'put', **CLIENTS})
        if self._wanted & {'cpu-get', 'memory-reading'}:
            self._cluster.restart()
            self._run('cpu-get', 'server_cpu_s_per_1k', {'kind': 'get', **CLIENTS})
        if self._wanted & {'open-range', 'memory-reading'}:
            self._cluster.restart()
            self._run('open-range', 'per_second',
                      {'kind': 'open-range', 'page_keys': 1000, 'clients': 4})
        if self._memory_reading:
            self._keep('memory-reading', max(self._memory_reading))
        for row, how in RESTARTS:
            if row in self._wanted:
                self._cluster.stop(how=how)
                seconds = self._cluster.timed_start()
                self._keep(row, seconds, other_cores=self._cluster.other_cores)
        if any(row.startswith('gap-') for row in self._wanted):
            self._gaps()

    def _keep(self, row, figure, **more):
        if row not in self._wanted:
            return
        self._bench.records.add('million', row=row, members=1, server=self._cluster.name,
                                repetition=self._repetition, keys=self._keys, figure=figure,
                                **more)
        self._bench.say('  %s %s: %.4g' % (self._cluster.name, row, figure))

    def _run(self, row, field, job):
        job = self._bench.timed({'keys': self._keys, **job})
        result = self._cluster.run(job)
        if job['kind'] != 'put':
            self._memory_reading.append(result['server_rss_mb'])
        self._keep(row, result[field], result=result, other_cores=result['other_cores'])

    def _load(self):
        self._bench.say('%s: %d keys' % (self._cluster.name, self._keys))
        self._cluster.launch()
        result = self._bench.fill(self._cluster, self._keys, clients=1000, connections=100)
        disk = machine.settled_disk_mb(self._cluster, *self._bench.options.settle)
        self._keep('memory-loaded', sum(self._cluster.memory_mb()), result=result)
        self._keep('disk', disk)

    def _gaps(self):
        """How long puts wait while something large goes on, and while nothing does."""
        revisions = min(REVISIONS, self._keys)
        self._cluster.run({'kind': 'put', 'keys': self._keys, 'operations': revisions,
                           'limit_seconds': 3600, **CLIENTS})
        quiet = self._bench.options.quiet
        for row, action in (('gap-quiet', 'wait'), ('gap-snapshot', 'snapshot'),
                            ('gap-compact', 'compact'), ('gap-defragment', 'defragment')):
            if row not in self._wanted and row != 'gap-quiet':
                continue
            result = self._cluster.run({
                'kind': 'gaps', 'action': action, 'seconds': quiet, 'quiet_seconds': quiet / 2,
                'after_seconds': quiet / 2, 'limit_seconds': 600,
                'file': os.path.join(self._cluster.folder, 'saved')})
            self._keep(row, result['gaps']['during_ms'], result=result,
                       other_cores=result['other_cores'])
