#!/usr/bin/env python3
"""gavelctl and Debian's etcdctl 3.4 side by side, command by command, on Gavel.

  gavelctl_etcdctl_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl [-v] [-k NAME]

Two clusters are kept equal: each command runs by etcdctl on one and by gavelctl on the other, and
output, complaint and exit code must agree, revisions included; only what two clusters cannot have
in common (ids, terms) is replaced. A command that reads then runs by gavelctl on etcdctl's cluster
too, where nothing but times is replaced. What else differs is in REFUSED, THEIRS and OURS, with the
reason and exactly.
"""
import argparse
import contextlib
import copy
import re
import sys

import versions
from gavelctl import Gavelctl, protobuf_without_header, unused_endpoint
from report import Report
from servers import Cluster, etcdctl

FORMATS = ['simple', 'json', 'fields', 'table', 'protobuf']

# What gavelctl refuses in its own words, or etcdctl does not refuse at all. Pattern of 'command
# (format)', the exit codes of both (None: any, but the same), what gavelctl says (the first line,
# and nothing on standard output), and why. client/ctl/README.md tells the same to its readers.
REFUSED = [
    (r'^get \w+ \w+ \w+ \(', 0, 128,
     'get command needs one argument as key and an optional argument as range_end',
     'a third word is refused; etcdctl drops it'),
    (r'--bogus', None, 1, 'unknown flag: --bogus',
     'errors in the command line say what to try instead of the whole help'),
    (r'^put -x', None, 1, "unknown shorthand flag: 'x' in -x", 'the same'),
    (r'--limit=x', None, 1, 'invalid argument "x" for "--limit" flag', 'the same'),
    (r'--prefix=maybe', None, 1, 'invalid argument "maybe" for "--prefix" flag', 'the same'),
    (r'^compaction x', None, 1, 'bad revision "x", expecting a whole number',
     'numbers that cannot be read are told without the words of Go\'s library'),
    (r' --lease=zz', None, 128, 'bad lease ID ("zz"), expecting ID in Hex', 'the same'),
    (r'^txn with a tilde', 2, 3,
     'standard input: line 1, column 10: unknown comparison "~"; it is =, !=, < or >',
     'an unknown comparison ends etcdctl with a Go panic'),
    (r'^txn with an unquoted key', None, 3,
     'standard input: line 1, column 5: expected the key in double quotes',
     'errors in a transaction name line and column'),
    (r'^txn with no such target', None, 3,
     'standard input: line 1, column 1: unknown target "modd"; a compare is ver, create, mod, '
     'value or lease of a key, such as mod("key") = "0"', 'the same'),
    (r'^txn with a bad number', None, 3,
     'standard input: line 1, column 12: "x" is no number of 64 bits', 'the same'),
    (r'^txn with a put without a value', 128, 3,
     'standard input: line 2, column 1: put needs a key and a value',
     'etcdctl takes the rest of the transaction for the value, then complains of the arguments'),
    (r'^txn with no such request', None, 3,
     'standard input: line 2, column 1: unknown request "foo"; it is put, get or del', 'the same'),
    (r'^txn with a bad flag', None, 3,
     'standard input: line 2, column 5: unknown flag: --bad', 'the same'),
    (r'^txn with cut off', None, 3,
     'standard input: line 3, column 1: the text ends within the success requests (get, put, del)',
     'the same'),
    (r'^(member list|endpoint \w+|defrag) extra', 0, 128, 'this command takes no argument',
     'words that a command does not take are refused'),
    (r'--command-timeout=0s', 1, 128, '--command-timeout is above 0s',
     'refused; etcdctl tries, and ends when its time is up'),
    (r'^move-leader( zz)? \(table\)', 128, 4, 'table not supported as output format',
     'a format that a command lacks is refused first'),
    (r'^move-leader 1234 \(table\)', 1, 4, 'table not supported as output format', 'the same'),
    (r'^move-leader( zz)? \(fields\)', 128, 4, 'fields not supported as output format', 'the same'),
    (r'^move-leader 1234 \(fields\)', 1, 4, 'fields not supported as output format', 'the same'),
    (r'^move-leader zz', 128, 128, 'bad member ID arg ("zz"), expecting ID in Hex',
     'numbers that cannot be read are told without the words of Go\'s library'),
]

# What etcdctl 3.4 writes in an older way than 3.6, and gavelctl, do: etcdctl's output is taken to
# gavelctl's. Pattern of 'command (format)', function, reason.
THEIRS = [
    (r'^txn .*\(json\)',
     lambda text, _: re.sub(r'"Response(Put|Range|DeleteRange)":',
                            lambda m: '"response_%s":' % m.group(1).lower().replace(
                                'deleterange', 'delete_range'), text),
     'since 3.5 the answers within a transaction carry the names of the protocol'),
    (r'^member list.*\(fields\)', lambda text, _: versions.without_revision_0(text),
     'a header without a revision shows none, as in 3.6; 3.4 writes "Revision" : 0'),
    (r'^defrag', lambda text, _: re.sub(r'(etcd member\[[^\]]*\])$', r'\1. took 1ms', text,
                                        flags=re.M), 'how long it took is told, as in 3.5'),
    (r'^(member list --hex \((json|fields)|.* --hex.* \(fields)', versions.hex_ids,
     'ids in hexadecimal, as in 3.6'),
]

# Of which gavelctl, as etcdctl 3.6, warns: what is deleted, and the words.
RANGE = re.compile(r'^del ([^ -]\S*) ([^ -]\S*)( --prev-kv)? \(')
WARNING = ('Warning: Keys between "%s" and "%s" will be deleted. Please interrupt the command '
           'within next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.')

# What gavelctl, as etcdctl 3.6, writes more of: its output is taken to that of 3.4.
OURS = [
    (r'^endpoint status', versions.status_of_3_4,
     'the columns and fields of 3.6: storage version, size in use, quota, downgrade'),
    (r'^endpoint hashkv', versions.hash_of_3_4, 'the column and field "hash revision" of 3.6'),
]

KEYS = [('put', k, v) for k, v in
        [('a', '1'), ('a/1', 'x'), ('a/2', 'y'), ('b', 'zz'), ('c', ''), ('d', 'y<&>')]]


def txn(text, name=None):
    return ('txn',), text.encode('latin-1'), name


SCRIPTS = {
    'put': [
        ('put', 'k', 'v'),
        ('put', 'k', 'v2', '--prev-kv'),
        ('put', 'k', '--ignore-value'),
        ('put', 'k', 'v3', '--ignore-lease', '--prev-kv'),
        ('put', 'missing', '--ignore-value'),
        ('put', 'k', 'v', '--lease=123'),
        ('put', 'k', 'v', '--lease=zz'),
        ('put', 'k', 'v', '--ignore-value'),
        ('put', '', 'v'),
        (('put', 'from-stdin'), b'line\nline\n', None),
        ('put', 'nothing'),
        ('put',),
        ('put', '--', '-dash', '--v'),
        ('put', 'k', 'v', '--bogus'),
        ('get', 'k', 'two', 'words'),
        ('put', '-x', 'y'),
        ('get', '', '--prefix'),
    ],
    'get': KEYS + [
        ('get', 'a'),
        ('get', 'none'),
        ('get', 'a', 'c'),
        ('get', 'c', 'a'),
        ('get', 'a', '--prefix'),
        ('get', 'b', '--from-key'),
        ('get', '', '--from-key'),
        ('get', 'a', '--prefix', '--limit=2'),
        ('get', 'a', '--prefix', '--keys-only'),
        ('get', 'a', '--print-value-only'),
        ('get', 'a', '--rev=2'),
        ('get', '', '--prefix', '--rev=4'),
        ('get', 'a', '--rev=99'),
        ('get', 'a', '--rev=-1'),
        ('get', 'a', '--consistency=s'),
        ('get', 'a', '--consistency=x'),
        ('get', 'd', '--hex'),
        ('get', '', '--prefix', '--order=DESCEND', '--sort-by=KEY'),
        ('get', '', '--prefix', '--order=ASCEND', '--sort-by=KEY', '--limit=3'),
        ('get', '', '--prefix', '--sort-by=value', '--limit=2'),
        ('get', '', '--prefix', '--order=ascend', '--sort-by=VERSION'),
        ('get', '', '--prefix', '--order=DESCEND', '--sort-by=CREATE'),
        ('get', '', '--prefix', '--order=DESCEND', '--sort-by=MODIFY'),
        ('get', 'a', '--order=UP'),
        ('get', 'a', '--sort-by=COLOUR'),
        ('get', 'a', '--prefix', '--from-key'),
        ('get', 'a', 'b', '--prefix'),
        ('get', ''),
        ('get',),
        ('get', 'a', '--limit=x'),
        ('get', 'a', '--prefix=maybe'),
        ('get', 'a', '--prefix=false'),
        ('gett', 'a'),
    ],
    'del': KEYS + [
        ('del', 'a'),
        ('del', 'a'),
        ('del', 'b', '--prev-kv'),
        ('del', 'a/', '--prefix', '--prev-kv'),
        ('del', 'c', '--from-key'),
        ('put', 'r/1', 'x'), ('put', 'r/2', 'y'), ('put', 'r/3', 'z'),
        ('del', 'r/1', 'r/3', '--prev-kv'),
        ('del', 'r/3', 'r/1'),
        ('del', 'r/1', 'r/9'),
        ('put', 'a', 'again'),
        ('get', 'a'),
        ('del', ''),
        ('del',),
        ('del', 'a', 'b', 'c'),
        ('del', 'a', '--prefix', '--from-key'),
        ('del', '', '--prefix'),
    ],
    'txn': [
        txn('\nput a 1\nput b 2\n\n\n'),
        txn('value("a") = "1"\n\nput a 3\nget b\n\nput a 4\n\n'),
        txn('value("a") = "1"\n\nput a 3\n\nget a\ndel b\n\n'),
        txn('mod("a") > "1"\nver("a") < "9"\ncreate("a") = "2"\n\nget a\n\n\n'),
        txn('m("a") > "1"\nversion("a") != "9"\nc("a") = "2"\nval("a") != "x"\n\nget a\n\n\n'),
        txn('ver("new") = "0"\n\nput new first\n\nget new\n\n'),
        txn('value("none") != "x"\n\nput none 1\n\nget a\n\n'),
        txn('\nput "with space" "v\\n\\x41\\u00fc"\nget "with space"\n\n\n'),
        txn('\nput q k"x"\nget q --keys-only\nget a z --limit 2\n\n\n'),
        txn('\nget a --prefix\ndel a --prefix --prev-kv\n\n\n'),
        txn('\nput same 1\nput same 2\n\n\n'),
        txn('\nput l 1 --lease=77\n\n\n'),
        txn('\n\n\n'),
        txn('mod("a") ~ "0"\n\n\n\n', 'a tilde'),
        txn('mod(a) = "0"\n\n\n\n', 'an unquoted key'),
        txn('modd("a") = "0"\n\n\n\n', 'no such target'),
        txn('mod("a") = "x"\n\n\n\n', 'a bad number'),
        txn('\nput a\n\n\n', 'a put without a value'),
        txn('\nfoo a b\n\n\n', 'no such request'),
        txn('\nput --bad a b\n\n\n', 'a bad flag'),
        txn('\nput a 1\n', 'cut off'),
        txn("\nput s 'a b'\n\n\n", 'single quotes'),
        txn('mod("x") = "0" junk\n\nput j 1\n\n\n', 'words after the compare'),
        txn('\nput e 1\n\n\nput e 2\n', 'text after the end'),
        ('txn', 'argument'),
        (('txn', '-i'), b'ver("a") = "0"\n\nput a 1\n\nget a\n\n', None),
        ('get', '', '--prefix'),
    ],
    'hex': [
        ('put', 'h', 'a<\u00fc', '--hex'),
        ('put', 'h', 'b', '--hex', '--prev-kv'),
        ('get', 'h', '--hex'),
        ('get', 'h', '--hex', '--print-value-only'),
        ('get', '', '--prefix', '--hex', '--keys-only'),
        ('get', 'none', '--hex'),
        (('txn', '--hex'), b'value("h") = "b"\n\nget h\nput h c --prev-kv\n\n\n', 'hex'),
        ('endpoint', 'health', '--hex'),
        ('endpoint', 'hashkv', '--hex'),
        ('del', 'h', '--hex', '--prev-kv'),
    ],
    'compaction': [
        ('put', 'k', '1'), ('put', 'k', '2'), ('put', 'k', '3'), ('del', 'k'),
        ('compaction', '3'),
        ('compaction', '3'),
        ('compaction', '2'),
        ('compaction', '99'),
        ('compaction', 'x'),
        ('compaction',),
        ('get', 'k', '--rev=2'),
        ('get', 'k', '--rev=3'),
        ('get', 'k', '--rev=4'),
        ('compaction', '5', '--physical'),
        ('get', 'k', '--rev=4'),
        ('get', 'k'),
    ],
    'cluster': [
        ('put', 'k', 'v'),
        ('member', 'list'),
        ('member', 'list', '--hex'),
        ('endpoint', 'health'),
        ('endpoint', 'status'),
        ('endpoint', 'hashkv'),
        ('endpoint', 'health', '--cluster'),
        ('endpoint', 'hashkv', '--cluster'),
        ('defrag',),
        ('defrag', '--cluster'),
        ('defrag', 'extra'),
        ('move-leader',),
        ('move-leader', 'zz'),
        ('move-leader', '1234'),
        ('member', 'list', 'extra'),
        ('endpoint', 'status', 'extra'),
        ('get', 'k', '--command-timeout=0s'),
        ('get', 'k', '--dial-timeout=0s'),
        ('version',),
    ],
}

# Transactions that etcdctl misunderstands, and the exit code of gavelctl: etcdctl cuts words in
# single quotes at the wrong place, and ignores what follows a compare or the last list. Also
# different, and checked below: what a format cannot show is refused before it is done, where
# etcdctl does it and cannot tell; and without a server the exit code is 2 (bad connection), to
# which etcdctl only comes if dialling was given no time.
ALONE = {'single quotes': 0, 'words after the compare': 3, 'text after the end': 3}

WRITES = {'put', 'del', 'txn', 'compaction'}

# Only times differ between two runs on one cluster.
TIMES = [
    (r'took = [0-9.]+[mµn]?s', 'took = T'),
    (r'"took":"[^"]*"', '"took":"T"'),
    (r'"Took" : \S+', '"Took" : T'),
    (r'\b[0-9]+(\.[0-9]+)?[mµ]?s\b', 'T'),
]
# What every cluster has its own of.
OWN = TIMES + [
    (r'"(cluster_id|member_id|raft_term|ID|leader|raftTerm)":("[0-9a-f]+"|\d+)', r'"\1":N'),
    (r'"(ClusterID|MemberID|RaftTerm|Leader|ID)" : [0-9a-f]+', r'"\1" : N'),
    (r'127\.0\.0\.1:\d+', 'ENDPOINT'),
    (r'\b[0-9a-f]{14,16}\b', 'ID'),
]
# Frames are as wide as their cells.
FRAMES = [(r'-{2,}', '--'), (r' +', ' ')]


def replaced(text, patterns):
    for pattern, replacement in patterns:
        text = re.sub(pattern, replacement, text)
    return text


def complaint(result):
    """The first line of complaint, without etcdctl's log lines before it."""
    lines = [line for line in result.err.splitlines() if line and not line.startswith('{')]
    return lines[0].replace('etcdctl', 'gavelctl') if lines else ''


used = set()


def row_for(rows, label):
    """The first row that a label matches."""
    for row in rows:
        if re.search(row[0], label):
            used.add(row)
            return row
    return None


def compare_refusal(label, row, theirs, ours):
    """The differences from what a row of REFUSED says."""
    _, their_code, our_code, words, _ = row
    told = [('gavelctl says', complaint(ours), 'Error: ' + words),
            ('gavelctl ends with', ours.code, our_code),
            ('gavelctl writes', ours.out, b''),
            ('etcdctl ends with', theirs.code, our_code if their_code is None else their_code)]
    return ['%s: %s %r, not %r' % (label, what, is_, should)
            for what, is_, should in told if is_ != should]


def outputs_of(label, fmt, theirs, ours, patterns):
    if label.startswith('version'):  # Each tells its own version.
        form = r'(etcd|gavel)ctl version: [\d.]+\nAPI version: 3\.\d\n'
        return [re.sub(form, 'VERSIONS', result.text()) for result in (theirs, ours)]
    if fmt == 'protobuf' and patterns[:len(OWN)] == OWN and not label.startswith('defrag'):
        if label.startswith('member list') and ours.code == 0:
            return [versions.any_members(result.out) for result in (theirs, ours)]
        return [protobuf_without_header(result.out) for result in (theirs, ours)]
    old, new = theirs.text(), ours.text()
    row = row_for(THEIRS, label)
    while row is not None:  # More than one may be needed.
        old = row[1](old, fmt)
        row = row_for(THEIRS[THEIRS.index(row) + 1:], label)
    old, new = replaced(old, patterns), replaced(new, patterns)
    row = row_for(OURS, label)
    if row is not None and fmt != 'protobuf':
        new = row[1](new, fmt)
    return [old, new]


def compare(label, fmt, theirs, ours, patterns):
    """The differences between two results that no row of the lists above allows."""
    differences = []
    row = row_for(REFUSED, label)
    if row is not None and not theirs.code == ours.code == 4:  # The format is refused before.
        return compare_refusal(label, row, theirs, ours)
    patterns = patterns + (FRAMES if fmt == 'table' else [])
    if label.startswith('endpoint health') and fmt == 'simple':
        # Healthy endpoints go to standard output, as in 3.6; 3.4 writes them to standard error.
        theirs = copy.copy(theirs)
        theirs.out, theirs.err = theirs.err.encode(), theirs.text()
    outputs = outputs_of(label, fmt, theirs, ours, patterns)
    complaints = [replaced(complaint(r), patterns) for r in (theirs, ours)]
    warned = RANGE.search(label)
    if warned and theirs.code == 0:
        complaints[0] = (complaints[0] + WARNING) % warned.groups()[:2]
    for what, a, b in (('output', *outputs), ('complaint', *complaints),
                       ('code', theirs.code, ours.code)):
        if a != b:
            differences.append('%s: %s\n  etcdctl:  %r\n  gavelctl: %r' % (label, what, a, b))
    return differences


def run_script(name, fmt, servers, gavelctl, verbose):
    theirs_cluster, ours_cluster = servers
    differences = []
    for step in SCRIPTS[name]:
        command, stdin, title = step if isinstance(step[0], tuple) else (step, b'', None)
        label = '%s%s (%s)' % (' '.join(command), ' with ' + title if title else '', fmt)
        if fmt == 'table' and command[0] in WRITES:
            result = gavelctl(ours_cluster.endpoint(), *command, write_out=fmt, stdin=stdin)
            if command[0] != 'compaction' and result.code == 0:
                differences.append('%s: was done' % label)
            continue
        if fmt == 'protobuf' and '-i' in command:
            continue  # Prompts stand before the message, and its header could not be found.
        if title in ALONE:
            for cluster in servers:  # Keeps the clusters equal.
                result = gavelctl(cluster.endpoint(), *command, write_out=fmt, stdin=stdin)
                if result.code != ALONE[title]:
                    differences.append('%s: exit code %d: %s' % (label, result.code, result.err))
            continue
        theirs = etcdctl(theirs_cluster.endpoint(), *command, write_out=fmt, stdin=stdin)
        ours = gavelctl(ours_cluster.endpoint(), *command, write_out=fmt, stdin=stdin)
        if verbose:
            print('$ %s\n%s%s' % (label, ours.text(), ours.err))
        differences += compare(label, fmt, theirs, ours, OWN)
        if command[0] not in WRITES:
            same = gavelctl(theirs_cluster.endpoint(), *command, write_out=fmt, stdin=stdin)
            differences += compare(label + ' [one cluster]', fmt, theirs, same, TIMES)
    return differences


def check_three_members(server, gavelctl):
    """On one cluster of three: what both print must be the same, member for member."""
    problems = []
    with contextlib.closing(Cluster(server, 3)) as cluster:
        cluster.start()
        cluster.wait_ready()
        gavelctl(cluster.endpoints(), 'put', 'k', 'v')
        for fmt in FORMATS:
            for command in (('member', 'list'), ('endpoint', 'health'),
                            ('get', 'k'), ('endpoint', 'hashkv')):
                label = '%s (%s) [three members]' % (' '.join(command), fmt)
                theirs = etcdctl(cluster.endpoints(), *command, write_out=fmt)
                ours = gavelctl(cluster.endpoints(), *command, write_out=fmt)
                if command[1] == 'health':  # etcdctl lists whoever answers first.
                    for result in (theirs, ours):
                        result.out = b'\n'.join(sorted(result.out.splitlines()))
                        result.err = '\n'.join(sorted(result.err.splitlines()))
                    if fmt == 'json':
                        continue
                patterns = TIMES + ([(r'"member_id":\d+', '"member_id":N'),
                                     (r'"MemberID" : \d+', '"MemberID" : N')])
                if fmt == 'protobuf':
                    patterns = OWN
                problems += compare(label, fmt, theirs, ours, patterns)
        status = gavelctl(cluster.endpoint(), 'endpoint', 'status', '--cluster')
        if status.code != 0 or len(status.text().splitlines()) != 3:
            problems.append('endpoint status --cluster: %r' % status.text())
        if [row.split(', ')[8] for row in status.text().splitlines()].count('true') != 1:
            problems.append('not one leader: %r' % status.text())
        table = gavelctl(cluster.endpoint(), 'endpoint', 'status', write_out='table').text()
        columns = [cell.strip().lower() for cell in table.splitlines()[1].split('|')[1:-1]]
        if columns != [name for name, _ in versions.STATUS_COLUMNS]:
            problems.append('columns: %s' % columns)
        hashes = {row.split(', ')[1] for row in gavelctl(
            cluster.endpoint(), 'endpoint', 'hashkv', '--cluster').text().splitlines()}
        if len(hashes) != 1:
            problems.append('members differ: %s' % hashes)
    return problems


def check_unreachable(gavelctl):
    problems = []
    endpoint = unused_endpoint()
    ours = gavelctl(endpoint, 'get', 'k')
    if ours.code != 2 or endpoint not in ours.err or '--endpoints' not in ours.err:
        problems.append('unreachable: %d %r' % (ours.code, ours.err))
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--server', required=True)
    parser.add_argument('--gavelctl', required=True)
    parser.add_argument('-v', action='store_true', help='print every command with its answer')
    parser.add_argument('-k', default='', help='only scripts whose name contains this')
    options = parser.parse_args()
    gavelctl = Gavelctl(options.gavelctl)
    report = Report()

    for fmt in FORMATS:
        with contextlib.closing(Cluster(options.server)) as one, \
                contextlib.closing(Cluster(options.server)) as other:
            for cluster in (one, other):
                cluster.start()
            for cluster in (one, other):
                cluster.wait_ready()
            for name in SCRIPTS:
                # etcdctl has tables of members only.
                if options.k in name and (fmt != 'table' or name in ('put', 'cluster')):
                    report('%s (%s)' % (name, fmt),
                           run_script(name, fmt, (one, other), gavelctl, options.v))
    if options.k in 'three members':
        report('three members', check_three_members(options.server, gavelctl))
    if options.k in 'unreachable':
        report('unreachable', check_unreachable(gavelctl))
    if not options.k:
        report('near misses', versions.near_misses())
        report('no row is idle', [row[0] for row in REFUSED + THEIRS + OURS if row not in used])
    sys.exit(1 if report.failed else 0)


main()
