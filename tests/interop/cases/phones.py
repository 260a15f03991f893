"""Real phones."""

import time

from lab import sound
from lab.desk import TONES, expect
from lab.softphone import Softphone

from . import case


@case("baresip as the AE's phone: rings, hears the briefing, accepts by key, talks", needs=("sipp", "baresip"))
def baresip(desk):
    baton = desk.serve()
    caller, _ = desk.voice("caller"), desk.voice("ai")
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"])
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    ai_leg = desk.party("ai", "answers")
    caller_leg = desk.party("caller", "caller", hold=14000)
    transfer = baton.transfer(baton.call(), context={"caller": {"name": "Jamie", "company": "NovaCorp"}, "intent": "pricing"})
    baton.transfer_in(transfer["id"], ("briefing",))
    briefed = time.time()
    time.sleep(2)
    phone.press("1")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}; {phone.screen[-300:]!r}")
    span = desk.let_them_talk(2)
    expect(caller.hears(TONES["michael"], *span), f"the caller hears the phone: {caller.level(TONES['michael'], *span):.0f} dBFS")
    expect(not caller.breaks(), f"one stream towards the caller for life: {caller.breaks()[:3]}")
    ai_leg.finish()
    caller_leg.finish(20)
    phone.wait_for("terminated", 5)
    phone.close()
    heard = phone.heard()
    second = sound.RATE
    briefing, end = heard[:2 * second], heard[-2 * second:-second // 2]
    loudest = max((abs(sample) for sample in briefing), default=0)
    expect(loudest > 800, f"the phone plays the briefing; its loudest sample was {loudest} {time.time() - briefed:.0f} s ago")
    expect(sound.level(briefing, TONES["caller"]) < -45, "the briefing has nothing of the caller")
    expect(sound.level(end, TONES["caller"]) > -30, f"the phone hears the caller: {sound.level(end, TONES['caller']):.0f} dBFS")
