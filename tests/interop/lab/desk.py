"""One case at work: a daemon, its parties and voices, and an end for all of them."""

import contextlib
import os
import time

from . import daemon, sipp, voices

TONES = {"caller": 500, "ai": 800, "michael": 1100, "sara": 1400}


def expect(holds, what):
    """The assertion of this folder: says what should have held."""
    if not holds:
        raise AssertionError(what)


class Desk:
    """Everything that one case starts, so that everything ends with it."""

    def __init__(self, binary, folder, root):
        self.binary, self.folder, self.root = binary, folder, root
        self.baton, self._choir, self._parties, self._closers = None, None, [], []

    def serve(self, **settings):
        self.baton = daemon.Daemon(self.binary, self.folder, **settings)
        return self.baton

    def voice(self, role, codec="pcmu"):
        """An RTP end for `role`, with a tone of its own."""
        if self._choir is None:
            self._choir = voices.Choir()
        kind = 8 if codec == "pcma" else 0
        return self._choir.add(voices.Voice(role, self.baton.rtp[role], TONES[role], kind))

    def moved(self, voice):
        """The voice from a port that nobody has heard of."""
        return self._choir.add(voice.elsewhere(voice.port + 1))

    def party(self, role, scenario, transport="u1", **words):
        """SIPp as `role`, at the port that the configuration gives it; waits until it is bound."""
        words.setdefault("rtp", self.baton.rtp.get(role, 9))
        one = sipp.Party(self.folder, role, scenario, self.baton.ports[role], self.baton.target, transport=transport, **words)
        self._parties.append(one)
        if transport == "u1":
            return one.wait_bound()
        return one.wait_bound("tcp") if scenario.startswith(("answers", "<")) else one

    def stranger(self, name, scenario, ip, port, **words):
        """SIPp from somewhere that the configuration does not know."""
        one = sipp.Party(self.folder, name, scenario, port, self.baton.target, ip=ip, **words)
        self._parties.append(one)
        return one

    def at_end(self, closer):
        self._closers.append(closer)

    def close(self):
        for closer in reversed(self._closers):
            with contextlib.suppress(Exception):
                closer()
        for party in self._parties:
            party.kill()
        if self.baton:
            self.baton.stop()
        if self._choir:
            self._choir.close()

    def let_them_talk(self, seconds):
        """Lets real sound flow for a while; gives the span, a little short of its ends."""
        since = time.time()
        time.sleep(seconds)
        return since + 0.1, time.time() - 0.05

    def path(self, name):
        return os.path.join(self.folder, name)
