#!/usr/bin/env python3
"""gavelctl config against a real member, also while others write.

  gavelctl_config_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl [-k NAME]

What others write between the reading and the transaction is written by a proxy that holds the
transaction back meanwhile.
"""
import base64
import contextlib
import json
import os
import re
import tempfile
import threading

from checks import check, parse_options, run, test
from gavelctl import (FakeServer, Gavelctl, before_mention, before_txn, drop_at_txn, proxy_to)
from servers import Cluster


class Store:
    """A member, gavelctl for it, and a folder for files."""

    def __init__(self, options):
        self.cluster = Cluster(options.server)
        self.cluster.start()
        self.cluster.wait_ready()
        self.endpoint = self.cluster.endpoint()
        self.folder = tempfile.TemporaryDirectory()
        self._gavelctl = Gavelctl(options.gavelctl)

    def run(self, *arguments, code=0, endpoint=None, stdin=b'', write_out=None):
        result = self._gavelctl(endpoint or self.endpoint, *arguments, stdin=stdin,
                                write_out=write_out)
        check(result.code == code, '%s: exit code %d, not %d: %s%s' % (
            ' '.join(arguments), result.code, code, result.text(), result.err))
        return result

    def keys(self, prefix=''):
        answer = json.loads(self.run('get', prefix, '--prefix', write_out='json').out)
        return {base64.b64decode(kv['key']): base64.b64decode(kv.get('value', ''))
                for kv in answer.get('kvs', [])}

    def revision(self):
        return json.loads(self.run('get', 'x', write_out='json').out)['header']['revision']

    def let_others_write(self, revisions):
        """Raises the revision by other keys; how fast that goes is of no interest here."""
        until = self.revision() + revisions
        while self.revision() < until:
            self._gavelctl(self.endpoint, 'check', 'perf', '--load=s', '--duration=1s')

    def clear(self):
        self.run('del', '', '--prefix')

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), 'w') as file:
            file.write(text)
        return self.path(name)

    def close(self):
        self.cluster.close()
        self.folder.cleanup()


@test
def export_and_apply_round_trip(store):
    """What is exported and applied to an emptied prefix is the same again, bytes and all."""
    store.run('mset', 'app/a', '1', 'app/long', 'line\n' * 50, 'app/empty', '', 'app/yes', 'no',
              'app/x y', 'tab\t"quote"', 'app/json', '{"a": [1, 2]}', 'other', 'stays')
    store.run('put', 'app/binary', stdin=bytes(range(256)))
    store.run('txn', stdin=b'\nput "app/\\xff\\x00" "\\xfe"\n\n\n')
    before = store.keys()
    check(b'app/\xff\x00' in before, 'the binary key is missing: %s' % before)
    for name in ('all.yaml', 'all.json'):
        store.run('config', 'export', 'app/', '--file', store.path(name))
        store.run('config', 'diff', store.path(name))
        store.run('del', 'app/', '--prefix')
        store.run('put', 'app/unwanted', 'goes')
        store.run('config', 'diff', store.path(name), code=7)
        made = store.run('config', 'apply', store.path(name))
        check('changes made at revision %d' % store.revision() in made.text(), made.text())
        check(store.keys() == before, '%s: %s' % (name, store.keys()))
        check('nothing to change' in store.run('config', 'apply', store.path(name)).text(), name)


@test
def apply_is_one_transaction(store):
    store.run('mset', 'app/a', '1', 'app/b', '2', 'app/c', '3')
    file = store.write('f.yaml', 'prefix: app/\nkeys:\n  a: "1"\n  b: "two"\n  d: "4"\n')
    revision = store.revision()
    dry = store.run('config', 'apply', file, '--dry-run').text()
    for line in ('~ app/b', '  - "2"', '  + "two"', '- app/c: "3"', '+ app/d: "4"', 'dry run'):
        check(line in dry, '%r is not shown:\n%s' % (line, dry))
    check(store.revision() == revision, 'a dry run has written')
    store.run('config', 'apply', file)
    check(store.revision() == revision + 1, 'more than one revision')
    check(store.keys() == {b'app/a': b'1', b'app/b': b'two', b'app/d': b'4'}, store.keys())
    store.run('put', 'app/z', 'other')
    store.run('config', 'apply', file, '--keep-others')
    check(b'app/z' in store.keys(), 'keep-others deleted a key')


@test
def what_others_do_meanwhile_refuses_it(store):
    """Each kind of change by somebody else, between the reading and the transaction."""
    file = store.write('f.yaml', 'prefix: app/\nkeys:\n  same: "s"\n  new: "n"\n  old: "2"\n')
    for action, said in (
            (('put', 'app/old', 'theirs'), '"app/old" was changed'),
            (('put', 'app/same', 's'), '"app/same" was changed'),
            (('put', 'app/new', 'theirs'), '"app/new" was created'),
            (('put', 'app/unheard-of', 'x'), '"app/unheard-of" was created'),
            (('del', 'app/gone'), '"app/gone" was deleted'),
            (('del', 'app/same'), '"app/same" was deleted'),
            (('del', 'app/old'), '"app/old" was deleted')):
        store.clear()
        store.run('mset', 'app/same', 's', 'app/old', '1', 'app/gone', 'g')
        proxy = FakeServer(proxy_to(store.endpoint,
                                    on_request=before_txn(lambda: store.run(*action))))
        with contextlib.closing(proxy):
            refused = store.run('config', 'apply', file, code=1, endpoint=proxy.endpoint)
        check('nothing was done' in refused.err and said in refused.err,
              '%s: %s' % (action, refused.err))
        keys = store.keys()
        check(keys.get(b'app/new') != b'n' and keys.get(b'app/old') != b'2',
              '%s: part of it was done: %s' % (action, keys))
    # And what others do elsewhere is none of its business.
    store.clear()
    store.run('put', 'app/old', '1')
    proxy = FakeServer(proxy_to(store.endpoint, on_request=before_txn(
        lambda: store.run('put', 'elsewhere', 'x'))))
    with contextlib.closing(proxy):
        store.run('config', 'apply', file, endpoint=proxy.endpoint)


@test
def many_keys(store):
    """Beyond the compares of one transaction a deletion by others is found afterwards."""
    def document(values):
        return json.dumps({'prefix': 'm/', 'keys': values})
    values = {'%04d' % i: 'v' for i in range(1500)}
    for first in range(0, 1500, 100):
        store.run('mset', *[word for i in range(first, first + 100)
                            for word in ('m/%04d' % i, 'v')])
    store.run('config', 'diff', store.write('m.json', document(values)))
    values['0700'] = 'new'
    file = store.write('m.json', document(values))
    proxy = FakeServer(proxy_to(store.endpoint, on_request=before_txn(
        lambda: store.run('del', 'm/1499'))))
    with contextlib.closing(proxy):
        done = store.run('config', 'apply', file, code=1, endpoint=proxy.endpoint)
    check('others have deleted keys' in done.err and 'again to put them back' in done.err, done.err)
    values['0700'] = 'newer'
    del values['1498']
    some = store.write('s.json', document(values))
    proxy = FakeServer(proxy_to(store.endpoint, on_request=before_txn(
        lambda: store.run('del', 'm/1498'))))
    with contextlib.closing(proxy):
        done = store.run('config', 'apply', some, '--keep-others', code=1, endpoint=proxy.endpoint)
    check('what it does not have stays deleted' in done.err, done.err)
    store.run('config', 'apply', some, '--keep-others')
    check(b'm/1498' not in store.keys('m/') and b'm/1499' in store.keys('m/'), 'keep-others')
    store.run('config', 'apply', file)
    check(len(store.keys('m/')) == 1500, 'keys are missing')
    too_many = store.run('config', 'apply', store.write('e.json', document({})), code=1)
    check('too many' in too_many.err and 'prefixes' in too_many.err, too_many.err)
    dry = store.run('config', 'apply', store.path('e.json'), '--dry-run')
    check('too many' in dry.err and 'prefixes' in dry.err, dry.err)
    # That a write may have been done is told even if it was large.
    proxy = FakeServer(proxy_to(store.endpoint, on_request=drop_at_txn()))
    with contextlib.closing(proxy):
        unknown = store.run('config', 'apply', store.path('e.json'), '--command-timeout=2s',
                            code=1, endpoint=proxy.endpoint)
    check('not known whether' in unknown.err, unknown.err)
    check(len(store.keys('m/')) == 1500, 'keys are gone')


@test
def history_through_long_absence(store):
    """All versions are found, however long ago, how many and how large they are."""
    versions = []
    for number in range(20):
        store.run('put', 'long', str(number))
        versions.append('revision %d: version %d "%d"' % (store.revision(), number + 1, number))
    store.run('put', 'large', stdin=b'x' * 1_400_000)
    stored = store.revision()
    # One request looks at 128 revisions: here it finds nothing, and there something large in each.
    store.let_others_write(140)
    store.run('del', 'large')
    store.run('del', 'long')
    deleted = store.revision()
    store.let_others_write(300)
    history = store.run('config', 'history', 'long').text().splitlines()
    expected = ['revision %d: deleted' % deleted] + versions[::-1]
    check(history == expected, history)
    limited = store.run('config', 'history', 'long', '--limit=7').text().splitlines()
    check(limited == expected[:7], limited)
    history = store.run('config', 'history', 'large').text().splitlines()
    check(history[0] == 'revision %d: deleted' % (deleted - 1) and len(history) == 2, history[:1])
    check(history[1].startswith('revision %d: version 1 "xxx' % stored), history[1][:50])


def put_versions(store, key, count):
    """The revisions of so many versions."""
    revisions = []
    for number in range(count):
        store.run('put', key, str(number))
        revisions.append(store.revision())
    return revisions


@test
def history_without_the_time(store):
    """What was found in time is listed, and what is said to go on with lists the rest."""
    store.run('put', 'timed', 'a')
    store.run('put', 'timed', 'b')
    store.run('del', 'timed')
    store.run('mset', 'other', '1')
    store.run('mset', 'other', '2')
    store.run('put', 'timed', 'c')
    whole = store.run('config', 'history', 'timed').text().splitlines()
    check(len(whole) >= 4, whole)
    over = threading.Event()
    proxy = FakeServer(proxy_to(store.endpoint, on_request=before_txn(lambda: over.wait(60))))
    with contextlib.closing(proxy):
        begun = store.run('config', 'history', 'timed', '--command-timeout=2s', code=1,
                          endpoint=proxy.endpoint)
        over.set()
    check(begun.text().splitlines() == whole[:1], begun.text())
    check('look back to revision' in begun.err and 'within 2s' in begun.err, begun.err)
    revision = re.search(r'--rev=(\d+)', begun.err).group(1)
    rest = store.run('config', 'history', 'timed', '--rev', revision).text().splitlines()
    check(rest == whole[1:], '%s: %s, not %s' % (revision, rest, whole[1:]))


@test
def history_and_revert(store):
    store.run('mset', 'life/a', '1', 'life/b', '1')
    first = store.revision()
    store.run('put', 'life/a', '2')
    store.run('del', 'life/a')
    deleted = store.revision()
    for number in range(20):
        store.run('put', 'n', str(number))
    store.run('put', 'life/a', '3')
    newest = store.revision()
    history = store.run('config', 'history', 'life/a').text().splitlines()
    check(history == ['revision %d: version 1 "3"' % newest, 'revision %d: deleted' % deleted,
                      'revision %d: version 2 "2"' % (first + 1),
                      'revision %d: version 1 "1"' % first], history)
    limited = store.run('config', 'history', 'life/a', '--limit=2').text().splitlines()
    check(limited == history[:2], limited)
    as_json = json.loads(store.run('config', 'history', 'life/a', write_out='json').out)
    check([entry['revision'] for entry in as_json['history']] ==
          [newest, deleted, first + 1, first], as_json)
    never = store.run('config', 'history', 'never')
    check(never.text() == '' and never.err == '"never" was not there at any revision that can be '
          'read, which are 1 to %d\n' % newest, never.err)
    for revision, at in ((newest, 0), (newest - 1, 1), (deleted, 1), (deleted - 1, 2), (first, 3)):
        since = store.run('config', 'history', 'life/a', '--rev', str(revision)).text()
        check(since.splitlines() == history[at:], 'from %d on: %s' % (revision, since))
    store.run('config', 'revert', 'life/', '--rev', str(first), '--dry-run')
    store.run('config', 'revert', 'life/', '--rev', str(first))
    check(store.keys('life/') == {b'life/a': b'1', b'life/b': b'1'}, store.keys('life/'))
    store.run('put', 'life/b', '2')
    store.run('config', 'revert', 'life/a', '--single', '--rev', str(deleted))
    check(store.keys('life/') == {b'life/b': b'2'}, store.keys('life/'))
    store.run('compaction', str(deleted + 1))
    gone = store.run('config', 'revert', 'life/', '--rev', str(first), code=1)
    check('revision %d is compacted' % first in gone.err and str(deleted + 1) in gone.err, gone.err)
    after = store.run('config', 'history', 'life/a').text().splitlines()
    check(after[-1] == 'revisions below %d are compacted' % (deleted + 1), after)
    check(not any('"2"' in line for line in after), after)
    gone = store.run('config', 'history', 'life/a', '--rev', str(first), code=1)
    check('compacted' in gone.err and 'newer revision' in gone.err, gone.err)
    future = store.run('config', 'revert', 'life/', '--rev', '99999', code=1)
    check('future' in future.err, future.err)
    store.run('config', 'revert', 'life/', code=128)


@test
def history_while_others_compact(store):
    """A compaction during the walk ends the list where one before it would have."""
    def history(key, hook):
        proxy = FakeServer(proxy_to(store.endpoint, on_request=hook))
        with contextlib.closing(proxy):
            meanwhile = store.run('config', 'history', key, endpoint=proxy.endpoint)
        afterwards = store.run('config', 'history', key)
        for what in ('out', 'err'):
            check(getattr(meanwhile, what) == getattr(afterwards, what), '%s: %r, and afterwards %r'
                  % (key, getattr(meanwhile, what), getattr(afterwards, what)))
        return meanwhile

    def compaction(revision):
        return lambda: store.run('compaction', str(revision))
    # The 3rd request with the key asks for what was before the 2nd version from the end.
    for kept in (5, 4, 2, 1):
        versions = put_versions(store, 'chain', 6)
        shown = history('chain', before_mention(b'chain', compaction(versions[6 - kept]), 3)).text()
        check([int(at) for at in re.findall(r'revision (\d+): version', shown)] ==
              versions[:5 - kept:-1], shown)
        check('revisions below %d are compacted' % versions[6 - kept] in shown, shown)
    # While the key is not there, a transaction looks; the request after it reads what was found.
    for above, nth in ((0, 2), (1, 2), (3, 2), (0, 3), (1, 3), (3, 3)):
        store.run('del', 'absent')
        versions = put_versions(store, 'absent', 3)
        store.run('del', 'absent')
        store.run('mset', 'other', '1')
        store.run('mset', 'other', '2')
        edge = versions[1] + above
        found = history('absent', before_mention(b'absent', compaction(edge), nth))
        lines = found.text().splitlines()
        check(lines[-1] == 'revisions below %d are compacted' % edge, lines)
        check(len(lines) == {0: 4, 1: 3, 3: 1}[above], lines)
        check(('"absent" was not there' in found.err) == (above == 3), found.err)


@test
def export_of_the_past(store):
    store.run('put', 'app/a', 'then')
    past = store.revision()
    store.run('put', 'app/a', 'now')
    text = store.run('config', 'export', 'app/', '--rev', str(past)).text()
    check('a: "then"' in text and 'revision: %d' % past in text, text)
    for flags in (('-w', 'json'), ('--format=json',), ('-w', 'json', '--format=json')):
        exported = json.loads(store.run('config', 'export', 'app/', *flags).out)
        check(exported['keys'] == {'a': 'now'}, exported)
    for arguments, said in (
            (('apply', '/dev/null/f'), 'cannot open /dev/null/f: '),
            (('export', 'a', '--file', '/dev/null/f'), 'cannot create /dev/null/f: ')):
        failed = store.run('config', *arguments, code=6)
        check(said in failed.err and 'Check the name' in failed.err, failed.err)


@test
def bad_files(store):
    """A file with an error changes nothing, and the message names the place."""
    store.run('put', 'app/a', '1')
    for name, text, said in (
            ('d.yaml', 'prefix: app/\nkeys:\n  a: "1"\n  a: "2"\n',
             'line 4, column 3: duplicate key "a"\nIt stands in line 3 already.'),
            ('t.yaml', 'prefix: app/\nkeys:\n\ta: "1"\n', 'line 3, column 1: a tab'),
            ('n.yaml', 'prefix: app/\nkeys:\n  a: 1\n', 'line 3, column 6: this value is a number'),
            ('d.json', '{"prefix": "app/",\n "keys": {"a": "1", "a": "2"}}', 'line 2, column 21'),
            ('e.json', '', 'line 1, column 1')):
        result = store.run('config', 'apply', store.write(name, text), code=3)
        check(name in result.err and said in result.err, result.err)
    check(store.keys() == {b'app/a': b'1'}, 'a file with an error was applied')
    piped = store.run('config', 'apply', '-', stdin=b'prefix: app/\nkeys: [1]\n', code=3)
    check('standard input: line 2' in piped.err, piped.err)


def main():
    options = parse_options(__doc__, 'server', 'gavelctl')
    with contextlib.closing(Store(options)) as store:
        run(store, options, before=store.clear)


main()
