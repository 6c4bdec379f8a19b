"""Makes the tables, in markdown, of raw lines. Pure: the same lines give the same tables."""
from compare_lib.goals import Goal, median, number, ratios, verdict
from compare_lib.machine import NOISY_CORES
from compare_lib.measure_curves import CURVES
from compare_lib.records import select
from compare_lib.rows import CLUSTER, GAP_MS, MILLION, ROWS, SERVERS

FIELDS = {'throughput': 'per_second', 'cpu': 'server_cpu_s_per_1k', 'p50': 'p50_ms',
          'p99': 'p99_ms'}


def table(header, lines):
    """A markdown table; None without lines."""
    if not lines:
        return None
    rows = [header, ['---'] * len(header)] + lines
    return '\n'.join('| ' + ' | '.join(str(cell) for cell in row) + ' |' for row in rows)


def sections(lines):
    """All parts that these lines have something for, by name, in order."""
    found = {}
    for members in sorted({line['members'] for line in select(lines, 'rows')}):
        found['rows-%d' % members] = rows_section(lines, members)
    for name, figures in (('million', MILLION), ('cluster', CLUSTER)):
        made = figures_table(lines, name, figures)
        if made:
            found[name] = made + '\n\n' + made_on(lines, name)
    curves = curves_section(lines)
    if curves:
        found['curves'] = curves
    return found


def made_on(lines, name, **fields):
    """The sentence below a table: versions, machine, repetitions, and what others did."""
    measured = select(lines, name, **fields)
    said = []
    for line in select(lines, 'server'):
        text = '%s %s' % (line['server'].capitalize() if line['server'] == 'gavel'
                          else line['server'], line.get('version', '(no version)'))
        if line.get('commit') and line['commit'] != 'Not provided (use ./build instead of go '\
                'build)' and line['server'] == 'gavel':
            text += ' of commit ' + line['commit']
        if text not in said:
            said.append(text)
    versions = ', '.join(said)
    machines = select(lines, 'machine')
    where = '%(cores)d cores (%(processor)s), %(memory_gb)d GB, Linux %(kernel)s, ' \
        '%(file_system)s, %(date)s' % machines[-1] if machines else 'an unknown machine'
    counts = sorted({len(group) for group in groups(measured).values()})
    repetitions = '–'.join(str(count) for count in {min(counts): 0, max(counts): 0})
    return ('Medians of %s repetition%s, in turns. %s. %s; load average %s before. %s' % (
        repetitions, '' if repetitions == '1' else 's', versions, where,
        number(machines[-1]['load_average']) if machines else '–', others(measured)))


def groups(measured):
    found = {}
    for line in measured:
        key = (line['row'], line['members'], line['server'], line.get('point'))
        found.setdefault(key, []).append(line)
    return found


def other_cores(results):
    return median([result.get('other_cores') for result in results])


def others(measured):
    """What everything but servers and load generator used of the machine."""
    with_results = [line for line in measured if line.get('result')]
    if not with_results:
        return 'What others used is not known.'
    used = [line['result'].get('other_cores', 0) for line in with_results]
    stolen = [line['result'].get('stolen_cores', 0) for line in with_results]
    return ('Others used %s cores at most, %s in the middle; other machines of the host took %s '
            'at most.' % tuple(number(max(0, value)) for value in (
                max(used), median(used), max(stolen))))


def results_of(lines, name, **fields):
    """The results of each server in the order of the repetitions."""
    return {server: [line['result'] for line in sorted(
        select(lines, name, server=server, **fields), key=lambda line: line['repetition'])]
        for server in SERVERS}


def errors(results):
    """How many operations of a row failed, and the first text; None: none."""
    everything = [result for server in SERVERS for result in results[server]]
    count = sum(result['errors'] for result in everything)
    if not count:
        return None
    first = next(result['first_error'] for result in everything if result['errors'])
    return '%d error%s (%s)' % (count, '' if count == 1 else 's', cell(first))


def cell(text):
    """Text that does not end a cell of a table."""
    return ' '.join(text.replace('|', '/').split())[:120]


def compared(results):
    """The median ratios by name: CPU as times less, throughput as times more, latency as a share
    of etcd's."""
    base, other = results[SERVERS[0]], results[SERVERS[1]]

    def of(name, above, below):
        field = FIELDS[name]
        return median(ratios([r[field] for r in above], [r[field] for r in below]))
    return {'cpu': of('cpu', base, other), 'throughput': of('throughput', other, base),
            'p50': of('p50', other, base), 'p99': of('p99', other, base)}


def pair(results, field, form=number):
    return [form(median([r[field] for r in results[server]])) for server in SERVERS]


def rows_section(lines, members):
    figures, ratios_ = [], []
    for row in ROWS:
        results = results_of(lines, 'rows', row=row.name, members=members)
        if not any(results.values()):
            continue
        used = [other_cores(results[server]) for server in SERVERS if results[server]]
        noise = max(0, max(used))
        wrong = errors(results)
        figures.append([row.title, *pair(results, 'per_second'), *pair(results, 'p50_ms'),
                        *pair(results, 'p99_ms'),
                        *pair(results, 'server_cpu_s_per_1k'), *pair(results, 'server_rss_mb'),
                        wrong or 0,
                        '**%.2f**' % noise if noise > NOISY_CORES else '%.2f' % noise])
        ratios_.append(ratio_line(row, members, results, wrong, noise))
    ratio_header = ['', 'CPU, times less (goal)', 'throughput, times (goal)',
                    "median latency of etcd's (goal)", "99th percentile of etcd's (goal)",
                    'verdict']
    header = ['', *('%s, %s' % (what, server.replace('gavel', 'Gavel'))
                    for what in ('per second', 'median ms', '99th ms', 'CPU s/1k', 'MB')
                    for server in SERVERS), 'errors', 'cores of others']
    return '\n\n'.join([table(ratio_header, ratios_), table(header, figures),
                        made_on(lines, 'rows', members=members)])


def ratio_line(row, members, results, wrong, noise):
    found = compared(results)
    goals = dict(row.goals(members))
    cells = [number(found[name]) + (' (%s)' % number(goals[name].bound) if name in goals else '')
             for name in ('cpu', 'throughput', 'p50', 'p99')]
    if wrong:
        said = 'does not count: ' + wrong
    elif not all(results.values()):
        said = 'not compared'
    else:
        said = verdict([(goal, found[name]) for name, goal in goals.items()])
        if noise > NOISY_CORES:
            said += '; others used %.2f cores' % noise
    return [row.title, *cells, said]


def figures_table(lines, name, figures):
    """One number for each repetition: medians, the worst, and the goal."""
    made = []
    quiet = median([line['figure'] for line in select(lines, name, row='gap-quiet',
                                                      server='gavel')])
    for row in figures:
        values = {server: [line['figure'] for line in select(lines, name, row=row.name,
                                                             server=server)]
                  for server in SERVERS}
        if not any(values.values()):
            continue
        made.append([row.title, *(spread(values[server], row.unit) for server in SERVERS),
                     *judged(row, values, quiet, errors_of(lines, name, row.name))])
    return table(['', 'etcd', 'Gavel', 'goal', 'verdict'], made)


def errors_of(lines, name, row):
    results = {server: [line['result'] for line in select(lines, name, row=row, server=server)
                        if line.get('result')] for server in SERVERS}
    # What was sent to a leader that was killed fails.
    return None if row == 'failover' else errors(results)


def spread(values, unit):
    if not values:
        return '–'
    text = '%s %s' % (number(median(values)), unit)
    if len(values) > 1:
        text += ' (%s to %s)' % (number(min(values)), number(max(values)))
    return text


def judged(row, values, quiet, wrong):
    """The cells of the goal and of the verdict."""
    base, other = (median(values[server]) for server in SERVERS)
    goals = []
    if row.goal:
        goal = row.goal
        if row.name.startswith('gap-') and quiet and quiet > GAP_MS:
            goal = Goal(goal.what, quiet, True, goal.unit)
        goals.append((goal, other))
    if row.worst:
        goals.append((row.worst, max(values[SERVERS[1]], default=None)))
    if row.ratio:
        goals.append((row.ratio, base / other if base and other else None))
    said = 'does not count: ' + wrong if wrong else verdict(goals)
    return ['; '.join(str(goal) for goal, _ in goals) or '–', said]


def curves_section(lines):
    made = []
    for curve in CURVES:
        points = sorted({line['point'] for line in select(lines, 'curves', row=curve.name)})
        rows = []
        for point in points:
            results = results_of(lines, 'curves', row=curve.name, point=point)
            found = compared(results)
            used = [other_cores(results[server]) for server in SERVERS if results[server]]
            rows.append(['{:,}'.format(point), *pair(results, 'server_cpu_s_per_1k'),
                         *pair(results, 'per_second'), *pair(results, 'p99_ms'),
                         number(found['cpu']), errors(results) or 0,
                         '%.2f' % max(0, max(used))])
        made.append(table([curve.title, 'CPU s/1k, etcd', 'Gavel', 'per second, etcd', 'Gavel',
                           '99th ms, etcd', 'Gavel', 'CPU, times less', 'errors',
                           'cores of others'], rows))
    made = [one for one in made if one]
    return '\n\n'.join(made + [made_on(lines, 'curves')]) if made else None
