#!/usr/bin/env python3
"""The parts of tests/bench/compare that need no server: figures, tables, raw lines, the README, and
the load generator's source.

  compare_parts_test.py --build build
"""
import argparse
import glob
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from compare_lib import (cluster, goals, load_program, machine, options, readme,  # noqa: E402
                         records, rows, tables)
from compare_lib.goals import Goal  # noqa: E402
from compare_lib.problem import Problem  # noqa: E402

BUILD = None


def result(**changed):
    return {'operations': 1000, 'per_second': 1000, 'errors': 0, 'p50_ms': 2, 'p99_ms': 10,
            'server_cpu_s_per_1k': 0.4, 'server_rss_mb': 50, 'other_cores': 0.01,
            'stolen_cores': 0, **changed}


def row_lines(etcd, gavel, members=1, row='put-256', table='rows', **fields):
    """Raw lines of a row, of one repetition for each result."""
    kept = records.Records()
    for server, results in (('etcd', etcd), ('gavel', gavel)):
        for repetition, one in enumerate(results):
            kept.add(table, row=row, members=members, server=server, repetition=repetition,
                     result=one, other_cores=one['other_cores'], **fields)
    return kept.lines


def line_of(text, title):
    """The cells of the first line of a table that begins with this title."""
    found = [line for line in text.splitlines() if line.startswith('| %s |' % title)]
    return [cell.strip() for cell in found[0].strip('|').split('|')]


class Goals(unittest.TestCase):
    def test_a_missed_goal_says_by_how_much(self):
        less = Goal('CPU', 5, unit=' times less')
        latency = Goal('99th percentile', 1, True)
        self.assertEqual(goals.verdict([(less, 5), (latency, 1)]), 'met')
        self.assertEqual(goals.verdict([(less, 2.5), (latency, 1.2)]),
                         'missed CPU by 2.00 times; 99th percentile by 1.20 times')
        self.assertEqual(goals.verdict([(Goal('', 200, True), 300)]), 'missed by 1.50 times')
        self.assertEqual(goals.verdict([(less, 5), (latency, None)]), 'not compared')
        self.assertEqual(goals.verdict([]), 'no goal')

    def test_ratios_are_of_one_repetition_each(self):
        self.assertEqual(goals.ratios([4, 9, 2], [2, 3, 0]), [2, 3, None])
        self.assertEqual(goals.median([3, None, 1, 2]), 2)
        self.assertIsNone(goals.median([None]))

    def test_numbers_have_three_digits(self):
        self.assertEqual([goals.number(value) for value in (0.01234, 9.876, 1234.5, None)],
                         ['0.0123', '9.88', '1234', '–'])


class Tables(unittest.TestCase):
    def test_medians_ratios_and_goals_of_a_row(self):
        etcd = [result(), result(per_second=900, server_cpu_s_per_1k=0.6), result(per_second=50)]
        gavel = [result(per_second=2000, server_cpu_s_per_1k=0.1, p99_ms=5),
                 result(per_second=1800, server_cpu_s_per_1k=0.1, p99_ms=5),
                 result(per_second=100, server_cpu_s_per_1k=0.2, p99_ms=5)]
        text = tables.sections(row_lines(etcd, gavel))['rows-1']
        title = 'put, 256 clients'
        self.assertEqual(line_of(text, title), [title, '4 (4)', '2 (1.8)', '1', '0.5 (1)', 'met'])
        figures = line_of(text[text.index('errors'):], title)
        self.assertEqual(figures[1:3], ['900', '1800'])
        self.assertEqual(figures[7:9], ['0.4', '0.1'])
        self.assertIn('Medians of 3 repetitions', text)

    def test_the_goals_are_those_of_the_number_of_members(self):
        gavel = [result(per_second=2000, server_cpu_s_per_1k=0.1)]
        text = tables.sections(row_lines([result()], gavel, members=3))['rows-3']
        self.assertIn('missed CPU by 1.25 times; throughput by 1.25 times', text)
        text = tables.sections(row_lines([result()], gavel, members=5))['rows-5']
        self.assertIn('no goal', text)

    def test_a_row_with_an_error_does_not_count(self):
        gavel = [result(errors=2, first_error='it | broke'), result()]
        text = tables.sections(row_lines([result(), result()], gavel))['rows-1']
        self.assertEqual(line_of(text, 'put, 256 clients')[5],
                         'does not count: 2 errors (it / broke)')

    def test_a_row_that_others_disturbed_is_marked(self):
        text = tables.sections(row_lines([result()], [result(other_cores=0.3)]))['rows-1']
        self.assertIn('; disturbed |', text)
        self.assertIn('| **0.30** |', text)
        text = tables.sections(row_lines([result()], [result(other_cores=0.1)]))['rows-1']
        self.assertNotIn('disturbed', text)

    def test_one_server_alone_is_not_compared(self):
        text = tables.sections(row_lines([], [result()]))['rows-1']
        self.assertEqual(line_of(text, 'put, 256 clients')[5], 'not compared')

    def figures(self, table, row, etcd, gavel):
        kept = records.Records()
        for server, values in (('etcd', etcd), ('gavel', gavel)):
            for repetition, value in enumerate(values):
                kept.add(table, row=row, members=1, server=server, repetition=repetition,
                         figure=value)
        return kept.lines

    def test_figures_are_held_against_bounds(self):
        lines = self.figures('million', 'disk', [760], [500, 540])
        self.assertIn('| 760 MB | 520 MB (500 to 540) | at most 400 MB | missed by 1.30 times |',
                      tables.sections(lines)['million'])

    def test_the_worst_failover_has_a_bound_of_its_own(self):
        lines = self.figures('cluster', 'failover', [1, 1, 1], [0.2, 0.3, 1.5])
        self.assertIn('missed worst by 1.50 times', tables.sections(lines)['cluster'])

    def test_a_quiet_run_may_allow_a_longer_gap(self):
        lines = self.figures('million', 'gap-snapshot', [], [80])
        self.assertIn('missed by 1.60 times', tables.sections(lines)['million'])
        lines += self.figures('million', 'gap-quiet', [], [90])
        self.assertIn('| at most 90 ms | met |', tables.sections(lines)['million'])

    def test_cpu_on_many_keys_is_a_ratio(self):
        lines = self.figures('million', 'cpu-put', [0.12], [0.06])
        self.assertIn('missed by 2.00 times (2 times less)', tables.sections(lines)['million'])

    def test_curves_have_a_table_and_bars(self):
        lines = []
        for point, cpu in ((1, 0.4), (4, 0.2)):
            lines += row_lines([result(server_cpu_s_per_1k=2 * cpu)],
                               [result(server_cpu_s_per_1k=cpu)], row='clients-put',
                               table='curves', point=point)
        text = tables.sections(lines)['curves']
        self.assertEqual(line_of(text, '4')[1:3], ['0.4', '0.2'])
        bars = [line.count('#') for line in text.splitlines() if '#' in line]
        self.assertEqual(bars, [13, 7, 7, 1])

    def test_a_part_that_lacks_rows_is_known(self):
        lines = row_lines([result()], [], members=3)
        lacking = tables.missing(lines, 'rows-3')
        self.assertNotIn('put-256 of etcd', lacking)
        self.assertIn('put-256 of Gavel', lacking)
        self.assertEqual(len(lacking), 2 * len(rows.ROWS) - 1)
        self.assertIn('put-256 of etcd', tables.missing(lines, 'rows-1'))

    def test_every_row_has_a_name_to_itself(self):
        names = [row.name for row in rows.ROWS + rows.MILLION + rows.CLUSTER]
        self.assertEqual(len(set(names)), len(names))


class RawLines(unittest.TestCase):
    def test_tables_are_made_again_from_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + '/new/lines.jsonl'
            kept = records.Records(path)
            kept.add('rows', row='put-256', members=1, server='etcd', repetition=0,
                     result=result(), other_cores=0)
            kept.close()
            self.assertEqual(records.read([path]), kept.lines)
            self.assertEqual(tables.sections(records.read([path])), tables.sections(kept.lines))

    def test_another_file_is_refused(self):
        with tempfile.NamedTemporaryFile('w', suffix='.jsonl') as other:
            other.write('{"some": "thing"}\n')
            other.flush()
            with self.assertRaisesRegex(Problem, 'not a line of a comparison'):
                records.read([other.name])
        with self.assertRaisesRegex(Problem, 'cannot read'):
            records.read(['/nonexistent/lines'])


class Readme(unittest.TestCase):
    TEXT = ('before\n<!-- compare: rows-1 -->\nold\n<!-- compare: end -->\nbetween\n'
            '<!-- compare: million -->\nkept\n<!-- compare: end -->\nafter\n')

    def test_only_the_named_part_is_replaced(self):
        self.assertEqual(readme.replace(self.TEXT, {'rows-1': '\nnew \\1\n'}),
                         self.TEXT.replace('old', 'new \\1'))

    def test_twice_is_as_once(self):
        once = readme.replace(self.TEXT, {'rows-1': 'new'})
        self.assertEqual(readme.replace(once, {'rows-1': 'new'}), once)

    def test_a_part_that_is_not_there_is_refused_beforehand(self):
        with tempfile.NamedTemporaryFile('w', suffix='.md') as page:
            page.write(self.TEXT)
            page.flush()
            readme.check(page.name, ['rows-1', 'million'])
            with self.assertRaisesRegex(Problem, '0 parts between "<!-- compare: rows-5 -->"'):
                readme.check(page.name, ['rows-5'])

    def test_the_own_readme_has_all_parts(self):
        readme.check(os.path.join(HERE, 'README.md'),
                     options.parts(options.parse(['--tables', 'rows,million,cluster,curves'])))


class Machine(unittest.TestCase):
    def test_prepared_log_does_not_count_as_used(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(folder + '/wal')
            with open(folder + '/wal/1.wal', 'wb') as log:
                log.write(b'x' * 5000 + bytes(3 << 20))
            with open(folder + '/wal/spare', 'wb') as log:
                log.write(bytes(2 << 20))
            with open(folder + '/data', 'wb') as data:
                data.write(bytes(1 << 20))
            os.sync()
            self.assertAlmostEqual(machine.disk_mb(folder), (8192 + (1 << 20)) / 1e6, places=2)

    def test_a_taken_port_is_passed_over(self):
        with socket.socket() as holder:
            holder.bind(('127.0.0.1', 0))
            port = holder.getsockname()[1]
            ports = cluster.Ports(port, port)
            with self.assertRaisesRegex(Problem, 'no free port'):
                ports.take()
        self.assertEqual(cluster.Ports(port, port).take(), port)


class LoadGenerator(unittest.TestCase):
    def go(self, *arguments):
        done = subprocess.run([load_program.need_go(), *arguments], cwd=load_program.SOURCES,
                              env=load_program.go_environment(BUILD + '/compare'),
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_it_is_formatted(self):
        self.assertIsNotNone(shutil.which('gofmt'), 'install golang-go')
        done = subprocess.run(['gofmt', '-l', load_program.SOURCES], capture_output=True,
                              text=True)
        self.assertEqual(done.stdout + done.stderr, '')

    def test_it_builds_and_vet_finds_nothing(self):
        load_program.build(BUILD + '/compare')
        self.go('vet', *load_program.go_sources(tests=True))

    def test_its_own_tests_pass(self):
        self.go('test', *load_program.go_sources(tests=True))

    def test_files_have_one_subject(self):
        for path in glob.glob(load_program.SOURCES + '/*.go'):
            with open(path) as source:
                self.assertLessEqual(len(source.readlines()), 500, path)

    def test_a_job_that_makes_no_sense_is_refused(self):
        program = load_program.build(BUILD + '/compare')
        for job, said in (({'kind': 'put'}, 'names endpoints'),
                          ({'kind': 'dance', 'endpoints': ['127.0.0.1:1']}, 'no such kind'),
                          ({'kind': 'put', 'colour': 1}, 'unknown field')):
            with self.assertRaisesRegex(Problem, said):
                load_program.Running(program, job).finish()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', required=True)
    known, rest = parser.parse_known_args()
    BUILD = os.path.abspath(known.build)
    unittest.main(argv=[sys.argv[0], *rest])
