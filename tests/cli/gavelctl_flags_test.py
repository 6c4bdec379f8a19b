#!/usr/bin/env python3
"""The commands and flags of gavelctl and of etcdctl, compared by their --help.

  gavelctl_flags_test.py --gavelctl build/bin/gavelctl [-k NAME]

Each that only one of them has is in a table of client/ctl/README.md, and each that is there only
one of them has.
"""
import os
import re
import subprocess

from checks import check, parse_options, run, test
from gavelctl import Gavelctl, clean_environment
from servers import need

README = os.path.join(os.path.dirname(__file__), '../../client/ctl/README.md')
# What the table calls flags that all commands have, and a command that is missing as a whole.
ALL = 'all commands'
WHOLE = 'the command'


def section(text, title, end):
    return text.split('\n' + title)[1].split('\n' + end)[0] if '\n' + title in text else ''


def flags_in(text):
    """Of lines such as "  -w, --write-out=FORMAT   ..."."""
    return set(re.findall(r'^\s+(?:-\w, )?(--[a-z-]+)', text, re.M)) - {'--help'}


class Tool:
    """The commands that a tool's --help lists, and their flags without those of all commands."""

    def __init__(self, help_of):
        root = help_of()
        listed = section(root, 'COMMANDS:', '\nOPTIONS' if '\nOPTIONS' in root else 'GLOBAL')
        names = {re.split(r'\t| {2,}', line.strip())[0] for line in listed.splitlines()
                 if line.strip()} - {'help'}
        of_all = section(root, 'GLOBAL OPTIONS:', 'A global') or section(root, 'OPTIONS:', 'GLOBAL')
        refused = re.findall(r'refused: (.*)', of_all)
        self.flags = {ALL: flags_in(of_all) | set(' '.join(refused).split())}
        for name in names:
            shown = help_of(*name.split())
            # etcdctl counts those of the group, such as --cluster, to the global ones.
            both = section(shown, 'OPTIONS:', 'GLOBAL') + '\n' + section(
                shown, 'GLOBAL OPTIONS:', 'A global')
            self.flags[name] = flags_in(both) - self.flags[ALL]

    def beyond(self, other):
        """What the other has not: (command, flag) or (command, WHOLE)."""
        found = {(name, WHOLE) for name in set(self.flags) - set(other.flags)}
        for name in set(self.flags) & set(other.flags):
            found |= {(name, flag) for flag in self.flags[name] - other.flags[name]}
        return found


def table(heading):
    """The first two columns of a table of the README, as Tool.beyond has them."""
    with open(README) as file:
        text = file.read()
    check(heading in text, heading + ' is missing')
    rows = set()
    for line in text.split(heading)[1].split('\n\n')[1].splitlines()[2:]:
        commands, flags = line.strip('|').split('|')[:2]
        for command in re.findall(r'`([^`]+)`', commands) or [commands.strip()]:
            for flag in re.findall(r'`([^`]+)`', flags) or [flags.strip()]:
                check((command, flag) not in rows, '%s %s stands there twice' % (command, flag))
                rows.add((command, flag))
    check(len(rows) > 0, heading + ' is empty')
    return rows


def compare(heading, found):
    listed = table(heading)
    check(listed == found, '%s: not listed %s, listed in vain %s' % (
        heading, sorted(found - listed), sorted(listed - found)))


@test
def what_etcdctl_lacks_is_listed(world):
    compare('**Only gavelctl has**', world.gavelctl.beyond(world.etcdctl))


@test
def what_gavelctl_lacks_is_listed(world):
    compare('**Only etcdctl 3.4 has**', world.etcdctl.beyond(world.gavelctl))


@test
def help_is_understood(world):
    """What both are known to have is found, so that nothing is equal for being empty."""
    for tool in (world.gavelctl, world.etcdctl):
        check({'--endpoints', '--write-out', '--cacert'} <= tool.flags[ALL], tool.flags[ALL])
        check({'--prefix', '--rev'} <= tool.flags['get'], tool.flags['get'])
        check('--cluster' in tool.flags['endpoint status'], tool.flags['endpoint status'])
        check(len(tool.flags) > 30, sorted(tool.flags))


class World:
    def __init__(self, options):
        gavelctl = Gavelctl(options.gavelctl)
        self.gavelctl = Tool(lambda *command: gavelctl('', *command, '--help').text())
        self.etcdctl = Tool(lambda *command: subprocess.run(
            [need('etcdctl'), *command, '--help'], capture_output=True, text=True, timeout=30,
            env=clean_environment({'ETCDCTL_API': '3'})).stdout)


def main():
    options = parse_options(__doc__, 'gavelctl')
    run(World(options), options)


main()
