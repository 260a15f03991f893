"""The recipes of docs/recipes, played with the files that they print."""

import subprocess
import sys
import time

from lab import sipp
from lab.desk import TONES, expect
from lab.kamailio import Kamailio
from lab.recipe import file_of
from lab.sipp import header
from lab.softphone import Softphone

from . import case
from .calls import both_hear
from .phones import hears_michael
from .refer import contract_kept
from .transfers import digest_holds


def moves(baton, front=None):
    """Where each address of a recipe is here."""
    places = {"5062": baton.sip, "5070": baton.ports["trunk"], "5080": baton.ports["ai"], "8080": baton.http, "5090": baton.ports["michael"]}
    places["5060"] = front or baton.sip
    return {
        **{f"127.0.0.1:{port}": f"127.0.0.1:{other}" for port, other in places.items()},
        "$sp == 5062": f"$sp == {baton.sip}",
        "20000-29999": f"{baton.base + 20}-{baton.base + 99}",
    }


def behind_kamailio(desk):
    """Kamailio and Baton of the recipe; gives Baton and where Kamailio is."""
    front = {}

    def text_of(baton):
        front["port"] = baton.base + 9
        return file_of(desk.root, "kamailio", "baton.toml", moves(baton, front["port"]))
    baton = desk.serve(text_of=text_of)
    kamailio = Kamailio(desk.folder, file_of(desk.root, "kamailio", "kamailio.cfg", moves(baton, front["port"])), front["port"])
    desk.at_end(kamailio.close)
    return baton, f"127.0.0.1:{front['port']}"


@case("Kamailio in front: a call through it, and an AE whose phone has registered there", full_only=True, needs=("sipp", "baresip", "kamailio"))
def kamailio(desk):
    baton, front = behind_kamailio(desk)
    caller, ai = desk.voice("caller"), desk.voice("ai")
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"], account="regint=60", host=front)
    desk.at_end(phone.close)
    phone.wait_for("200 OK")
    ai_leg = desk.party("ai", "answers")
    caller_leg = sipp.Party(desk.folder, "caller", "caller", baton.ports["caller"], front, rtp=baton.rtp["caller"], hold=14000)
    desk.at_end(caller_leg.kill)
    call = baton.call()
    both_hear(caller, ai, desk.let_them_talk(1.2))
    transfer = baton.transfer(call)
    phone.accept(baton, transfer, listens=0.5)
    hears_michael(desk, caller)
    ai_leg.finish()
    caller_leg.finish(20)
    phone.wait_for("terminated")
    answer = caller_leg.first("received", "SIP/2.0 200")
    expect(front in (header(answer, "Record-Route") or ""), f"Kamailio is in the route: {header(answer, 'Record-Route')}")
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 5)


@case("Kamailio in front: the AE's BYE comes along the recorded route", full_only=True, needs=("sipp", "baresip", "kamailio"))
def kamailio_ae_hangs_up(desk):
    baton, front = behind_kamailio(desk)
    desk.voice("caller"), desk.voice("ai")
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"], account="regint=60", host=front)
    desk.at_end(phone.close)
    phone.wait_for("200 OK")
    desk.party("ai", "answers")
    caller_leg = sipp.Party(desk.folder, "caller", "caller", baton.ports["caller"], front, rtp=baton.rtp["caller"], hold=20000)
    desk.at_end(caller_leg.kill)
    call = baton.call()
    transfer = baton.transfer(call, mode="cold")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}; {phone.screen[-300:]!r}")
    phone.say("hold")
    time.sleep(1)
    phone.say("hangup")
    caller_leg.finish()
    expect(caller_leg.first("received", "BYE"), "the caller hears the BYE through Kamailio")
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 5)


@case("Kamailio in front: nobody has registered, so the plan goes on", full_only=True, needs=("sipp", "kamailio"))
def kamailio_nobody_registered(desk):
    baton, front = behind_kamailio(desk)
    desk.voice("caller"), desk.voice("ai")
    desk.party("ai", "answers")
    carrier = sipp.Party(desk.folder, "carrier", "refuses", baton.ports["trunk"], front, status=404, phrase="Not Found")
    desk.at_end(carrier.kill)
    caller_leg = sipp.Party(desk.folder, "caller", "caller", baton.ports["caller"], front, rtp=baton.rtp["caller"], hold=20000)
    desk.at_end(caller_leg.kill)
    transfer = baton.transfer(baton.call())
    seen = baton.transfer_in(transfer["id"], ("offering", "ended"), 15)
    expect([attempt["sip_status"] for attempt in seen["attempts"]] == [404], f"Kamailio's 404 is the evidence: {seen['attempts']}")


@case("the recipe of a CRM: its receiver checks each signature and hears of the transfer in order", full_only=True)
def crm(desk):
    receiver = {}

    def text_of(baton):
        receiver["port"] = baton.base + 9
        here = {"127.0.0.1:9000": f"127.0.0.1:{receiver['port']}"}
        return baton.usual + "\n" + file_of(desk.root, "crm", "webhook.toml", here)
    program = desk.path("receiver.py")
    with open(program, "w", encoding="utf-8") as file:
        file.write(file_of(desk.root, "crm", "receiver.py", {}))
    baton = desk.serve(text_of=text_of)
    said = open(desk.path("receiver.log"), "wb")
    process = subprocess.Popen([sys.executable, program, str(receiver["port"])], stdout=said, stderr=subprocess.STDOUT)
    desk.at_end(said.close), desk.at_end(process.wait), desk.at_end(process.kill)
    desk.voice("caller"), desk.voice("ai")
    michael = desk.voice("michael")
    desk.party("ai", "answers"), desk.party("michael", "answers", ring=200), desk.party("caller", "caller", hold=9000)
    transfer = baton.transfer(baton.call())
    baton.transfer_in(transfer["id"], ("briefing",))
    michael.press("1")
    baton.transfer_over(transfer["id"])

    def told():
        with open(desk.path("receiver.log"), encoding="utf-8") as file:
            return [line.split(" ")[0] for line in file if transfer["id"] in line]
    baton.wait("the CRM hears of the bridge", lambda: "transfer.bridged" in told(), 10)
    heard = told()
    expect(heard[0] == "transfer.requested" and heard == sorted(set(heard), key=heard.index), f"in order, each once: {heard}")


@case("the recipe of a carrier with a password: the AE's mobile phone is dialled over it, and gets nothing private", full_only=True)
def carrier(desk):
    known = lambda baton: {**moves(baton), "${PASSWORD}": "s3cret"}
    baton = desk.serve(text_of=lambda baton: file_of(desk.root, "carrier", "baton.toml", known(baton)))
    caller, michael = desk.voice("caller"), desk.voice("michael")
    desk.voice("ai"), desk.party("ai", "answers"), desk.party("caller", "caller", hold=12000)
    mobile = sipp.Party(desk.folder, "mobile", "challenges", baton.ports["trunk"], baton.target, rtp=baton.rtp["michael"], talk=5000)
    desk.at_end(mobile.kill)
    transfer = baton.transfer(baton.call())
    baton.transfer_in(transfer["id"], ("briefing",), 15)
    michael.press("1")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}")
    both_hear_as(caller, "michael", michael, desk.let_them_talk(1.2))
    first, second = mobile.all("received", "INVITE")
    expect(digest_holds(header(second, "Proxy-Authorization"), "INVITE", "baton", "s3cret"), "the digest is right")
    expect("+15550142" in first.text.splitlines()[0] and "+15550100" in header(first, "From"), f"the number is dialled, ours is shown: {first.text[:300]!r}")
    private = [name for name in ("X-Baton-Transfer", "User-to-User", "Call-Info") if header(first, name)]
    expect(not private, f"nothing private goes to a carrier: {private}")


def both_hear_as(caller, role, human, span):
    expect(caller.hears(TONES[role], *span), f"the caller hears {role}: {caller.level(TONES[role], *span):.0f} dBFS")
    expect(human.hears(TONES["caller"], *span), f"{role} hears the caller: {human.level(TONES['caller'], *span):.0f} dBFS")


@case("the recipe of a voice AI that can only REFER: a group by its name, progress by NOTIFY", full_only=True)
def voice_ai(desk):
    baton = desk.serve(text_of=lambda baton: file_of(desk.root, "voice-ai", "baton.toml", moves(baton)))
    caller, michael = desk.voice("caller"), desk.voice("michael")
    desk.voice("ai")
    ai = desk.party("ai", "refers", wait=600, wanted="sales")
    desk.party("michael", "answers", ring=300, talk=5000), desk.party("caller", "caller", hold=12000)
    call = baton.call()
    transfer = baton.wait("a transfer", lambda: baton.get(f"/v1/calls/{call['id']}")["transfer"])
    baton.transfer_in(transfer, ("briefing",))
    michael.press("1")
    expect(baton.transfer_over(transfer)["outcome"] == "bridged", "the transfer is bridged")
    both_hear_as(caller, "michael", michael, desk.let_them_talk(1.2))
    ai.finish()
    contract_kept(ai, [100, 180, 200])
