"""AIs that can only send REFER, and what the NOTIFYs tell them."""

import re
import time

from lab.desk import expect
from lab.sipp import body, header

from . import case
from .transfers import bridged_to, by_hand


def referring(desk, scenario, **words):
    """A call whose AI sends a REFER by itself."""
    settings = words.pop("settings", {})
    baton = desk.serve(**settings)
    voices = {role: desk.voice(role) for role in ("caller", "ai", "michael", "sara")}
    legs = {"ai": desk.party("ai", scenario, wait=600, **words)}
    return baton, voices, legs


def notified(ai_leg):
    """Status, subscription state and the whole message of each NOTIFY."""
    found = []
    for message in ai_leg.all("received", "NOTIFY"):
        status = re.match(r"SIP/2\.0 (\d{3})", body(message))
        found.append((int(status.group(1)) if status else None, header(message, "Subscription-State"), message))
    return found


def contract_kept(ai_leg, statuses, outcome=None):
    """What every REFER's NOTIFYs have in common, and their statuses in order."""
    seen = notified(ai_leg)
    expect([status for status, _, _ in seen] == statuses, f"NOTIFYs tell {statuses}: {[status for status, _, _ in seen]}")
    for _, state, message in seen[:-1]:
        expect(state.startswith("active"), f"the subscription is active: {state}")
    expect(seen[-1][1] == "terminated;reason=noresource", f"the last one ends it: {seen[-1][1]}")
    for _, _, message in seen:
        expect((header(message, "Event") or "").startswith("refer"), f"Event is refer: {header(message, 'Event')}")
        expect((header(message, "Content-Type") or "").startswith("message/sipfrag"), f"the body is a sipfrag: {header(message, 'Content-Type')}")
    if outcome:
        told = header(seen[-1][2], "X-Baton-Outcome")
        expect(told == outcome, f"the last NOTIFY says X-Baton-Outcome: {outcome}; it says {told}")
    accepted = ai_leg.first("received", "SIP/2.0 202")
    expect(accepted and accepted.at <= seen[0][2].at, "202 comes before the first NOTIFY")
    return seen


@case("REFER: 202, NOTIFY 100, 180 when it rings, 200 only at the bridge, terminated, then BYE")
def refer(desk):
    baton, voices, legs = referring(desk, "refers", wanted="michael")
    legs["michael"] = desk.party("michael", "answers", ring=500, talk=5000)
    legs["caller"] = desk.party("caller", "caller")
    call = baton.call()
    transfer_id = baton.wait("a transfer", lambda: baton.get(f"/v1/calls/{call['id']}")["transfer"])
    baton.transfer_in(transfer_id, ("briefing",))
    time.sleep(0.5)
    expect(200 not in [status for status, _, _ in notified(legs["ai"])], "no 200 before the bridge")
    pressed = time.time()
    voices["michael"].press("1")
    done = bridged_to(desk, baton, voices, transfer_id, "michael")
    expect(done["mode"] == "warm", f"a REFER to an AE is warm: {done['mode']}")
    legs["ai"].finish()
    seen = contract_kept(legs["ai"], [100, 180, 200])
    expect(seen[-1][2].at >= pressed, "200 comes after the key")
    bye = legs["ai"].first("received", "BYE")
    expect(bye and bye.at >= seen[-1][2].at, "our BYE comes after the last NOTIFY")


@case("an AI that hangs up after its REFER was taken: music for the caller, and the AE takes over all the same")
def refer_and_leave(desk):
    baton = desk.serve()
    voices = {role: desk.voice(role) for role in ("caller", "michael")}
    ai = by_hand(desk, baton, "ai")
    desk.party("michael", "answers", ring=1500, talk=6000)
    desk.party("caller", "caller")
    invite = ai.receive("INVITE")
    ai.send(ai.response(invite, "200 OK", sdp=True))
    ai.receive("ACK")
    ai.send(ai.request_in(invite, "REFER", 1, more="Refer-To: <sip:michael@example.net>\r\n"))
    ai.receive("SIP/2.0 202")
    ai.send(ai.request_in(invite, "BYE", 2))
    ai.receive("SIP/2.0 200")
    caller, span = voices["caller"], desk.let_them_talk(1.2)
    expect(caller.loudness(*span) > -50, f"the caller hears music: {caller.loudness(*span):.0f} dBFS")
    transfer_id = baton.call()["transfer"]
    baton.transfer_in(transfer_id, ("briefing",))
    voices["michael"].press("1")
    bridged_to(desk, baton, voices, transfer_id, "michael")


@case("REFER to an AE by his number")
def refer_to_a_number(desk):
    baton, voices, legs = referring(desk, "refers", wanted="+15550142")
    legs["michael"] = desk.party("michael", "answers", ring=200, talk=4000)
    legs["caller"] = desk.party("caller", "caller")
    call = baton.call()
    transfer_id = baton.wait("a transfer", lambda: baton.get(f"/v1/calls/{call['id']}")["transfer"])
    baton.transfer_in(transfer_id, ("briefing",))
    voices["michael"].press("1")
    bridged_to(desk, baton, voices, transfer_id, "michael")


@case("REFER that ends in a callback: 480 with X-Baton-Outcome")
def refer_to_nobody_free(desk):
    baton, voices, legs = referring(desk, "refers", wanted="michael", settings={"backup": False, "ring_max": "2s"}, talk=20000)
    legs["michael"] = desk.party("michael", "rings")
    legs["caller"] = desk.party("caller", "caller")
    call = baton.call()
    transfer_id = baton.wait("a transfer", lambda: baton.get(f"/v1/calls/{call['id']}")["transfer"])
    baton.transfer_in(transfer_id, ("offering",), 10)
    time.sleep(1)
    voices["caller"].press("1")
    done = baton.transfer_over(transfer_id)
    expect(done["outcome"] == "callback_scheduled", f"a callback stands: {done}")
    baton.wait("the last NOTIFY", lambda: any("terminated" in (state or "") for _, state, _ in notified(legs["ai"])))
    contract_kept(legs["ai"], [100, 180, 480], outcome="callback_scheduled")


@case("REFER that is declined: 603 with X-Baton-Outcome, and the AI has the caller again")
def refer_declined(desk):
    baton, voices, legs = referring(desk, "refers", wanted="michael", settings={"backup": False}, talk=20000)
    legs["michael"] = desk.party("michael", "refuses", status=603, phrase="Decline")
    legs["caller"] = desk.party("caller", "caller")
    baton.call()
    baton.wait("the last NOTIFY", lambda: any("terminated" in (state or "") for _, state, _ in notified(legs["ai"])))
    contract_kept(legs["ai"], [100, 603], outcome="returned_to_ai")
    expect(not legs["ai"].first("received", "BYE"), "the AI's leg stays up")


@case("REFER to nobody: 404")
def refer_to_nobody(desk):
    baton, _, legs = referring(desk, "refers_in_vain", wanted="nobody", status=404, talk=1500)
    legs["caller"] = desk.party("caller", "caller", hold=3000)
    call = baton.call()
    legs["ai"].wait_for("received", "SIP/2.0 404")
    expect(not legs["ai"].all("received", "NOTIFY"), "a refused REFER has no NOTIFY")
    expect(baton.get(f"/v1/calls/{call['id']}")["transfer"] is None, "no transfer began")


@case("REFER to an outside number by an AI that may not: 403")
def refer_forbidden(desk):
    _, _, legs = referring(desk, "refers_in_vain", wanted="+19005550100", status=403, settings={"ai_more": 'refer = "deny"'}, talk=1500)
    legs["caller"] = desk.party("caller", "caller", hold=3000)
    desk.baton.call()
    legs["ai"].wait_for("received", "SIP/2.0 403")


@case("REFER by the caller: 403")
def refer_by_the_caller(desk):
    baton = desk.serve()
    desk.party("ai", "answers")
    caller_leg = desk.party("caller", "caller_refers", wanted="michael")
    caller_leg.finish()
    expect(baton.process.poll() is None, "the daemon goes on")
