"""Whoever knocks at the door: probes, strangers, nonsense."""

import os
import re
import socket
import subprocess
import sys
import time

from lab.desk import TONES, expect
from lab.phone import Phone
from lab.sipp import header

from . import case


@case("OPTIONS: 200 with Allow")
def options(desk):
    baton = desk.serve()
    probe = desk.stranger("probe", "options", "127.0.0.1", baton.base + 8, status=200)
    probe.finish()
    allow = header(probe.first("received", "SIP/2.0 200"), "Allow") or ""
    for method in ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "REFER", "NOTIFY"):
        expect(method in allow, f"Allow names {method}: {allow}")


@case("sipsak: OPTIONS is answered, for a monitor too", full_only=True, needs=("sipsak",))
def sipsak(desk):
    baton = desk.serve()
    for transport in ("udp", "tcp"):
        command = ["sipsak", "-vv", "-E", transport, "-s", f"sip:monitor@{baton.target}"]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=20)
        expect(asked.returncode == 0, f"sipsak over {transport} ends with 0, not {asked.returncode}: {asked.stdout[-300:]} {asked.stderr[-200:]}")
        expect("SIP/2.0 200" in asked.stdout, f"and saw 200 over {transport}: {asked.stdout[-300:]!r}")


FILTER = "deploy/fail2ban/filter.d/baton.conf"


def caught_by_filter(root, lines):
    """The addresses that the filter of deploy/ takes out of these lines, read as fail2ban does: it puts an address where it says <ADDR>."""
    with open(os.path.join(root, FILTER), encoding="utf-8") as file:
        patterns = re.search(r"^failregex\s*=\s*((?:.+\n)(?:\s+.+\n)*)", file.read(), re.M).group(1).split("\n")
    filters = [re.compile(line.strip().replace("<ADDR>", r"(?P<host>[0-9a-fA-F.:]+)")) for line in patterns if line.strip()]
    found = (one.search(line) for line in lines for one in filters)
    return [match.group("host") for match in found if match]


@case("the filter for fail2ban takes the line in each form that it has, and no other")
def ban_lines(desk):
    said = "sip-reject src={} reason=unknown-peer"
    plain = "2026-11-21T18:00:00.000000Z  WARN baton_switchboard::inbound: " + said
    journal = "host baton[812]: "
    as_json = '{"timestamp":"2026-11-21T18:00:00Z","level":"WARN","fields":{"message":"' + said + '"},"target":"baton::engine"}'
    forms = [said, plain, journal + said, journal + plain, as_json, journal + as_json]
    for address in ("192.0.2.7", "2001:db8::7"):
        lines = [form.replace("{}", address) for form in forms]
        caught = caught_by_filter(desk.root, lines)
        expect(caught == [address] * len(forms), f"each form names {address}: {caught}")
    forged = said.replace("{}", "8.8.8.8")
    others = [
        "2026-11-21T18:00:00Z  INFO baton::call: call started from=" + forged,
        "2026-11-21T18:00:00Z DEBUG baton::call: " + forged,
        "2026-11-21T18:00:00Z  WARN baton::call: from=\"WARN baton: " + forged + "\"",
        forged + " and more",
        forged.replace("8.8.8.8", "dns.google"),
        '{"level":"WARN","fields":{"message":"x","from":"' + forged + '"},"target":"baton"}',
        '{"level":"WARN","fields":{"message":"call \\"message\\":\\"' + forged + '\\""},"target":"baton"}',
    ]
    caught = caught_by_filter(desk.root, others)
    expect(caught == [], f"nobody is banned by what others write: {caught}")


@case("fail2ban itself reads the filter", full_only=True, needs=("fail2ban-regex",))
def ban_for_real(desk):
    log = desk.path("sip.log")
    with open(log, "w", encoding="utf-8") as file:
        for address in ("192.0.2.7", "2001:db8::7"):
            file.write(f"2026-11-21T18:00:00.000000Z  WARN baton_switchboard::inbound: sip-reject src={address} reason=flood\n")
        file.write("2026-11-21T18:00:00.000000Z  INFO baton: call started from=sip-reject src=8.8.8.8 reason=flood\n")
    command = ["fail2ban-regex", "--out", "ip", log, os.path.join(desk.root, FILTER)]
    judged = subprocess.run(command, capture_output=True, text=True, timeout=30)
    expect(judged.stdout.split() == ["192.0.2.7", "2001:db8::7"], f"fail2ban-regex: {judged.stdout} {judged.stderr[-200:]}")


@case("a peer that is no trunk, AI or AE: 403 and the log line for fail2ban")
def stranger(desk):
    baton = desk.serve()
    knock = desk.stranger("stranger", "caller_refused", "127.0.0.9", baton.base + 8, status=403)
    knock.finish()
    baton.wait("the log names it", lambda: re.search(r"sip-reject src=127\.0\.0\.9 reason=\S+", baton.log()), 5)
    caught = caught_by_filter(desk.root, baton.log().splitlines())
    expect(caught == ["127.0.0.9"], f"the fail2ban filter of deploy/ catches it, once: {caught}")
    baton.wait("it is counted", lambda: 'baton_sip_rejected_total{reason="unknown-peer"} 1' in baton.get("/metrics"), 2)
    expect(baton.get("/v1/calls")["items"] == [], "no call began")


FLOOD = """
import socket, sys, time
port, seconds, per_second = map(int, sys.argv[1:])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind(("127.0.0.9", 0))
sdp = "v=0\\r\\no=- 1 1 IN IP4 127.0.0.9\\r\\ns=-\\r\\nc=IN IP4 127.0.0.9\\r\\nt=0 0\\r\\nm=audio 4000 RTP/AVP 0\\r\\n"
text = ("INVITE sip:100@127.0.0.1 SIP/2.0\\r\\nVia: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bKf%d;rport\\r\\nMax-Forwards: 70\\r\\n"
        "From: <sip:x@127.0.0.9>;tag=f%d\\r\\nTo: <sip:100@127.0.0.1>\\r\\nCall-ID: f%d@x\\r\\nCSeq: 1 INVITE\\r\\n"
        "Contact: <sip:x@127.0.0.9>\\r\\nContent-Type: application/sdp\\r\\nContent-Length: " + str(len(sdp)) + "\\r\\n\\r\\n" + sdp)
begun, sent = time.monotonic(), 0
while (now := time.monotonic() - begun) < seconds:
    for number in range(sent, min(int(now * per_second), sent + 400)):
        out.sendto((text % (number, number, number)).encode(), ("127.0.0.1", port))
        sent = number + 1
    time.sleep(0.002)
print(sent)
"""


def resident_mb(baton):
    with open(f"/proc/{baton.process.pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


@case("a minute of 20,000 INVITEs a second from nobody: no more than 64 MB, and whoever may call is answered", full_only=True, alone=True)
def flood(desk):
    seconds = int(os.environ.get("FLOOD_SECONDS", "60"))
    baton = desk.serve()
    voices = {role: desk.voice(role) for role in ("caller", "michael")}
    long = {"seconds": seconds + 60}
    desk.party("ai", "answers", **long), desk.party("michael", "answers", talk=(seconds + 40) * 1000, **long)
    desk.party("caller", "caller", hold=(seconds + 40) * 1000, **long)
    transfer = baton.transfer(baton.call())
    baton.transfer_in(transfer["id"], ("briefing",))
    voices["michael"].press("1")
    expect(baton.transfer_over(transfer["id"])["outcome"] == "bridged", "a caller and an AE talk")
    before = resident_mb(baton)
    command = [sys.executable, "-c", FLOOD, str(baton.sip), str(seconds), "20000"]
    since = time.time()
    flooding = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    desk.at_end(flooding.kill)
    time.sleep(2)
    ai_leg = desk.party("ai", "answers")
    caller_leg = desk.stranger("second", "caller", "127.0.0.1", baton.base + 8, hold=3000)
    baton.wait("the second call is up", lambda: sum(call["state"] == "active" for call in baton.get("/v1/calls")["items"]) == 2, 20)
    ai_leg.finish(40)
    caller_leg.finish(40)
    sent = int(flooding.communicate(timeout=seconds + 30)[0])
    grown = resident_mb(baton) - before
    metrics = baton.get("/metrics")
    dropped = re.search(r'baton_sip_rejected_total\{reason="flood"\} (\d+)', metrics)
    lines = len(re.findall("sip-reject src=127.0.0.9", baton.log()))
    gaps = {role: voices[role].longest_gap_ms(since, time.time()) for role in voices}
    print(f"         {sent} sent in {seconds} s, {dropped and dropped.group(1)} dropped, {grown:.0f} MB more, {lines} lines in the log; longest gaps of "
          f"the call that was up: {gaps['caller']:.0f} ms at the caller, {gaps['michael']:.0f} ms at the AE", flush=True)
    span = desk.let_them_talk(1)
    for role, other in (("caller", "michael"), ("michael", "caller")):
        expect(voices[role].hears(TONES[other], *span), f"{role} hears {other} as before")
        expect(gaps[role] <= 200, f"the call that was up is not harmed: {gaps[role]:.0f} ms without a packet at the {role}")
    expect(grown <= 64, f"it has grown by {grown:.0f} MB")
    expect(0 < lines <= seconds + 5, f"a line a second: {lines}")


@case("the systemd unit is sound", needs=("systemd-analyze",))
def unit(desk):
    with open(os.path.join(desk.root, "deploy/baton.service"), encoding="utf-8") as file:
        text = file.read().replace("/usr/bin/baton", os.path.abspath(desk.binary))
    with open(desk.path("baton.service"), "w", encoding="utf-8") as file:
        file.write(text)
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", desk.path("baton.service")], capture_output=True, text=True, timeout=30)
    complaints = [line for line in verified.stderr.splitlines() if "baton.service" in line]
    expect(verified.returncode == 0 and not complaints, f"systemd-analyze verify: {complaints or verified.stderr}")
    judged = subprocess.run(["systemd-analyze", "security", "--offline=true", desk.path("baton.service")], capture_output=True, text=True, timeout=30)
    exposure = re.search(r"exposure level for baton\.service: ([0-9.]+)", judged.stdout)
    expect(exposure and float(exposure.group(1)) <= 2.5, f"exposed no more than 2.5 of 10: {exposure and exposure.group(1)} {judged.stderr[-200:]}")


@case("a method that nobody knows: 405 with Allow")
def unknown_method(desk):
    baton = desk.serve()
    probe = desk.stranger("probe", "wobble", "127.0.0.1", baton.base + 8)
    probe.finish()
    expect("INVITE" in (header(probe.first("received", "SIP/2.0 405"), "Allow") or ""), "the 405 has Allow")


@case("malformed requests: 400 where one can answer, and the daemon goes on", needs=())
def malformed(desk):
    baton = desk.serve()
    phone = Phone(baton.base + 8, baton.target, 9)
    desk.at_end(phone.close)
    me, them = "<sip:x@127.0.0.1>;tag=m", f"<sip:a@{baton.target}>"
    good = phone.request("INVITE", f"sip:a@{baton.target}", me, them, "bad@x", 1, sdp=True)
    spoilt = [("no Call-ID", re.sub(r"Call-ID:.*\r\n", "", good)), ("a CSeq without a number", good.replace("CSeq: 1", "CSeq: one")),
              ("a body shorter than it says", re.sub(r"Content-Length: \d+", "Content-Length: 9999", good)),
              ("a CSeq of another method", good.replace("1 INVITE\r\nContact", "1 BYE\r\nContact"))]
    for number, (what, text) in enumerate(spoilt):
        phone.send(text.replace("z9hG4bK", f"z9hG4bKspoilt{number}"))
        try:
            phone.receive("SIP/2.0 400", 2)
        except AssertionError as fault:
            raise AssertionError(f"{what}: {fault}") from None
        if "ACK" not in what:
            phone.got.clear()
    for noise in (b"", b"\x00" * 900, b"\xff\xfe" + bytes(range(256)) * 4, b"INVITE\r\n\r\n", b"\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"A" * 60000):
        phone.send(noise)
    expect(baton.get("/healthz") is not None and baton.process.poll() is None, "the daemon goes on")
    probe = desk.stranger("probe", "options", "127.0.0.1", baton.base + 9, status=200)
    probe.finish()


@case("TCP: a message in pieces is one, a body is never a second request", needs=())
def framing(desk):
    baton = desk.serve()
    options = (f"OPTIONS sip:{baton.target} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{{0}}\r\nFrom: <sip:p@127.0.0.1>;tag={{0}}\r\n"
               f"To: <sip:{baton.target}>\r\nCall-ID: {{0}}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n{{1}}: {{2}}\r\n\r\n{{3}}")
    inner = options.format("inner", "Content-Length", 0, "")
    with socket.create_connection(("127.0.0.1", baton.sip), 5) as line:
        for piece in re.findall(r"(?s).{1,40}", "\r\n\r\n" + options.format("pieces", "Content-Length", 0, "")):
            line.sendall(piece.encode())
            time.sleep(0.003)
        line.sendall(options.format("smuggled", "Content-Length ", len(inner), inner).encode())
        line.sendall(options.format("next", "l", 0, "").encode())
        seen = _read_until(line, "Call-ID: next")
    answered = re.findall(r"^Call-ID: (\S+)", seen, re.M | re.I)
    expect(answered == ["pieces", "smuggled", "next"], f"three requests, three answers: {answered}")


def _read_until(line, words):
    seen, until = "", time.monotonic() + 5
    line.settimeout(0.2)
    while time.monotonic() < until and not (words in seen and seen.endswith("\r\n\r\n")):
        try:
            piece = line.recv(65536)
        except TimeoutError:
            continue
        if not piece:
            break
        seen += piece.decode("utf-8", "replace")
    return seen


@case("HTTP: every wrong request gets a problem that names what is wrong", needs=("sipp",))
def problems(desk):
    baton = desk.serve()
    desk.party("ai", "answers")
    desk.party("caller", "caller", hold=2000)
    call = baton.call()
    for method, path, value, status, name in [
        ("GET", "/v1/calls/c_00000000-0000-7000-8000-000000000000", None, 404, None),
        ("GET", "/v1/transfers/t_00000000-0000-7000-8000-000000000000", None, 404, None),
        ("POST", f"/v1/calls/{call['id']}/transfers", {"to": "nobody"}, 422, "to"),
        ("POST", f"/v1/calls/{call['id']}/transfers", {"mode": "sideways"}, 422, "mode"),
    ]:
        got, problem = baton.ask(method, path, value)
        expect(got == status and isinstance(problem, dict) and problem.get("status") == status, f"{method} {path} {value}: {got} {problem}")
        expect(name is None or problem.get("field") == name, f"the problem names {name}: {problem}")
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 6)
    got, problem = baton.ask("POST", f"/v1/calls/{call['id']}/transfers", {"to": "michael"})
    expect(got == 409, f"an ended call is not transferred: {got} {problem}")
