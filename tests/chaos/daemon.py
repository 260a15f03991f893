"""A `baton serve --supervised` with a folder of its own."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request


def free(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


RANGES = threading.Lock()
NEXT = [20000 + (os.getpid() * 512) % 6000]


def free_range(count):
    """The first of `count` ports in a row that are free, even; nobody else in this process gets them."""
    with RANGES:
        for start in (NEXT[0], 20000):
            for first in range(start, 32000 - count, 2):
                if all(is_free(port) for port in range(first, first + count, 16)):
                    NEXT[0] = first + count + count % 2
                    return first
    raise RuntimeError("no free RTP ports")


def is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Daemon:
    def __init__(self, binary, folder, phones=None, aes=1, supervised=True, sip=None, first="", store=None, ports=600, backup=False, tls=False):
        self.binary, self.folder, self.supervised = binary, folder, supervised
        self.sip, self.http = sip or free(), free(socket.SOCK_STREAM)
        self.first = free_range(ports)
        self.last = self.first + ports - 1
        self.aes, self.first_of_all, self.store = aes, first, store or os.path.join(folder, "baton.db")
        self.tls = free(socket.SOCK_STREAM) if tls else None
        self.backup = backup  # the first AE has the second one as theirs
        self.process = None
        self.log = open(os.path.join(folder, "baton.log"), "ab")

    def write(self, phones, extra=""):
        ai, ae = phones.address("ai"), phones.address("ae")
        secure = f', "tls:127.0.0.1:{self.tls}"' if self.tls else ""
        text = (
            f'[node]\nname = "chaos"\n\n[sip]\nlisten = ["udp:127.0.0.1:{self.sip}"{secure}]\n\n'
            f'[media]\naddress = "127.0.0.1"\nports = "{self.first}-{self.last}"\n\n'
            f'[http]\nlisten = "127.0.0.1:{self.http}"\npublic_url = "http://127.0.0.1:{self.http}"\n\n'
            f'[store]\nurl = "sqlite:{self.store}"\n\n'
            f'{self.first_of_all}'
            f'[[trunk]]\nname = "carrier"\nuri = "sip:{phones.address("caller")}"\nsources = ["127.0.0.1/32"]\n\n'
            f'[[ai]]\nname = "ai"\nuri = "sip:{{to}}@{ai}"\n\n[[route]]\nto = "*"\nai = "ai"\n'
        )
        for number in range(self.aes):
            text += (
                f'\n[[ae]]\nid = "ae-{number:03d}"\nname = "ae-{number:03d}"\nuri = "sip:ae-{number:03d}@{ae}"\n'
                'timezone = "UTC"\nhours = "Mon-Sun 00:00-24:00"\n'
            )
            if self.backup and number == 0:
                text += 'backup = "ae-001"\n'
        self.config = os.path.join(self.folder, "baton.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text + extra)

    def start(self, self_test=None, environment=None, wrapper=()):
        env = dict(os.environ)
        env.pop("NOTIFY_SOCKET", None)
        env.setdefault("RUST_LOG", "info")
        if self_test:
            env["BATON_SELF_TEST"] = self_test
        env.update(environment or {})
        command = [*wrapper, self.binary, "serve"] + (["--supervised"] if self.supervised else []) + ["--config", self.config]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=env)
        return self

    def count(self, text):
        """How often its log has this."""
        with open(os.path.join(self.folder, "baton.log"), encoding="utf-8", errors="replace") as log:
            return log.read().count(text)

    def swap(self):
        """The worker leaves its calls to the next one, which may be of another version."""
        old = self.worker()
        self.process.send_signal(signal.SIGUSR2)
        return old

    def ready(self, patience=60):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self.process.returncode}; see {self.folder}/baton.log")
            try:
                if self.ask("GET", "/readyz", patience=1)[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"the daemon is not ready; see {self.folder}/baton.log")

    def worker(self):
        """The process that has the calls."""
        pid = self.process.pid
        if not self.supervised:
            return pid
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                children = file.read().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def kill(self, number=signal.SIGKILL):
        worker = self.worker()
        os.kill(worker, number)
        return worker

    def ask(self, method, path, body=None, patience=5):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=patience) as answer:
                raw = answer.read()
                kind = answer.headers.get("Content-Type", "")
                return answer.status, json.loads(raw or b"null") if "json" in kind else raw.decode()
        except urllib.error.HTTPError as fault:
            return fault.code, fault.read().decode()
        except urllib.error.URLError as fault:
            raise OSError(str(fault)) from fault

    def insist(self, method, path, body=None, patience=40):
        """Asks until somebody answers: the daemon may be dead for a moment."""
        end = time.monotonic() + patience
        while True:
            try:
                return self.ask(method, path, body)
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def gone(self, patience=40):
        """Waits for the process to end, as a service manager does, without looking now and then; its code."""
        watched = os.pidfd_open(self.process.pid)
        try:
            if not select.select([watched], [], [], patience)[0]:
                raise RuntimeError(f"the daemon is still there after {patience} s")
        finally:
            os.close(watched)
        return self.process.wait(5)

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            for number in (signal.SIGTERM, signal.SIGTERM):
                self.process.send_signal(number)
                time.sleep(0.2)
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                worker = self.worker()
                self.process.kill()
                if worker and worker != self.process.pid:
                    try:
                        os.kill(worker, signal.SIGKILL)
                    except OSError:
                        pass
                self.process.wait(5)
        self.log.close()
