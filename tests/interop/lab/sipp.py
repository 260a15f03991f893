"""SIPp as one party of a case: fills a scenario in, runs it, and gives back every message with its time."""

import datetime
import os
import re
import subprocess
import time
from collections import namedtuple

from . import script

HERE = os.path.dirname(os.path.abspath(__file__))
SCENARIOS = os.path.join(os.path.dirname(HERE), "scenarios")
Message = namedtuple("Message", "at direction text")
CODECS = {
    "pcmu": ("0 101", ["a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"]),
    "pcma": ("8 101", ["a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"]),
    "both": ("0 8 101", ["a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"]),
    "pcmu without events": ("0", ["a=rtpmap:0 PCMU/8000"]),
}
FILLED_IN = {"ring": 200, "talk": 30000, "hold": 30000, "wait": 500, "digit": "1", "to": "+15550100", "name": "Jamie", "wanted": "michael",
             "anywhere": "example.net", "status": 486, "phrase": "Busy Here", "rtp": 9}


def _read(scenario):
    with open(os.path.join(SCENARIOS, scenario + ".xml"), encoding="utf-8") as file:
        return file.read()


class Party:
    """A running SIPp."""

    def __init__(self, folder, name, scenario, port, target, ip="127.0.0.1", transport="u1", codec="pcmu", seconds=60, **words):
        self.name, self.folder, self.port = name, folder, port
        self._base = os.path.join(folder, name)
        text = script.xml(scenario) if script.is_script(scenario) else _read(scenario)
        formats, lines = CODECS[codec]
        text = text.replace("      ${codec_lines}\n", "".join(f"      {line}\n" for line in lines))
        filled = {**FILLED_IN, "formats": formats, **words}
        text = re.sub(r"\$\{(\w+)\}", lambda name: str(filled[name.group(1)]), text)
        with open(self._base + ".xml", "w", encoding="utf-8") as file:
            file.write(text)
        command = ["sipp", target, "-sf", self._base + ".xml", "-i", ip, "-p", str(port), "-m", "1", "-l", "1", "-nostdin", "-t", transport,
                   "-timer_resol", "1", "-timeout", str(seconds), "-timeout_error", "-max_retrans", "5",
                   "-trace_msg", "-message_file", self._base + ".messages", "-trace_err", "-error_file", self._base + ".errors"]
        self._screen = open(self._base + ".screen", "wb")
        # SIPp asks the terminal for its size; a dumb one keeps curses quiet.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._screen, stderr=subprocess.STDOUT, cwd=folder,
                                        env={**os.environ, "TERM": "dumb"})

    def wait_bound(self, transport="udp"):
        """Until its port is there."""
        wanted = f":{self.port:04X} "
        until = time.monotonic() + 5
        while time.monotonic() < until:
            with open(f"/proc/net/{transport}", encoding="ascii") as table:
                if any(wanted in line for line in table):
                    return self
            time.sleep(0.01)
        raise AssertionError(f"{self.name}: SIPp did not bind port {self.port}")

    def finish(self, seconds=15):
        """Waits until the scenario is over; fails with what SIPp did not expect."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name}: the scenario was not over after {seconds} s; last seen: {self.last()}") from None
        if code != 0:
            raise AssertionError(f"{self.name}: SIPp ended with {code}: {self.complaint()}; last seen: {self.last()}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._screen.close()

    def complaint(self):
        try:
            with open(self._base + ".errors", encoding="utf-8", errors="replace") as file:
                return re.sub(r"\s+", " ", file.read())[-600:]
        except OSError:
            return "no complaint written"

    def last(self):
        seen = self.messages()
        return f"{seen[-1].direction} {seen[-1].text.splitlines()[0]}" if seen else "nothing"

    def messages(self):
        """Every message so far, in order."""
        try:
            with open(self._base + ".messages", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            return []
        found = []
        for block in re.split(r"^-{40,} (?=\d{4}-)", text, flags=re.M)[1:]:
            stamp, _, rest = block.partition("\n")
            head, _, body = rest.partition("\n\n")
            direction = "sent" if "sent" in head else "received"
            at = datetime.datetime.fromisoformat(stamp.strip().split("\t")[0]).timestamp()
            found.append(Message(at, direction, body))
        return found

    def first(self, direction, start):
        """The first message sent or received whose first line begins with `start`."""
        return next((m for m in self.messages() if m.direction == direction and m.text.startswith(start)), None)

    def all(self, direction, start):
        return [m for m in self.messages() if m.direction == direction and m.text.startswith(start)]

    def wait_for(self, direction, start, seconds=8):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            message = self.first(direction, start)
            if message:
                return message
            if self.process.poll() is not None and not self.first(direction, start):
                break
            time.sleep(0.01)
        raise AssertionError(f"{self.name}: no {start!r} {direction} within {seconds} s; last seen: {self.last()} {self.complaint() if self.process.poll() else ''}")


def header(message, name):
    """The value of a header; None where there is none."""
    found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*?)\r?$", message.text, re.M | re.I)
    return found.group(1) if found else None


def body(message):
    return re.split(r"\r?\n\r?\n", message.text, maxsplit=1)[-1]


def sdp_audio(message):
    """Address and port that an SDP names for its sound."""
    text = body(message)
    return re.search(r"^c=IN IP4 (\S+)", text, re.M).group(1), int(re.search(r"^m=audio (\d+)", text, re.M).group(1))
