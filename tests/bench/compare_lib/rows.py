"""The rows of the tables: what is asked of the servers, and what of Gavel beside etcd.

The goals are what Gavel is to reach, five times less CPU than etcd above all.
"""
import dataclasses

from compare_lib.goals import Goal

SERVERS = ('etcd', 'gavel')  # The first is what the other is compared with.
TITLES = {'etcd': 'etcd', 'gavel': 'Gavel'}
KEYS = 10000                 # in the store while the rows of the first table run
THROUGHPUT = {1: 1.8, 3: 2.5}


@dataclasses.dataclass(frozen=True)
class Row:
    """One load. `cpu` is the goal "times less CPU", `p50` that for the share of etcd's median
    latency, by the number of members."""
    name: str
    title: str
    job: dict
    cpu: dict = dataclasses.field(default_factory=dict)
    p50: dict = dataclasses.field(default_factory=dict)

    @property
    def reads(self):
        return self.job['kind'] in ('get', 'serializable-get', 'range', 'open-range')

    @property
    def events(self):
        return self.job['kind'] == 'watch'

    def goals(self, members):
        """The goals as (key of a ratio, Goal); none for a number of members that has none."""
        if members not in THROUGHPUT:
            return []
        found = []
        if members in self.cpu:
            found.append(('cpu', Goal('CPU', self.cpu[members], unit=' times less')))
        found.append(('throughput', Goal('throughput', THROUGHPUT[members], unit=' times')))
        if members in self.p50:
            found.append(('p50', Goal('median latency', self.p50[members], True, " of etcd's")))
        found.append(('p99', Goal('99th percentile', 1, True, " of etcd's")))
        return found


def both(one, three):
    return {1: one, 3: three}


def watch(watchers, puts, title, **more):
    return Row('watch-%s%d' % ('own-' if more else '', watchers), title,
               {'kind': 'watch', 'watchers': watchers, 'connections': 100, 'clients': 8,
                'operations': puts, **more}, both(3, 3))


ROWS = (
    Row('put-256', 'put, 256 clients', {'kind': 'put', 'clients': 256, 'connections': 100},
        both(4, 5)),
    Row('put-64', 'put, 64 clients', {'kind': 'put', 'clients': 64}, both(4, 5)),
    Row('put-1', 'put, 1 client', {'kind': 'put', 'clients': 1}, p50=both(0.6, 0.5)),
    Row('get-256', 'linearizable get, 256 clients',
        {'kind': 'get', 'clients': 256, 'connections': 100}, both(5, 5)),
    Row('serializable-get-256', 'serializable get, 256 clients',
        {'kind': 'serializable-get', 'clients': 256, 'connections': 100}, both(5, 5)),
    Row('cas-256', 'compare-and-swap, 256 clients',
        {'kind': 'cas', 'clients': 256, 'connections': 100}, both(5, 6)),
    Row('range-1000', 'range of 1,000 keys, 4 clients',
        {'kind': 'range', 'page_keys': 1000, 'clients': 4}, both(3, 5)),
    watch(100, 2000, '100 watchers of a key, events'),
    watch(1000, 400, '1,000 watchers of a key, events'),
    watch(10000, 50, '10,000 watchers of a key, events'),
    watch(10000, 20000, '10,000 watchers of a key each, events', own_keys=True),
    Row('lease-grant', 'lease grant, 64 clients', {'kind': 'lease-grant', 'clients': 64},
        both(5, 5)),
    Row('keep-alive', 'keep-alive of 10,000 leases, 64 clients',
        {'kind': 'keep-alive', 'leases': 10000, 'clients': 64}, both(5, 5)),
)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A row of which each repetition gives one number. `worst` is a goal for the largest."""
    name: str
    title: str
    unit: str
    goal: Goal = None
    worst: Goal = None
    ratio: Goal = None  # for etcd's median divided by Gavel's


def at_most(bound, unit, what=''):
    return Goal(what, bound, True, ' ' + unit)


GAP_MS = 50  # or the largest of a run in which nothing else went on
MILLION = (
    Figure('memory-loaded', 'resident memory after the load', 'MB', at_most(200, 'MB')),
    Figure('memory-reading', 'resident memory under read load', 'MB', at_most(250, 'MB')),
    Figure('disk', 'disk after the load, settled, without unused log', 'MB', at_most(400, 'MB')),
    Figure('restart-term', 'restart to the first put, after SIGTERM', 's', at_most(1, 's')),
    Figure('restart-kill', 'restart to the first put, after kill -9', 's', at_most(1, 's')),
    Figure('open-range', 'open range, limit 1,000, with its count, 4 clients', '/s',
           Goal('', 300, unit='/s')),
    Figure('gap-quiet', 'longest gap between puts, nothing else going on', 'ms'),
    Figure('gap-snapshot', 'longest gap between puts while a snapshot is saved', 'ms',
           at_most(GAP_MS, 'ms')),
    Figure('gap-compact', 'longest gap between puts while 100,000 revisions are compacted', 'ms',
           at_most(GAP_MS, 'ms')),
    Figure('gap-defragment', 'longest gap between puts while defragmenting', 'ms',
           at_most(GAP_MS, 'ms')),
    Figure('cpu-put', 'put on these keys, 256 clients, CPU per 1,000', 's',
           ratio=Goal('', 4, unit=' times less')),
    Figure('cpu-get', 'linearizable get on these keys, 256 clients, CPU per 1,000', 's',
           ratio=Goal('', 4, unit=' times less')),
)

CLUSTER = (
    Figure('failover', 'leader killed (kill -9) to the first write', 's',
           at_most(0.4, 's', 'median'), at_most(1, 's', 'worst')),
    Figure('start-3', 'start to the first put, empty, three members', 's', at_most(0.3, 's')),
    Figure('start-1', 'start to the first put, empty, one member', 's'),
    Figure('idle-cpu', 'idle CPU of a member, of a core', '%', at_most(0.5, '%')),
    Figure('idle-memory', 'idle resident memory of a member, the largest', 'MB',
           at_most(25, 'MB')),
)
