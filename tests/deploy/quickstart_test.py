#!/usr/bin/env python3
"""deploy/quickstart to its end: what it shows, that its cluster runs, and how it is stopped.

  quickstart_test.py --build build
"""
import argparse
import contextlib
import os
import re
import shlex
import subprocess
import tempfile

from cluster_test import ROOT, check, free_base_port

# What a person sees, in this order: each a command or a heading, and what comes before the next.
SHOWN = [
    r'\$ etcdctl put greeting hello, world\nOK\n',
    r'\$ etcdctl get greeting\ngreeting\nhello, world\n',
    r'\$ etcdctl put greeting hello again\nOK\n',
    r'\$ etcdctl get greeting\ngreeting\nhello again\n',
    r'\$ etcdctl get greeting --rev=\d+\ngreeting\nhello, world\n',
    r'\$ etcdctl txn <<END\n.*?\nSUCCESS\n\nOK\n',
    r'The leader, member \d, is killed',
    r'\$ deploy/cluster kill \d --data ',
    r'\$ etcdctl --command-timeout=20s get greeting\ngreeting\nhello from a transaction\n',
    r'\$ etcdctl --command-timeout=20s put after the leader was killed\nOK\n',
    r'Member \d is started again',
    r'Three members are running\. To go on:\n',
    r'To stop them:\n',
]


def run(line, seconds=60, **arguments):
    return subprocess.run(line, capture_output=True, text=True, timeout=seconds, cwd=ROOT,
                          **arguments)


def check_shown(text):
    at = 0
    for pattern in SHOWN:
        found = re.compile(pattern, re.DOTALL).search(text, at)
        check(found, 'not shown (after %d characters): %s\n%s' % (at, pattern, text))
        at = found.end()


def check_promises(text):
    """The commands that it ends with do what they say."""
    endpoints = re.search(r'ETCDCTL_ENDPOINTS=(\S+)', text).group(1)
    check(len(endpoints.split(',')) == 3, endpoints)
    environment = dict(os.environ, ETCDCTL_API='3', ETCDCTL_ENDPOINTS=endpoints)
    listed = run(['etcdctl', 'get', '', '--prefix'], env=environment)
    check('the leader was killed' in listed.stdout, listed.stdout + listed.stderr)
    healthy = run(['etcdctl', 'endpoint', 'health'], env=environment)
    check(healthy.returncode == 0, healthy.stdout + healthy.stderr)
    metrics = re.search(r'curl (\S+/metrics)', text).group(1)
    scraped = run(['curl', '-sS', metrics])
    check('etcd_server_has_leader 1' in scraped.stdout, scraped.stdout[:500] + scraped.stderr)


def stop(text, data):
    line = re.search(r'To stop them:\n\n  (.*)', text)
    command = line.group(1) if line else 'deploy/cluster stop --data ' + shlex.quote(data)
    return run(shlex.split(command))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', required=True, help='the folder that the tree is built in')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = folder + '/quickstart'
        shown = ''
        with contextlib.ExitStack() as always:
            always.callback(lambda: stop(shown, data))
            done = run(['deploy/quickstart', '--base-port', str(free_base_port()), '--data', data,
                        '--build', options.build], seconds=540)
            shown = done.stdout
            check(done.returncode == 0, done.stdout + done.stderr)
            check_shown(shown)
            check_promises(shown)
            stopped = stop(shown, data)
            check(stopped.returncode == 0, stopped.stdout + stopped.stderr)
            status = run(['deploy/cluster', 'status', '--data', data]).stdout
            check('running' not in status.replace('not running', ''), status)
    print('ok')


if __name__ == '__main__':
    main()
