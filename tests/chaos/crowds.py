"""More comes in than can be taken: strangers, a bad network."""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

from daemon import free
from scene import BARS, Scene, Skipped, hear_each_other, milliseconds, must, wait

INVITE = (
    "INVITE sip:bot-{n}@baton.example SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{n}x{salt};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:stranger{n}@{me}>;tag={n}\r\nTo: <sip:bot-{n}@baton.example>\r\nCall-ID: {n}-{salt}\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:stranger@{me}>\r\nContent-Length: 0\r\n\r\n"
)


class Strangers(threading.Thread):
    """Somebody whom nobody knows, at 127.0.0.2, with INVITEs without end."""

    def __init__(self, where):
        super().__init__(daemon=True)
        self.where, self.sent, self.answers, self.ends = where, 0, {}, False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.2", 0))
        self.sock.setblocking(False)

    def run(self):
        me, salt = "127.0.0.2:%d" % self.sock.getsockname()[1], random.getrandbits(32)
        while not self.ends:
            for _ in range(32):
                self.sent += 1
                try:
                    self.sock.sendto(INVITE.format(n=self.sent, me=me, salt=salt).encode(), self.where)
                except OSError:
                    pass
            for _ in range(64):
                try:
                    status = self.sock.recv(2048)[8:11].decode()
                    self.answers[status] = self.answers.get(status, 0) + 1
                except OSError:
                    break
            time.sleep(0.004)

    def stop(self):
        self.ends = True
        self.join(5)
        self.sock.close()


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def flood(program, folder):
    """INVITEs from nobody we know, thousands a second: whoever talks talks on, whoever is known comes through, and memory stays."""
    with Scene(program, folder, aes=2) as scene:
        pair = scene.bridges(1)[0]
        time.sleep(1)
        before, began = resident(scene.daemon.worker()), time.monotonic()
        strangers = Strangers(scene.phones.proxy)
        strangers.start()
        try:
            time.sleep(2)
            caller = scene.with_ai(1)
            other = (caller, scene.bridge(caller, 1)[1])
            time.sleep(max(0.0, 6 - (time.monotonic() - began)))
            ended = time.monotonic()
            grown = resident(scene.daemon.worker()) - before
        finally:
            strangers.stop()
        must(not set(strangers.answers) - {"100", "403"}, f"strangers were answered with {strangers.answers}")
        must(grown < 65_536, f"{grown} KiB more memory after {strangers.sent} INVITEs")
        wait("everybody talks on", lambda: hear_each_other(pair, ended) and hear_each_other(other, ended))
        scene.hang_up([pair, other])
        rate, gap = strangers.sent / (ended - began), pair[0].gaps(began, ended)
        return f"{rate:.0f} INVITEs a second, {sum(strangers.answers.values())} answered, {grown} KiB more, longest gap {gap * 1e3:.0f} ms"


def weather(loss, jitter):
    """Datagrams are lost and late on every way, SIP and RTP: calls come up, are transferred and end."""

    def play(program, folder):
        with Scene(program, folder, aes=3) as scene:
            if loss:
                scene.phones.weather(loss, jitter, random.Random(20261121))
            legs = [(scene.with_ai(number), number) for number in range(3)]
            legs = [(caller, scene.bridge(caller, number)[1]) for caller, number in legs]
            began = time.monotonic()
            wait("they hear each other", lambda: all(hear_each_other(pair, began, 30) for pair in legs))
            worst = max(caller.gaps(began, time.monotonic()) for caller, _ in legs)
            scene.hang_up(legs)
            lost, sent = scene.phones.lost
            must(lost or not loss, "nothing was lost")
            return f"{lost} of {sent} datagrams lost, each up to {jitter * 1e3:.0f} ms late; longest gap {worst * 1e3:.0f} ms"

    return play


# What the case is called that is played again where the kernel itself loses datagrams.
AS_IT_IS = "a network as it is"


def netem(program, folder):
    """As above, but the kernel is what loses and delays, in a network of the case's own."""
    worse = "ip link set lo up && tc qdisc add dev lo root netem loss 5% delay 10ms 10ms"
    flags = ["-n"] if os.geteuid() == 0 else ["-Urn"]
    if not shutil.which("unshare"):
        raise Skipped("there is no unshare here")
    tried = subprocess.run(["unshare", *flags, "sh", "-c", worse], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if tried.returncode:
        raise Skipped(f"no netem here: {tried.stdout.decode().strip()}")
    run = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")
    command = ["unshare", *flags, "sh", "-c", worse + ' && exec "$@"', "sh", sys.executable, run, "full", AS_IT_IS]
    played = subprocess.run(command, stdout=subprocess.PIPE, env=dict(os.environ, BATON=program, TMPDIR=folder), timeout=200, check=False)
    said = played.stdout.decode()
    must(played.returncode == 0 and "1 passed" in said, f"with netem: {said}")
    return said.split(": ", 1)[-1].split("\n", 1)[0]


def overload(times, seconds):
    """Many times as many calls as the daemon can have: as many as it can are had, the others are told at once, and whoever talks talks on."""

    def play(program, folder):
        there = free()
        extra = f'\n[[ai]]\nname = "crowd"\nuri = "sip:{{to}}@127.0.0.1:{there}"\nsilence = "ignore"\n\n[[route]]\nto = "call-*"\nai = "crowd"\n'
        with Scene(program, folder, aes=4, ports=4_000, first=extra) as scene:
            legs = scene.bridges(3)
            time.sleep(1)
            scene.phones.forget()
            began = time.monotonic()
            command = [program, "bench", "calls", "--overload", str(times), "--seconds", str(seconds), "--json"]
            command += ["--against", f"127.0.0.1:{scene.daemon.sip}", "--callee", f"127.0.0.1:{there}"]
            if not BARS:
                command += ["--capacity", "50"]  # What a busy machine can do changes from one second to the next.
            told = subprocess.run(command, stdout=subprocess.PIPE, timeout=240, check=False).stdout
            ended = time.monotonic()
            must(told, "the bench has found nothing; it says why above")
            found = json.loads(told)
            must(found["capacity"] and (not BARS or not found["lost"]), f"calls were neither had nor turned away: {found}")
            must(not BARS or found["ok"], f"{found}")
            wait("everybody talks on", lambda: all(hear_each_other(pair, ended) for pair in legs))
            gaps = [caller.gaps(began, ended) for caller, _ in legs]
            caller = scene.with_ai(9)
            legs.append((caller, scene.bridge(caller, 3)[1]))
            scene.hang_up(legs)
            said = "; ".join(f"{figure['name']}: {figure['value']}" for figure in found["figures"])
            return f"{said}; {milliseconds(gaps)}"

    return play
