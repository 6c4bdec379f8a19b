"""What every table's measurement needs: servers, the load program, and where lines go."""
import contextlib
import os
import re
import shutil
import sys
import tempfile

from compare_lib import machine
from compare_lib.cluster import Cluster, Ports
from compare_lib.problem import Problem


class Bench:
    """Makes clusters in one folder, which close() removes; turns between the servers."""

    def __init__(self, options, binaries, program, records):
        self.options = options
        self.binaries = binaries
        self.program = program
        self.records = records
        os.makedirs(options.data, exist_ok=True)
        self.folder = tempfile.mkdtemp(prefix='servers-', dir=options.data)
        self._ports = Ports(*options.ports)

    def close(self):
        # Also what a cluster could not remove.
        shutil.rmtree(self.folder, ignore_errors=True)

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def describe(self):
        self.records.add('machine', quick=self.options.quick, **machine.describe(self.folder))
        for name, binary in self.binaries.items():
            self.records.add('server', server=name, flags=self.options.flags[name],
                             **machine.version(binary))

    def wanted(self, rows):
        return [row for row in rows if re.search(self.options.rows, row.name)]

    def repetitions(self, usual):
        return self.options.repetitions or usual

    def turns(self, repetitions):
        """Yields (repetition, server): each repetition begins with the other server."""
        names = list(self.binaries)
        for repetition in range(repetitions):
            for name in names if repetition % 2 == 0 else reversed(names):
                yield repetition, name

    @contextlib.contextmanager
    def cluster(self, name, size):
        """Members that are not started yet, and are gone afterwards whatever happens."""
        command = [self.binaries[name], *self.options.flags[name]]
        made = Cluster(name, command, size, self.folder, self._ports, self.program)
        try:
            yield made
        finally:
            made.close()

    @contextlib.contextmanager
    def filled(self, size, keys):
        """Both servers' clusters by name, running and with these keys."""
        with contextlib.ExitStack() as stack:
            clusters = {}
            for name in self.binaries:
                clusters[name] = stack.enter_context(self.cluster(name, size))
                clusters[name].launch()
                done = self.fill(clusters[name], keys)
                if done['errors']:
                    raise Problem('%s could not be filled: %s' % (name, done['first_error']))
            yield clusters

    def fill(self, cluster, keys, **job):
        return cluster.run({'kind': 'fill', 'keys': keys, 'clients': 128, 'connections': 32,
                            'limit_seconds': 3600, **job})

    def timed(self, job):
        """A job that lasts as long as the options say."""
        if job['kind'] == 'watch':
            puts = max(20, int(job['operations'] * self.options.watch_share))
            return {**job, 'operations': puts}
        return {'seconds': self.options.seconds, 'warm_up_seconds': self.options.warm_up, **job}
