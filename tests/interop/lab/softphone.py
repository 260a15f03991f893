"""baresip as a real phone of any party: answers by itself, plays a tone, records what it hears, is worked from its keyboard."""

import math
import os
import pty
import re
import struct
import subprocess
import threading
import time
import wave

from .desk import expect

MODULES = "/usr/lib/baresip/modules"


def write_tone(path, hz, seconds=60):
    frames = b"".join(struct.pack("<h", round(6000 * math.sin(2 * math.pi * hz * n / 8000))) for n in range(8000))
    with wave.open(path, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        for _ in range(seconds):
            out.writeframes(frames)


class Softphone:
    """A running baresip, which is known as `user`; `account` and `more` are added to its account and its configuration."""

    def __init__(self, folder, port, rtp, hz, transport="udp", more=(), user="michael", account="regint=0", rtp_count=2, host="127.0.0.1"):
        self.folder = os.path.join(folder, f"baresip-{user.lstrip('+')}")
        os.makedirs(self.folder)
        tone = os.path.join(self.folder, "tone.wav")
        write_tone(tone, hz)
        self._write("config", "\n".join([
            f"sip_listen 127.0.0.1:{port}", "audio_path /usr/share/baresip", f"audio_source aufile,{tone}", "audio_player aubridge,nobody",
            "audio_alert aubridge,alert", "ausrc_srate 8000", "auplay_srate 8000", "ausrc_channels 1", "auplay_channels 1",
            f"rtp_ports {rtp}-{rtp + rtp_count - 1}", "net_interface 127.0.0.1", f"module_path {MODULES}", "module stdio.so", "module g711.so",
            "module aufile.so", "module aubridge.so", "module sndfile.so", f"snd_path {self.folder}", "module_app account.so",
            "module_app menu.so", "module_tmp uuid.so", *more, ""]))
        self._write("accounts", f"<sip:{user}@{host};transport={transport}>;{account};answermode=auto;audio_codecs=PCMU/8000;dtmfmode=rtpevent\n")
        self._write("contacts", "")
        self.keyboard, slave = pty.openpty()
        self.process = subprocess.Popen(["baresip", "-f", self.folder], stdin=slave, stdout=slave, stderr=slave, cwd=self.folder)
        os.close(slave)
        self.screen = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def _read(self):
        keyboard = self.keyboard
        while True:
            try:
                text = os.read(keyboard, 4096)
            except OSError:
                return
            if not text:
                return
            self.screen += re.sub(r"\x1b\[[0-9;]*m|\r", "", text.decode("utf-8", "replace"))

    def wait_for(self, words, seconds=8):
        until = time.monotonic() + seconds
        while words not in self.screen:
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError(f"baresip never said {words!r}; its screen: {self.screen[-500:]!r}")
            time.sleep(0.02)

    def press(self, key):
        os.write(self.keyboard, key.encode())

    def accept(self, baton, transfer, listens=0.0):
        """Hears the briefing for a while, accepts by key and is bridged; gives the transfer as it is then."""
        baton.transfer_in(transfer["id"], ("briefing",))
        time.sleep(listens)
        self.press("1")
        done = baton.transfer_over(transfer["id"])
        expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}; {self.screen[-300:]!r}; {baton.log()[-300:]!r}")
        return done

    def say(self, command):
        """Types a command in words: `dial sip:…`, `hold`, `resume`, `transfer sip:…`, `hangup`."""
        os.write(self.keyboard, f"/{command}\n".encode())

    def close(self):
        """Ends it, once: a number that was closed may be somebody else's by then."""
        if self.keyboard is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(1)
        os.close(self.keyboard)
        self.keyboard = None

    def heard(self):
        """What it decoded, as samples; none where it recorded nothing."""
        names = sorted(name for name in os.listdir(self.folder) if name.endswith("-dec.wav"))
        if not names:
            return []
        with open(os.path.join(self.folder, names[-1]), "rb") as file:
            data = file.read()
        # A recording that was cut short has no lengths in its header: the sound starts after the word "data".
        start = data.index(b"data") + 8
        sound = data[start:start + (len(data) - start) // 2 * 2]
        return [sample for (sample,) in struct.iter_unpack("<h", sound)]
