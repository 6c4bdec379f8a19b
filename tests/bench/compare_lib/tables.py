"""Makes the tables, in markdown, of raw lines. Pure: the same lines give the same tables."""
import math

from compare_lib.goals import Goal, median, number, ratios, verdict
from compare_lib.machine import NOISY_CORES
from compare_lib.measure_curves import CURVES
from compare_lib.notes import made_on
from compare_lib.records import select
from compare_lib.rows import CLUSTER, GAP_MS, MILLION, ROWS, SERVERS, TITLES

ETCD, GAVEL = SERVERS
FIELDS = {'throughput': 'per_second', 'cpu': 'server_cpu_s_per_1k', 'p50': 'p50_ms',
          'p99': 'p99_ms'}
COLUMNS_PER_DOUBLING = 6


def sections(lines):
    """All parts that these lines have something for, by name, in order."""
    found = {}
    for members in sorted({line['members'] for line in select(lines, 'rows')}):
        found['rows-%d' % members] = rows_section(lines, members)
    for name, figures in (('million', MILLION), ('cluster', CLUSTER)):
        made = figures_table(lines, name, figures)
        if made:
            found[name] = made + '\n\n' + made_on(lines, select(lines, name))
    curves = curves_section(lines)
    if curves:
        found['curves'] = curves
    return found


def missing(lines, part):
    """What a whole part would have and these lines do not, as 'ROW of SERVER'."""
    name, _, members = part.partition('-')
    fields = {'members': int(members)} if members else {}
    rows = {'rows': ROWS, 'million': MILLION, 'cluster': CLUSTER, 'curves': CURVES}[name]
    return ['%s of %s' % (row.name, TITLES[server]) for row in rows for server in SERVERS
            if not select(lines, name, row=row.name, server=server, **fields)]


def table(header, lines):
    """A markdown table; None without lines."""
    if not lines:
        return None
    rows = [header, ['---'] * len(header)] + lines
    return '\n'.join('| ' + ' | '.join(str(text) for text in row) + ' |' for row in rows)


def by_server(lines, name, **fields):
    """The lines of each server in the order in which they were measured."""
    return {server: sorted(select(lines, name, server=server, **fields),
                           key=lambda line: (line['run'], line['repetition']))
            for server in SERVERS}


def errors(measured):
    """How many operations of a row failed, and the first text; None: none."""
    results = [line['result'] for server in SERVERS for line in measured[server]
               if line.get('result')]
    count = sum(result['errors'] for result in results)
    if not count:
        return None
    first = next(result['first_error'] for result in results if result['errors'])
    return '%d error%s (%s)' % (count, '' if count == 1 else 's', cell(first))


def cell(text):
    """Text that does not end a cell of a table."""
    return ' '.join(text.replace('|', '/').split())[:120]


def others(measured):
    """The cores that others used, of the server for which it was more; None: not measured."""
    used = [median([line.get('other_cores') for line in measured[server]]) for server in SERVERS]
    present = [max(0, value) for value in used if value is not None]
    return max(present) if present else None


def marked(cores):
    """A cell that stands out if the row was disturbed."""
    if cores is None:
        return '–'
    return ('**%.2f**' if cores > NOISY_CORES else '%.2f') % cores


def disturbed(cores):
    return '; disturbed' if cores is not None and cores > NOISY_CORES else ''


def values(measured, server, field):
    return [line['result'][field] for line in measured[server]]


def pair(measured, field):
    """The medians of both servers."""
    return [number(median(values(measured, server, field))) for server in SERVERS]


def compared(measured):
    """The median ratios by name: CPU as times less, throughput as times more, latency as a share
    of etcd's."""
    def of(name, above, below):
        return median(ratios(values(measured, above, FIELDS[name]),
                             values(measured, below, FIELDS[name])))
    return {'cpu': of('cpu', ETCD, GAVEL), 'throughput': of('throughput', GAVEL, ETCD),
            'p50': of('p50', GAVEL, ETCD), 'p99': of('p99', GAVEL, ETCD)}


def headed(*what):
    return ['%s, %s' % (text, TITLES[server]) for text in what for server in SERVERS]


def rows_section(lines, members):
    compared_rows, figures = [], []
    for row in ROWS:
        measured = by_server(lines, 'rows', row=row.name, members=members)
        if not any(measured.values()):
            continue
        compared_rows.append(compared_line(row, members, measured))
        figures.append([
            row.title, *(text for field in ('per_second', 'p50_ms', 'p99_ms',
                                            'server_cpu_s_per_1k', 'server_rss_mb')
                         for text in pair(measured, field)),
            errors(measured) or 0, marked(others(measured))])
    return '\n\n'.join([
        table(['', 'CPU, times less (goal)', 'throughput, times (goal)',
               "median latency of etcd's (goal)", "99th percentile of etcd's (goal)",
               'verdict'], compared_rows),
        table(['', *headed('per second', 'median ms', '99th ms', 'CPU s/1k', 'MB'), 'errors',
               'cores of others'], figures),
        made_on(lines, select(lines, 'rows', members=members))])


def compared_line(row, members, measured):
    found = compared(measured)
    goals = dict(row.goals(members))
    cells = [number(found[name]) + (' (%s)' % number(goals[name].bound) if name in goals else '')
             for name in ('cpu', 'throughput', 'p50', 'p99')]
    wrong = errors(measured)
    if wrong:
        said = 'does not count: ' + wrong
    elif not all(measured.values()):
        said = 'not compared'
    else:
        said = verdict([(goal, found[name]) for name, goal in goals.items()])
    return [row.title, *cells, said + disturbed(others(measured))]


def figures_table(lines, name, figures):
    """Rows of one number for each repetition: the medians, and the goal for Gavel's."""
    made = []
    quiet = median([line['figure'] for line in select(lines, name, row='gap-quiet', server=GAVEL)])
    for row in figures:
        measured = by_server(lines, name, row=row.name)
        if not any(measured.values()):
            continue
        found = {server: [line['figure'] for line in measured[server]] for server in SERVERS}
        goals = goals_of(row, found, quiet)
        wrong = errors(measured)
        said = 'does not count: ' + wrong if wrong else verdict(goals)
        if row.ratio and not wrong and goals[0][1] is not None:
            said += ' (%s%s)' % (number(goals[0][1]), row.ratio.unit)
        made.append([row.title, *(spread(found[server], row.unit) for server in SERVERS),
                     '; '.join(str(goal) for goal, _ in goals) or '–',
                     said + disturbed(others(measured)), marked(others(measured))])
    return table(['', *(TITLES[server] for server in SERVERS), 'goal', 'verdict',
                  'cores of others'], made)


def spread(found, unit):
    if not found:
        return '–'
    text = '%s %s' % (number(median(found)), unit)
    if len(found) > 1:
        text += ' (%s to %s)' % (number(min(found)), number(max(found)))
    return text


def goals_of(row, found, quiet):
    """The goals of a row and what they are held against."""
    base, other = median(found[ETCD]), median(found[GAVEL])
    goals = []
    if row.goal:
        goal = row.goal
        if row.name.startswith('gap-') and quiet and quiet > GAP_MS:
            goal = Goal(goal.what, quiet, True, goal.unit)
        goals.append((goal, other))
    if row.worst:
        goals.append((row.worst, max(found[GAVEL], default=None)))
    if row.ratio:
        goals.append((row.ratio, base / other if base and other else None))
    return goals


def curves_section(lines):
    made = []
    for curve in CURVES:
        points = sorted({line['point'] for line in select(lines, 'curves', row=curve.name)})
        at = {point: by_server(lines, 'curves', row=curve.name, point=point) for point in points}
        rows = [['{:,}'.format(point), *pair(measured, 'server_cpu_s_per_1k'),
                 *pair(measured, 'per_second'), *pair(measured, 'p99_ms'),
                 number(compared(measured)['cpu']), errors(measured) or 0,
                 marked(others(measured))] for point, measured in at.items()]
        if rows:
            made.append(table([curve.title, *headed('CPU s/1k', 'per second', '99th ms'),
                               'CPU, times less', 'errors', 'cores of others'], rows))
            made.append(plot(curve.title, at))
    return '\n\n'.join(made + [made_on(lines, select(lines, 'curves'))]) if made else None


def plot(title, at):
    """Bars of the CPU per operation, as text that any reader of markdown shows."""
    bars = []
    for point, measured in at.items():
        for server in SERVERS:
            value = median(values(measured, server, 'server_cpu_s_per_1k'))
            if value:
                label = '{:>11,} {:5}'.format(point, TITLES[server])
                bars.append((label, value))
    if not bars:
        return 'No CPU was seen to be used.'
    least = min(value for _, value in bars)
    drawn = []
    for label, value in bars:
        length = 1 + round(COLUMNS_PER_DOUBLING * math.log2(value / least))
        drawn.append('%s %s %s' % (label, '#' * length, number(value)))
    return '```\n%s: CPU s per 1,000; %d columns for each doubling\n%s\n```' % (
        title, COLUMNS_PER_DOUBLING, '\n'.join(drawn))
