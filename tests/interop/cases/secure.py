"""Under TLS: OpenSSL knocks, and a real phone is the AE."""

import os
import re
import subprocess
import time

from lab.desk import TONES, expect
from lab.softphone import Softphone

from . import case
from .phones import hears_michael


class Authority:
    """Somebody who signs."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "tls")
        os.makedirs(self.folder)
        self.roots = self.path("roots.pem")
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Interop root", "-keyout", self.path("roots.key"),
                 "-out", self.roots)

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, names):
        """A certificate and its key; both together in a third file."""
        pem, key, request, extensions = (self.path(f"{name}.{end}") for end in ("pem", "key", "csr", "ext"))
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={names}\n")
        _openssl("x509", "-req", "-in", request, "-CA", self.roots, "-CAkey", self.path("roots.key"), "-CAcreateserial", "-days", "2",
                 "-extfile", extensions, "-out", pem + ".new")
        os.replace(pem + ".new", pem)
        with open(self.path(f"{name}.both"), "w", encoding="utf-8") as both:
            for part in (pem, key):
                with open(part, encoding="utf-8") as file:
                    both.write(file.read())
        return pem, key

    def configuration(self):
        baton, key = self.sign("baton", "IP:127.0.0.1,DNS:baton.example")
        other, other_key = self.sign("other", "DNS:other.example")
        return (f'[tls]\ncertificate = "{baton}"\nkey = "{key}"\nroots = "{self.roots}"\n'
                f'[[certificate]]\ncertificate = "{other}"\nkey = "{other_key}"\n')


def _openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=30)
    expect(done.returncode == 0, f"openssl {words[0]}: {done.stderr[-300:]}")


def s_client(baton, authority, *words, said=""):
    """What OpenSSL sees of a connection on which this is said."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{baton.tls}", "-CAfile", authority.roots, "-verify_return_error", *words]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        client.stdin.write(said)
        client.stdin.flush()
        time.sleep(1)
        if "-quiet" in words:
            # It does not end with its input.
            client.terminate()
        return client.communicate(timeout=10)[0]
    finally:
        client.kill()


OPTIONS = ("OPTIONS sip:baton@baton.example SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5099;branch=z9hG4bKs\r\nMax-Forwards: 70\r\n"
           "From: <sip:probe@baton.example>;tag=p\r\nTo: <sip:baton@baton.example>\r\nCall-ID: probe\r\nCSeq: 1 OPTIONS\r\n"
           "Content-Length: 0\r\n\r\n")


@case("openssl s_client: OPTIONS under TLS, the certificate for each name, nothing older than 1.2", needs=("openssl",))
def openssl(desk):
    authority = Authority(desk.folder)
    baton = desk.serve(listen_more=', "tls:TLS"', more=authority.configuration())
    seen = s_client(baton, authority, "-quiet", said=OPTIONS)
    expect("SIP/2.0 200 OK" in seen, f"OPTIONS is answered: {seen[-400:]!r}")
    for name, shown in (("other.example", "other"), ("baton.example", "baton"), ("nobody.example", "baton")):
        seen = s_client(baton, authority, "-servername", name)
        expect(re.search(rf"subject=\s*CN ?= ?{shown}\b", seen), f"{name} is shown {shown}: {seen[:400]!r}")
        expect("Verify return code: 0" in seen, f"OpenSSL finds it good: {seen[-600:]!r}")
    for version, works in (("-tls1_3", True), ("-tls1_2", True), ("-tls1_1", False)):
        seen = s_client(baton, authority, version)
        expect(("Cipher is (NONE)" not in seen and "New, TLSv1" in seen) == works, f"{version}: {seen[-400:]!r}")


@case("a renewed certificate is shown without a restart, and whoever is connected stays", full_only=True, needs=("openssl",))
def renewal(desk):
    authority = Authority(desk.folder)
    baton = desk.serve(listen_more=', "tls:TLS"', more=authority.configuration())
    command = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{baton.tls}", "-CAfile", authority.roots]
    stayer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    desk.at_end(stayer.kill)
    stayer.stdin.write(OPTIONS)
    stayer.stdin.flush()
    authority.sign("baton", "IP:127.0.0.1,DNS:renewed.example")
    baton.wait("the new certificate", lambda: "renewed" in subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "subjectAltName"], input=s_client(baton, authority), capture_output=True, text=True, timeout=10).stdout, 60)
    stayer.stdin.write(OPTIONS.replace("Call-ID: probe", "Call-ID: again").replace("z9hG4bKs", "z9hG4bKt"))
    stayer.stdin.flush()
    time.sleep(1)
    expect(stayer.poll() is None, "the old connection is up")
    stayer.terminate()
    heard = stayer.communicate(timeout=10)[0]
    expect(heard.count("SIP/2.0 200 OK") == 2, f"and is answered: {heard!r}")


@case("baresip as the AE's phone, under TLS: rings, accepts by key, talks, hangs up", needs=("sipp", "baresip", "openssl"))
def baresip(desk):
    authority = Authority(desk.folder)
    authority.sign("phone", "IP:127.0.0.1")
    # baresip listens by TLS one port above that for UDP.
    baton = desk.serve(listen_more=', "tls:TLS"', more=authority.configuration(), michael_port=9, michael_parameters=";transport=tls")
    caller, _ = desk.voice("caller"), desk.voice("ai")
    more = (f"sip_certificate {authority.path('phone.both')}", f"sip_cafile {authority.roots}", "sip_verify_server yes")
    phone = Softphone(desk.folder, baton.ports["michael"] - 1, baton.rtp["michael"], TONES["michael"], transport="tls", more=more)
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    ai_leg = desk.party("ai", "answers")
    caller_leg = desk.party("caller", "caller", hold=14000)
    transfer = baton.transfer(baton.call(), context={"caller": {"name": "Jamie"}, "intent": "pricing"})
    phone.accept(baton, transfer, listens=1)
    hears_michael(desk, caller, 2)
    ai_leg.finish()
    caller_leg.finish(20)
    phone.wait_for("terminated", 5)
