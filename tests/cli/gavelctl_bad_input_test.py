#!/usr/bin/env python3
"""gavelctl in a bad world: servers that are gone, silent or broken, terminals, pipes, files.

  gavelctl_bad_input_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl
      [--sanitizers thread] [-k NAME]

Each test wants a message that says what and what to do, the documented exit code, and an end in
time.
"""
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

from checks import check, parse_options, run, test
from gavelctl import (FakeServer, Gavelctl, check_failed, clean_environment, http_2, proxy_to,
                      silent, unused_endpoint)
from servers import Cluster, Result


def check_failed_after_lines(result, *said):
    """Where lines about single endpoints come first."""
    at = result.err.find('Error: ')
    check(result.code == 1 and at > 0, '%d %s' % (result.code, result.err))
    for text in said:
        check(text in result.err[at:], '%r is not said: %s' % (text, result.err))


@test
def no_endpoint_reachable(world):
    endpoints = ','.join(unused_endpoint() for _ in range(3))
    start = time.time()
    for command in (('get', 'k'), ('put', 'k', 'v'), ('member', 'list'), ('watch', 'k'),
                    ('lease', 'keep-alive', '1'), ('lock', 'name')):
        result = world.gavelctl(endpoints, *command, '--dial-timeout=700ms')
        check_failed(result, 2, endpoints.split(',')[0], '--endpoints')
        check(result.err.count('(Connection refused)') == 3, result.err)
    check(time.time() - start < 30, 'it took too long')
    health = world.gavelctl(endpoints, 'endpoint', 'health', '--dial-timeout=700ms')
    check(health.code == 1 and health.err.count('is unhealthy') == 3, health.err)
    status = world.gavelctl(endpoints, 'endpoint', 'status')
    check(status.code == 1 and status.err.count('Failed to get the status') == 3, status.err)


@test
def half_of_the_endpoints_are_dead(world):
    endpoints = ','.join([unused_endpoint(), unused_endpoint(), world.endpoint])
    check(world.gavelctl(endpoints, 'put', 'half', 'v').code == 0, 'put')
    check(world.gavelctl(endpoints, 'get', 'half').text() == 'half\nv\n', 'get')
    status = world.gavelctl(endpoints, 'endpoint', 'status')
    check(status.code == 1 and world.endpoint in status.text(), status.text())


@test
def no_quorum(world):
    """What a quorum is not needed for is answered, and the rest told with what to do."""
    with contextlib.closing(Cluster(world.server, 3)) as cluster:
        cluster.start()
        cluster.wait_ready()
        cluster.stop(1, 2, how=signal.SIGKILL)
        endpoint = cluster.endpoint(0)
        for what, columns in (('status', 16), ('hashkv', 3)):
            asked = world.gavelctl(endpoint, 'endpoint', what, '--cluster')
            check_failed_after_lines(asked, '2 of 3 endpoints gave no ', 'Start those members')
            rows = [row.split(', ') for row in asked.text().splitlines()]
            check([row[0] for row in rows] == ['http://' + endpoint], rows)
            check(len(rows[0]) == columns, rows)
        health = world.gavelctl(endpoint, 'endpoint', 'health', '--cluster', '--command-timeout=1s')
        check(health.err.count(' is unhealthy: ') == 3, health.err)
        check_failed_after_lines(health, 'unhealthy cluster', 'endpoint status --cluster')
        get = world.gavelctl(endpoint, 'get', 'k', '--command-timeout=1s')
        check_failed(get, 1, endpoint + ' did not answer', 'endpoint status --cluster')


@test
def server_that_never_answers(world):
    with contextlib.closing(FakeServer(silent)) as dead:
        start = time.time()
        put = world.gavelctl(dead.endpoint, 'put', 'k', 'v', '--command-timeout=1s')
        check_failed(put, 2, dead.endpoint + ' (no answer to the attempt to connect)',
                     '--endpoints')
        check(time.time() - start < 20, 'it took too long')
        # A read goes to another member meanwhile.
        both = dead.endpoint + ',' + world.endpoint
        check(world.gavelctl(both, 'get', 'none').code == 0, 'get')


@test
def host_that_swallows_packets(world):
    """Nobody answers the attempt to connect, not even with a refusal."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(('127.0.0.1', 0))
        listener.listen(0)
        endpoint = '127.0.0.1:%d' % listener.getsockname()[1]
        for _ in range(8):  # Once the queue is full, Linux drops what asks to be let in.
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        result = world.gavelctl(endpoint, 'get', 'k', '--dial-timeout=1s')
        check_failed(result, 2, endpoint + ' (no answer to the attempt to connect)', '--endpoints')
        both = endpoint + ',' + world.endpoint
        check(world.gavelctl(both, 'get', 'none').code == 0, 'get')


@test
def peer_port(world):
    result = world.gavelctl(world.peer_endpoint, 'get', 'k')
    check_failed(result, 1, 'this port is for peers', 'client URLs with --endpoints')


@test
def closed_descriptors(world):
    """A standard descriptor that is closed is read as empty, and takes what is written."""
    def run(redirection, *arguments):
        return subprocess.run(
            ['sh', '-c', '"$@" ' + redirection, 'sh', world.gavelctl.path,
             '--endpoints=' + world.endpoint] + list(arguments),
            capture_output=True, env=clean_environment(), timeout=60)
    world.gavelctl(world.endpoint, 'put', 'closed', 'v')
    put = run('<&-', 'put', 'closed')
    check(put.returncode == 128 and b'input from stdin' in put.stderr, put)
    get = run('>&-', 'get', 'closed')
    check(get.returncode == 0 and get.stderr == b'', get)
    failed = run('2>&-', 'get', '')
    check(failed.returncode == 1 and failed.stdout == b'', failed)
    check(run('<&- >&- 2>&-', 'put', 'closed', 'w').returncode == 0, 'all closed')
    check(world.gavelctl(world.endpoint, 'get', 'closed').text() == 'closed\nw\n', 'put')


@test
def server_that_falls_silent(world):
    """The connection stands, and a request vanishes: its outcome is unknown, and that is said."""
    def swallow(chunk):
        return b'' if b'/etcdserverpb.KV/' in chunk else chunk

    def serve(connection):
        # Forwards all but requests, and keeps the connection open.
        hook = proxy_to(world.endpoint, on_request=lambda chunk: swallow(chunk) or _wait())
        hook(connection)

    def _wait():
        time.sleep(5)
        return b''
    with contextlib.closing(FakeServer(serve)) as proxy:
        result = world.gavelctl(proxy.endpoint, 'put', 'k', 'v', '--command-timeout=1s')
        check_failed(result, 1, 'no answer within 1000 ms', 'not known whether',
                     '--command-timeout')


@test
def response_cut_off(world):
    """The server goes away in the middle of an answer."""
    world.gavelctl(world.endpoint, 'put', 'large', stdin=b'x' * 300_000)
    passed = 0

    def cut(chunk):
        nonlocal passed
        passed += len(chunk)
        return chunk if passed < 20_000 else b''
    with contextlib.closing(FakeServer(proxy_to(world.endpoint, on_answer=cut))) as proxy:
        result = world.gavelctl(proxy.endpoint, 'get', 'large', '--command-timeout=2s')
        check_failed(result, 1, proxy.endpoint + ' broke off', '--endpoints')
        check(result.out == b'', result.out[:99])
    # Every connection ends within the first answer, some before its first byte.
    for count in range(60, 151, 30):
        proxy = FakeServer(proxy_to(world.endpoint, answer_bytes_max=count))
        with contextlib.closing(proxy):
            get = world.gavelctl(proxy.endpoint, 'get', 'large', '--command-timeout=1s')
            check_failed(get, 1, proxy.endpoint + ' broke off', 'endpoint status --cluster',
                         '--endpoints')
            check(get.out == b'', get.out[:99])
            if count > 100:  # A put's whole answer.
                continue
            put = world.gavelctl(proxy.endpoint, 'put', 'cut', 'v')
            check_failed(put, 1, 'not known whether', proxy.endpoint + ' broke off')


@test
def server_that_speaks_something_else(world):
    def http(connection):
        connection.recv(65536)
        connection.sendall(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
        connection.recv(65536)

    def noise(connection):
        connection.sendall(os.urandom(4096))
        connection.recv(65536)
    for serve, said in ((http, 'speaks HTTP/1'), (noise, 'no client port of a member')):
        with contextlib.closing(FakeServer(serve)) as server:
            result = world.gavelctl(server.endpoint, 'get', 'k', '--command-timeout=3s')
            check_failed(result, 2, server.endpoint, said)


@test
def web_server(world):
    """It speaks HTTP/2, as members do, and answers with a status."""
    for status in (301, 401, 404, 502):
        with contextlib.closing(FakeServer(http_2(status))) as server:
            commands = [('get', 'k'), ('put', 'k', 'v'), ('get', 'k', '--stream')]
            if status < 500:  # What may be over soon is waited for.
                commands.append(('lock', 'name'))
                watch = world.gavelctl(server.endpoint, 'watch', 'k')
                check(watch.code == 5 and 'HTTP status %d' % status in watch.err, watch.err)
                check('client URLs with --endpoints' in watch.err, watch.err)
            for command in commands:
                result = world.gavelctl(server.endpoint, *command, '--command-timeout=1s')
                check_failed(result, 1, 'HTTP status %d' % status, server.endpoint,
                             'client URLs with --endpoints')
                check(('not known whether' in result.err) == (command[0] == 'put' and status > 500),
                      result.err)
            both = server.endpoint + ',' + world.endpoint
            check(world.gavelctl(both, 'get', 'none').code == 0, 'get')
            check(status > 500 or world.gavelctl(both, 'put', 'both', 'v').code == 0, 'put')


def run_in_1_gib(world, *arguments, stdin=subprocess.DEVNULL):
    """What it takes beyond that ends it, and not the machine."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    environment = clean_environment()
    if world.sanitized:
        # Its shadow memory is address space too; but it looks after what is used by itself.
        for options in ('ASAN_OPTIONS', 'TSAN_OPTIONS'):
            environment[options] = environment.get(options, '') + ':hard_rss_limit_mb=1024'
    return Result(subprocess.run(
        [world.gavelctl.path, '--endpoints=' + world.endpoint, *arguments], stdin=stdin,
        capture_output=True, env=environment, timeout=60,
        preexec_fn=None if world.sanitized else limit))


def fill(path, text):
    """Writes to a FIFO until its reader goes away."""
    with contextlib.suppress(BrokenPipeError), open(path, 'wb') as fifo:
        while True:
            fifo.write(text * 1000)


@test
def input_without_an_end(world):
    """What never ends is refused by the name of the limit, wherever input is read."""
    said = ('67108864 bytes', '--max-input-bytes')
    for command in (('txn', '--file'), ('config', 'apply'), ('config', 'diff')):
        check_failed(run_in_1_gib(world, *command, '/dev/zero'), 3, '/dev/zero', *said)
    with open('/dev/zero', 'rb') as zero:
        for command in (('put', 'endless'), ('txn',), ('txn', '-i'), ('watch', '-i'),
                        ('config', 'apply', '-')):
            check_failed(run_in_1_gib(world, *command, stdin=zero), 3, 'standard input', *said)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'fifo')
        os.mkfifo(path)
        for command, text in ((('txn', '--file'), b'mod("endless") = "0"\n'),
                              (('config', 'apply'), b'# nothing\n')):
            writer = threading.Thread(target=fill, args=(path, text), daemon=True)
            writer.start()
            check_failed(run_in_1_gib(world, *command, path), 3, path, *said)
            writer.join(60)
    check(world.gavelctl(world.endpoint, 'get', 'endless').out == b'', 'something was done')


@test
def input_of_another_limit(world):
    """The limit is a flag and a variable, and holds to the byte."""
    for extra, env, code in ((('--max-input-bytes=9',), {}, 3), (('--max-input-bytes=10',), {}, 0),
                             ((), {'GAVELCTL_MAX_INPUT_BYTES': '9'}, 3),
                             ((), {'GAVELCTL_MAX_INPUT_BYTES': '10'}, 0)):
        put = world.gavelctl(world.endpoint, 'put', 'limited', *extra, stdin=b'0123456789', env=env)
        check(put.code == code, '%s %s: %d %s' % (extra, env, put.code, put.err))
        if code:
            check_failed(put, code, 'more than 9 bytes')
    for number in ('0', '-1'):
        check_failed(world.gavelctl(world.endpoint, 'get', 'k', '--max-input-bytes=' + number), 128,
                     '--max-input-bytes is ' + number)


@test
def broken_pipe(world):
    """`gavelctl get | head -1` ends without a word."""
    for number in range(12):
        world.gavelctl(world.endpoint, 'put', 'pipe%02d' % number, stdin=b'y' * 200_000)
    for flags in ((), ('--limit=5',), ('--print-value-only',), ('--keys-only',), ('--hex',)):
        whole = world.gavelctl(world.endpoint, 'get', 'pipe', '--prefix', *flags)
        stream = world.gavelctl(world.endpoint, 'get', 'pipe', '--prefix', '--stream', *flags)
        check((stream.code, stream.out, stream.err) == (whole.code, whole.out, whole.err),
              'a stream of %d bytes, and %d without' % (len(stream.out), len(whole.out)))
    process = subprocess.Popen(
        [world.gavelctl.path, '--endpoints=' + world.endpoint, 'get', 'pipe', '--prefix'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment())
    process.stdout.read(1)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    code = process.wait(30)
    check(code == -signal.SIGPIPE and said == b'', 'exit code %d: %r' % (code, said))
    shell = subprocess.run(
        ['bash', '-c', '"$@" | head -c1 >/dev/null; exit ${PIPESTATUS[0]}', 'bash',
         world.gavelctl.path, '--endpoints=' + world.endpoint, 'get', 'pipe', '--prefix'],
        stderr=subprocess.PIPE, env=clean_environment(), timeout=60)
    check(shell.returncode == 141 and shell.stderr == b'', shell)
    world.gavelctl(world.endpoint, 'del', 'pipe', '--prefix')


@test
def full_output(world):
    with open('/dev/full', 'wb') as full:
        done = subprocess.run(
            [world.gavelctl.path, '--endpoints=' + world.endpoint, 'put', 'f', 'v'],
            stdout=full, stderr=subprocess.PIPE, env=clean_environment())
    check(done.returncode == 6 and b'No space left' in done.stderr, done.stderr)


@test
def binary_on_a_terminal(world):
    """A terminal is shown escapes, and a pipe the bytes."""
    value = b'\x1b[31mred\x00\xff\x9b\nnext line'
    world.gavelctl(world.endpoint, 'put', 'tty', stdin=value)
    shown, code = world.gavelctl.on_terminal(world.endpoint, 'get', 'tty', '--print-value-only')
    check(code == 0, shown)
    check(shown.replace(b'\r\n', b'\n') == b'\\x1b[31mred\\x00\\xff\\x9b\nnext line\n', shown)
    check(world.gavelctl(world.endpoint, 'get', 'tty', '--print-value-only').out == value + b'\n',
          'a pipe must get the bytes')
    key = '\x1b[31mkey'
    lease = world.gavelctl(world.endpoint, 'lease', 'grant', '60').text().split()[1]
    world.gavelctl(world.endpoint, 'put', key, '--lease=' + lease, stdin=value)
    for command in (('watch', key, '--rev=1', '--', 'false'),
                    ('lease', 'timetolive', lease, '--keys')):
        shown, _ = world.gavelctl.on_terminal(world.endpoint, *command, env={'NO_COLOR': '1'})
        check(b'\\x1b[31mkey' in shown and b'\x1b' not in shown, '%s: %r' % (command, shown))
    shown, _ = world.gavelctl.on_terminal(world.endpoint, 'watch', '-i', env={'NO_COLOR': '1'},
                                          typed=key.encode() + b'\n\x04')
    check(b'Invalid command \\x1b[31mkey' in shown, shown)
    world.gavelctl(world.endpoint, 'lease', 'revoke', lease)


@test
def colours_only_on_a_terminal(world):
    world.gavelctl(world.endpoint, 'put', 'colour', 'v')
    shown, _ = world.gavelctl.on_terminal(world.endpoint, 'get', 'colour')
    check(b'\x1b[36mcolour\x1b[0m' in shown, shown)
    for env in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}):
        plain, _ = world.gavelctl.on_terminal(world.endpoint, 'get', 'colour', env=env)
        check(b'\x1b' not in plain, '%s: %r' % (env, plain))
    refused, code = world.gavelctl.on_terminal(world.endpoint, 'get', 'colour', '-w', 'protobuf')
    check(code == 4 and b'not written to a terminal' in refused and b'pipe' in refused, refused)
    failed, code = world.gavelctl.on_terminal(world.endpoint, 'get', '')
    check(code == 1 and b'\x1b[31mError:' in failed, failed)


@test
def check_perf_passes_or_says_why(world):
    """Which it is depends on the machine; that it is said, and cleaned up after, does not."""
    result = world.gavelctl(world.endpoint, 'check', 'perf', '--load=s', '--duration=1s')
    lines = result.text().splitlines()
    check(lines and lines[-1] in ('PASS', 'FAIL'), result.text() + result.err)
    check(result.code == (0 if lines[-1] == 'PASS' else 1), '%d %s' % (result.code, lines))
    check(re.search(r'(PASS: Throughput is|FAIL: Throughput too low:) \d+ writes/s', lines[0]),
          lines)
    check(re.search(r'(PASS: Slowest request took|Slowest request took too long:) [\d.]+s',
                    lines[1]), lines)
    check(re.search(r'(PASS: Stddev is|Stddev too high:) [\d.]+s', lines[2]), lines)
    left = world.gavelctl(world.endpoint, 'get', '/etcdctl-check-perf/', '--prefix', '--keys-only')
    check(left.out == b'', 'keys are left')
    world.gavelctl(world.endpoint, 'put', '/etcdctl-check-perf/mine', 'v')
    check_failed(world.gavelctl(world.endpoint, 'check', 'perf', '--duration=1s'), 3, 'has keys')
    check(world.gavelctl(world.endpoint, 'get', '/etcdctl-check-perf/mine').out != b'', 'deleted')
    world.gavelctl(world.endpoint, 'del', '/etcdctl-check-perf/mine')


@test
def check_perf_interrupted(world):
    process = subprocess.Popen(
        [world.gavelctl.path, '--endpoints=' + world.endpoint, 'check', 'perf', '--duration=60s'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment())
    for _ in range(200):
        if world.gavelctl(world.endpoint, 'get', '/etcdctl-check-perf/', '--prefix',
                          '--limit=1').out:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    check(process.returncode == 5, '%d %s' % (process.returncode, said))
    left = world.gavelctl(world.endpoint, 'get', '/etcdctl-check-perf/', '--prefix', '--keys-only')
    check(left.out == b'', 'keys are left')


class World:
    def __init__(self, options, cluster):
        self.gavelctl = Gavelctl(options.gavelctl)
        self.sanitized = bool(options.sanitizers)
        self.server = options.server
        self.endpoint = cluster.endpoint()
        self.peer_endpoint = '127.0.0.1:%d' % cluster.ports[0][1]


def main():
    options = parse_options(__doc__, 'server', 'gavelctl')
    with contextlib.closing(Cluster(options.server)) as cluster:
        cluster.start()
        cluster.wait_ready()
        run(World(options, cluster), options)


main()
