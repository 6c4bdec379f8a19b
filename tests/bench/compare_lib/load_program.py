"""Builds the load generator (tests/bench/load) and runs its jobs."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import time

from compare_lib.problem import Problem
from compare_lib.processes import end_with_parent

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'load')
GO_PACKAGES = '/usr/share/gocode'


def go_sources(tests=False):
    found = sorted(glob.glob(os.path.join(SOURCES, '*.go')))
    return [path for path in found if tests or not path.endswith('_test.go')]


def go_environment(folder):
    """Go with Debian's packages, without modules, with its cache in `folder`."""
    return {**os.environ, 'GO111MODULE': 'off', 'GOPATH': GO_PACKAGES, 'GOFLAGS': '-p=2',
            'GOCACHE': os.path.join(folder, 'go-cache')}


def need_go():
    go = shutil.which('go')
    if go is None or not os.path.isdir(GO_PACKAGES + '/src/go.etcd.io/etcd/clientv3'):
        raise Problem("the load generator is made of etcd's Go clients: install the packages "
                      'golang-go and golang-etcd-server-dev (deploy/install-deps --tests)')
    return go


def build(folder):
    """Builds it into `folder`, from the cache if it is there already; returns its path."""
    go = need_go()
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, 'load')
    done = subprocess.run([go, 'build', '-o', path, *go_sources()], cwd=SOURCES,
                          env=go_environment(folder), capture_output=True, text=True)
    if done.returncode != 0:
        raise Problem('the load generator does not build:\n' + done.stdout + done.stderr)
    return path


class Running:
    """A job under way, in a session of its own so that Ctrl-C reaches only us."""

    def __init__(self, program, job):
        self.job = job
        self._out = tempfile.TemporaryFile('w+')
        self._err = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=self._out,
                                        stderr=self._err, text=True, start_new_session=True,
                                        preexec_fn=end_with_parent)
        try:
            self.process.stdin.write(json.dumps(job))
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # It has ended; finish() says why.

    def wait_begun(self):
        """Until the job says that it has begun (kind "first")."""
        while self.process.poll() is None and not self._lines():
            time.sleep(0.002)

    def _lines(self):
        # Not by seeking: the child writes at the same offset of the same open file.
        size = os.fstat(self._out.fileno()).st_size
        return os.pread(self._out.fileno(), size, 0).decode().splitlines()

    def finish(self, watch=None):
        """The result. `watch` is called meanwhile, and raises if there is nothing to wait for."""
        try:
            while True:
                try:
                    self.process.wait(0.5)
                    break
                except subprocess.TimeoutExpired:
                    if watch:
                        watch()
            lines = self._lines()
            if self.process.returncode != 0 or not lines:
                self._err.seek(0)
                raise Problem('%s failed (status %d): %s' % (
                    self.job['kind'], self.process.returncode, self._err.read()[-1500:].strip()))
            return json.loads(lines[-1])
        finally:
            self.end()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._out.close()
        self._err.close()
