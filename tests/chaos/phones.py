"""Callers, AIs and AEs over loopback, just enough of SIP and RTP to tell whether a call has survived.

Everybody says one octet over and over: who hears which octet hears whom. One thread plays all of them.
"""

import gc
import hashlib
import re
import select
import socket
import struct
import threading
import time
import uuid

SO_TIMESTAMPNS = 35
PTIME = 0.02
SAMPLES = 160
SAYS = {"caller": 0x33, "ai": 0x11, "ae": 0x22}
# Mean of the absolute deviation from silence below which a packet says nothing: mu-law silence is 0xFF.
SILENCE = {0xFF, 0x7F, 0xFE, 0x7E, 0xD5, 0x55}


def header(text, name):
    found = re.search(r"^%s\s*:\s*(.*?)\r?$" % name, text, re.I | re.M)
    return found.group(1).strip() if found else ""


class Leg:
    """One party's end of a call."""

    def __init__(self, role, number):
        self.role, self.number = role, number
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind(("127.0.0.1", 0))
        self.rtp.setblocking(False)
        self.rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.port = self.rtp.getsockname()[1]
        self.remote = None
        self.seq, self.stamp, self.ssrc = 1, 0, uuid.uuid4().int & 0xFFFFFFFF
        self.call_id, self.local_tag, self.remote_tag = None, uuid.uuid4().hex[:12], None
        self.local, self.target, self.cseq, self.routes = "", "", 1, []
        self.state = "new"
        self.baton_call = None
        self.invite = None
        self.answer = None
        self.heard = []  # (time, octet, ssrc, seq)
        self.last = None
        self.ssrcs = set()

    def sdp(self):
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        )

    def learn(self, text):
        port = re.search(r"^m=audio (\d+)", text, re.M)
        if port:
            self.remote = ("127.0.0.1", int(port.group(1)))

    def speak(self, is_lost):
        if self.remote is None or self.state != "up":
            return
        head = struct.pack("!BBHII", 0x80, 0, self.seq & 0xFFFF, self.stamp & 0xFFFFFFFF, self.ssrc)
        self.seq, self.stamp = self.seq + 1, self.stamp + SAMPLES
        if is_lost:
            return
        try:
            self.rtp.sendto(head + bytes([SAYS[self.role]]) * SAMPLES, self.remote)
        except OSError:
            pass  # a port that is bound again in a moment

    def hear(self, at, octet, ssrc, seq):
        self.heard.append((at, octet, ssrc, seq))
        self.ssrcs.add(ssrc)

    def gaps(self, since, until):
        """The longest time without a packet within a span, in seconds."""
        times = [at for at, *_ in self.heard if since <= at <= until]
        if not times:
            return until - since
        return max(b - a for a, b in zip([since] + times, times + [until]))

    def hears(self, since, until):
        """Whom it hears within a span, by how many packets."""
        names = {octet: name for name, octet in SAYS.items()}
        count = {}
        for at, octet, *_ in self.heard:
            if since <= at <= until:
                name = names.get(octet, "silence" if octet in SILENCE else "sound")
                count[name] = count.get(name, 0) + 1
        return count


class Phones(threading.Thread):
    """All phones; `proxy` is the daemon's SIP address."""

    def __init__(self, proxy):
        super().__init__(daemon=True)
        self.proxy = proxy
        self.sip = {}
        for role in SAYS:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            self.sip[role] = sock
        self.legs = []
        self.seen = []  # (time, role, first line)
        self.by_call_id = {}
        self.asked = {}  # what was asked with OPTIONS
        self.timers = []  # (time, function)
        self.lock = threading.RLock()
        self.epoll = select.epoll()
        self.of = {}
        for role, sock in self.sip.items():
            self.epoll.register(sock.fileno(), select.EPOLLIN)
            self.of[sock.fileno()] = role
        self.ends = False
        self.wind = None  # (share that is lost, how late the rest is at most, lot)
        self.stood = (0.0, 0.0)  # how long this thread itself stood still at most, and until when
        self.lost = [0, 0]  # datagrams that were lost, and all
        self.ae_answers_after = 0.05
        self.ae_key = None
        self.declines = set()  # AEs who are busy
        self.ai_refers = None

    def address(self, role):
        return "127.0.0.1:%d" % self.sip[role].getsockname()[1]

    def stop(self):
        self.ends = True
        self.join(5)
        for sock in list(self.sip.values()) + [leg.rtp for leg in self.legs]:
            sock.close()

    def run(self):
        gc.disable()  # Half a million small values are nothing to look through while everybody talks.
        due = time.monotonic()
        while not self.ends:
            now = time.monotonic()
            if now - due > self.stood[0]:
                self.stood = (now - due, now)
            if now >= due:
                with self.lock:
                    for leg in self.legs:
                        leg.speak(self.is_lost())
                due = max(due + PTIME, now - PTIME)
            with self.lock:
                ready, self.timers = [t for t in self.timers if t[0] <= now], [t for t in self.timers if t[0] > now]
            for _, what in ready:
                what()
            for fd, _ in self.epoll.poll(max(0.0, min(due - time.monotonic(), PTIME)), 256):
                with self.lock:
                    self.read(fd)

    def after(self, seconds, what):
        self.timers.append((time.monotonic() + seconds, what))

    def read(self, fd):
        whose = self.of.get(fd)
        if isinstance(whose, Leg):
            for _ in range(64):
                try:
                    data, more, _, _ = whose.rtp.recvmsg(2048, 64)
                except OSError:
                    return
                if len(data) > 20 and data[1] & 0x7F == 0:
                    # The kernel says when it came: this thread may have been late.
                    at = time.monotonic()
                    if more and self.wind is None:
                        seconds, nanos = struct.unpack("qq", more[0][2])
                        at -= min(max(time.time() - seconds - nanos * 1e-9, 0.0), 5.0)
                    seq, _, ssrc = struct.unpack("!HII", data[2:12])
                    self.blow(lambda at=at, octet=data[20], ssrc=ssrc, seq=seq: whose.hear(at, octet, ssrc, seq))
            return
        for _ in range(64):
            try:
                data, source = self.sip[whose].recvfrom(65535)
            except OSError:
                return
            text = data.decode("utf-8", "replace")
            self.seen.append((time.monotonic(), whose, text.split("\r\n", 1)[0]))
            self.blow(lambda text=text, source=source: self.on_sip(whose, text, source))

    def weather(self, loss, jitter, lot):
        """From now on so large a share of what leaves and comes is lost, and the rest is up to `jitter` seconds late."""
        with self.lock:
            self.wind = (loss, jitter, lot)

    def blow(self, deed):
        """Does something with a datagram: at once, later, or never."""
        if self.wind is None:
            return deed()
        if self.is_lost():
            return None
        return self.after(self.wind[2].random() * self.wind[1], deed)

    def is_lost(self):
        if self.wind is None:
            return False
        is_lost = self.wind[2].random() < self.wind[0]
        self.lost = [self.lost[0] + is_lost, self.lost[1] + 1]
        return is_lost

    def send(self, role, text):
        with self.lock:
            self.blow(lambda: self.sip[role].sendto(text.encode(), self.proxy))

    def options(self):
        """Asks whether the daemon is there; what comes back is put in."""
        asked = {"status": None, "answer": ""}
        me, call_id = self.address("caller"), uuid.uuid4().hex
        with self.lock:
            self.asked[call_id] = asked
        self.send(
            "caller",
            f"OPTIONS sip:baton@baton.example SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{call_id};rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:look@{me}>;tag=1\r\nTo: <sip:baton@baton.example>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        )
        return asked

    def add(self, role, number):
        leg = Leg(role, number)
        self.legs.append(leg)
        self.epoll.register(leg.rtp.fileno(), select.EPOLLIN)
        self.of[leg.rtp.fileno()] = leg
        return leg

    def register(self, user, password):
        """Registers an AE's phone, with the password once it is asked for; what comes back is put in."""
        asked = {"status": None, "answer": ""}
        me, call_id = self.address("ae"), uuid.uuid4().hex
        with self.lock:
            self.asked[call_id] = asked
        uri = "sip:baton.example"

        def send(seq, more):
            self.send(
                "ae",
                f"REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{call_id}{seq};rport\r\nMax-Forwards: 70\r\n"
                f"From: <sip:{user}@baton.example>;tag=1\r\nTo: <sip:{user}@baton.example>\r\nCall-ID: {call_id}\r\nCSeq: {seq} REGISTER\r\n"
                f"Contact: <sip:{user}@{me}>\r\nExpires: 300\r\n{more}Content-Length: 0\r\n\r\n",
            )

        def prove(answer):
            wanted = header(answer, "WWW-Authenticate")
            realm, nonce = (re.search(r'%s="([^"]*)"' % name, wanted).group(1) for name in ("realm", "nonce"))
            name = "SHA-256" if "SHA-256" in wanted else "MD5"

            def digest(text):
                return hashlib.new("sha256" if name == "SHA-256" else "md5", text.encode()).hexdigest()

            one, two = digest(f"{user}:{realm}:{password}"), digest(f"REGISTER:{uri}")
            proof = digest(f"{one}:{nonce}:00000001:c0:auth:{two}")
            send(
                2,
                f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{proof}", '
                f'algorithm={name}, qop=auth, nc=00000001, cnonce="c0"\r\n',
            )

        asked["prove"] = prove
        send(1, "")
        return asked

    # --- the caller ---

    def call(self, number):
        with self.lock:
            leg = self.add("caller", number)
            me = self.address("caller")
            leg.call_id = uuid.uuid4().hex
            leg.local = f"<sip:+1555{number:07d}@{me}>;tag={leg.local_tag}"
            leg.target = f"sip:bot-{number}@baton.example"
            leg.remote_value = f"<{leg.target}>"
            self.by_call_id[("caller", leg.call_id)] = leg
            body = leg.sdp()
            leg.invite = (
                f"INVITE {leg.target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{uuid.uuid4().hex};rport\r\nMax-Forwards: 70\r\n"
                f"From: {leg.local}\r\nTo: {leg.remote_value}\r\nCall-ID: {leg.call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@{me}>\r\n"
                f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            )
            leg.state = "calling"
            self.repeat(leg, 0.5)
            self.send("caller", leg.invite)
        return leg

    def repeat(self, leg, interval):
        def again():
            if leg.state == "calling":
                self.send("caller", leg.invite)
                self.repeat(leg, min(interval * 2, 4))

        self.after(interval, again)

    # --- requests within a dialog ---

    def request(self, leg, method, body="", kind="", more=""):
        with self.lock:
            leg.cseq += 1
            me = self.address(leg.role)
            text = (
                f"{method} {leg.target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{uuid.uuid4().hex};rport\r\nMax-Forwards: 70\r\n"
                f"From: {leg.local}\r\nTo: {leg.remote_value}\r\nCall-ID: {leg.call_id}\r\nCSeq: {leg.cseq} {method}\r\n"
                f"Contact: <sip:{leg.role}@{me}>\r\n{more}"
                + (f"Content-Type: {kind}\r\n" if body else "")
                + f"Content-Length: {len(body)}\r\n\r\n{body}"
            )
            pending = {"seq": leg.cseq, "method": method, "status": None, "text": text, "until": time.monotonic() + 32}
            leg.pending = pending

            def again(interval=0.5):
                if pending["status"] is None and time.monotonic() < pending["until"]:
                    self.send(leg.role, text)
                    self.after(interval, lambda: again(min(interval * 2, 4)))

            again()
            return pending

    def press(self, leg, key):
        return self.request(leg, "INFO", f"Signal={key}\r\nDuration=160\r\n", "application/dtmf-relay")

    def bye(self, leg):
        return self.request(leg, "BYE")

    # --- what comes ---

    def on_sip(self, role, text, source):
        first = text.split("\r\n", 1)[0]
        call_id = header(text, "Call-ID")
        leg = self.by_call_id.get((role, call_id))
        if first.startswith("SIP/2.0"):
            return self.on_response(role, leg, int(first.split()[1]), text)
        method = first.split()[0]
        if method == "ACK":
            if leg is not None and leg.state == "answered":
                leg.state = "up"
                if role == "ae" and self.ae_key:
                    self.after(0.6, lambda: self.press(leg, self.ae_key))
                if role == "ai" and self.ai_refers:
                    self.after(0.3, lambda: self.request(leg, "REFER", more=f"Refer-To: <sip:{self.ai_refers}@baton.example>\r\n"))
            return None
        if method == "INVITE" and leg is None:
            return self.on_invite(role, text)
        if method == "INVITE" and leg is not None:
            return self.send(role, leg.answer or self.response(text, 180, leg.local_tag))
        if method == "CANCEL":
            self.send(role, self.response(text, 200, leg.local_tag if leg else "x"))
            if leg is not None and leg.state in ("ringing", "new"):
                leg.state = "cancelled"
                self.send(role, self.response(leg.invite, 487, leg.local_tag))
            return None
        if method == "BYE" and leg is not None:
            leg.state = "over"
        status = 200 if leg is not None else 481
        return self.send(role, self.response(text, status, leg.local_tag if leg else "x"))

    def on_invite(self, role, text):
        leg = self.add(role, header(text, "To"))
        leg.call_id, leg.invite = header(text, "Call-ID"), text
        leg.baton_call = header(text, "X-Baton-Call")
        leg.user = re.search(r"^INVITE sip:([^@]*)@", text).group(1)
        self.by_call_id[(role, leg.call_id)] = leg
        leg.local = f"{header(text, 'To')};tag={leg.local_tag}"
        leg.remote_value = header(text, "From")
        leg.target = re.search(r"<([^>]*)>", header(text, "Contact")).group(1)
        leg.learn(text)
        if leg.user in self.declines:
            leg.state, leg.answer = "declined", self.response(text, 486, leg.local_tag)
            return self.send(role, leg.answer)
        leg.state = "ringing"
        self.send(role, self.response(text, 180, leg.local_tag))
        wait = self.ae_answers_after if role == "ae" else 0.02
        if wait is not None:
            self.after(wait, lambda: self.pick_up(leg))

    def pick_up(self, leg):
        with self.lock:
            if leg.state != "ringing":
                return
            leg.answer = self.response(leg.invite, 200, leg.local_tag, leg)
            leg.state = "answered"
            self.send(leg.role, leg.answer)

            def again(interval=0.5, left=10):
                if leg.state == "answered" and left:
                    self.send(leg.role, leg.answer)
                    self.after(interval, lambda: again(min(interval * 2, 4), left - 1))

            self.after(0.5, again)

    def response(self, request, status, tag, leg=None):
        phrase = {180: "Ringing", 200: "OK", 481: "Call Does Not Exist", 486: "Busy Here", 487: "Request Terminated"}[status]
        vias = "".join(f"Via: {via}\r\n" for via in re.findall(r"^Via:\s*(.*?)\r?$", request, re.I | re.M))
        routes = "".join(f"Record-Route: {one}\r\n" for one in re.findall(r"^Record-Route:\s*(.*?)\r?$", request, re.I | re.M))
        to = header(request, "To")
        to = to if "tag=" in to else f"{to};tag={tag}"
        body = leg.sdp() if leg else ""
        role = leg.role if leg else "x"
        contact = f"Contact: <sip:{role}@{self.address(role)}>\r\n" if leg else ""
        kind = "Content-Type: application/sdp\r\n" if leg else ""
        return (
            f"SIP/2.0 {status} {phrase}\r\n{vias}{routes}From: {header(request, 'From')}\r\nTo: {to}\r\nCall-ID: {header(request, 'Call-ID')}\r\n"
            f"CSeq: {header(request, 'CSeq')}\r\n{contact}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def on_response(self, role, leg, status, text):
        asked = self.asked.get(header(text, "Call-ID"))
        if asked is not None:
            prove = asked.pop("prove", None) if status == 401 else None
            if prove:
                return prove(text)
            asked.update(status=status, answer=text)
        if leg is None:
            return
        seq, method = header(text, "CSeq").split()
        if method != "INVITE":
            pending = getattr(leg, "pending", None)
            if pending and pending["seq"] == int(seq) and status >= 200:
                pending["status"] = status
            return
        if status < 200 or role != "caller":
            return
        if status >= 300:
            leg.state = f"refused {status}"
            self.acknowledge(leg, text, leg.target)
            return
        leg.remote_value = header(text, "To")
        leg.target = re.search(r"<([^>]*)>", header(text, "Contact")).group(1)
        leg.learn(text)
        self.acknowledge(leg, text, leg.target)
        if leg.state == "calling":
            leg.state = "up"

    def acknowledge(self, leg, text, target):
        me = self.address("caller")
        self.send(
            "caller",
            f"ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{uuid.uuid4().hex};rport\r\nMax-Forwards: 70\r\n"
            f"From: {leg.local}\r\nTo: {header(text, 'To')}\r\nCall-ID: {leg.call_id}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        )

    # --- for whoever looks on ---

    def find(self, role, baton_call, states=("up",)):
        with self.lock:
            found = [leg for leg in self.legs if leg.role == role and leg.baton_call == baton_call and leg.state in states]
            return found[-1] if found else None

    def sip_between(self, since, until):
        with self.lock:
            return [(role, line) for at, role, line in self.seen if since <= at <= until]

    def forget(self):
        """Drops what was heard so far."""
        with self.lock:
            self.stood = (0.0, 0.0)
            for leg in self.legs:
                leg.heard = leg.heard[-1:]
