#!/usr/bin/env python3
"""cmake --install, and the program of the README built against what it installed.

Usage: install_test.py BUILD_DIR

The tree is installed with a prefix that it is then not at (DESTDIR), so nothing in it may name
its place. The program is built with find_package and with pkg-config, and talks to the installed
gaveld. So are examples of the recipes, from the installed headers alone.
"""
import os
import re
import shutil
import sys
import tempfile

import installing
from installing import expect, run, servers

PROJECT = '''cmake_minimum_required(VERSION 3.25)
project(example CXX)
find_package(gavel 0.1 REQUIRED)
add_executable(example example.cc)
target_link_libraries(example PRIVATE gavel::client)
'''


def readme_program():
    """The program that the README shows."""
    with open(os.path.join(installing.ROOT, 'README.md')) as readme:
        block = re.search(r'```cpp\n(.*?)```', readme.read(), re.S)
    expect(block, 'the README shows a program')
    return block.group(1)


def check_tree(root):
    files = installing.tree(root)
    for name in ('bin/gaveld', 'bin/gavelctl', 'share/man/man1/gaveld.1',
                 'share/man/man1/gavelctl.1', 'share/bash-completion/completions/gavelctl',
                 'share/zsh/site-functions/_gavelctl',
                 'share/fish/vendor_completions.d/gavelctl.fish',
                 'share/bash-completion/completions/gaveld',
                 'share/zsh/site-functions/_gaveld',
                 'share/fish/vendor_completions.d/gaveld.fish', 'bin/gavelutl',
                 'share/man/man1/gavelutl.1', 'share/bash-completion/completions/gavelutl',
                 'share/zsh/site-functions/_gavelutl',
                 'share/fish/vendor_completions.d/gavelutl.fish', 'lib/libgavel-client.a',
                 'lib/pkgconfig/gavel-client.pc',
                 'lib/cmake/gavel/gavel-config.cmake', 'include/gavel/client/client.h'):
        expect(name in files, '%s is installed; there are %s' % (name, files))
    public = re.findall(r'`(?:client/)?((?:recipes/)?[a-z_]+\.h)`',
                        open(os.path.join(installing.ROOT, 'client', 'README.md')).read())
    include = 'include/gavel/client/'
    installed = [name[len(include):] for name in files if name.startswith(include)]
    public.append('internal/local_mutex.h')  # What those are made of.
    expect(sorted(set(public)) == sorted(installed),
           'the headers that client/README.md names are those installed: %s, %s' % (
               sorted(set(public)), sorted(installed)))
    for name in files:
        if not name.endswith(('.h', '.cmake', '.pc')):
            continue
        with open(os.path.join(root, name)) as text:
            content = text.read()
        expect(installing.ROOT not in content, name + ' does not name the source tree')
        if name.endswith('.h'):
            foreign = [header for header in re.findall(r'#include [<"]([^>"]+)[>"]', content)
                       if '/' in header and not header.startswith('gavel/client/')]
            expect(not foreign, '%s includes %s' % (name, foreign))


def check_program(program, endpoint):
    output = run(program, endpoint)
    expect(re.fullmatch(r'hello at revision \d+\n', output), 'the program printed: ' + output)


def copy_example(name, to):
    """An example, with the headers where they are installed."""
    for file in ('example.h', name + '_example.cc'):
        with open(os.path.join(installing.ROOT, 'client', 'examples', file)) as text:
            content = text.read()
        content = re.sub(r'#include "client/(?!examples/)', '#include "gavel/client/', content)
        path = os.path.join(to, 'client', 'examples', file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as copy:
            copy.write(content)
    return path


def main(build):
    work = tempfile.mkdtemp(prefix='gavel-install-')
    cluster = None
    try:
        run('cmake', '--install', build, '--prefix', '/opt/gavel',
            env={'DESTDIR': os.path.join(work, 'dest')})
        root = os.path.join(work, 'moved')
        os.rename(os.path.join(work, 'dest', 'opt', 'gavel'), root)
        check_tree(root)

        cluster = servers.Cluster(os.path.join(root, 'bin', 'gaveld'))
        cluster.start()
        source = os.path.join(work, 'example')
        os.mkdir(source)
        with open(os.path.join(source, 'example.cc'), 'w') as program:
            program.write(readme_program())
        with open(os.path.join(source, 'CMakeLists.txt'), 'w') as project:
            project.write(PROJECT)

        by_cmake = os.path.join(work, 'by-cmake')
        run('cmake', '-G', 'Ninja', '-S', source, '-B', by_cmake, '-DCMAKE_PREFIX_PATH=' + root)
        run('cmake', '--build', by_cmake)
        check_program(os.path.join(by_cmake, 'example'), cluster.endpoint())

        by_hand = os.path.join(work, 'by-hand')
        flags = run('pkg-config', '--cflags', '--libs', 'gavel-client',
                    env={'PKG_CONFIG_PATH': os.path.join(root, 'lib', 'pkgconfig')}).split()
        run('c++', '-std=c++20', '-Wall', '-Wextra', '-Werror',
            os.path.join(source, 'example.cc'), '-o', by_hand, *flags)
        check_program(by_hand, cluster.endpoint())

        for name, arguments, expected in (
                ('mutex', ('locks/installed',), r'held \d+\nwrote\nunlocked\n'),
                ('registry', ('services/installed', 'register', '1', 'h:1', '{"zone":"a"}'),
                 r'registered\nunregistered\n')):
            run('c++', '-std=c++20', '-Wall', '-Wextra', '-Werror', '-I', source,
                copy_example(name, source), '-o', by_hand, *flags)
            output = run(by_hand, cluster.endpoint(), *arguments)
            expect(re.fullmatch(expected, output), name + '_example printed: ' + output)
    finally:
        if cluster:
            cluster.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == '__main__':
    main(sys.argv[1])
