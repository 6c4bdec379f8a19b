"""Plays scenes of several etcdctl processes on etcd and on Gavel at once, and compares them.

A scene is a function that is given a Stage and says with `stage.note` what it saw. It waits for
what must come; it measures no time.
"""
import contextlib
import difflib
import os
import re
import signal
import subprocess
import threading
import time
import traceback
import urllib.request

from gavelctl import Gavelctl
from outputs import Leases, refusal, replace_own
from report import Report
from servers import Cluster, etcdctl, free_port, need

PATIENCE = 90


class Running:
    """A process that goes on running; its output is collected while it does."""

    def __init__(self, endpoint, command, env=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith('ETCD')}
        environment.update({'ETCDCTL_API': '3', 'ETCDCTL_ENDPOINTS': endpoint, **(env or {})})
        self._what = ' '.join(command)
        self._changed = threading.Condition()
        self._out = {'out': b'', 'err': b''}
        self._open = 2
        # A group of its own, so that a signal also reaches what it has started.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment, start_new_session=True)
        self._collectors = [
            threading.Thread(target=self._collect, args=(name, pipe), daemon=True)
            for name, pipe in (('out', self.process.stdout), ('err', self.process.stderr))]
        for collector in self._collectors:
            collector.start()

    def _collect(self, name, pipe):
        while True:
            chunk = os.read(pipe.fileno(), 65536)
            with self._changed:
                self._out[name] += chunk
                self._open -= not chunk
                self._changed.notify_all()
            if not chunk:
                return

    def text(self, name='out'):
        with self._changed:
            return self._out[name].decode(errors='replace')

    def wait_for(self, pattern, count=1, name='out'):
        """Waits until standard output (or 'err') has `pattern` so many times."""
        end = time.time() + PATIENCE
        with self._changed:
            while len(re.findall(pattern.encode(), self._out[name])) < count:
                left = end - time.time()
                if left < 0 or self._open == 0:
                    raise AssertionError('%s: no %r in %r, %r' % (
                        self._what, pattern, self._out['out'], self._out['err']))
                self._changed.wait(left)

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end(self, how=signal.SIGINT):
        """Sends a signal, unless that is None; returns the exit code."""
        if how is not None and self.process.poll() is None:
            os.kill(self.process.pid, how)
        code = self.process.wait(PATIENCE)
        with self._changed:
            self._changed.wait_for(lambda: self._open == 0, PATIENCE)
        return code

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for collector in self._collectors:
            collector.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()


class Stage:
    """One fresh server of one member, and a transcript of what was seen there.

    `gavelctl` takes the place of etcdctl, if it is given.
    """

    def __init__(self, binary, extra=(), gavelctl=None):
        self._gavelctl = gavelctl
        # etcd tells its metrics on the clients' port too, Gavel on a port of their own.
        self._metrics = 'http://127.0.0.1:%d' % free_port()
        self.cluster = Cluster(binary, extra=[*extra, '--listen-metrics-urls=' + self._metrics])
        self.transcript = []
        self._running = []
        self._leases = Leases()

    def open(self):
        self.cluster.start()
        self.cluster.wait_ready()

    def close(self):
        for running in self._running:
            running.close()
        self.cluster.close()

    def note(self, title, text=''):
        """Adds to the transcript, with what is the server's own replaced."""
        title, text = (replace_own(self._leases.replace(str(each))) for each in (title, text))
        self.transcript.append(title)
        self.transcript += ['    ' + line for line in text.splitlines()]

    def run(self, *arguments, **options):
        if self._gavelctl is None:
            return etcdctl(self.cluster.endpoint(), *arguments, **options)
        result = Gavelctl(self._gavelctl)(self.cluster.endpoint(), *arguments, **options)
        # What to try stands below the error, and etcdctl has no such lines.
        lines = result.err.splitlines()
        errors = [i for i, line in enumerate(lines) if line.startswith('Error: ')]
        result.err = '\n'.join(lines[:errors[0] + 1] if errors else lines)
        return result

    def say(self, *arguments, **options):
        """Runs a command and notes everything that it said."""
        result = self.run(*arguments, **options)
        form = options.get('write_out')
        self.note('$ %s%s' % (' '.join(arguments), ' -w ' + form if form else ''), result.text())
        if refusal(result):
            self.note('  complaint:', refusal(result))
        if result.code != 0:
            self.note('  exit code %d' % result.code)
        return result

    def start(self, *arguments, write_out=None, env=None):
        """Starts an etcdctl that goes on running."""
        form = ['--write-out=' + write_out] if write_out else []
        return self.start_command([self._gavelctl or need('etcdctl')] + form + list(arguments), env)

    def start_command(self, command, env=None):
        running = Running(self.cluster.endpoint(), command, env)
        self._running.append(running)
        return running

    def note_end(self, title, running, how=signal.SIGINT):
        code = running.end(how)
        self.note('%s ended with %d and had said' % (title, code), running.text())

    def metric(self, name):
        with urllib.request.urlopen(self._metrics + '/metrics') as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + ' '):
                    return float(line.split()[1])
        raise AssertionError('no metric %s' % name)

    def wait_watchers(self, count):
        """Waits until the server has so many watchers."""
        wait_until(lambda: self.metric('etcd_debugging_mvcc_watcher_total') == count,
                   '%d watchers' % count)

    def keys(self, prefix):
        """The keys under a prefix by age, with names for their leases."""
        result = self.run('get', prefix, '--prefix', '--keys-only', '--sort-by=CREATE')
        return [line for line in result.text().splitlines() if line]

    def wait_keys(self, prefix, count):
        wait_until(lambda: len(self.keys(prefix)) == count, '%d keys under %s' % (count, prefix))


def wait_until(test, what):
    end = time.time() + PATIENCE
    while not test():
        if time.time() > end:
            raise AssertionError('waited in vain for ' + what)
        time.sleep(0.02)


def _play(scene, name, stage, transcripts, errors):
    with contextlib.closing(stage):
        try:
            stage.open()
            scene(stage)
        except Exception:  # pylint: disable=broad-except
            errors.append('%s:\n%s' % (name, traceback.format_exc()))
        transcripts[name] = stage.transcript


def compare_stages(scene, stages, verbose, translate=lambda name, line: line):
    """Plays a scene on two stages, by their names; returns the differences as text."""
    transcripts, errors = {}, []
    threads = [threading.Thread(target=_play, args=(scene, name, stage, transcripts, errors))
               for name, stage in stages.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    theirs, ours = ([translate(name, line) for line in transcripts.get(name, [])]
                    for name in stages)
    if verbose:
        print('\n'.join(ours))
    return errors + list(difflib.unified_diff(theirs, ours, *stages, lineterm='', n=3))


def compare(scene, etcd, gavel, verbose):
    """Plays a scene on both servers by etcdctl; returns the differences as text."""
    return compare_stages(scene, {'etcd': Stage(etcd), 'gavel': Stage(gavel)}, verbose)


def main(description, scenes):
    """Plays all scenes, or those that are asked for; the exit status."""
    import argparse
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--server', required=True)
    parser.add_argument('-v', action='store_true', help='print what Gavel showed')
    parser.add_argument('-k', default='', help='only scenes whose name contains this')
    options = parser.parse_args()
    report = Report()
    for name, scene in scenes.items():
        if options.k in name:
            report(name, compare(scene, need('etcd'), options.server, options.v))
    return 1 if report.failed else 0
