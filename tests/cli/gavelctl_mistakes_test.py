#!/usr/bin/env python3
"""What a person types wrong: gavelctl says what, and what to try.

  gavelctl_mistakes_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl [-k NAME]
"""
import contextlib
import tempfile

from checks import check, parse_options, run, test
from gavelctl import Gavelctl, check_failed, unused_endpoint
from servers import Cluster


@test
def endpoints_that_are_none(world):
    for endpoints in ('nonsense', 'http://', 'a:b', '127.0.0.1:99999', 'https://127.0.0.1:1',
                      'ftp://x:1', ','):
        result = world.gavelctl('', '--endpoints', endpoints, 'get', 'k')
        check_failed(result, 128)


@test
def wrong_command_lines(world):
    for arguments, code, said in (
            (('gett', 'k'), 1, "'get'"),
            (('get', 'k', '--prefx'), 1, '--prefix'),
            (('get',), 128, 'It is get <key> [range_end]. All keys'),
            (('del',), 128, 'It is del <key> [range_end]. All keys'),
            (('put',), 128, 'It is put <key> <value>'),
            (('put', 'k', 'v', '--lease=zz'), 128, "'gavelctl lease list' shows the ids"),
            (('get', 'a', 'b', '--prefix'), 128, '<key> <range_end>'),
            (('get', 'k', '--limit'), 1, "behind '='"),
            (('compaction',), 128, 'It is gavelctl compaction [flags] <revision>. See'),
            (('compaction', 'x'), 1, 'The newest revision is in'),
            (('lease', 'grant', '1m'), 128, 'such as 60 for a minute'),
            (('exists',), 128, "It is gavelctl exists [flags] <key>. See 'gavelctl exists --help'"),
            (('config', 'revert', '--rev=1'), 128, "See 'gavelctl config revert --help'"),
            (('config', 'export', 'k', '--file', '/dev/null/x.yaml'), 6,
             'cannot create /dev/null/x.yaml: Not a directory\nCheck the name'),
            (('config', 'apply', '/dev/null/x'), 6,
             'cannot open /dev/null/x: Not a directory\nCheck the name'),
            (('config', 'apply', '/'), 6, 'name a file in it'),
            (('snapshot', 'save', '/dev/null/s'), 6, 'which becomes FILE when it is whole'),
            (('put', 'k', 'v', 'w'), 128, 'quotes'),
            (('get', 'k', '-w', 'xml'), 4, 'simple, fields, json'),
            (('put', 'k', 'v', '-w', 'table'), 4, 'simple, fields, json or protobuf'),
            (('mset', 'k', 'v', '-w', 'protobuf'), 4, 'simple, fields or json'),
            (('config', 'diff', '/dev/null', '-w', 'json'), 4, 'simple only'),
            (('config', 'apply', '/dev/null', '-w', 'table'), 4, 'simple only'),
            (('config', 'revert', 'k', '--rev=1', '-w', 'json'), 4, 'simple only'),
            (('config', 'export', 'k', '-w', 'fields'), 4, 'simple or json'),
            (('config', 'export', 'k', '-w', 'json', '--format=yaml'), 128, 'choose one'),
            (('member', 'list', 'a'), 128, 'lists all members'),
            (('endpoint', 'status', 'a'), 128, '--cluster'),
            (('get', 'k', '--command-timeout=0s'), 128, '--command-timeout'),
            (('get', 'k', '--command-timeout=1ns'), 1, 'within 1 ns'),
            (('txn', '--file', 'f', '-i'), 128, 'Drop --interactive'),
            (('user', 'list'), 1, 'no users'),
            (('put', 'k', 'v' * 99, '--max-request-bytes=50'), 1, 'a larger --max-request-bytes'),
            (('put', 'k', 'v', '--max-request-bytes=-1'), 128, '0 is no limit'),
            (('get', '', '--prefix', '--max-recv-bytes=10'), 1, 'a larger --max-recv-bytes'),
            (('put', 'none', 'v', '--ignore-value'), 128, 'only 1 argument'),
            (('get', 'k', '--command-timeout=5'), 1, '5s'),
            (('get', 'k', '--user', 'root:x'), 4, '--user'),
            (('get', 'k', '--cacert', '/ca.pem'), 4, 'TLS'),
            (('get', 'k', '--count-only'), 128, '--write-out=fields'),
            (('get', 'k', '--stream', '--order=DESCEND'), 128, '--sort-by'),
            (('get', 'k', '--stream', '-w', 'json'), 128, '--write-out=simple'),
            (('incr', 'k', 'x'), 128, 'such as 5, or -1'),
            (('mset', 'a'), 128, 'It is mset <key> <value> [<key> <value>]...'),
            (('check', 'perf', '--load', 'xxl'), 4, 's, m, l or xl'),
            (('check', 'perf', '--prefix', ''), 128, 'empty'),
            (('completion', 'csh'), 128, 'bash, zsh or fish')):
        result = world.gavelctl(world.endpoint, *arguments)
        check_failed(result, code, said)
    world.gavelctl(world.endpoint, 'put', 'word', 'text')
    check_failed(world.gavelctl(world.endpoint, 'incr', 'word'), 1, 'decimal number')
    world.gavelctl(world.endpoint, 'put', 'word', '9223372036854775807')
    check_failed(world.gavelctl(world.endpoint, 'incr', 'word'), 1, '64 bits', 'smaller number')
    check_failed(world.gavelctl(world.endpoint, 'put', 'word', 'x', '--ignore-lease',
                                '--lease=1'), 1, 'lease is provided', '--ignore-lease keeps')


@test
def variables(world):
    none = unused_endpoint()
    for env, code in (({'ETCDCTL_ENDPOINTS': world.endpoint}, 0),
                      ({'GAVELCTL_ENDPOINTS': world.endpoint, 'ETCDCTL_ENDPOINTS': none}, 0),
                      ({'GAVELCTL_ENDPOINTS': none, 'ETCDCTL_ENDPOINTS': world.endpoint}, 2)):
        result = world.gavelctl('', 'get', 'k', env=env)
        check(result.code == code, '%s: %d %s' % (env, result.code, result.err))
    over = world.gavelctl(world.endpoint, 'get', 'k', env={'ETCDCTL_ENDPOINTS': none})
    check(over.code == 0, 'the command line does not win: ' + over.err)
    again = world.gavelctl(none, 'get', 'k', '--endpoints', world.endpoint)
    check(again.code == 0, 'only the first --endpoints counts: ' + again.err)
    again = world.gavelctl(world.endpoint, 'get', 'k', '--endpoints', none)
    check(again.code == 0, 'only the last --endpoints counts: ' + again.err)
    typo = world.gavelctl(world.endpoint, 'get', 'k', env={'ETCDCTL_ENDPOINT': 'x'})
    check(typo.code == 0 and 'ETCDCTL_ENDPOINT' in typo.err, typo.err)
    bad = world.gavelctl(world.endpoint, 'get', 'k', env={'ETCDCTL_DIAL_TIMEOUT': 'soon'})
    check_failed(bad, 1, 'ETCDCTL_DIAL_TIMEOUT')


@test
def transaction_with_an_error(world):
    with tempfile.NamedTemporaryFile('w', suffix='.txn') as file:
        file.write('mod("k") = "0"\n\nput k "unfinished\n\n\n')
        file.flush()
        result = world.gavelctl(world.endpoint, 'txn', '--file', file.name)
        check_failed(result, 3, file.name + ': line 3, column 7', '\nWithin double quotes')
    check_failed(world.gavelctl(world.endpoint, 'txn', '--file', '/dev/null/x'), 6,
                 'cannot open /dev/null/x', 'Check the name')
    check_failed(world.gavelctl(world.endpoint, 'txn', stdin=b'\nput k v\n'), 3,
                 'standard input: line 3', 'empty line')
    check(world.gavelctl(world.endpoint, 'get', 'k').out == b'', 'something was done')


@test
def interactive_transaction(world):
    """A person may type a bad line again; a script may not."""
    shown, code = world.gavelctl.on_terminal(
        world.endpoint, 'txn', '-i',
        typed=b'nonsense\nver("typed") = "0"\n\nput typed 1\n\n\n')
    check(code == 0 and b'SUCCESS' in shown and b'Type this line again' in shown, shown)
    for prompt in (b'compares:', b'success requests (get, put, del):',
                   b'failure requests (get, put, del):'):
        check(prompt in shown, shown)
    script = world.gavelctl(world.endpoint, 'txn', '-i', stdin=b'nonsense\n\n\n\n')
    check_failed(script, 3, 'line 1, column 1')


class World:
    def __init__(self, options, cluster):
        self.gavelctl = Gavelctl(options.gavelctl)
        self.endpoint = cluster.endpoint()


def main():
    options = parse_options(__doc__, 'server', 'gavelctl')
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start()
        cluster.wait_ready()
        run(World(options, cluster), options)


main()
