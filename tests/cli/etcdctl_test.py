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

from outputs import refusal, replace_own
from report import Report
from servers import Cluster, etcdctl, need

FORMATS = ['simple', 'json', 'fields', 'table', 'protobuf']

# Pattern of 'command (format)', and why Gavel's answer differs from that of etcd 3.4.
ACCEPTED = [
    (r'^endpoint status', 'versions, sizes and fields that etcd has had since 3.5 and 3.6'),
    (r'^member list \(protobuf\)', 'ids and ports, which the other formats show replaced'),
    (r'^endpoint hashkv', 'the hash is only comparable between members of one cluster'),
    (r'^version', 'the version announced is 3.7'),
    (r'^alarm list \((json|fields)\)', 'etcd 3.4 sends no header, on which its etcdctl crashes'),
]

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
        ('member', 'list'),
        ('endpoint', 'health'),
        ('endpoint', 'status'),
        ('endpoint', 'hashkv'),
        ('alarm', 'list'),
        ('version',),
    ],
}

def without_header(message):
    """The fields of an encoded response but its first, the header."""
    fields, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        tag = varint()
        if tag & 7 == 2:
            length = varint()
            content = message[at:at + length]
            at += length
        else:
            content = varint()
        if tag >> 3 != 1:
            fields.append((tag >> 3, content))
    return fields


def normal(result, fmt):
    if fmt == 'protobuf' and result.code == 0:
        try:
            return repr(without_header(result.out))
        except IndexError:
            pass
    return replace_own(result.text())


def accepted(command, fmt):
    line = '%s (%s)' % (' '.join(command), fmt)
    return any(re.search(pattern, line) for pattern, _ in ACCEPTED)


def compare(name, fmt, etcd, gavel, verbose):
    """Runs one script on both; returns the differences as text."""
    differences = []
    for step in SCRIPTS[name]:
        command, stdin = step if isinstance(step[0], tuple) else (step, b'')
        theirs, ours = (etcdctl(server.endpoint(), *command, write_out=fmt, stdin=stdin)
                        for server in (etcd, gavel))
        if verbose:
            print('$ etcdctl -w %s %s\n%s%s' % (fmt, ' '.join(command), ours.text(), ours.err))
        if accepted(command, fmt):
            etcdctl_crashed = 'goroutine ' in theirs.err
            if theirs.code != ours.code and not etcdctl_crashed:
                differences.append('%s: exit code %d, etcd has %d: %s' % (
                    ' '.join(command), ours.code, theirs.code, ours.err))
            continue
        for what, a, b in (('output', normal(theirs, fmt), normal(ours, fmt)),
                           ('complaint', refusal(theirs), refusal(ours)),
                           ('exit code', theirs.code, ours.code)):
            if a != b:
                differences.append('[%s] %s: %s\n  etcd:  %r\n  gavel: %r' % (
                    fmt, ' '.join(command), what, a, b))
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
    sys.exit(1 if report.failed else 0)


main()
