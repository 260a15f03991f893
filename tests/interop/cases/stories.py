"""Fixtures over real sockets: what is proved in virtual time holds by the clock of the machine, too."""

import os
import re
import subprocess

from lab.desk import expect

from . import case

HANDFUL = ("warm/by-key.call", "hang-up/caller-briefed.call", "hang-up/ai-in-conversation.call", "hold/caller-after-the-bridge.call",
           "refer/warm.call", "cold/by-refer.call", "handback/by-key.call", "store/refuses-the-request.call")


def replayed(desk, paths, *options):
    """Plays fixtures with real sockets; gives the stories that failed, and what was said."""
    done = subprocess.run([desk.binary, "replay", "--real", *options, *paths], capture_output=True, text=True, timeout=150, check=False)
    expect(done.returncode in (0, 1), f"the fixtures can be read: {done.stderr}")
    return re.findall(r"^FAIL  (\S+)", done.stdout, re.MULTILINE), done.stdout


@case("a handful of stories holds over real sockets", needs=())
def handful(desk):
    folder = os.path.join(desk.root, "sip-fixtures")
    failed, said = replayed(desk, [os.path.join(folder, name) for name in HANDFUL])
    expect(re.search(r"^[1-9]\d* of \d+ hold", said, re.MULTILINE), f"they are counted: {said}")
    # A machine that stands still for a third of a second fails what is exact to the tenth; it does not do so twice.
    for name in failed:
        again, said = replayed(desk, [name.split("[")[0].strip()])
        expect(not again, f"{name} fails twice:\n{said}")


@case("a story that is wrong fails over real sockets", needs=())
def wrong(desk):
    path = desk.path("wrong.call")
    with open(path, "w", encoding="utf-8") as file:
        file.write("in conversation\nai hangs up\ncaller <- INFO within 50ms\n")
    failed, said = replayed(desk, [path])
    expect(failed, f"nothing of it comes, and it fails: {said}")
