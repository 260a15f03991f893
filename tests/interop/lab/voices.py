"""Voices: RTP ends that say a tone, press keys, and remember every packet that came."""

import random
import selectors
import socket
import struct
import threading
import time
from collections import namedtuple

from . import sound

Heard = namedtuple("Heard", "at seq stamp ssrc kind marker payload source")
LOUD, QUIET = -30.0, -45.0


class Voice:
    """One RTP end. It answers to wherever sound comes from, as phones behind NAT do."""

    def __init__(self, name, port, hz, kind=0):
        self.name, self.port, self.hz, self.kind = name, port, hz, kind
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.remote, self.heard, self.speaking = None, [], True
        self._loop, self._at = sound.tone(hz, kind), 0
        self._ssrc, self._seq, self._stamp = random.getrandbits(32), random.getrandbits(15), random.getrandbits(31)
        self._events = []

    def elsewhere(self, port):
        """The same voice from another port, as after a NAT has forgotten it; this one falls silent."""
        moved = Voice(self.name, port, self.hz, self.kind)
        moved.remote, moved._ssrc, moved._seq, moved._stamp = self.remote, self._ssrc, self._seq, self._stamp
        self.remote, self.speaking = None, False
        return moved

    def press(self, digit):
        """Presses a key: a telephone-event of 160 ms with its end said three times (RFC 4733)."""
        code = "0123456789*#".index(digit)
        updates = [(code, False, 160 * n) for n in range(1, 9)] + [(code, True, 160 * 8)] * 3
        self._events.extend(updates)

    def tick(self):
        if self.remote is None:
            return
        if self._events:
            self._send_event()
        elif self.speaking:
            frame = self._loop[self._at:self._at + sound.FRAME]
            self._at = (self._at + sound.FRAME) % sound.RATE
            self._send(self.kind, False, self._stamp, frame)
            self._stamp = (self._stamp + sound.FRAME) & 0xFFFFFFFF
        else:
            self._stamp = (self._stamp + sound.FRAME) & 0xFFFFFFFF

    def _send_event(self):
        code, is_end, duration = self._events.pop(0)
        self._send(101, duration == 160, self._stamp, struct.pack("!BBH", code, 0x8A if is_end else 0x0A, duration))
        if is_end and not self._events or self._events and self._events[0][2] == 160:
            self._stamp = (self._stamp + 11 * sound.FRAME) & 0xFFFFFFFF

    def _send(self, kind, marker, stamp, payload):
        head = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), self._seq, stamp, self._ssrc)
        self._seq = (self._seq + 1) & 0xFFFF
        try:
            self.socket.sendto(head + payload, self.remote)
        except OSError:
            pass  # Whoever has hung up refuses packets; the scenario says whether he should have.

    def receive(self):
        while True:
            try:
                packet, source = self.socket.recvfrom(2048)
            except OSError:
                return
            at = time.time()
            if len(packet) < 12 or packet[0] >> 6 != 2 or 72 <= packet[1] & 0x7F <= 76:
                continue
            first, second, seq, stamp, ssrc = struct.unpack("!BBHII", packet[:12])
            if self.speaking:
                self.remote = source
            self.heard.append(Heard(at, seq, stamp, ssrc, second & 0x7F, second >> 7 == 1, packet[12:], source))

    def sound(self, since, until):
        """What came in between two moments, as samples."""
        samples = []
        for packet in list(self.heard):
            if since <= packet.at <= until and packet.kind in sound.DECODE:
                table = sound.DECODE[packet.kind]
                samples.extend(table[byte] for byte in packet.payload)
        return samples

    def level(self, hz, since, until):
        """How loud `hz` came in between two moments."""
        return sound.level(self.sound(since, until), hz)

    def loudness(self, since, until):
        """How loud all of it was."""
        return sound.loudness(self.sound(since, until))

    def hears(self, hz, since, until):
        return self.level(hz, since, until) > LOUD

    def hears_nothing_of(self, hz, since, until):
        return self.level(hz, since, until) < QUIET

    def longest_gap_ms(self, since, until):
        times = [packet.at for packet in list(self.heard) if since <= packet.at <= until]
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf")) * 1000

    def breaks(self):
        """Where the stream towards this voice changed its SSRC, skipped or repeated a number, or went back in time."""
        found, packets = [], list(self.heard)
        for before, after in zip(packets, packets[1:]):
            step = (after.seq - before.seq) & 0xFFFF
            if after.ssrc != before.ssrc:
                found.append(f"SSRC {before.ssrc:08x} -> {after.ssrc:08x}")
            elif step != 1:
                found.append(f"sequence {before.seq} -> {after.seq}")
            elif (after.stamp - before.stamp) & 0xFFFFFFFF > 0x7FFFFFFF:
                found.append(f"timestamp {before.stamp} -> {after.stamp}")
        return found


class Choir:
    """All voices of a case on one thread, each a frame every 20 ms."""

    def __init__(self):
        self.voices, self._ports, self._over = [], selectors.DefaultSelector(), False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._sing, daemon=True)
        self._thread.start()

    def add(self, voice):
        with self._lock:
            self.voices.append(voice)
            self._ports.register(voice.socket, selectors.EVENT_READ, voice)
        return voice

    def close(self):
        self._over = True
        self._thread.join(1)
        for voice in self.voices:
            voice.socket.close()

    def _sing(self):
        due = time.monotonic()
        while not self._over:
            for key, _ in self._ports.select(max(0.0, due - time.monotonic())):
                key.data.receive()
            if time.monotonic() >= due:
                with self._lock:
                    voices = list(self.voices)
                for voice in voices:
                    voice.tick()
                due = max(due + 0.02, time.monotonic() - 0.1)
