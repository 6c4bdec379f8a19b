"""Starts etcd and Gavel on loopback for the tests in this folder.

Every server gets a folder of its own that is removed at the end, and ports below the ephemeral
ones. Ends only processes that it started, by pid.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class PortBlock:
    """Ports that no other test process is given: tests run beside each other, and the port of a
    member that is down looks free. tests/support/port_block.h divides them in the same way."""
    FIRST, SIZE, BLOCKS = 20000, 200, 60

    def __init__(self):
        self._next = 0
        self._lock = socket.socket(socket.AF_UNIX)
        for i in range(self.BLOCKS):
            self._block = (os.getpid() + i) % self.BLOCKS
            try:
                # A name in the abstract namespace, which goes with the process.
                self._lock.bind('\0gavel-test-ports-%d' % self._block)
                return
            except OSError:
                pass
        raise SystemExit('other tests use all blocks of ports')

    def next(self):
        """One that nobody listens on now; the same comes again only after all others have."""
        for _ in range(self.SIZE):
            port = self.FIRST + self._block * self.SIZE + self._next % self.SIZE
            self._next += 1
            with socket.socket() as probe:
                try:
                    probe.bind(('127.0.0.1', port))
                except OSError:
                    continue
            return port
        raise SystemExit('no free port on 127.0.0.1')


_ports = PortBlock()


def free_port():
    return _ports.next()


def need(program):
    path = shutil.which(program)
    if path is None:
        raise SystemExit('%s is missing: run deploy/install-deps --tests' % program)
    return path


class Cluster:
    """`size` members of the server `binary`, started with etcd's own flags."""

    def __init__(self, binary, size=1, extra=()):
        self.binary = binary
        self.extra = list(extra)
        self.root = tempfile.mkdtemp(prefix='gavel-cli-')
        self.ports = [(free_port(), free_port()) for _ in range(size)]
        self.processes = [None] * size

    def endpoint(self, member=0):
        return '127.0.0.1:%d' % self.ports[member][0]

    def endpoints(self):
        return ','.join(self.endpoint(i) for i in range(len(self.ports)))

    def data_dir(self, member=0):
        return os.path.join(self.root, 'm%d' % member)

    def log_path(self, member=0):
        return os.path.join(self.root, 'm%d.log' % member)

    def log(self, member=0):
        with open(self.log_path(member), errors='replace') as log:
            return log.read()

    def arguments(self, member=0):
        initial = ','.join('m%d=http://127.0.0.1:%d' % (i, peer)
                           for i, (_, peer) in enumerate(self.ports))
        client, peer = ('http://127.0.0.1:%d' % port for port in self.ports[member])
        return [self.binary, '--name=m%d' % member, '--data-dir=' + self.data_dir(member),
                '--listen-client-urls=' + client, '--advertise-client-urls=' + client,
                '--listen-peer-urls=' + peer, '--initial-advertise-peer-urls=' + peer,
                '--initial-cluster=' + initial] + self.extra

    def start(self, *members, env=None, preexec=None):
        for member in members or range(len(self.processes)):
            with open(self.log_path(member), 'ab') as log:
                self.processes[member] = subprocess.Popen(
                    self.arguments(member), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={**os.environ, **(env or {})}, preexec_fn=preexec)

    def wait_ready(self, *members, seconds=60):
        for member in members or range(len(self.processes)):
            end = time.time() + seconds
            while etcdctl(self.endpoint(member), 'get', 'ready').code != 0:
                code = self.processes[member].poll()
                if code is not None or time.time() > end:
                    raise AssertionError('member %d of %s is not ready (exit code %s):\n%s' % (
                        member, self.binary, code, self.log(member)[-4000:]))
                time.sleep(0.05)

    def stop(self, *members, how=signal.SIGTERM):
        """Ends members; returns their exit codes."""
        running = [self.processes[m] for m in members or range(len(self.processes))
                   if self.processes[m] is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(how)
        codes = []
        for process in running:
            try:
                codes.append(process.wait(60))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
        return codes

    def wait_exit(self, member=0, seconds=30):
        """The exit code of a member that is expected to stop by itself."""
        try:
            return self.processes[member].wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError('member %d still runs after %d s:\n%s' % (
                member, seconds, self.log(member)[-2000:]))

    def close(self):
        self.stop(how=signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr.decode(errors='replace')

    def text(self):
        return self.out.decode(errors='replace')


def etcdctl(endpoints, *arguments, write_out=None, stdin=b''):
    command = [need('etcdctl'), '--endpoints=' + endpoints]
    if write_out:
        command.append('--write-out=' + write_out)
    environment = {k: v for k, v in os.environ.items() if not k.startswith('ETCD')}
    environment['ETCDCTL_API'] = '3'
    return Result(subprocess.run(command + list(arguments), input=stdin, capture_output=True,
                                 env=environment, timeout=60))
