"""What the machine is, and what it is doing: from /proc."""
import os
import platform
import re
import resource
import subprocess
import time

TICKS = os.sysconf('SC_CLK_TCK')
BLOCK = 4096
NOISY_CORES = 0.1  # used by others: a row above it is marked


def cpu_seconds(pid):
    with open('/proc/%d/stat' % pid) as stat:
        fields = stat.read().rsplit(')', 1)[1].split()  # from the third on
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid):
    with open('/proc/%d/statm' % pid) as statm:
        return int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20


def busy_seconds():
    """CPU that everything has used since the machine was started."""
    with open('/proc/stat') as stat:
        user, nice, system, _, _, interrupts, soft = stat.readline().split()[1:8]
    return (int(user) + int(nice) + int(system) + int(interrupts) + int(soft)) / TICKS


class Others:
    """The cores used since now by whatever is neither a server, nor we, nor children that we have
    waited for meanwhile. `servers` returns the CPU seconds of the servers."""

    def __init__(self, servers):
        self._servers = servers
        self._began = self._read()

    def _read(self):
        ours = 0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            ours += usage.ru_utime + usage.ru_stime
        return time.monotonic(), busy_seconds() - ours - self._servers()

    def cores(self):
        (began, before), (now, after) = self._began, self._read()
        return (after - before) / max(now - began, 1 / TICKS)


def disk_mb(folder):
    """MB (10^6) that the files of a folder take up, without log that is only prepared."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            try:
                status = os.lstat(path)
                used = status.st_blocks * 512
                if os.path.basename(parent) == 'wal':
                    used = min(used, used_bytes(path, status.st_size))
            except FileNotFoundError:
                continue  # A server removes what it needs no longer.
            total += used
    return total / 1e6


def used_bytes(path, size):
    """The bytes up to the last that is not zero, in whole blocks: a log is prepared with zeros."""
    with open(path, 'rb') as handle:
        end = -(-size // BLOCK) * BLOCK
        while end > 0:
            begin = max(0, end - 256 * BLOCK)
            handle.seek(begin)
            chunk = handle.read(end - begin).rstrip(b'\0')
            if chunk:
                return begin + -(-len(chunk) // BLOCK) * BLOCK
            end = begin
    return 0


def settled_disk_mb(cluster, quiet_seconds, seconds_max):
    """The disk's use once it has not changed for `quiet_seconds`, or after `seconds_max`."""
    end = time.monotonic() + seconds_max
    last, since = cluster.disk_mb(), time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < quiet_seconds:
        time.sleep(min(1, quiet_seconds))
        now = cluster.disk_mb()
        if abs(now - last) > 0.1:
            last, since = now, time.monotonic()
    return last


def file_system(folder):
    """The type of the file system that a folder is on."""
    best = ('', 'unknown')
    with open('/proc/mounts') as mounts:
        for line in mounts:
            _, point, kind = line.split()[:3]
            inside = os.path.realpath(folder).startswith(point.rstrip('/') + '/')
            if inside and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


def processor():
    with open('/proc/cpuinfo') as info:
        for line in info:
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.machine()


def describe(folder):
    """What stands above every table."""
    with open('/proc/meminfo') as info:
        memory_kb = int(info.readline().split()[1])
    return {'cores': len(os.sched_getaffinity(0)), 'processor': processor(),
            'memory_gb': round(memory_kb / 2**20), 'kernel': platform.release().split('-')[0],
            'file_system': file_system(folder), 'load_average': os.getloadavg()[0],
            'date': time.strftime('%Y-%m-%d', time.gmtime())}


def version(binary):
    """What a server says of itself, as {'version': ..., 'commit': ...}."""
    said = subprocess.run([binary, '--version'], capture_output=True, text=True).stdout
    found = {}
    for line in said.splitlines():
        name, _, value = line.partition(':')
        if name.endswith(' Version') and 'version' not in found:
            found['version'] = value.strip()
        if name == 'Git SHA' and re.fullmatch('[0-9a-f]{7,}', value.strip()):
            found['commit'] = value.strip()
    return found
