#!/usr/bin/env python3
"""gavelctl watches, keeps leases, locks and elects as Debian's etcdctl does, on Gavel.

  gavelctl_watch_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl [-v] [-k NAME]

The scenes of etcdctl_watch_test.py and etcdctl_lock_test.py are played by etcdctl on one fresh
server and by gavelctl on another, and what was printed is compared. What else may differ is in
TRANSLATED, with the reason; the scenes below are gavelctl's alone.
"""
import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import etcdctl_lock_test
import etcdctl_watch_test
import scenes
from checks import check
from gavelctl import Gavelctl, clean_environment, unused_endpoint
from report import Report

# Whose line, pattern, what is read in its place, and why they differ.
TRANSLATED = [
    ('etcdctl', r'strconv\.ParseInt: parsing ("[^"]*"): (invalid syntax|value out of range)', r'\1',
     'numbers that cannot be read are told without the words of Go\'s library'),
    ('gavelctl', r', expecting a whole number of seconds', '', 'the same'),
    ('etcdctl', r'^( +)\{"Header":\{[^}]*\},"Events":(?:null|\[\])(.*"Canceled":true)',
     r'\1{"Header":{},"Events":[]\2', 'the library does not tell the header of a watch\'s end'),
    ('gavelctl', r'^interactive ended with -2', 'interactive ended with 128',
     'a line that is not understood does not end the watches'),
    ('gavelctl', r'Invalid command watch --nonsense \((.*)\)', r'Error: \1', 'the same'),
]
# Lines that are left out of a scene, and why.
LEFT_OUT = {
    'lock': (r'found \d leases|^ +L1$', 'etcdctl leaves the lease to its time'),
    'elect failover': (r'found \d leases', 'the same: an observer has no lease here'),
    'lock with command': (r'exit code [17]$', 'the code of the command, as in 3.6'),
}
# Scenes whose scripts name etcdctl, or that show its help.
ETCDCTL_ONLY = {'lock counter', 'lock flags'}
# A format that a command lacks is refused before the deed: bad_input below.
etcdctl_watch_test.REFUSED_FORMS.remove('table')
etcdctl_watch_test.LEASE_FORMS.remove('table')
used = set()


def translate(name, line):
    for row in TRANSLATED:
        if row[0] == name and re.search(row[1], line):
            used.add(row)
            line = re.sub(row[1], row[2], line)
    return line


def without_left_out(scene, name):
    if name not in LEFT_OUT:
        return scene

    def played(stage):
        try:
            scene(stage)
        finally:
            stage.transcript = [line for line in stage.transcript
                                if not re.search(LEFT_OUT[name][0], line)]
    return played


def lock_mixed(stage, gavelctl):
    """Both programs queue for one lock, and get it in the order in which they asked."""
    etcdctl = scenes.need('etcdctl')
    holder = stage.start_command([gavelctl, 'lock', 'm'])
    stage.wait_keys('m/', 1)
    holder.wait_for('m/')
    second = stage.start_command([etcdctl, 'lock', 'm'])
    stage.wait_keys('m/', 2)
    third = stage.start_command([gavelctl, 'lock', 'm'])
    stage.wait_keys('m/', 3)
    check(second.text() == third.text() == '', 'two hold the lock')
    check(holder.end() == 0, holder.text('err'))
    second.wait_for('m/')
    check(third.text() == '', 'two hold the lock')
    check(second.end() == 0, second.text('err'))
    third.wait_for('m/')
    check(third.end(signal.SIGTERM) == 0, third.text('err'))
    check(not stage.keys('m/'), 'the lock was not released')
    # Theirs may be left, ours are gone.
    check(len(stage.run('lease', 'list').text().splitlines()) <= 2, 'a lease was left behind')


def lock_ends_as_its_command(stage, gavelctl):
    """The exit code of the command is told, and the lock is free afterwards, also if it failed."""
    for script, code in (('exit 0', 0), ('exit 7', 7), ('kill -KILL $$', 137)):
        result = Gavelctl(gavelctl)(stage.cluster.endpoint(), 'lock', 'm', '--', 'sh', '-c', script)
        check(result.code == code, '%s: %d %s' % (script, result.code, result.err))
        check(not stage.keys('m/') and 'found 0' in stage.run('lease', 'list').text(), script)
    result = Gavelctl(gavelctl)(stage.cluster.endpoint(), 'lock', 'm', '--', 'no-such-program')
    check(result.code == 1 and 'not found in $PATH' in result.err, result.err)
    check("-- sh -c 'line'" in result.err, result.err)
    check(not stage.keys('m/'), 'the lock was not released')
    stage.run('put', 'k', 'v')
    result = Gavelctl(gavelctl)(stage.cluster.endpoint(), 'watch', 'k', '--rev=1', '--',
                                'echo seen')
    check(result.code == 1 and 'command ["echo seen"] error' in result.err, result.err)
    check("-- sh -c 'line'" in result.err, result.err)


def lock_tokens_grow(stage, gavelctl):
    """A fencing token is the create revision of the key, and later holders have greater ones."""
    tokens = []
    for _ in range(3):
        held = stage.start_command(
            [gavelctl, 'lock', 'm', '--', 'sh', '-c',
             'echo $GAVEL_FENCING_TOKEN; "$0" get "$ETCD_LOCK_KEY" -w fields', gavelctl],
            env={'GAVEL_FENCING_TOKEN': 'inherited', 'ETCD_LOCK_KEY': 'inherited'})
        check(held.end(None) == 0, held.text('err'))
        tokens.append(int(held.text().splitlines()[0]))
        created = re.search(r'"CreateRevision" : (\d+)', held.text()).group(1)
        check(int(created) == tokens[-1], held.text())
    check(tokens == sorted(set(tokens)), tokens)


def lock_guards_writes(stage, gavelctl):
    """A transaction that compares the token is one of the holder's, or it changes nothing."""
    guard = 'create("%s") = "%s"\n\nput k %s\n\n\n'
    script = '"$0" txn <<END\n%sEND\n' % (
        guard % ('$ETCD_LOCK_KEY', '$GAVEL_FENCING_TOKEN', 'held'))
    held = stage.start_command([gavelctl, 'lock', 'm', '--', 'sh', '-c',
                                script + 'echo "$ETCD_LOCK_KEY $GAVEL_FENCING_TOKEN"', gavelctl])
    check(held.end(None) == 0, held.text('err'))
    check(held.text().startswith('SUCCESS'), held.text())
    stale = guard % (*held.text().splitlines()[-1].split(), 'stale')
    check(stage.run('txn', stdin=stale.encode()).text().startswith('FAILURE'), 'a stale token')
    check(stage.run('get', 'k').text() == 'k\nheld\n', 'a stale token')


def revoke_the_only_lease(stage):
    stage.wait_keys('m/', 1)
    lease = stage.run('lease', 'list').text().splitlines()[1]
    check(stage.run('lease', 'revoke', lease).code == 0, 'revoke')


def lock_lost(stage, gavelctl):
    """A lock whose lease was revoked is not held any longer, and its command is ended."""
    holder = stage.start_command([gavelctl, 'lock', 'm', '--ttl=5'])
    holder.wait_for('m/')
    revoke_the_only_lease(stage)
    check(holder.end(None) == 1, holder.text('err'))
    check('session expired' in holder.text('err'), holder.text('err'))
    for script, ended in (('exec sleep 1000', 'signal: terminated'),
                          ('trap "echo told; exit 0" TERM; while :; do sleep 0.1; done',
                           'exit status 0'),
                          ('trap "" TERM; exec sleep 1000', 'signal: killed')):
        holder = stage.start_command([gavelctl, 'lock', 'm', '--ttl=5', '--kill-after=500ms', '--',
                                      'sh', '-c', 'echo in; ' + script])
        holder.wait_for('in')
        revoke_the_only_lease(stage)
        check(holder.end(None) == 1, holder.text('err'))
        said = holder.text('err')
        check('the lock was lost before the command ended (%s)' % ended in said, said)
        check('GAVEL_FENCING_TOKEN' in said, said)
        check(('is killed' in said) == (ended == 'signal: killed'), said)
        check(('told' in holder.text()) == (ended == 'exit status 0'), holder.text())


def lock_lost_without_a_word(stage, gavelctl):
    """A holder that was paused, or that no server can hear any more, ends its command by itself."""
    def hold():
        holder = stage.start_command([gavelctl, 'lock', 'm', '--ttl=5', '--', 'sh', '-c',
                                      'echo in; exec sleep 1000'])
        holder.wait_for('in')
        return holder

    def check_lost(holder):
        check(holder.end(None) == 1, holder.text('err'))
        check('the lock was lost' in holder.text('err'), holder.text('err'))

    paused = hold()
    paused.process.send_signal(signal.SIGSTOP)
    after = stage.start_command([gavelctl, 'lock', 'm', '--', 'echo', 'mine'])
    check(after.end(None) == 0 and after.text() == 'mine\n', after.text('err'))
    paused.process.send_signal(signal.SIGCONT)
    check_lost(paused)
    alone = hold()
    stage.cluster.stop(how=signal.SIGKILL)
    check_lost(alone)


def lock_waiter_loses_its_lease(stage, gavelctl):
    """A lock that is granted after its lease died is not reported as held."""
    holder = stage.start_command([gavelctl, 'lock', 'm'])
    holder.wait_for('m/')
    held = stage.run('lease', 'list').text().splitlines()[1:]
    waiter = stage.start_command([gavelctl, 'lock', 'm', '--ttl=60'])
    stage.wait_keys('m/', 2)
    lease, = [each for each in stage.run('lease', 'list').text().splitlines()[1:]
              if each not in held]
    stage.run('lease', 'revoke', lease)
    check(holder.end() == 0, holder.text('err'))
    check(waiter.end(None) == 1 and waiter.text() == '', waiter.text())
    check('session expired' in waiter.text('err'), waiter.text('err'))


def signals_end_the_command(stage, gavelctl):
    """What a terminal sends reaches the command; the lock is released, and its end is told."""
    held = stage.start_command([gavelctl, 'lock', 'm', '--', 'sh', '-c', 'echo in; exec sleep 99'])
    held.wait_for('in')
    os.killpg(held.process.pid, signal.SIGINT)
    check(held.end(None) == 128 + signal.SIGINT, held.text('err'))
    check(not stage.keys('m/'), 'the lock was not released')


def signals_reach_the_command(stage, gavelctl):
    """Who ends gavelctl ends the command; the lock is held until that has ended."""
    held = stage.start_command(
        [gavelctl, 'lock', 'm', '--', 'sh', '-c',
         'trap "echo once" INT; trap "go=no" TERM; echo in;'
         ' while test -z "$go"; do sleep 0.1; done; "$0" get --keys-only m/ --prefix; exit 5',
         gavelctl])
    held.wait_for('in')
    for count in (1, 2):
        held.process.send_signal(signal.SIGINT)
        held.wait_for('once', count)
    check(held.end(signal.SIGTERM) == 5, held.text('err'))
    check('m/' in held.text(), 'the lock was released before the command had ended')
    check('exit status 5' in held.text('err'), held.text('err'))
    check(not stage.keys('m/'), 'the lock was not released')


def bad_lines(stage, gavelctl):
    """A line that is not understood is told, and the watches go on."""
    shell = stage.start_command([gavelctl, 'watch', '-i'])
    shell.type('watch k\n')
    stage.wait_watchers(1)
    for line, said in (('watch "k', 'column 7'), ('watch k --bogus', '--bogus'),
                       ('watch k --', 'no commands'), ('watch a b --prefix', 'exclusive'),
                       ('watch a b c', 'bad number'), ('get k', 'only support watch'),
                       ('watch \x1b[31m --rev=x', 'rev')):
        shell.type(line + '\n')
        shell.wait_for(re.escape(said), name='err')
    stage.run('put', 'k', 'alive')
    shell.wait_for('alive')
    shell.process.stdin.close()
    shell.wait_for('EOF', name='err')
    check(shell.process.wait(scenes.PATIENCE) == 3, shell.text('err'))


def progress(stage, gavelctl):
    """Progress that was asked for comes for each watch, and not before what had happened."""
    shell = stage.start_command([gavelctl, 'watch', '-i'])
    shell.type('watch k --rev=1\n')
    stage.run('put', 'k', 'v')
    shell.wait_for('PUT')
    shell.type('progress\n')
    shell.wait_for(r'progress notify: \d+')
    check(shell.text().startswith('PUT'), shell.text())


def compacted(stage, gavelctl):
    """History that was given up ends a watch, and programs are told where to begin."""
    for value in '1234':
        stage.run('put', 'k', value)
    stage.run('compaction', '4')
    result = Gavelctl(gavelctl)(stage.cluster.endpoint(), 'watch', 'k', '--rev=2',
                                write_out='json')
    check(result.code == 5, result.code)
    check('"CompactRevision":4,"Canceled":true' in result.text(), result.text())
    check('required revision has been compacted' in result.err, result.err)


def reader_goes_away(stage, gavelctl):
    """A reader that goes away ends a watch and a keep-alive without a word."""
    keep_alive = 'lease keep-alive $("$0" lease grant 5 | cut -d" " -f2)'
    for command in ('watch k --rev=1', keep_alive):
        piped = stage.start_command(
            ['bash', '-c', 'set -o pipefail; "$0" %s | head -n1' % command, gavelctl])
        for value in '123':
            stage.run('put', 'k', value)
        scenes.wait_until(lambda: stage.run('put', 'k', 'v') and piped.process.poll() is not None,
                          'the end of ' + command)
        check(piped.end(None) == 128 + signal.SIGPIPE, piped.text('err'))
        check(piped.text('err') == '', piped.text('err'))


def server_comes_back(stage, gavelctl):
    """A watch and a lock outlive a restart of the server, and miss nothing."""
    watch = stage.start_command([gavelctl, 'watch', 'k'])
    stage.wait_watchers(1)
    held = stage.start_command([gavelctl, 'lock', 'm', '--ttl=60'])
    held.wait_for('m/')
    waiter = stage.start_command([gavelctl, 'lock', 'm', '--ttl=60'])
    stage.wait_keys('m/', 2)
    stage.run('put', 'k', 'before')
    watch.wait_for('before')
    stage.cluster.stop(how=signal.SIGKILL)
    stage.cluster.start()
    stage.cluster.wait_ready()
    stage.run('put', 'k', 'after')
    watch.wait_for('after')
    check(watch.text() == 'PUT\nk\nbefore\nPUT\nk\nafter\n', watch.text())
    check(waiter.text() == '', 'two hold the lock')
    check(held.end() == 0, held.text('err'))
    waiter.wait_for('m/')
    check(waiter.end() == 0, waiter.text('err'))


def no_server(stage, gavelctl):
    """Without a server each of them ends with 2 after --dial-timeout, and says what to do."""
    none = unused_endpoint()
    for command in (('watch', 'k'), ('lock', 'm'), ('elect', 'e', 'x'), ('lease', 'list'),
                    ('lease', 'grant', '5'), ('lease', 'keep-alive', '5'),
                    ('lease', 'keep-alive', '--once', '5'), ('lease', 'timetolive', '5')):
        result = Gavelctl(gavelctl)(none, *command, '--dial-timeout=300ms')
        check(result.code == 2 and none in result.err and '--endpoints' in result.err,
              '%s: %d %s' % (command, result.code, result.err))
    shell = subprocess.Popen([gavelctl, '--endpoints=' + none, '--dial-timeout=300ms', 'watch',
                              '-i'], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=clean_environment())
    with contextlib.closing(shell.stdin):
        shell.stdin.write(b'watch k\n')
        shell.stdin.flush()
        check(shell.wait(scenes.PATIENCE) == 2, 'watch -i')
    shell.stderr.close()


def bad_input(stage, gavelctl):
    for command, code, said in (
            (('watch', 'a', 'b', 'c'), 128, 'bad number of arguments'),
            (('watch', 'k', '--rev=x'), 1, '--rev'),
            (('watch', 'k', '-w', 'table'), 4, 'table'),
            (('watch', 'k', '-w', 'xml'), 4, 'simple, fields, json'),
            (('lock', 'm', '--ttl=0'), 128, 'one second'),
            (('lock', 'm', '--ttl=99999999999'), 1, '9000000000 seconds are the most'),
            (('lock', 'm', '--kill-after=soon'), 1, '--kill-after'),
            (('lease', 'grant', '99999999999'), 1, '9000000000 seconds are the most'),
            (('lease', 'grant'), 128, 'lease grant <seconds>'),
            (('lease', 'revoke', '7'), 1, 'never granted'),
            (('lease', 'revoke'), 128, "'gavelctl lease list'"),
            (('lock', 'm', '-w', 'table'), 4, 'table'),
            (('elect', 'a', 'b', 'c'), 128, 'election name'),
            (('lease', 'keep-alive', '1', '2'), 128, 'lease ID'),
            (('lease', 'timetolive', '7', '-w', 'table'), 4, 'table'),
            (('lease', 'gran', '5', '--bogus'), 1, '--bogus')):
        result = Gavelctl(gavelctl)(stage.cluster.endpoint(), *command)
        check(result.code == code and said in result.err,
              '%s: %d %s' % (command, result.code, result.err))
    ours = Gavelctl(gavelctl)(stage.cluster.endpoint(), 'watch', '--', 'true',
                              env={'GAVELCTL_WATCH_RANGE_END': 'z'})
    check(ours.code == 128 and 'ETCDCTL_WATCH_KEY is empty' in ours.err, ours.err)
    full = subprocess.run(
        ['sh', '-c', '"$0" --endpoints=%s lease list > /dev/full' % stage.cluster.endpoint(),
         gavelctl], capture_output=True, env=clean_environment())
    check(full.returncode == 6 and b'cannot write the output' in full.stderr, full.stderr)
    stage.run('put', 'k', 'v')
    for command in ('watch k --rev=1', 'watch -i'):
        watch = stage.start_command(['sh', '-c', 'exec "$0" %s > /dev/full' % command, gavelctl])
        watch.type('watch k --rev=1\n')
        check(watch.end(None) == 6, command)
        check(watch.text('err').count('cannot write the output') == 1, watch.text('err'))


ALONE = {function.__name__.replace('_', ' '): function for function in (
    lock_mixed, lock_ends_as_its_command, lock_tokens_grow, lock_guards_writes,
    lock_lost, lock_lost_without_a_word, lock_waiter_loses_its_lease,
    signals_end_the_command, signals_reach_the_command, bad_lines, progress, compacted,
    reader_goes_away, server_comes_back, no_server, bad_input)}


def play_alone(scene, server, gavelctl):
    with contextlib.closing(scenes.Stage(server)) as stage:
        stage.open()
        try:
            scene(stage, gavelctl)
        except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
            return ['%s: %s' % (type(error).__name__, error)]
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--server', required=True)
    parser.add_argument('--gavelctl', required=True)
    parser.add_argument('-v', action='store_true', help='print what gavelctl showed')
    parser.add_argument('-k', default='', help='only scenes whose name contains this')
    options = parser.parse_args()
    gavelctl = os.path.abspath(options.gavelctl)
    report = Report()

    for name, scene in {**etcdctl_watch_test.SCENES, **etcdctl_lock_test.SCENES}.items():
        if options.k in name and name not in ETCDCTL_ONLY:
            stages = {'etcdctl': scenes.Stage(options.server),
                      'gavelctl': scenes.Stage(options.server, gavelctl=gavelctl)}
            report(name, scenes.compare_stages(without_left_out(scene, name), stages, options.v,
                                               translate))
    for name, scene in ALONE.items():
        if options.k in name:
            report(name, play_alone(scene, options.server, gavelctl))
    if not options.k:
        report('no row of TRANSLATED is idle', [str(row) for row in TRANSLATED if row not in used])
    sys.exit(1 if report.failed else 0)


main()
