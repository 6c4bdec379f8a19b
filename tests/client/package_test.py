#!/usr/bin/env python3
"""cpack -G DEB, and dpkg that installs, runs and removes the packages.

Usage: package_test.py BUILD_DIR

dpkg works in a root folder of its own, as an ordinary user under fakeroot. Its database there
knows of the packages of this machine that ours depend on, and of no others, so that dependencies
are checked for real. The machine itself is not touched, which is checked too.
"""
import glob
import hashlib
import os
import re
import shutil
import sys
import tempfile

import installing
from installing import expect, run

STATUS = '/var/lib/dpkg/status'
# What a package of ours may bring along besides its files.
CONTROL_FILES = {'control', 'md5sums'}


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def field(package, name):
    return run('dpkg-deb', '-f', package, name).strip()


def dependencies(package):
    """The names of the packages that this one depends on."""
    entries = field(package, 'Depends').split(',')
    return set(re.split(r'[ (]', entry.strip())[0] for entry in entries)


def names_of(stanza):
    """The name of a package and those that it provides."""
    names = {match.group(1) for match in re.finditer(r'^Package: (.*)$', stanza, re.M)}
    for match in re.finditer(r'^Provides: (.*)$', stanza, re.M):
        names |= {re.split(r'[ (]', entry.strip())[0] for entry in match.group(1).split(',')}
    return names


class PrivateRoot:
    """A root folder for dpkg, in whose database the named packages are installed."""

    def __init__(self, folder, known):
        self.folder = folder
        database = os.path.join(folder, 'var', 'lib', 'dpkg')
        for name in ('info', 'updates'):
            os.makedirs(os.path.join(database, name))
        with open(STATUS) as file:
            stanzas = file.read().split('\n\n')
        known = [stanza for stanza in stanzas if names_of(stanza) & known]
        with open(os.path.join(database, 'status'), 'w') as file:
            file.write(''.join(stanza + '\n\n' for stanza in known))
        for stanza in known:
            # dpkg only wants to find a list of files; whose they are does not matter here.
            name = stanza.split('\n')[0][9:]
            if 'Multi-Arch: same' in stanza:
                name += ':' + re.search(r'^Architecture: (.*)$', stanza, re.M).group(1)
            open(os.path.join(database, 'info', name + '.list'), 'w').close()

    def dpkg(self, *arguments):
        # Its checks look for tools that only root's path has.
        return run('fakeroot', 'dpkg', '--root=' + self.folder, '--log=/dev/null',
                   '--force-not-root', *arguments,
                   env={'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'})

    def files(self):
        return [name for name in installing.tree(self.folder)
                if not name.startswith('var/lib/dpkg/')]


def check_package(package, folder):
    run('dpkg-deb', '-e', package, folder)
    extra = set(os.listdir(folder)) - CONTROL_FILES
    expect(not extra, '%s brings no scripts: %s' % (package, extra))
    expect(field(package, 'Version').startswith('0.'), 'the version')
    expect('@' in field(package, 'Maintainer'), 'the maintainer')
    description = field(package, 'Description')
    expect(len(description.split('\n')[0]) < 80 and '\n' in description,
           'a short and a long description: ' + description)
    for line in run('dpkg-deb', '-c', package).splitlines():
        mode, owner = line.split()[:2]
        name = line.split()[5]
        expect(owner == 'root/root', line)
        expect(name.startswith('./usr/'), line)
        expect(mode in ('drwxr-xr-x', '-rwxr-xr-x', '-rw-r--r--'), line)
    expect('/copyright' in run('dpkg-deb', '-c', package), 'a copyright file')


def main(build):
    work = tempfile.mkdtemp(prefix='gavel-package-')
    before = digest(STATUS)
    try:
        run('cpack', '-G', 'DEB', '-B', work, '--config', os.path.join(build, 'CPackConfig.cmake'))
        packages = sorted(glob.glob(os.path.join(work, '*.deb')))
        names = [os.path.basename(package).split('_')[0] for package in packages]
        expect(names == ['gavel', 'libgavel-client-dev'], 'the packages: %s' % names)
        for name, package in zip(names, packages):
            check_package(package, os.path.join(work, 'control-' + name))
        needed = set().union(*(dependencies(package) for package in packages))
        expect({'libc6', 'libnghttp2-14', 'libgrpc++-dev'} <= needed, 'dependencies: %s' % needed)

        root = PrivateRoot(os.path.join(work, 'root'), needed)
        root.dpkg('-i', *packages)
        for name in names:
            expect('Status: install ok installed' in root.dpkg('-s', name), name + ' is installed')
        files = root.files()
        for program in ('gaveld', 'gavelctl', 'gavelutl'):
            for file in ('usr/bin/' + program, 'usr/share/man/man1/%s.1' % program,
                         'usr/share/bash-completion/completions/' + program,
                         'usr/share/zsh/vendor-completions/_' + program,
                         'usr/share/fish/vendor_completions.d/%s.fish' % program):
                expect(any(found in (file, file + '.gz') for found in files),
                       '%s is there: %s' % (file, files))
        for file in ('usr/lib/libgavel-client.a',
                     'usr/include/gavel/client/client.h', 'usr/lib/pkgconfig/gavel-client.pc'):
            expect(file in files, '%s is there: %s' % (file, files))
        root.dpkg('--verify', *names)
        version = run(os.path.join(root.folder, 'usr/bin/gaveld'), '--version')
        expect('0.' in version, 'gaveld --version: ' + version)

        root.dpkg('-r', *names)
        root.dpkg('-P', *names)
        expect(root.files() == [], 'nothing is left: %s' % root.files())
        expect('gavel' not in open(os.path.join(root.folder, STATUS[1:])).read(),
               'the database has forgotten the packages')
        # A package that is missing what it depends on is refused, so that was checked above.
        bare = PrivateRoot(os.path.join(work, 'bare'), needed - {'libnghttp2-14'})
        try:
            bare.dpkg('-i', packages[0])
        except SystemExit as refused:
            expect('libnghttp2-14' in str(refused), str(refused))
        else:
            expect(False, 'a missing dependency is noticed')
        expect(digest(STATUS) == before, 'the database of this machine is as it was')
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == '__main__':
    main(sys.argv[1])
