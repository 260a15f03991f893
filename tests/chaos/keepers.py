"""Daemons whose sockets somebody else holds, or nobody: a service manager that is played here, and a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

from daemon import Daemon

HERE = os.path.dirname(os.path.abspath(__file__))


def go(prepared):
    prepared.stdin.close()
    return prepared


class Single(Daemon):
    """One process, which is started again when it has died."""

    def __init__(self, *args, **how):
        super().__init__(*args, supervised=False, **how)

    def kill(self, number=signal.SIGKILL):
        old = self.process.pid
        os.kill(old, number)
        self.gone()
        self.start()
        return old


class Alone(Single):
    """Nobody holds its sockets: whoever starts it again finds its ports free."""


class Managed(Single):
    """Its sockets are held as systemd does it: `FDSTORE=1` with SCM_RIGHTS comes in, `LISTEN_FDS` goes out with the next process."""

    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self.path = os.path.join(self.folder, "notify")
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.door.bind(self.path)
        self.door.settimeout(0.2)
        self.held, self.said, self.ends, self.lock = {}, [], False, threading.Lock()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while not self.ends:
            try:
                text, sockets, _, _ = socket.recv_fds(self.door, 4096, 253)
            except TimeoutError:
                continue
            except OSError:
                return
            with self.lock:
                self.said.append(text.decode())
                for one in sockets:
                    # The same socket comes again from each process that has it; the store keeps one of each.
                    known = os.fstat(one).st_ino
                    if known in self.held or not text.startswith(b"FDSTORE=1"):
                        os.close(one)
                    else:
                        self.held[known] = one

    def start(self, self_test=None, environment=None, wrapper=()):
        self.process = go(self.prepare(self_test, environment, wrapper))
        return self

    def prepare(self, self_test=None, environment=None, wrapper=()):
        """A process that becomes the daemon as soon as it is told to: a service manager needs no interpreter to start one."""
        with self.lock:
            held = list(self.held.values())
        for one in held:
            os.set_inheritable(one, True)
        handing = [sys.executable, "-I", "-S", os.path.join(HERE, "handing.py"), ",".join(map(str, held))]
        more = {"NOTIFY_SOCKET": self.path, **(environment or {})}
        env = dict(os.environ, RUST_LOG="info", **more)
        if self_test:
            env["BATON_SELF_TEST"] = self_test
        command = [*handing, *wrapper, self.binary, "serve", "--config", self.config]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, env=env, pass_fds=held)

    def kill(self, number=signal.SIGKILL):
        return self.follow(number)[0]

    def swap(self):
        """As `systemctl kill -s USR2`, and the restart that follows."""
        old, code = self.follow(signal.SIGUSR2)
        if code != 75:
            raise RuntimeError(f"the daemon left with {code}")
        return old

    def follow(self, number):
        """Ends the daemon and starts it again; the process that has ended, and its code."""
        old, following = self.process.pid, self.prepare()
        try:
            time.sleep(0.2)
            os.kill(old, number)
            code = self.gone()
        except BaseException:
            following.kill()
            following.wait(5)
            raise
        self.process = go(following)
        return old, code

    def stop(self):
        super().stop()
        self.ends = True
        self.thread.join(5)
        self.door.close()
        for one in self.held.values():
            os.close(one)
