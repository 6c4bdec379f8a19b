"""Members of one server on loopback: started with etcd's own flags, ended by their pids."""
import os
import random
import shutil
import signal
import socket
import subprocess
import time

from compare_lib import machine
from compare_lib.load_program import Running
from compare_lib.problem import Problem
from compare_lib.processes import end_with_parent, unbroken

STOP_SECONDS = 60
START_SECONDS = 120
ATTEMPTS = 5  # with other ports, if one was taken between the choice and the start
QUOTA_BYTES = 8 << 30


class Ports:
    """Free ports, each given out once. Below the ephemeral ones, so that a restarted server finds
    none of its ports in use by a client."""

    def __init__(self, first, last):
        self._left = list(range(first, last + 1))
        random.shuffle(self._left)

    def take(self):
        while self._left:
            port = self._left.pop()
            with socket.socket() as probe:
                try:
                    probe.bind(('127.0.0.1', port))
                except OSError:
                    continue
            return port
        raise Problem('no free port is left; give another range by --ports')


class Cluster:
    """`size` members of one server. Start it by launch(); close() leaves nothing behind."""

    def __init__(self, name, command, size, folder, ports, program):
        self.name = name
        self.command = command  # the program, and flags beside those of all servers
        self.other_cores = None  # used by others during the last timed_start()
        self.folder = os.path.join(folder, '%s-%d-%d' % (name, size, random.randrange(1 << 30)))
        self.program = program
        self._ports = ports
        self._processes = [None] * size
        self._choose_ports()

    def _choose_ports(self):
        self._client_ports = [self._ports.take() for _ in self._processes]
        self._peer_ports = [self._ports.take() for _ in self._processes]

    @property
    def size(self):
        return len(self._processes)

    def pid(self, member):
        return self._processes[member].pid

    def pids(self):
        return [process.pid for process in self._processes]

    def endpoints(self, without=None):
        return ['127.0.0.1:%d' % port for member, port in enumerate(self._client_ports)
                if member != without]

    def data(self, member):
        return os.path.join(self.folder, 'm%d' % member)

    def log_end(self, member, lines=12):
        with open(self.data(member) + '.log', errors='replace') as log:
            return ''.join(log.readlines()[-lines:]).strip()

    def _arguments(self, member):
        url = 'http://127.0.0.1:%d'
        client, peer = url % self._client_ports[member], url % self._peer_ports[member]
        members = ('m%d=%s' % (i, url % port) for i, port in enumerate(self._peer_ports))
        return [*self.command, '--name', 'm%d' % member, '--data-dir', self.data(member),
                '--listen-client-urls', client, '--advertise-client-urls', client,
                '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
                '--initial-cluster', ','.join(members), '--initial-cluster-state', 'new',
                '--log-level', 'warn', '--quota-backend-bytes', str(QUOTA_BYTES)]

    def start(self, *members):
        """Starts members (all), and does not wait for them."""
        os.makedirs(self.folder, exist_ok=True)
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith('ETCD_')}  # They would be options of both servers.
        for member in members or range(self.size):
            with unbroken(), open(self.data(member) + '.log', 'ab') as log:
                self._processes[member] = subprocess.Popen(
                    self._arguments(member), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=environment, start_new_session=True, preexec_fn=end_with_parent)

    def stop(self, *members, how=signal.SIGTERM):
        """Ends members (all) and waits until they have."""
        chosen = [self._processes[member] for member in members or range(self.size)]
        running = [process for process in chosen if process is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(how)
        for process in running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self):
        with unbroken():
            self.stop(how=signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)

    def check_running(self, without=None):
        for member, process in enumerate(self._processes):
            if member != without and process is not None and process.poll() is not None:
                raise Problem('member %d of %s has ended with status %d; the end of its log:\n%s'
                              % (member, self.name, process.returncode, self.log_end(member)))

    def run(self, job, without=None):
        """Puts a load on the members (but one) and returns its result."""
        whole = {'endpoints': self.endpoints(without), 'pids': self.pids(), **job}
        return Running(self.program, whole).finish(lambda: self.check_running(without))

    def launch(self, probe='put'):
        """Starts the members on empty folders and waits until each of them answers.

        Returns the seconds to the first answer of any of them. Ports that someone else has taken
        meanwhile are replaced by others."""
        for attempt in range(ATTEMPTS):
            try:
                return self.timed_start(probe)
            except Problem:
                taken = any('address already in use' in self.log_end(member).lower()
                            for member in range(self.size))
                if not taken or attempt + 1 == ATTEMPTS:
                    raise
                self.close()
                self._choose_ports()
        return None

    def timed_start(self, probe='put'):
        """Starts all members on what is there; returns the seconds to the first answer."""
        waiting = Running(self.program, {
            'kind': 'first', 'endpoints': self.endpoints(), 'probe': probe,
            'limit_seconds': START_SECONDS})
        try:
            waiting.wait_begun()
            others = machine.Others(lambda: sum(self.cpu_seconds()))
            begun = time.time_ns()
            self.start()
            answered = waiting.finish(self.check_running)['first_ns']
            self.other_cores = others.cores()
        except Problem as problem:
            waiting.end()
            self.check_running()
            raise Problem('%s did not start: %s\nThe end of its log:\n%s' % (
                self.name, problem, self.log_end(0)))
        except BaseException:
            waiting.end()
            raise
        return (min(answered) - begun) / 1e9

    def wait_ready(self):
        self.run({'kind': 'first', 'probe': 'get', 'limit_seconds': START_SECONDS})

    def restart(self):
        """Anew on its data. Waits by reads: a put would change what the next reads cost etcd."""
        self.stop()
        self.timed_start('get')

    def members(self):
        return self.run({'kind': 'status'})['members']

    def leader(self):
        """The number of the member that leads, once all agree on that and on the revision."""
        self.wait_ready()
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            members = self.members()
            if (len({(one['leader'], one['revision']) for one in members}) == 1
                    and any(one['leads'] for one in members)):
                return [one['leads'] for one in members].index(True)
            time.sleep(0.1)
        raise Problem('the members of %s did not come to agree' % self.name)

    def memory_mb(self):
        return [machine.memory_mb(pid) for pid in self.pids()]

    def cpu_seconds(self):
        return [machine.cpu_seconds(process.pid) for process in self._processes
                if process is not None and process.poll() is None]

    def disk_mb(self):
        return sum(machine.disk_mb(self.data(member)) for member in range(self.size))
