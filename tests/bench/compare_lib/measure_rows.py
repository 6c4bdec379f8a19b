"""Measures the table of rows: one load after the other, each on both servers in turns."""
from compare_lib.rows import KEYS, ROWS

REPETITIONS = 5


def measure(bench):
    rows = bench.wanted(ROWS)
    if not rows:
        return
    for members in bench.options.members:
        bench.say('%d member%s' % (members, 's' if members > 1 else ''))
        with bench.filled(members, KEYS) as clusters:
            for row in rows:
                measure_row(bench, clusters, row, members)


def measure_row(bench, clusters, row, members):
    if row.reads:
        for cluster in clusters.values():
            cluster.restart()
    said = []
    for repetition, name in bench.turns(bench.repetitions(REPETITIONS)):
        result = clusters[name].run({'keys': KEYS, **bench.timed(row.job)})
        bench.records.add('rows', row=row.name, members=members, server=name,
                          repetition=repetition, result=result,
                          other_cores=result['other_cores'])
        said.append('%s %.0f/s %.4f s%s' % (
            name, result['per_second'], result['server_cpu_s_per_1k'],
            ' %d ERRORS' % result['errors'] if result['errors'] else ''))
    bench.say('  %s: %s' % (row.name, ', '.join(said)))
