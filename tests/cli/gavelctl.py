"""Runs gavelctl for the tests in this folder, also on a terminal and in front of servers that
misbehave."""
import contextlib
import os
import pty
import select
import socket
import subprocess
import threading
import time

from checks import check
from servers import Result


def clean_environment(extra=None):
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith(('ETCD', 'GAVEL')) and k not in ('NO_COLOR', 'TERM')}
    environment.update({'TERM': 'xterm', 'LC_ALL': 'C.UTF-8'})
    environment.update(extra or {})
    return environment


def protobuf_without_header(data):
    """The bytes behind the first field, which is the header."""
    return data[2 + data[1]:] if len(data) > 1 and data[0] == 10 else data


class Gavelctl:
    """The program at `path`."""

    def __init__(self, path):
        self.path = path

    def __call__(self, endpoints, *arguments, write_out=None, stdin=b'', env=None, timeout=60):
        command = [self.path] + list(arguments)
        if endpoints:
            command.insert(1, '--endpoints=' + endpoints)
        if write_out:
            command.insert(1, '--write-out=' + write_out)
        return Result(subprocess.run(command, input=stdin, capture_output=True,
                                     env=clean_environment(env), timeout=timeout))

    def on_terminal(self, endpoints, *arguments, typed=b'', env=None, timeout=30):
        """Runs it with a terminal for all three streams; returns (what was shown, exit code)."""
        own, child = pty.openpty()
        process = subprocess.Popen([self.path, '--endpoints=' + endpoints] + list(arguments),
                                   stdin=child, stdout=child, stderr=child,
                                   env=clean_environment(env), start_new_session=True)
        os.close(child)
        if typed:
            os.write(own, typed)
        shown = b''
        end = time.time() + timeout
        while time.time() < end:
            ready, _, _ = select.select([own], [], [], 0.1)
            if ready:
                try:
                    chunk = os.read(own, 65536)
                except OSError:  # The other end is closed.
                    break
                if not chunk:
                    break
                shown += chunk
        os.close(own)
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        if process.poll() is None:
            process.kill()
        return shown, process.wait()


def check_failed(result, code, *said):
    """Its first line says what is wrong, and there is another on what to try."""
    check(result.code == code, 'exit code %d, not %d: %s' % (result.code, code, result.err))
    check(result.err.startswith('Error: '), result.err)
    check(result.err.strip().count('\n') > 0, 'no hint: ' + result.err)
    for text in said:
        check(text in result.err, '%r is not said: %s' % (text, result.err))
    check('\x1b' not in result.err, 'colours without a terminal: %r' % result.err)


class FakeServer:
    """Listens on a port of loopback and hands each connection to `serve`."""

    def __init__(self, serve):
        self._serve = serve
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.endpoint = '127.0.0.1:%d' % self._listener.getsockname()[1]
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with contextlib.suppress(OSError):
            self._serve(connection)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.close()


def silent(connection):
    """Takes everything and never says a word."""
    while connection.recv(65536):
        pass


def http_2(status):
    """A `serve` of HTTP/2 that answers all requests with this status, as web servers do."""
    def frame(kind, flags, stream, payload):
        return (len(payload).to_bytes(3, 'big') + bytes([kind, flags]) +
                stream.to_bytes(4, 'big') + payload)

    def serve(connection):
        with connection.makefile('rb') as stream:
            stream.read(24)  # The preface.
            connection.sendall(frame(4, 0, 0, b''))  # SETTINGS
            while head := stream.read(9):
                stream.read(int.from_bytes(head[:3], 'big'))
                kind, number = head[3], int.from_bytes(head[5:], 'big')
                if kind == 4 and not head[4]:
                    connection.sendall(frame(4, 1, 0, b''))
                if kind == 1:  # HEADERS; field 8 of HPACK's table is ":status".
                    text = b'%d' % status
                    connection.sendall(frame(1, 5, number, b'\x08' + bytes([len(text)]) + text))
    return serve


def _forward(source, target, on_chunk, bytes_max=1 << 60):
    with contextlib.suppress(OSError):
        while bytes_max:
            chunk = source.recv(min(65536, bytes_max))
            if not chunk:
                break
            bytes_max -= len(chunk)
            if on_chunk is not None:
                chunk = on_chunk(chunk)
            target.sendall(chunk)
            if on_chunk is not None and not chunk:
                break
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def proxy_to(endpoint, on_request=None, on_answer=None, answer_bytes_max=1 << 60):
    """A `serve` that forwards to a real server and lets both directions be looked at.

    Each hook takes a chunk and returns what is passed on; nothing ends the connection, and so do
    `answer_bytes_max` bytes of the server's.
    """
    host, port = endpoint.rsplit(':', 1)

    def serve(connection):
        with socket.create_connection((host, int(port))) as server:
            back = threading.Thread(
                target=_forward, args=(server, connection, on_answer, answer_bytes_max),
                daemon=True)
            back.start()
            _forward(connection, server, on_request)
            back.join()
    return serve


def before_mention(text, action, nth=1):
    """A request hook that runs `action` once, before the nth chunk with `text` is passed on."""
    chunks = []

    def hook(chunk):
        if text in chunk:
            chunks.append(chunk)
            if len(chunks) == nth:
                action()
        return chunk
    return hook


def before_txn(action):
    """A request hook that runs `action` once, before the first transaction is passed on.

    gRPC writes a path as it is when it comes first, so that a request can be recognized on the
    wire.
    """
    return before_mention(b'/etcdserverpb.KV/Txn', action)


def drop_at_txn():
    """A request hook that ends the connection when the first transaction comes."""
    return lambda chunk: b'' if b'/etcdserverpb.KV/Txn' in chunk else chunk


def unused_endpoint():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return '127.0.0.1:%d' % listener.getsockname()[1]
