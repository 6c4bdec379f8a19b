#!/usr/bin/env python3
"""Debian's etcdctl watches, and keeps leases, on Gavel as on etcd.

  etcdctl_watch_test.py --server build/bin/gaveld [-v] [-k NAME]

Each scene is played on a fresh etcd and a fresh Gavel (scenes.py), and what all processes printed
is compared after ids, times and addresses have been replaced.
"""
import json
import re
import signal
import sys

import scenes

END = 'the end'
REFUSED_FORMS = ['simple', 'json', 'table']
LEASE_FORMS = ['simple', 'json', 'fields', 'table']


def events(stage):
    """One change of every kind, the last of them to `k/end`."""
    stage.run('put', 'k', '1')
    stage.run('put', 'k', '2')
    stage.run('put', 'k/a', 'x')
    stage.run('txn', stdin=b'\nput k 3\nput k/b y\nput other z\n\n\n')
    stage.run('del', 'k')
    stage.run('put', 'k', '')
    stage.run('del', 'k', '--prefix')
    lease = stage.run('lease', 'grant', '100').text().split()[1]
    stage.run('put', 'k', 'leased', '--lease=' + lease)
    stage.run('put', 'k/a', 'leased', '--lease=' + lease)
    stage.run('lease', 'revoke', lease)
    for key in ('k', 'k/end'):
        stage.run('put', key, END)


# What every form below sees at least, to the end of what is written at once.
LAST = {'simple': END, 'json': 'dGhlIGVuZA==', 'fields': END + '"\n"Lease" : 0\n', 'protobuf': END}
FORMS = [
    ('watch', 'k'),
    ('watch', 'k', '--prefix'),
    ('watch', 'k', 'k/b'),
    ('watch', 'k', '--prev-kv'),
    ('watch', '', '--prefix', '--prev-kv'),
    ('watch', 'k', '--rev=1'),
    ('watch', 'k', '--rev=5', '--prefix', '--prev-kv'),
    ('watch', '--rev=12', 'k'),
]


def without_headers(text):
    """Fields of a watch's answers but for their headers: how many events share one is chance."""
    return '\n'.join(line for line in text.splitlines()
                     if not re.match('"(ClusterID|MemberID|Revision|RaftTerm)"', line))


def flat(text):
    """JSON answers of a watch as one event a line, and what else an answer says."""
    lines = []
    for line in text.splitlines():
        answer = json.loads(line)
        answer.pop('Header')
        lines += [json.dumps(event, sort_keys=True) for event in answer.pop('Events') or []]
        if any(answer.values()):
            lines.append(json.dumps(answer, sort_keys=True))
    return '\n'.join(lines)


def watch_forms(form):
    def scene(stage):
        watches = [stage.start(*command, write_out=form) for command in FORMS]
        stage.wait_watchers(len(FORMS))
        events(stage)
        for command, watch in zip(FORMS, watches):
            watch.wait_for(LAST[form], 2 if '--prefix' in command else 1)
            code = watch.end()
            text = watch.text()
            if form == 'json':
                text = flat(text)
            elif form == 'fields':
                text = without_headers(text)
            elif form == 'protobuf':
                text = len(re.findall(END, text))  # Headers are of each server's own.
            stage.note('%s -w %s: %d' % (' '.join(command), form, code), text)
    return scene


def watch_hex(stage):
    watch = stage.start('watch', 'k', '--prefix', '--hex')
    stage.wait_watchers(1)
    events(stage)
    watch.wait_for(r'\\x74\\x68\\x65\\x20\\x65\\x6e\\x64', 2)
    stage.note_end('watch --hex', watch)


def watch_refusals(stage):
    for value in '12345':
        stage.run('put', 'k', value)
    stage.run('compaction', '4')
    for form in REFUSED_FORMS:
        for command in (('watch', 'k', '--rev=2'), ('watch', 'k', 'a'), ('watch', 'k', 'k'),
                        ('watch',)):
            stage.say(*command, write_out=form)
    # Exactly at the compacted revision is allowed, and the future too.
    at = stage.start('watch', 'k', '--rev=4')
    future = stage.start('watch', 'k', '--rev=8')
    stage.wait_watchers(2)
    stage.run('put', 'k', 'too early')
    stage.run('put', 'k', END)
    at.wait_for(END)
    future.wait_for(END)
    stage.note_end('at the compacted revision', at)
    stage.note_end('from the future', future)


def watch_environment(stage):
    """etcdctl also takes key and end from its environment."""
    one = stage.start('watch', env={'ETCDCTL_WATCH_KEY': 'k'})
    ends = stage.start('watch', env={'ETCDCTL_WATCH_KEY': 'k', 'ETCDCTL_WATCH_RANGE_END': 'l'})
    stage.wait_watchers(2)
    events(stage)
    one.wait_for(END)
    ends.wait_for(END, 2)
    stage.note_end('key', one)
    stage.note_end('key and end', ends)


def watch_interactive(stage):
    stage.run('put', 'past', 'seen')
    shell = stage.start('watch', '-i')
    shell.type('watch k\n')
    stage.wait_watchers(1)
    shell.type('watch --prefix k/\n')
    stage.wait_watchers(2)
    shell.type('watch past --rev=2\n')
    shell.wait_for('seen')
    stage.wait_watchers(3)
    shell.type('watch x y\n')
    stage.wait_watchers(4)
    stage.run('put', 'k', 'one')
    shell.wait_for('one')
    stage.run('put', 'k/a', 'two')
    shell.wait_for('two')
    stage.run('put', 'x/1', 'three')
    shell.wait_for('three')
    stage.run('del', 'k')
    shell.wait_for('DELETE\nk\n\n')
    for line in ('nonsense', 'watch', 'watch --nonsense'):
        said = len(shell.text('err').splitlines())
        shell.type(line + '\n')
        scenes.wait_until(lambda: len(shell.text('err').splitlines()) > said, 'a complaint')
    stage.note_end('interactive', shell)
    stage.note('complaints', shell.text('err'))


def watch_interactive_exec(stage):
    shell = stage.start('watch', '-i')
    shell.type('watch k -- sh -c "echo seen $ETCD_WATCH_KEY"\n')
    stage.wait_watchers(1)
    stage.run('put', 'k', 'one')
    shell.wait_for('seen')
    stage.note_end('interactive with a command', shell)


def watch_exec(stage):
    show = ('--', 'sh', '-c', 'env | grep ^ETCD_WATCH_ | sort')
    one = stage.start('watch', 'k', *show)
    several = stage.start('watch', 'k', '--prefix', '--prev-kv', *show)
    past = stage.start('watch', 'p', '--rev=1', *show)
    stage.wait_watchers(3)
    events(stage)
    stage.run('put', 'p', 'past')
    one.wait_for(END)
    several.wait_for(END, 2)
    past.wait_for('past')
    for title, watch in (('one key', one), ('a prefix', several), ('the past', past)):
        stage.note_end(title, watch)
    fails = stage.start('watch', 'k', '--', 'sh', '-c', 'echo seen; exit 3')
    stage.wait_watchers(1)
    stage.run('put', 'k', 'x')
    code = fails.end(None)
    stage.note('a command that fails: exit code %d' % code, fails.text())


def without_time_left(text):
    """The seconds left of a lease of 100 or more are a matter of the moment."""
    return re.sub(r'remaining\((\d+)s\)|(?<=[Tt][Tt][Ll]" : )\d\d+|(?<="ttl":)\d\d+', 'LEFT', text)


def lease_commands(stage):
    for form in LEASE_FORMS:
        granted = stage.run('lease', 'grant', '100').text()
        lease = granted.split()[1]
        stage.note('granted', granted)
        for command in (('timetolive', lease), ('timetolive', lease, '--keys'),
                        ('keep-alive', '--once', lease), ('list',)):
            result = stage.run('lease', *command, write_out=form)
            stage.note('lease %s -w %s: %d' % (command[0], form, result.code),
                       without_time_left(result.text()) + scenes.refusal(result))
        for key in ('b', 'a', 'c'):
            stage.run('put', key, 'v', '--lease=' + lease)
        stage.run('put', 'c', 'v')
        # In etcd the order of a lease's keys is chance.
        text = stage.run('lease', 'timetolive', lease, '--keys', write_out='simple').text()
        keys = sorted(re.search(r'keys\(\[(.*)\]\)', text).group(1).split())
        stage.note('with keys', '%s %s' % (without_time_left(text).split('keys')[0], keys))
        stage.note('get', stage.run('get', 'a', '-w', 'json').text())
        stage.say('lease', 'revoke', lease, write_out=form)
        stage.say('lease', 'revoke', lease, write_out=form)
        stage.say('lease', 'timetolive', lease, '--keys', write_out=form)
        stage.say('lease', 'keep-alive', '--once', lease, write_out=form)
        stage.say('lease', 'keep-alive', lease, write_out=form)
        stage.say('lease', 'list', write_out=form)
        stage.say('get', '', '--from-key')
        stage.say('put', 'k', 'v', '--lease=' + lease)


def lease_bad_input(stage):
    for command in (('grant', '0'), ('grant', '1'), ('grant', '--', '-5'), ('grant', 'x'),
                    ('grant',), ('grant', '9000000000'), ('grant', '9000000001'),
                    ('grant', '99999999999999999999'), ('revoke', '0'), ('revoke', '123'),
                    ('revoke', 'x'), ('revoke',), ('timetolive', '0'), ('timetolive', '123'),
                    ('timetolive', 'x'), ('keep-alive', '--once', '123'), ('keep-alive', '123'),
                    ('keep-alive', 'x')):
        stage.say('lease', *command)
    # How many of those granted here are left is a matter of time.
    listed = stage.run('lease', 'list', 'x')
    stage.note('list x: %d %s' % (listed.code, listed.text().split()[0]))


def lease_expiry(stage):
    watch = stage.start('watch', 'k', '--prefix')
    stage.wait_watchers(1)
    # All at once, so that the first is not gone before the last is there.
    lease = stage.run('lease', 'grant', '5').text().split()[1]
    puts = ''.join('put %s v --lease=%s\n' % (key, lease) for key in ('k/2', 'k/1', 'k/3'))
    stage.say('txn', stdin=b'\n' + puts.encode() + b'\n\n')
    watch.wait_for('DELETE\nk/3\n\n')
    stage.note_end('the watch', watch)
    stage.say('lease', 'timetolive', lease)
    stage.say('get', 'k', '--prefix')


def lease_keep_alive(stage):
    """A lease lives as long as a process keeps it alive, and dies when that is killed."""
    watch = stage.start('watch', 'k')
    stage.wait_watchers(1)
    lease = stage.run('lease', 'grant', '5').text().split()[1]
    keeper = stage.start('lease', 'keep-alive', lease)
    keeper.wait_for('keepalived')
    stage.run('put', 'k', 'v', '--lease=' + lease)
    # Longer than the lease, which is renewed three times in its TTL.
    keeper.wait_for('keepalived', 5)
    stage.say('get', 'k')
    keeper.end(signal.SIGKILL)
    stage.note('renewed', sorted(set(keeper.text().splitlines())))
    watch.wait_for('DELETE\nk\n\n')
    stage.note_end('the watch', watch)
    # And it says so when it is revoked under its hands.
    lease = stage.run('lease', 'grant', '5').text().split()[1]
    keeper = stage.start('lease', 'keep-alive', lease)
    keeper.wait_for('keepalived')
    stage.say('lease', 'revoke', lease)
    code = keeper.end(None)
    stage.note('revoked: %d' % code, sorted(set(keeper.text().splitlines())))


SCENES = {
    **{'watch -w ' + form: watch_forms(form) for form in LAST},
    'watch --hex': watch_hex,
    'watch refusals': watch_refusals,
    'watch environment': watch_environment,
    'watch interactive': watch_interactive,
    'watch interactive exec': watch_interactive_exec,
    'watch exec': watch_exec,
    'lease commands': lease_commands,
    'lease bad input': lease_bad_input,
    'lease expiry': lease_expiry,
    'lease keep-alive': lease_keep_alive,
}

if __name__ == '__main__':
    sys.exit(scenes.main(__doc__.splitlines()[0], SCENES))
