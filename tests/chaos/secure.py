"""A certificate is renewed while somebody talks over TLS."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import uuid

from phones import header
from scene import Scene, Skipped, must, wait


class Line:
    """A connection of a caller, over TLS."""

    def __init__(self, port):
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
        self.sock = plain.wrap_socket(socket.create_connection(("127.0.0.1", port), 20))
        self.sock.settimeout(20)
        self.shown = self.sock.getpeercert(binary_form=True)
        self.me = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.call_id, self.seq, self.text = uuid.uuid4().hex, 0, b""
        self.to, self.target = "<sip:bot-5@baton.example>", "sip:bot-5@baton.example"

    def say(self, method, body="", seq=None):
        self.seq += seq is None
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self.sock.sendall(
            f"{method} {self.target} SIP/2.0\r\nVia: SIP/2.0/TLS {self.me};branch=z9hG4bK{uuid.uuid4().hex};rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:+15550000005@{self.me}>;tag=1\r\nTo: {self.to}\r\nCall-ID: {self.call_id}\r\nCSeq: {seq or self.seq} {method}\r\n"
            f"Contact: <sip:caller@{self.me};transport=tls>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )

    def final(self):
        """The next answer that is one."""
        while True:
            while b"\r\n\r\n" not in self.text:
                self.more()
            head, _, rest = self.text.partition(b"\r\n\r\n")
            length = int(header(head.decode(), "Content-Length") or 0)
            while len(rest) < length:
                self.more()
                head, _, rest = self.text.partition(b"\r\n\r\n")
            self.text = rest[length:]
            status = re.match(r"SIP/2.0 (\d+)", head.decode())
            if status and int(status.group(1)) >= 200:
                return int(status.group(1)), head.decode() + "\r\n\r\n" + rest[:length].decode()

    def more(self):
        came = self.sock.recv(65_536)
        must(came, "the connection was closed")
        self.text += came

    def call(self, leg):
        self.say("INVITE", leg.sdp())
        status, text = self.final()
        must(status == 200, f"the INVITE over TLS was answered with {status}")
        self.to, self.target = header(text, "To"), re.search(r"<([^>]*)>", header(text, "Contact")).group(1)
        self.say("ACK", seq=self.seq)
        leg.learn(text)
        leg.state = "up"

    def asks(self, method):
        self.say(method)
        return self.final()[0]


def write(folder, name):
    """A certificate for this name, and its key, in place of those that are there."""
    new = [os.path.join(folder, ending) for ending in ("new.pem", "new.key")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    done = subprocess.run([*command, "-out", new[0], "-keyout", new[1]], capture_output=True, text=True, timeout=60, check=False)
    must(done.returncode == 0, f"openssl: {done.stderr[-300:]}")
    for path, ending in zip(new, ("baton.pem", "baton.key")):
        os.replace(path, os.path.join(folder, ending))
    with open(os.path.join(folder, "baton.pem"), encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def renewed(program, folder):
    """SIGHUP shows another certificate to those who come, and a faulty one changes nothing; who has come before talks on by their connection."""
    if not shutil.which("openssl"):
        raise Skipped("there is no openssl here")
    first = write(folder, "one.example")
    files = f'[tls]\ncertificate = "{folder}/baton.pem"\nkey = "{folder}/baton.key"\n\n'
    with Scene(program, folder, aes=1, first=files, tls=True) as scene:
        line = Line(scene.daemon.tls)
        must(line.shown == first, "another certificate is shown than the one that was written")
        leg = scene.phones.add("caller", 5)
        line.call(leg)
        wait("the AI is heard", lambda: leg.hears(time.monotonic() - 0.5, time.monotonic()).get("ai", 0) > 10)
        second = write(folder, "two.example")
        os.kill(scene.daemon.process.pid, signal.SIGHUP)
        wait("the new one is shown", lambda: Line(scene.daemon.tls).shown == second, patience=15)  # without the signal it takes up to half a minute
        with open(os.path.join(folder, "baton.pem"), "w", encoding="ascii") as file:
            file.write("no certificate\n")
        os.kill(scene.daemon.process.pid, signal.SIGHUP)
        wait("the log says what is wrong", lambda: scene.daemon.count("the old one stays"))
        must(Line(scene.daemon.tls).shown == second, "a faulty file has changed what is shown")
        since = time.monotonic()
        wait("the AI is heard to the end", lambda: leg.hears(since, time.monotonic()).get("ai", 0) > 10)
        must(line.asks("OPTIONS") == 200, "the connection from before is of no use any more")
        must(line.asks("BYE") == 200, "the call over TLS cannot be ended")
        return "two certificates, one faulty one"
