#!/usr/bin/env python3
"""Debian's etcdctl gets the same answers from Gavel as from etcd, in every output format.

  etcdctl_test.py --server build/bin/gaveld [-v] [-k NAME]

Runs each script of commands against a fresh etcd and a fresh Gavel in step and compares standard
output and exit codes after what must differ (ids, terms, times, sizes) has been replaced. What
else differs is in ACCEPTED, with the reason.
"""
import argparse
import contextlib
import json
import re
import sys

import versions
from outputs import refusal, replace_own
from report import Report
from servers import Cluster, etcdctl, need

FORMATS = ['simple', 'json', 'fields', 'table', 'protobuf']

# What an answer of Gavel says differently from one of etcd 3.4: pattern of 'command (format)', a
# function that takes either output to what they must have in common, and why.
ACCEPTED = [
    (r'^endpoint status', versions.any_status,
     'the version announced is 3.7.1; sizes, terms and indexes are those of another server'),
    (r'^endpoint hashkv', versions.any_hash,
     'the hash is only comparable between members of one cluster'),
    (r'^alarm list \(json\)', lambda text, _: re.sub(r'"header":\{[^{}]*\}', '', text),
     'etcd 3.4 sends no header'),
]
# Of `alarm list -w fields`: etcdctl crashes on the answer of etcd 3.4, which has no header.
ALARM_FIELDS = r'"ClusterID" : N\n"MemberID" : N\n"Revision" : [1-9]\d*\n"RaftTerm" : N\n'

KEYS = [('put', k, v) for k, v in
        [('a', '1'), ('a/1', 'x'), ('a/2', 'y'), ('b', 'zz'), ('c', ''), ('d', 'y')]]

SCRIPTS = {
    'put': [
        ('put', 'k', 'v'),
        ('put', 'k', 'v2', '--prev-kv'),
        ('put', 'k', '--ignore-value'),
        ('put', 'k', 'v3', '--ignore-lease'),
        ('put', 'missing', '--ignore-value'),
        ('put', 'k', 'v', '--lease=123'),
        ('put', '', 'v'),
        ('put', 'empty', ''),
        ('get', '', '--from-key'),
    ],
    'put from stdin': [
        (('put', 'k'), b'from stdin'),
        ('get', 'k'),
        ('get', 'k', '--hex'),
    ],
    'get': KEYS + [
        ('put', 'a', '2'),
        ('get', 'a'),
        ('get', 'none'),
        ('get', ''),
        ('get', 'a', 'c'),
        ('get', 'c', 'a'),
        ('get', 'a', '--prefix'),
        ('get', '', '--prefix'),
        ('get', 'b', '--from-key'),
        ('get', 'a', '--prefix', '--limit=2'),
        ('get', 'a', '--prefix', '--keys-only'),
        ('get', 'a', '--prefix', '--count-only'),
        ('get', 'a', '--prefix', '--print-value-only'),
        ('get', 'a', '--rev=2'),
        ('get', '', '--prefix', '--rev=4'),
        ('get', 'a', '--rev=99'),
        ('get', 'a', '--consistency=s'),
        ('get', 'a', '--consistency=l'),
        ('get', '', '--prefix', '--hex'),
    ] + [
        ('get', '', '--prefix', '--order=' + order, '--sort-by=' + by)
        for order in ('ASCEND', 'DESCEND')
        for by in ('KEY', 'VERSION', 'CREATE', 'MODIFY', 'VALUE')
    ] + [
        ('get', '', '--prefix', '--sort-by=VALUE', '--limit=2'),
        ('get', '', '--prefix', '--order=DESCEND', '--sort-by=KEY', '--limit=1'),
        ('get', '', '--prefix', '--order=ASCEND', '--sort-by=CREATE', '--limit=1'),
    ],
    'del': KEYS + [
        ('del', 'a'),
        ('del', 'a'),
        ('del', 'b', '--prev-kv'),
        ('del', 'a/', '--prefix', '--prev-kv'),
        ('del', 'c', '--from-key'),
        ('get', '', '--prefix'),
        ('put', 'a', 'again'),
        ('get', 'a'),
        ('del', ''),
    ],
    'txn': [
        (('txn',), b'\nput a 1\nput b 2\n\n\n'),
        (('txn',), b'value("a") = "1"\n\nput a 3\nget b\n\nput a 4\n\n'),
        (('txn',), b'value("a") = "1"\n\nput a 3\n\nget a\ndel b\n\n'),
        (('txn',), b'mod("a") > "1"\nver("a") < "9"\ncreate("a") = "2"\n\nget a\n\n\n'),
        (('txn',), b'ver("new") = "0"\n\nput new first\n\nget new\n\n'),
        (('txn',), b'value("none") != "x"\n\nput none 1\n\nget a\n\n'),
        (('txn',), b'\nput same 1\nput same 2\n\n\n'),
        (('txn',), b'\ndel a\nput a 9\n\n\n'),
        (('txn',), b'\nget a\nget b\n\n\n'),
        ('get', '', '--prefix'),
    ],
    'compaction': [
        ('put', 'k', '1'), ('put', 'k', '2'), ('put', 'k', '3'), ('del', 'k'),
        ('compaction', '3'),
        ('compaction', '3'),
        ('compaction', '2'),
        ('compaction', '99'),
        ('get', 'k', '--rev=2'),
        ('get', 'k', '--rev=3'),
        ('get', 'k', '--rev=4'),
        ('compaction', '5', '--physical'),
        ('get', 'k', '--rev=4'),
        ('get', 'k', '--rev=5'),
        ('get', 'k'),
    ],
    'cluster and endpoint': [
        ('put', 'k', 'v'),
        ('member', 'list'),
        ('endpoint', 'health'),
        ('endpoint', 'status'),
        ('endpoint', 'hashkv'),
        ('alarm', 'list'),
        ('version',),
    ],
}

used = set()


def normal(label, result, fmt):
    if fmt == 'protobuf' and result.code == 0 and not label.startswith('version'):
        if label.startswith('member list'):
            return versions.any_members(result.out)
        with contextlib.suppress(IndexError):
            return repr([field for field in versions.decode(result.out) if field[0] != 1])
    text = replace_own(result.text())
    for row in ACCEPTED:
        if re.search(row[0], label):
            used.add(row)
            text = row[1](text, fmt)
    return text


def compare_alarm_fields(theirs, ours):
    problems = []
    if theirs.code == 0 or 'goroutine ' not in theirs.err:
        problems.append('alarm list (fields): etcdctl no longer crashes on the answer of etcd')
    if ours.code != 0 or not re.fullmatch(ALARM_FIELDS, replace_own(ours.text())):
        problems.append('alarm list (fields): %d %r' % (ours.code, ours.text()))
    return problems


def compare(name, fmt, etcd, gavel, verbose):
    """Runs one script on both; returns the differences as text."""
    differences = []
    for step in SCRIPTS[name]:
        command, stdin = step if isinstance(step[0], tuple) else (step, b'')
        label = '%s (%s)' % (' '.join(command), fmt)
        theirs, ours = (etcdctl(server.endpoint(), *command, write_out=fmt, stdin=stdin)
                        for server in (etcd, gavel))
        if verbose:
            print('$ etcdctl -w %s %s\n%s%s' % (fmt, ' '.join(command), ours.text(), ours.err))
        if label == 'alarm list (fields)':
            differences += compare_alarm_fields(theirs, ours)
            continue
        for what, a, b in (('output', normal(label, theirs, fmt), normal(label, ours, fmt)),
                           ('complaint', refusal(theirs), refusal(ours)),
                           ('exit code', theirs.code, ours.code)):
            if a != b:
                differences.append('%s: %s\n  etcd:  %r\n  gavel: %r' % (label, what, a, b))
    return differences


def check_three_members(server):
    """member list, endpoint status, health and hashkv over a cluster of three."""
    problems = []
    with contextlib.closing(Cluster(server, 3)) as cluster:
        cluster.start()
        cluster.wait_ready()
        etcdctl(cluster.endpoint(1), 'put', 'k', 'v')
        for fmt in FORMATS:
            for command, endpoints in (
                    (('member', 'list'), cluster.endpoints()),
                    (('endpoint', 'health'), cluster.endpoints()),
                    (('endpoint', 'status'), cluster.endpoints()),
                    (('endpoint', 'hashkv'), cluster.endpoints()),
                    # Here etcdctl makes no plain host and port of what it is given.
                    (('endpoint', 'health', '--cluster'), cluster.endpoint()),
                    (('endpoint', 'status', '--cluster'), cluster.endpoint()),
                    (('endpoint', 'hashkv', '--cluster'), cluster.endpoint()),
                    (('endpoint', 'status'), 'http://' + cluster.endpoint())):
                result = etcdctl(endpoints, *command, write_out=fmt)
                # etcdctl itself refuses protobuf for lists.
                if result.code != 0 and fmt != 'protobuf':
                    problems.append('[%s] %s: %s' % (fmt, ' '.join(command), result.err))
                if fmt == 'simple' and '--cluster' in command:
                    lines = (result.text() + result.err).count('\n')
                    if lines != 3:
                        problems.append('%s: %d lines for 3 members' % (' '.join(command), lines))
        members = json.loads(etcdctl(cluster.endpoint(), 'member', 'list', write_out='json').out)
        if sorted(m['name'] for m in members['members']) != ['m0', 'm1', 'm2']:
            problems.append('member list: %s' % members)
        statuses = [s['Status'] for s in json.loads(
            etcdctl(cluster.endpoints(), 'endpoint', 'status', write_out='json').out)]
        if len({s['leader'] for s in statuses}) != 1 or not statuses[0]['leader']:
            problems.append('endpoint status names no one leader: %s' % statuses)
        if any(s['dbSize'] <= 0 for s in statuses):
            problems.append('endpoint status: dbSize must be above 0: %s' % statuses)
        etcdctl(cluster.endpoint(), 'get', 'k')
        hashes = [h['HashKV']['hash'] for h in json.loads(
            etcdctl(cluster.endpoints(), 'endpoint', 'hashkv', write_out='json').out)]
        if len(set(hashes)) != 1:
            problems.append('endpoint hashkv differs between members: %s' % hashes)
        codes = cluster.stop()
        if codes != [0, 0, 0]:
            problems.append('exit codes after SIGTERM: %s' % codes)
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--server', required=True)
    parser.add_argument('-v', action='store_true', help='print every command with its answer')
    parser.add_argument('-k', default='', help='only scripts whose name contains this')
    options = parser.parse_args()
    etcd_binary = need('etcd')
    report = Report()
    for name in SCRIPTS:
        if options.k not in name:
            continue
        differences = []
        for fmt in FORMATS:
            with contextlib.closing(Cluster(etcd_binary)) as etcd, \
                    contextlib.closing(Cluster(options.server)) as gavel:
                etcd.start()
                gavel.start()
                etcd.wait_ready()
                gavel.wait_ready()
                differences += compare(name, fmt, etcd, gavel, options.v)
        report(name, differences)
    if options.k in 'three members':
        report('three members', check_three_members(options.server))
    report('near misses', versions.near_misses())
    if not options.k:
        report('no row is idle', [row[0] for row in ACCEPTED if row not in used])
    sys.exit(1 if report.failed else 0)


main()
