#!/usr/bin/env python3
"""Debian's etcdctl locks and elects on Gavel as on etcd: shells that contend, and that die.

  etcdctl_lock_test.py --server build/bin/gaveld [-v] [-k NAME]

The same as etcdctl_watch_test.py, for recipes that a client builds from keys, leases and watches.
"""
import os
import signal
import sys
import tempfile

import scenes

# Seconds for who is going to be killed: short, since that is waited out, but enough for a program
# that a busy machine lets wait.
BRIEF = 5


def lock_alone(stage):
    shell = stage.start('lock', 'm')
    shell.wait_for('m/')
    stage.note('held', '\n'.join(stage.keys('m/')))
    stage.note('as a key', stage.run('get', 'm/', '--prefix', '-w', 'json').text())
    stage.note_end('interrupted', shell)
    stage.note('released', '\n'.join(stage.keys('m/')))
    stage.note('leases', stage.run('lease', 'list').text())


def lock_contention(stage):
    """Three shells ask for one lock, and get it in the order in which they asked."""
    shells = []
    for count, ttl in enumerate((60, BRIEF, 60), 1):
        shells.append(stage.start('lock', 'm', '--ttl=%d' % ttl))
        stage.wait_keys('m/', count)
    shells[0].wait_for('m/')
    stage.note('the queue', '\n'.join(stage.keys('m/')))
    # A key of its own that comes later, and one that only looks alike, stand in nobody's way.
    stage.run('put', 'm/later', 'v')
    stage.run('put', 'mm', 'v')
    assert shells[1].text() == shells[2].text() == '', 'two hold the lock'
    stage.note_end('the first, interrupted', shells[0])
    shells[1].wait_for('m/.*\n\n')  # All that it says: it is not asked to end.
    assert shells[2].text() == '', 'two hold the lock'
    # The second dies without a word: its lease ends, and with it the key.
    stage.note_end('the second, killed', shells[1], signal.SIGKILL)
    shells[2].wait_for('m/')
    stage.note('the queue', '\n'.join(stage.keys('m/')))
    stage.note_end('the third, interrupted', shells[2])
    stage.note('the queue', '\n'.join(stage.keys('m/')))


def lock_waiter_dies(stage):
    """Who dies while it waits is passed over."""
    shells = []
    for count, ttl in enumerate((60, BRIEF, 60), 1):
        shells.append(stage.start('lock', 'm', '--ttl=%d' % ttl))
        stage.wait_keys('m/', count)
    stage.note_end('the second, killed', shells[1], signal.SIGKILL)
    stage.wait_keys('m/', 2)
    stage.note_end('the first, interrupted', shells[0])
    shells[2].wait_for('m/')
    stage.note_end('the third, interrupted', shells[2])


def lock_waiter_interrupted(stage):
    """Who is interrupted while it waits says so, and leaves no key behind."""
    for command in (('lock', 'm'), ('elect', 'm', 'value')):
        holder = stage.start(*command)
        holder.wait_for('m/')
        for how in (signal.SIGINT, signal.SIGTERM):
            stage.wait_watchers(0)
            waiter = stage.start(*command)
            stage.wait_keys('m/', 2)
            # It may not have been told of its key yet, which it would leave; now it waits.
            stage.wait_watchers(1)
            stage.note_end('%s, interrupted by %d' % (command[0], how), waiter, how)
            stage.note('complaint', waiter.text('err').splitlines()[-1])
            stage.note('the queue', '\n'.join(stage.keys('m/')))
        stage.note_end('the holder', holder, signal.SIGTERM)


def lock_forms(stage):
    for form in ('json', 'fields'):
        for command, last in ((('lock', 'm'), 'kvs|Lease'), (('elect', 'm', 'value'), 'kvs|Lease')):
            shell = stage.start(*command, write_out=form)
            shell.wait_for(last)
            observer = stage.start('elect', '-l', 'm', write_out=form)
            observer.wait_for(last)
            stage.note_end('%s -w %s' % (command[0], form), shell)
            stage.note_end('elect -l -w ' + form, observer)


def lock_with_command(stage):
    for command in (('true',), ('sh', '-c', 'exit 7'), ('no-such-program',),
                    ('sh', '-c', 'echo "key $ETCD_LOCK_KEY revision $ETCD_LOCK_REV"')):
        stage.say('lock', 'm', '--', *command)
        stage.note('released', '\n'.join(stage.keys('m/')))
    stage.say('lock')
    unnamed = stage.start('lock', '')
    unnamed.wait_for('/')
    stage.note_end('a lock without a name', unnamed)
    # While the command runs, others wait; when its shell is killed, it goes on without the lock.
    holder = stage.start('lock', 'm', '--ttl=%d' % BRIEF, '--',
                         'sh', '-c', 'echo inside; exec sleep 1000')
    holder.wait_for('inside')
    waiter = stage.start('lock', 'm', '--', 'echo', 'next')
    stage.wait_keys('m/', 2)
    assert waiter.text() == '', 'two hold the lock'
    os.kill(holder.process.pid, signal.SIGKILL)
    stage.note_end('the next', waiter, None)


def lock_flags(stage):
    stage.say('lock', 'm', '--ttl=x')


def lock_counter(stage):
    """Three shells count in one file, each step under the lock: no step is lost."""
    with tempfile.TemporaryDirectory(prefix='gavel-cli-') as folder:
        path = os.path.join(folder, 'counter')
        with open(path, 'w') as counter:
            counter.write('0\n')
        script = ('for i in 1 2 3 4 5 6; do'
                  ' etcdctl lock m -- sh -c \'read n < "$0"; sleep 0.02; echo $((n + 1)) > "$0"\''
                  ' "$0" || exit 1; done')
        shells = [stage.start_command(['sh', '-c', script, path]) for _ in range(3)]
        codes = [shell.end(None) for shell in shells]
        with open(path) as counter:
            stage.note('counted %s with exit codes %s' % (counter.read().strip(), codes))
    stage.note('released', '\n'.join(stage.keys('m/')))


def elect(stage):
    """Proposals wait for one another, an observer sees each leader, a leader that stops resigns."""
    observer = stage.start('elect', '-l', 'e')
    first = stage.start('elect', 'e', 'one')
    first.wait_for('one')
    observer.wait_for('one')
    second = stage.start('elect', 'e', 'two')
    stage.wait_keys('e/', 2)
    third = stage.start('elect', 'e', 'three')
    stage.wait_keys('e/', 3)
    stage.note('the queue', '\n'.join(stage.keys('e/')))
    late = stage.start('elect', '-l', 'e')
    late.wait_for('one')
    assert second.text() == third.text() == '', 'two lead'
    stage.note_end('the first, interrupted', first)
    second.wait_for('two')
    observer.wait_for('two')
    stage.note_end('the third, interrupted while it waits', third)
    stage.note_end('the second, interrupted', second)
    scenes.wait_until(lambda: not stage.keys('e/'), 'resignations')
    for title, each in (('observer', observer), ('late observer', late)):
        stage.note_end(title, each)
    stage.say('elect', 'e')
    stage.say('elect')
    stage.say('elect', '-l', 'e', 'x')


def elect_failover(stage):
    """A leader that is killed leads until its lease ends, which etcdctl makes 60 seconds long."""
    leader = stage.start('elect', 'e', 'one')
    leader.wait_for('one')
    second = stage.start('elect', 'e', 'two')
    stage.wait_keys('e/', 2)
    observer = stage.start('elect', '-l', 'e')
    observer.wait_for('one')
    stage.note_end('the leader, killed', leader, signal.SIGKILL)
    lease = stage.run('lease', 'list').text()
    stage.note('leases', lease.splitlines()[0])
    # It still leads, as nobody knows better.
    stage.note('the queue', '\n'.join(stage.keys('e/')))
    second.wait_for('two')
    observer.wait_for('two')
    stage.note('the queue', '\n'.join(stage.keys('e/')))
    stage.note_end('the second, interrupted', second)
    stage.note_end('observer', observer)


SCENES = {
    'lock': lock_alone,
    'lock contention': lock_contention,
    'lock waiter dies': lock_waiter_dies,
    'lock waiter interrupted': lock_waiter_interrupted,
    'lock -w': lock_forms,
    'lock with command': lock_with_command,
    'lock flags': lock_flags,
    'lock counter': lock_counter,
    'elect': elect,
    'elect failover': elect_failover,
}

if __name__ == '__main__':
    sys.exit(scenes.main(__doc__.splitlines()[0], SCENES))
