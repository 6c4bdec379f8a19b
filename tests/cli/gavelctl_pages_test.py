#!/usr/bin/env python3
"""Completion and manual pages of gavelctl, gaveld and gavelutl, read by the shells and by man.

  gavelctl_pages_test.py --gavelctl build/bin/gavelctl --manual build/server/gaveld.1 [-k NAME]

The completion of gaveld lies beside its manual page, and so do the pages of gavelutl.
"""
import os
import re
import subprocess
import tempfile

from checks import check, parse_options, run, test
from gavelctl import Gavelctl, clean_environment
from servers import need


@test
def completion_is_read_by_the_shells(world):
    with tempfile.TemporaryDirectory() as folder:
        for shell, name in (('bash', 'gavelctl.bash'), ('zsh', '_gavelctl'),
                            ('fish', 'gavelctl.fish')):
            path = os.path.join(folder, name)
            with open(path, 'wb') as file:
                file.write(world.gavelctl('', 'completion', shell).out)
            read = subprocess.run([need(shell), '-n', path], capture_output=True, timeout=30)
            check(read.returncode == 0 and not read.stderr, '%s: %s' % (shell, read.stderr))
        for words, expected in (
                (['endpoint', ''], {'health', 'status', 'hashkv'}),
                (['get', '--pre'], {'--prefix'}),
                (['get', '--order', '=', 'A'], {'ASCEND'}),
                (['get', '--order', 'D'], {'DESCEND'}),
                (['-w', 'j'], {'json'}),
                (['completion', 'z'], {'zsh'}),
                (['lease', ''], {'grant', 'revoke', 'timetolive', 'list', 'keep-alive'}),
                (['lease', 'keep-alive', '--o'], {'--once'}),
                (['watch', '--pre'], {'--prefix', '--prev-kv'}),
                (['lock', 'name', '--t'], {'--ttl='}),
                (['elect', '--l'], {'--listen'}),
                (['put', 'get', ''], set())):
            script = 'source %s; COMP_WORDS=(gavelctl "$@"); COMP_CWORD=$#; _gavelctl; ' \
                     'printf "%%s\\n" "${COMPREPLY[@]}"' % os.path.join(folder, 'gavelctl.bash')
            done = subprocess.run([need('bash'), '-c', script, 'bash'] + words,
                                  capture_output=True, text=True, timeout=30)
            check(set(done.stdout.split()) == expected, '%s: %s' % (words, done.stdout))
        asked = subprocess.run(
            [need('fish'), '-c', 'source %s; complete -C "gavelctl endpoint "'
             % os.path.join(folder, 'gavelctl.fish')],
            capture_output=True, text=True, timeout=30, env={**os.environ, 'HOME': folder})
        check({line.split('\t')[0] for line in asked.stdout.splitlines()} ==
              {'health', 'status', 'hashkv'}, asked.stdout)


@test
def documented_exit_codes(world):
    """The README, --help and the manual page list the same codes."""
    readme = os.path.join(os.path.dirname(__file__), '../../client/ctl/README.md')
    with open(readme) as file:
        table = file.read().split('## Exit codes')[1].split('##')[0]
    help_text = world.gavelctl('', '--help').text().split('EXIT CODES:')[1]
    manual = world.gavelctl('', 'manual').text().split('EXIT STATUS')[1]
    codes = ['0', '1', '2', '3', '4', '5', '6', '7', '128', '141']
    for where, found in (('README', re.findall(r'^\| (\d+) \|', table, re.M)),
                         ('help', re.findall(r'^ +(\d+) ', help_text, re.M)),
                         ('manual', re.findall(r'^\\fB(\d+)\\fR$', manual, re.M))):
        check(found == codes, '%s: %s' % (where, found))


@test
def completion_of_the_server_is_read_by_the_shells(world):
    folder = os.path.join(os.path.dirname(world.manual), 'completion')
    for shell, name in (('bash', 'gaveld.bash'), ('zsh', '_gaveld'), ('fish', 'gaveld.fish')):
        read = subprocess.run([need(shell), '-n', os.path.join(folder, name)], capture_output=True,
                              timeout=30)
        check(read.returncode == 0 and not read.stderr, '%s: %s' % (shell, read.stderr))
    for words, expected in ((['--wal'], {'--wal-dir='}),
                            (['--config-f'], {'--config-file='}),
                            (['--ver'], {'--version'}),
                            (['--data-dir', '=', '/de'], {'/dev'}),
                            (['--config-file', '/etc/passw'], {'/etc/passwd'}),
                            (['--name', ''], set())):
        script = 'source %s; COMP_WORDS=(gaveld "$@"); COMP_CWORD=$#; _gaveld; ' \
                 'printf "%%s\\n" "${COMPREPLY[@]}"' % os.path.join(folder, 'gaveld.bash')
        done = subprocess.run([need('bash'), '-c', script, 'bash'] + words,
                              capture_output=True, text=True, timeout=30)
        check(expected <= set(done.stdout.split()) and bool(expected) == bool(done.stdout.split()),
              '%s: %s' % (words, done.stdout))
    asked = subprocess.run(
        [need('fish'), '-c', 'source %s; complete -C "gaveld --data-d"'
         % os.path.join(folder, 'gaveld.fish')],
        capture_output=True, text=True, timeout=30, env={**os.environ, 'HOME': folder})
    check('--data-dir' in asked.stdout, asked.stdout + asked.stderr)


@test
def completion_of_the_utility_is_read_by_the_shells(world):
    for shell, name in (('bash', 'gavelutl.bash'), ('zsh', '_gavelutl'), ('fish', 'gavelutl.fish')):
        read = subprocess.run([need(shell), '-n', world.utility(name)], capture_output=True,
                              timeout=30)
        check(read.returncode == 0 and not read.stderr, '%s: %s' % (shell, read.stderr))
    for words, expected in (
            ([''], {'snapshot', 'hashkv', 'version', '--help', '--write-out='}),
            (['snapshot', 's'], {'status'}),
            (['-w', 'j'], {'json'}),
            (['snapshot', 'restore', '--mark'], {'--mark-compacted'}),
            (['snapshot', 'restore', '--data-dir', '=', '/de'], {'/dev'}),
            (['snapshot', 'status', '/etc/passw'], {'/etc/passwd'}),
            (['hashkv', '/de'], {'/dev'}),
            (['hashkv', '--re'], {'--rev='}),
            (['hashkv', '--rev', '=', ''], set())):
        script = 'source %s; COMP_WORDS=(gavelutl "$@"); COMP_CWORD=$#; _gavelutl; ' \
                 'printf "%%s\\n" "${COMPREPLY[@]}"' % world.utility('gavelutl.bash')
        done = subprocess.run([need('bash'), '-c', script, 'bash'] + words,
                              capture_output=True, text=True, timeout=30)
        found = set(done.stdout.split())
        check(expected <= found and bool(expected) == bool(found), '%s: %s' % (words, found))
    with tempfile.TemporaryDirectory() as folder:
        asked = subprocess.run(
            [need('fish'), '-c', 'source %s; complete -C "gavelutl snapshot "'
             % world.utility('gavelutl.fish')],
            capture_output=True, text=True, timeout=30, env={**os.environ, 'HOME': folder})
        check({line.split('\t')[0] for line in asked.stdout.splitlines()} == {'restore', 'status'},
              asked.stdout)


@test
def manual_pages_are_read_by_man(world):
    pages = [world.gavelctl('', 'manual').out]
    for path in (world.manual, world.utility('gavelutl.1')):
        with open(path, 'rb') as page:
            pages.append(page.read())
    for command in ('snapshot status FILE', 'snapshot restore FILE', 'hashkv DATA_DIR', 'version'):
        check('.SS gavelutl %s\n' % command in pages[2].decode(), command + ' is not in the manual')
    for page in pages:
        read = subprocess.run([need('groff'), '-ww', '-man', '-Tutf8'], input=page,
                              capture_output=True, timeout=30)
        check(read.returncode == 0 and not read.stderr, read.stderr.decode())
    for command in world.commands():
        check('.SS gavelctl ' + command in pages[0].decode().replace('\\-', '-'),
              command + ' is not in the manual')
    shown = subprocess.run([need('man'), '-l', world.manual], capture_output=True, timeout=30,
                           env=clean_environment({'MANPAGER': 'cat'}))
    check(shown.returncode == 0 and b'data-dir' in shown.stdout, shown.stderr)


class World:
    def __init__(self, options):
        self.gavelctl = Gavelctl(options.gavelctl)
        self.manual = options.manual

    def utility(self, name):
        return os.path.join(os.path.dirname(self.manual), 'util', 'pages', name)

    def commands(self):
        """All commands, as --help lists them."""
        listed = self.gavelctl('', '--help').text().split('COMMANDS:')[1].split('GLOBAL')[0]
        return [line.strip().split('  ')[0] for line in listed.splitlines() if line.strip()]


def main():
    options = parse_options(__doc__, 'gavelctl', 'manual')
    run(World(options), options)


main()
