"""Somebody between Baton and a phone, who passes every datagram on: he sees what both say, and can make two requests cross."""

import re
import select
import socket
import threading
import time
from collections import namedtuple

Seen = namedtuple("Seen", "at by text")


class Between:
    """Baton finds the phone at `outer`; the phone finds Baton at `inner`, and is itself at `phone`. `alter` may change what passes."""

    def __init__(self, outer, inner, phone, target, alter=lambda by, text: text):
        self.outer, self.inner = (self._bind(port) for port in (outer, inner))
        self._baton, self._phone = target, f"127.0.0.1:{phone}"
        self._outside, self._inside = f"127.0.0.1:{outer}", f"127.0.0.1:{inner}"
        self._alter, self._held, self._cross = alter, None, False
        self.seen = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ends = False
        self._thread.start()

    @staticmethod
    def _bind(port):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", port))
        return one

    def close(self):
        self._ends = True
        self._thread.join(2)
        self.outer.close()
        self.inner.close()

    def cross(self):
        """The next re-INVITE of Baton waits here until one of the phone comes; then both go on, so that neither has seen the other's."""
        self._cross = True

    def held(self):
        """The re-INVITE of Baton that waits."""
        return self._held

    def _run(self):
        while not self._ends:
            for one in select.select([self.outer, self.inner], [], [], 0.1)[0]:
                text = one.recv(65535).decode("utf-8", "replace")
                if one is self.outer:
                    self._from_baton(text)
                else:
                    self._from_phone(text)

    def _from_baton(self, text):
        self.seen.append(Seen(time.time(), "baton", text))
        if self._cross and is_reinvite(text):
            if self._held is None or cseq(self._held) == cseq(text):
                self._held = text  # and what is sent again of it is the same
                return
        self._to_phone(text)

    def _from_phone(self, text):
        self.seen.append(Seen(time.time(), "phone", text))
        self._to_baton(text)
        if self._held is not None and is_reinvite(text):
            held, self._held, self._cross = self._held, None, False
            self._to_phone(held)

    def _to_phone(self, text):
        text = self._alter("baton", text).replace(self._baton, self._inside).replace(self._outside, self._phone)
        self.inner.sendto(text.encode(), address(self._phone))

    def _to_baton(self, text):
        text = self._alter("phone", text).replace(self._inside, self._baton).replace(self._phone, self._outside)
        self.outer.sendto(text.encode(), address(self._baton))

    def all(self, by, start, since=0.0):
        return [one for one in self.seen if one.by == by and one.at >= since and one.text.startswith(start)]


def address(text):
    host, port = text.split(":")
    return host, int(port)


def cseq(text):
    return re.search(r"^CSeq\s*:\s*(\d+ \w+)", text, re.M | re.I).group(1)


def is_reinvite(text):
    """An INVITE inside a dialog: its To has a tag."""
    return text.startswith("INVITE ") and re.search(r"^(To|t)\s*:[^\r\n]*;tag=", text, re.M | re.I) is not None
