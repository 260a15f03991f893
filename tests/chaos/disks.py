"""The disk is full, or slow."""

import os
import shutil
import subprocess
import time

from scene import Scene, Skipped, hear_each_other, must, wait

# The disk of the case, in octets: room for a store and its journal, and not for much more.
SIZE = 8 << 20

SLOW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Each flush takes as many microseconds as stand in the file named by SLOW_DISK, for as long as it is there. */
static void nap(void) {
    const char *path = getenv("SLOW_DISK");
    FILE *file = path ? fopen(path, "r") : NULL;
    unsigned micros = 0;
    if (file) {
        if (fscanf(file, "%u", &micros) != 1) micros = 0;
        fclose(file);
    }
    if (micros) usleep(micros);
}
int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    nap();
    return real(fd);
}
int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    nap();
    return real(fd);
}
"""


def can(command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def own_disk(folder):
    """What starts a program with a small disk of its own mounted at `folder`."""
    flags = ["-m"] if os.geteuid() == 0 else ["-Urm"]
    mount = f'mount -t tmpfs -o size={SIZE},mode=700 none "$0" && exec "$@"'
    wrapper = ["unshare", *flags, "sh", "-c", mount, folder]
    if not shutil.which("unshare") or not can([*wrapper, "true"]):
        raise Skipped("nobody may mount a file system in a namespace of their own here")
    return wrapper


def fill(path):
    """Writes until the disk is full."""
    with open(path, "wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2


def refused(scene, number):
    """Whether a caller is turned away with 503."""
    caller = scene.phones.call(number)
    wait("the caller is answered", lambda: caller.state not in ("new", "calling"))
    return caller.state == "refused 503"


def full(program, folder):
    """Live calls go on, new promises are refused; when there is room again they are taken, and calls survive the process again."""
    disk = os.path.join(folder, "disk")
    os.mkdir(disk)
    wrapper = own_disk(disk)
    with Scene(program, folder, aes=3, store=os.path.join(disk, "baton.db"), start={"wrapper": wrapper}) as scene:
        pair = scene.bridges(1)[0]
        other = scene.with_ai(1)
        inside = f"/proc/{scene.daemon.process.pid}/root{disk}/ballast"
        fill(inside)

        def no_promise():
            status, answer = scene.ask_once(other, 1)
            if status == 202:  # There was room for one more line.
                scene.daemon.insist("DELETE", f"/v1/transfers/{answer['id']}")
                fill(inside + "-more")
            return status == 503

        wait("promises are refused", no_promise)
        full_at = time.monotonic()
        must(scene.daemon.insist("GET", "/readyz")[0] == 503, "it says that it is ready")
        wait("caller and AE talk on", lambda: hear_each_other(pair, full_at, 50))
        status = scene.daemon.insist("POST", "/v1/callbacks", {"ae": "ae-002", "caller": "+15550000009", "at": "2099-01-04T10:00:00Z", "timezone": "UTC"})[0]
        must(status == 503, f"a callback was promised: {status}")
        scene.hang_up([pair])
        gap = pair[0].gaps(full_at, time.monotonic() - 0.5)
        for ballast in (inside, inside + "-more"):
            if os.path.exists(ballast):
                os.remove(ballast)
        wait("it is ready again", lambda: scene.daemon.insist("GET", "/readyz")[0] == 200)
        legs = (other, scene.bridge(other, 2)[1])
        time.sleep(1.5)
        killed = time.monotonic()
        scene.daemon.kill()
        wait("calls live through the process again", lambda: hear_each_other(legs, killed + 0.1))
        scene.hang_up([legs])
        return f"longest gap on the full disk {gap * 1e3:.0f} ms"


def slow(program, folder):
    """Each flush takes 700 ms: live calls go on, and what is promised is on the disk, or refused."""
    source, library = os.path.join(folder, "slow.c"), os.path.join(folder, "slow.so")
    with open(source, "w", encoding="ascii") as file:
        file.write(SLOW)
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler or not can([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]):
        raise Skipped("there is no C compiler for a disk that is slow on purpose")
    delay = os.path.join(folder, "delay")
    start = {"environment": {"LD_PRELOAD": library, "SLOW_DISK": delay}}
    with Scene(program, folder, aes=3, start=start) as scene:
        pair = scene.bridges(1)[0]
        other = scene.with_ai(1)
        with open(delay + ".new", "w", encoding="ascii") as file:
            file.write("700000")
        os.rename(delay + ".new", delay)
        slow_at = time.monotonic()
        answers, ask = [], {"ae": "ae-002", "caller": "+15550000009", "at": "2099-01-04T10:00:00Z", "timezone": "UTC"}
        for _ in range(4):
            asked = time.monotonic()
            status = scene.daemon.insist("POST", "/v1/callbacks", ask)[0]
            answers.append((status, time.monotonic() - asked))
            must(status != 201 or answers[-1][1] >= 0.6, f"a callback was promised after {answers[-1][1] * 1e3:.0f} ms, before it was on the disk")
        must(all(status in (201, 503) for status, _ in answers), f"callbacks were answered with {answers}")
        wait("caller and AE talk on", lambda: hear_each_other(pair, time.monotonic() - 1.5, 30))
        scene.bridge(other, 1)
        gap = pair[0].gaps(slow_at, time.monotonic())
        scene.hang_up([pair])
        os.remove(delay)
        wait("it is ready again", lambda: scene.daemon.insist("GET", "/readyz")[0] == 200)
        wait("callbacks are promised again", lambda: scene.daemon.insist("POST", "/v1/callbacks", ask)[0] == 201)
        refusals = sum(1 for status, _ in answers if status == 503)
        return f"{refusals} of {len(answers)} promises refused, longest gap {gap * 1e3:.0f} ms"
