"""`baton serve` as a child: its configuration, its ports, its HTTP interface."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

_taken = threading.Lock()
_next_block = [20000 + os.getpid() % 90 * 100]


def free_block():
    """A hundred ports that nobody uses: the first in UDP and TCP, as far as one can see."""
    with _taken:
        for _ in range(110):
            base = _next_block[0]
            _next_block[0] = base + 100 if base + 100 < 32000 else 20000
            if all(_is_free(base + n) for n in range(16)):
                return base
    raise AssertionError("no hundred free ports between 20000 and 32000")


def _is_free(port):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


CONFIG = """\
[node]
name = "interop"

[sip]
listen = ["udp:127.0.0.1:{sip}", "tcp:127.0.0.1:{sip}"{listen_more}]
domain = "baton.example"

[media]
address = "127.0.0.1"
ports = "{media}-{media_end}"

[http]
listen = "127.0.0.1:{http}"
public_url = "http://127.0.0.1:{http}"

[store]
url = "sqlite:{folder}/baton.db"

[transfer]
ring_max = "{ring_max}"

[[trunk]]
name = "carrier"
uri = "sip:127.0.0.1:{trunk}"
sources = ["127.0.0.1/32"]
{trunk_more}

[[ai]]
name = "agent"
uri = "sip:ai@127.0.0.1:{ai}{ai_parameters}"
{ai_more}

[[route]]
to = "*"
ai = "agent"

[[ae]]
id = "michael"
name = "Michael"
uri = "sip:michael@127.0.0.1:{michael}{michael_parameters}"
{backup}
numbers = ["+15550142"]
timezone = "America/New_York"
hours = "Mon-Sun 00:00-24:00"
{michael_more}

[[ae]]
id = "sara"
name = "Sara"
uri = "sip:sara@127.0.0.1:{sara}"
timezone = "America/New_York"
hours = "Mon-Sun 00:00-24:00"

[[group]]
name = "sales"
aes = ["michael", "sara"]
{more}
"""


class Daemon:
    """A `baton serve` of its own for one case; `text_of` makes a configuration of the ports that it was given, else there is a usual one."""

    def __init__(self, binary, folder, ring_max="18s", backup=True, trunk_more="", ai_more="", michael_more="", ai_parameters="",
                 michael_parameters="", listen_more="", more="", michael_port=4, text_of=None):
        base = free_block()
        self.base, self.sip, self.http, self.tls = base, base, base + 1, base + 7
        self.ports = {"caller": base + 2, "ai": base + 3, "michael": base + michael_port, "sara": base + 5, "trunk": base + 6}
        self.rtp = {"caller": base + 10, "ai": base + 12, "michael": base + 14, "sara": base + 16}
        self.target = f"127.0.0.1:{self.sip}"
        self.usual = CONFIG.format(sip=self.sip, http=self.http, media=base + 20, media_end=base + 99, folder=folder, ring_max=ring_max,
                                   backup='backup = "sara"' if backup else "", trunk_more=trunk_more, ai_more=ai_more,
                                   michael_more=michael_more, ai_parameters=ai_parameters, michael_parameters=michael_parameters,
                                   more=more, listen_more=listen_more.replace("TLS", f"127.0.0.1:{base + 7}"),
                                   **{name: self.ports[name] for name in ("trunk", "ai", "michael", "sara")})
        text = text_of(self) if text_of else self.usual
        self._config = os.path.join(folder, "baton.toml")
        with open(self._config, "w", encoding="utf-8") as file:
            file.write(text)
        self._log_path = os.path.join(folder, "baton.log")
        self._log = open(self._log_path, "wb")
        self.process = subprocess.Popen([binary, "serve", "--config", self._config], stdin=subprocess.DEVNULL, stdout=self._log,
                                        stderr=subprocess.STDOUT, cwd=folder)
        self._wait_ready()

    def _wait_ready(self):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}: {self.log()[-400:]}")
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the daemon was not ready after 10 s: {self.log()[-400:]}")

    def log(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def ask(self, method, path, value=None, headers=()):
        """Status and body (JSON where it is) of a request."""
        data = json.dumps(value).encode() if value is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data, method=method, headers=dict(headers))
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, _parsed(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, _parsed(refusal)

    def get(self, path):
        status, value = self.ask("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {value}")
        return value

    def wait(self, what, look, seconds=8):
        """Asks `look` until it gives something."""
        until = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > until:
                raise AssertionError(f"{what}: not within {seconds} s")
            time.sleep(0.02)

    def call(self, seconds=8):
        """The call, once caller and AI talk."""
        def active():
            calls = self.get("/v1/calls")["items"]
            return next((call for call in calls if call["state"] == "active"), None)
        return self.wait("an active call", active, seconds)

    def transfer(self, call, **wish):
        """Asks for a transfer; gives it as it is answered."""
        wish = {"to": "michael", "reason": "explicit_request", **wish}
        status, value = self.ask("POST", f"/v1/calls/{call['id']}/transfers", wish)
        if status != 202:
            raise AssertionError(f"the transfer was not taken: {status} {value}")
        return value

    def transfer_in(self, transfer_id, states, seconds=10):
        """The transfer once it is in one of `states`."""
        seen = {}

        def there():
            seen.update(self.get(f"/v1/transfers/{transfer_id}"))
            return seen if seen["state"] in states else None
        try:
            return self.wait(f"transfer {'/'.join(states)}", there, seconds)
        except AssertionError as fault:
            raise AssertionError(f"{fault}; it is {seen}") from None

    def transfer_over(self, transfer_id, seconds=20):
        return self.transfer_in(transfer_id, ("bridged", "ended"), seconds)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()


def _parsed(answer):
    text = answer.read().decode("utf-8", "replace")
    kind = answer.headers.get("Content-Type", "")
    return json.loads(text) if "json" in kind and text else text
