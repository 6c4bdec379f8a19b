"""Measures how the cost of an operation changes with one thing, the others being equal."""
import dataclasses

from compare_lib.rows import KEYS

REPETITIONS = 2
CLIENTS = {'clients': 64}


@dataclasses.dataclass(frozen=True)
class Curve:
    """`points` of one thing; `job_of` gives the load at one of them."""
    name: str
    title: str
    points: tuple
    job_of: object
    cluster_of: object = None  # point -> (members, keys), if each point has a cluster of its own


def connections(clients):
    return {'clients': clients, 'connections': min(clients, 100)}


CURVES = (
    Curve('clients-put', 'put, clients', (1, 4, 16, 64, 256, 1000),
          lambda point: {'kind': 'put', **connections(point)}),
    Curve('clients-get', 'linearizable get, clients', (1, 4, 16, 64, 256, 1000),
          lambda point: {'kind': 'get', **connections(point)}),
    Curve('value-put', 'put, bytes of a value', (16, 256, 4096, 65536, 1048576),
          lambda point: {'kind': 'put', 'value_bytes': point, 'keys': 1000, 'clients': 16}),
    Curve('watchers', 'events to watchers of a key, watchers', (1, 10, 100, 1000, 10000),
          lambda point: {'kind': 'watch', 'watchers': point, 'connections': 100, 'clients': 8,
                         'operations': max(50, min(5000, 500000 // point))}),
    Curve('keys-put', 'put, keys in the store', (10000, 100000, 1000000),
          lambda point: {'kind': 'put', 'keys': point, **CLIENTS}, lambda point: (1, point)),
    Curve('keys-get', 'linearizable get, keys in the store', (10000, 100000, 1000000),
          lambda point: {'kind': 'get', 'keys': point, **CLIENTS}, lambda point: (1, point)),
    Curve('keys-page', 'page of 500 of an open range with its count, keys in the store',
          (10000, 100000, 1000000),
          lambda point: {'kind': 'open-range', 'keys': point, 'page_keys': 500, 'clients': 4},
          lambda point: (1, point)),
    Curve('members-put', 'put, members', (1, 3, 5),
          lambda point: {'kind': 'put', **CLIENTS}, lambda point: (point, KEYS)),
    Curve('members-get', 'linearizable get, members', (1, 3, 5),
          lambda point: {'kind': 'get', **CLIENTS}, lambda point: (point, KEYS)),
)


def measure(bench):
    curves = bench.wanted(CURVES)
    shared = [curve for curve in curves if curve.cluster_of is None]
    if shared:
        with bench.filled(1, KEYS) as clusters:
            for curve in shared:
                for point in curve.points:
                    measure_point(bench, clusters, curve, point, 1)
    # One filling serves all curves that have a point at it.
    own = {}
    for curve in curves:
        for point in curve.points if curve.cluster_of else ():
            own.setdefault(curve.cluster_of(point), []).append((curve, point))
    for (members, keys), measured in sorted(own.items(), key=lambda item: item[0]):
        if keys > bench.options.keys:
            continue
        with bench.filled(members, keys) as clusters:
            for curve, point in measured:
                measure_point(bench, clusters, curve, point, members, keys)


def measure_point(bench, clusters, curve, point, members, keys=KEYS):
    job = bench.timed({'keys': keys, **curve.job_of(point)})
    job['keys'] = min(job['keys'], keys)
    if job['kind'] in ('get', 'open-range'):
        for cluster in clusters.values():
            cluster.restart()
    for repetition, name in bench.turns(bench.repetitions(REPETITIONS)):
        result = clusters[name].run(job)
        bench.records.add('curves', row=curve.name, point=point, members=members, server=name,
                          repetition=repetition, result=result,
                          other_cores=result['other_cores'])
    bench.say('  %s at %d' % (curve.name, point))
