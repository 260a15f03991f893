"""A bare SIP end over one UDP socket, for moments that need to be exact: it sends when told and answers by hand."""

import hashlib
import re
import socket
import time

SDP = "v=0\r\no=- 9 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {rtp} RTP/AVP 0 101\r\n" \
      "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"


class Phone:
    """Sends and receives whole messages as text."""

    def __init__(self, port, target, rtp, ip="127.0.0.1"):
        self.port, self.rtp, self.target = port, rtp, target
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, port))
        self.me = f"{ip}:{port}"
        self.got = []

    def close(self):
        self.socket.close()

    def send(self, text):
        host, port = self.target.split(":")
        data = text if isinstance(text, bytes) else text.encode()
        self.socket.sendto(data, (host, int(port)))

    def receive(self, start, seconds=5):
        """The next message whose first line begins with `start`; others are kept in `got` and passed over."""
        until = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(0.001, until - time.monotonic()))
            try:
                text = self.socket.recvfrom(65535)[0].decode("utf-8", "replace")
            except TimeoutError:
                raise AssertionError(f"no {start!r} within {seconds} s; seen: {[m.splitlines()[0] for m in self.got]}") from None
            self.got.append(text)
            if text.startswith(start):
                return text

    def request(self, method, uri, from_, to, call_id, cseq, sdp=False, more="", branch=None):
        """A request as text; its branch follows from method and number, so that a CANCEL fits its INVITE."""
        branch = branch or f"z9hG4bK{self.port}{'INVITE' if method == 'CANCEL' else method}{cseq}"
        body = SDP.format(rtp=self.rtp) if sdp else ""
        kind = "Content-Type: application/sdp\r\n" if sdp else ""
        return (f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.me};branch={branch}\r\nFrom: {from_}\r\nTo: {to}\r\n"
                f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:phone@{self.me}>\r\nMax-Forwards: 70\r\n{more}{kind}"
                f"Content-Length: {len(body)}\r\n\r\n{body}")

    def register(self, user, password, realm):
        """Registers for five minutes, with SHA-256 (RFC 8760); made here, so that it shares nothing with the product."""
        them, uri = f"<sip:{user}@{realm}>", f"sip:{realm}"
        more = "Expires: 300\r\n"
        self.send(self.request("REGISTER", uri, f"{them};tag=r", them, f"register-{self.port}", 1, more=more))
        challenge = self.receive("SIP/2.0 401")
        line = next(line for line in challenge.splitlines() if line.startswith("WWW-Authenticate") and "SHA-256" in line)
        nonce = re.search(r'nonce="([^"]*)"', line).group(1)
        sha = lambda text: hashlib.sha256(text.encode()).hexdigest()  # noqa: E731
        proof = sha(f"{sha(f'{user}:{realm}:{password}')}:{nonce}:00000001:c:auth:{sha(f'REGISTER:{uri}')}")
        answer = (f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{proof}", algorithm=SHA-256, '
                  'cnonce="c", qop=auth, nc=00000001\r\n')
        self.send(self.request("REGISTER", uri, f"{them};tag=r", them, f"register-{self.port}", 2, more=more + answer))
        return self.receive("SIP/2.0 200")

    def request_in(self, invite, method, cseq, **words):
        """A request inside the dialog that `invite` from the other side has begun and we have answered."""
        uri = field(invite, "Contact").split("<")[1].split(">")[0]
        return self.request(method, uri, field(invite, "To") + ";tag=phone", field(invite, "From"), field(invite, "Call-ID"), cseq, **words)

    def response(self, request, status, tag="phone", sdp=False):
        """A response to a request as text."""
        kept = [line for line in request.split("\r\n\r\n")[0].split("\r\n")[1:] if re.match(r"(Via|From|To|Call-ID|CSeq|Record-Route)\s*:", line, re.I)]
        kept = [line + f";tag={tag}" if line.lower().startswith("to:") and "tag=" not in line else line for line in kept]
        body = SDP.format(rtp=self.rtp) if sdp else ""
        kind = ["Content-Type: application/sdp"] if sdp else []
        lines = [f"SIP/2.0 {status}", *kept, f"Contact: <sip:phone@{self.me}>", *kind, f"Content-Length: {len(body)}", "", body]
        return "\r\n".join(lines)


def field(text, name):
    found = re.search(rf"^{name}\s*:\s*(.*?)\r$", text, re.M | re.I)
    return found.group(1) if found else None
