"""The options of tests/bench/compare."""
import argparse
import os
import re
import shutil
import textwrap
import time

from compare_lib.measure_curves import CURVES
from compare_lib.problem import Problem
from compare_lib.rows import CLUSTER, MILLION, ROWS, SERVERS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
NAMES = {table: [row.name for row in of] for table, of in (
    ('rows', ROWS), ('million', MILLION), ('cluster', CLUSTER), ('curves', CURVES))}
TABLES = tuple(NAMES)
QUICK = {'repetitions': 1, 'seconds': 0.3, 'warm_up': 0.1, 'keys': 20000, 'failovers': 1,
         'starts': 1, 'watch_share': 0.02, 'settle': (1, 5), 'idle_seconds': 1, 'quiet': 1}
WHOLE = {'repetitions': None, 'seconds': 3.0, 'warm_up': 0.5, 'keys': 1000000, 'failovers': 20,
         'starts': 10, 'watch_share': 1, 'settle': (10, 120), 'idle_seconds': 10, 'quiet': 5}

DESCRIPTION = """\
Runs the same loads on etcd and on Gavel, in turns, on loopback, and prints tables of both
servers' figures (medians), their ratios, and the goals; a goal that is missed says by how much.

The load generator is built first, of etcd's own Go clients. Both servers get the same flags and
fresh folders, which are removed at the end like the servers, also after Ctrl-C. Before each row
of reads the servers are restarted, since writes make later reads of etcd 3.4 dearer. CPU per
1,000 operations is the figure to judge by: the load generator shares the cores.
"""
EPILOG = """\
tables:  rows     put, get, compare-and-swap, range, watch, lease; for each number of members
         million  memory, disk, restart, pages, gaps and CPU with 1,000,000 keys, one member
         cluster  failover, start and idle members
         curves   the cost over clients, value size, keys, watchers and members
rows, by table:
%s

examples:
  compare                                 all but the curves: about an hour
  compare --quick                         everything once and short, to see that it works
  compare --tables rows --members 3 --rows 'put|get'
  compare --from FILE --readme tests/bench/README.md    tables of raw lines, into the README
"""


def whole_numbers(text):
    values = [int(part) for part in text.split(',')]
    if min(values) < 1:
        raise argparse.ArgumentTypeError('%s: at least 1' % text)
    return values


def positive(kind):
    def parse(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError('%s: above 0' % text)
        return value
    return parse


def port_range(text):
    first, last = (int(part) for part in text.split('-'))
    if not 1024 <= first < last <= 65535:
        raise argparse.ArgumentTypeError('%s: FIRST-LAST between 1024 and 65535' % text)
    return first, last


def names_of(allowed):
    def parse(text):
        chosen = text.split(',')
        for name in chosen:
            if name not in allowed:
                raise argparse.ArgumentTypeError('%s: one or more of %s' % (
                    name, ','.join(allowed)))
        return chosen
    return parse


def row_list():
    return '\n'.join(textwrap.fill(' '.join(names), 92, initial_indent='  %-8s ' % table,
                                   subsequent_indent=' ' * 11, break_on_hyphens=False)
                     for table, names in NAMES.items())


def parser():
    made = argparse.ArgumentParser(
        prog='compare', description=DESCRIPTION, epilog=EPILOG % row_list(),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument
    add('--tables', type=names_of(TABLES), metavar='LIST',
        help='what to measure; default: rows,million,cluster')
    add('--curves', action='store_true', help='the table of curves; alone unless with --tables')
    add('--rows', metavar='REGEX', default='', help='only rows whose names this is found in')
    add('--members', type=whole_numbers, default=[1, 3], metavar='LIST',
        help='of the clusters of the table rows; default: 1,3')
    add('--servers', type=names_of(SERVERS), default=list(SERVERS), metavar='LIST',
        help='default: etcd,gavel')
    add('--repetitions', type=positive(int), metavar='N',
        help='of a row; default: 5, in other tables 2')
    add('--seconds', type=positive(float), metavar='S',
        help='of measured load in a row; default: 3')
    add('--keys', type=positive(int), metavar='N', help='of the table million; default: 1000000')
    add('--failovers', type=positive(int), metavar='N', help='default: 20')
    add('--starts', type=positive(int), metavar='N', help='of each size of cluster; default: 10')
    add('--quick', action='store_true', help='everything once and short; no figures to keep')
    add('--etcd', metavar='FILE', help='the etcd to run; default: that of PATH')
    add('--gavel', metavar='FILE', help='the gaveld to run; default: BUILD/bin/gaveld')
    for server in SERVERS:
        add('--%s-flag' % server, action='append', default=[], metavar='FLAG',
            help='one more flag for it, as --%s-flag=--NAME=VALUE; may be repeated' % server)
    add('--build', default=os.path.join(ROOT, 'build'), metavar='BUILD',
        help='build folder; default: build. The load generator goes to BUILD/compare')
    add('--data', metavar='DIR',
        help="where the servers' folders are made; default: BUILD/compare")
    add('--ports', type=port_range, default=(20000, 32000), metavar='A-B',
        help='to choose free ones from; default: 20000-32000')
    add('--json', metavar='FILE',
        help='raw lines are added to it; default: BUILD/compare/lines-TIME.jsonl')
    add('--from', dest='inputs', action='append', default=[], metavar='FILE',
        help='run nothing: tables of the raw lines of earlier runs; may be repeated')
    add('--readme', metavar='FILE', help='also replace the marked parts of this file')
    return made


def parse(arguments):
    options = parser().parse_args(arguments)
    try:
        re.compile(options.rows)
    except re.error as error:
        raise Problem('--rows: %s' % error)
    for name, value in (QUICK if options.quick else WHOLE).items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    if options.tables is None:
        options.tables = [] if options.curves else ['rows', 'million', 'cluster']
    if options.curves and 'curves' not in options.tables:
        options.tables.append('curves')
    if not options.inputs and not any(re.search(options.rows, name) for table in options.tables
                                      for name in NAMES[table]):
        raise Problem('no row of %s has such a name (see --help): %s' % (
            ', '.join(options.tables), options.rows))
    options.flags = {'etcd': options.etcd_flag, 'gavel': options.gavel_flag}
    options.keys = max(options.keys, 1000)  # of one page
    options.out = os.path.join(os.path.abspath(options.build), 'compare')
    options.data = os.path.abspath(options.data or options.out)
    if not options.json:
        options.json = os.path.join(options.out, time.strftime('lines-%Y%m%d-%H%M%S.jsonl'))
    return options


def check_whole(options):
    """Refuses a run of which the README could keep nothing."""
    if not options.inputs and (options.quick or options.rows or len(options.servers) < 2):
        raise Problem('--readme takes whole tables of both servers; of a run of some rows, make '
                      'them later by --from, together with the raw lines of the others')


def parts(options):
    """The names of the README's parts that a run with these options makes."""
    if options.inputs:
        return []
    rows = ['rows-%d' % members for members in options.members]
    return [part for name in options.tables for part in (rows if name == 'rows' else [name])]


def binaries(options):
    """Where the servers are that are asked for, by name."""
    found = {}
    if 'etcd' in options.servers:
        found['etcd'] = options.etcd or shutil.which('etcd')
        if not found['etcd'] or not os.access(found['etcd'], os.X_OK):
            raise Problem('no etcd%s: install the package etcd-server (deploy/install-deps '
                          '--tests), or name one by --etcd'
                          % (' at ' + options.etcd if options.etcd else ' in PATH'))
    if 'gavel' in options.servers:
        found['gavel'] = options.gavel or os.path.join(options.build, 'bin/gaveld')
        if not os.access(found['gavel'], os.X_OK):
            raise Problem('no gaveld at %s: build it by cmake --preset release && ninja -C build '
                          'gaveld, or name one by --gavel' % found['gavel'])
    return {name: os.path.abspath(path) for name, path in found.items()}
