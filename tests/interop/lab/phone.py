"""A bare SIP end over one UDP socket, for moments that need to be exact: it sends when told and answers by hand."""

import base64
import hashlib
import re
import socket
import ssl
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

    def register(self, user, password, realm, q=None):
        """Registers for five minutes, with SHA-256 (RFC 8760); made here, so that it shares nothing with the product. `q`: how much this phone wants calls."""
        them, uri = f"<sip:{user}@{realm}>", f"sip:{realm}"
        more = "Expires: 300\r\n"
        weighed = lambda text: text if q is None else re.sub(r"(Contact: <[^>]*>)", rf"\1;q={q}", text)  # noqa: E731
        self.send(weighed(self.request("REGISTER", uri, f"{them};tag=r", them, f"register-{self.port}", 1, more=more)))
        challenge = self.receive("SIP/2.0 401")
        line = next(line for line in challenge.splitlines() if line.startswith("WWW-Authenticate") and "SHA-256" in line)
        nonce = re.search(r'nonce="([^"]*)"', line).group(1)
        sha = lambda text: hashlib.sha256(text.encode()).hexdigest()  # noqa: E731
        proof = sha(f"{sha(f'{user}:{realm}:{password}')}:{nonce}:00000001:c:auth:{sha(f'REGISTER:{uri}')}")
        answer = (f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{proof}", algorithm=SHA-256, '
                  'cnonce="c", qop=auth, nc=00000001\r\n')
        self.send(weighed(self.request("REGISTER", uri, f"{them};tag=r", them, f"register-{self.port}", 2, more=more + answer)))
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


class StreamPhone(Phone):
    """The same by one connection, which the other side opens: TCP, or TLS with a certificate and its key."""

    def __init__(self, port, rtp, tls=None, ip="127.0.0.1"):
        self.port, self.rtp, self.target, self.got, self.pending = port, rtp, None, [], b""
        self.me = f"{ip}:{port};transport={'tls' if tls else 'tcp'}"
        self.listener = socket.create_server((ip, port))
        self.socket = None
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)

    def close(self):
        self.listener.close()
        if self.socket:
            self.socket.close()

    def accept(self, seconds=10):
        self.listener.settimeout(seconds)
        plain, _ = self.listener.accept()
        plain.settimeout(seconds)
        self.socket = self.context.wrap_socket(plain, server_side=True) if self.context else plain

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def receive(self, start, seconds=5):
        until = time.monotonic() + seconds
        while True:
            text = self._whole()
            if text is None:
                self.socket.settimeout(max(0.001, until - time.monotonic()))
                try:
                    piece = self.socket.recv(65535)
                except TimeoutError:
                    piece = b""
                expected = f"no {start!r} within {seconds} s; seen: {[m.splitlines()[0] for m in self.got]}"
                if not piece:
                    raise AssertionError(expected)
                self.pending += piece
                continue
            self.got.append(text)
            if text.startswith(start):
                return text

    def _whole(self):
        """The first message that has come whole."""
        self.pending = self.pending.lstrip(b"\r\n")
        head, found, rest = self.pending.partition(b"\r\n\r\n")
        length = int(re.search(rb"^Content-Length\s*:\s*(\d+)", head, re.M | re.I).group(1)) if found else 0
        if not found or len(rest) < length:
            return None
        self.pending = rest[length:]
        return (head + found + rest[:length]).decode("utf-8", "replace")


class WebSocketPhone(StreamPhone):
    """The same by one WebSocket (RFC 7118), which the other side opens."""

    def __init__(self, port, rtp, tls=None, ip="127.0.0.1"):
        super().__init__(port, rtp, tls, ip)
        self.me = f"{ip}:{port};transport=ws"
        self.raw = b""

    def accept(self, seconds=10):
        super().accept(seconds)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(4096)
            if not piece:
                raise AssertionError(f"no request for a WebSocket, but {head!r}")
            head += piece
        text, _, self.raw = head.partition(b"\r\n\r\n")
        text = text.decode()
        if not text.startswith("GET / HTTP/1.1\r\n") or field(text + "\r\n", "Sec-WebSocket-Protocol") != "sip":
            raise AssertionError(f"no request for a WebSocket that speaks SIP: {text!r}")
        key = field(text + "\r\n", "Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        proof = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.socket.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n"
                            "Sec-WebSocket-Protocol: sip\r\n\r\n".encode())

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
        self.socket.sendall(b"\x81" + length + data)

    def _whole(self):
        """The message in the first whole frame that has one. What a client sends must be masked."""
        self.raw, self.pending = self.raw + self.pending, b""
        while len(self.raw) >= 2:
            kind, short = self.raw[0] & 15, self.raw[1] & 127
            if not self.raw[1] & 128:
                raise AssertionError("a frame that is not masked")
            start = {126: 4, 127: 10}.get(short, 2)
            length = short if start == 2 else int.from_bytes(self.raw[2:start], "big")
            if len(self.raw) < start + 4 + length:
                return None
            mask, data = self.raw[start:start + 4], self.raw[start + 4:start + 4 + length]
            self.raw = self.raw[start + 4 + length:]
            if kind in (1, 2):
                return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)).decode("utf-8", "replace")
        return None


def field(text, name):
    found = re.search(rf"^{name}\s*:\s*(.*?)\r$", text, re.M | re.I)
    return found.group(1) if found else None
