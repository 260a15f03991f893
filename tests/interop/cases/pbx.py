"""The recipes of trunks and PBXs, and of an AI under TLS, played with the files that they print."""

from lab import sipp
from lab.desk import TONES, expect
from lab.kamailio import Kamailio
from lab.phone import Phone, field
from lab.recipe import file_of
from lab.softphone import Softphone

from . import case
from .calls import both_hear
from .recipes import moves
from .secure import Authority
from .trunks import REGISTRAR, the_trunk


def with_trunk(desk, baton, name, where):
    """The recipe of a carrier with another of its trunks."""
    known = {**moves(baton), "127.0.0.1:5070": f"127.0.0.1:{where}", "${PASSWORD}": "secret"}
    whole, trunk = (file_of(desk.root, "carrier", one, known) for one in ("baton.toml", name))
    before, rest = whole.split("[[trunk]]\n", 1)
    return before + trunk + rest[rest.index("[[ai]]"):]


@case("the recipe of a registering trunk: the password is asked for, and calls come to where Baton has registered", full_only=True, needs=("sipp", "kamailio"))
def registering(desk):
    front = {}

    def text_of(baton):
        front["port"] = baton.base + 9
        desk.at_end(Kamailio(desk.folder, REGISTRAR.format(port=front["port"]), front["port"]).close)
        return with_trunk(desk, baton, "registering.toml", front["port"])

    baton = desk.serve(text_of=text_of)
    baton.wait("the trunk takes the registration", lambda: (the_trunk(baton)["registration"] or {}).get("state") == "registered", 10)
    baton.wait("and answers OPTIONS", lambda: the_trunk(baton)["state"] == "up", 10)
    caller, ai = desk.voice("caller"), desk.voice("ai")
    ai_leg = desk.party("ai", "answers")
    leg = sipp.Party(desk.folder, "caller", "caller", baton.ports["caller"], f"127.0.0.1:{front['port']}", rtp=baton.rtp["caller"], hold=3000, to="4711")
    desk.at_end(leg.kill)
    baton.call()
    both_hear(caller, ai, desk.let_them_talk(1))
    leg.finish(), ai_leg.finish()


@case("the recipe of a trunk that is known by its address: its calls are taken, those from elsewhere are not", full_only=True)
def by_address(desk):
    baton = desk.serve(text_of=lambda baton: with_trunk(desk, baton, "by-address.toml", baton.ports["trunk"]))
    caller, ai = desk.voice("caller"), desk.voice("ai")
    ai_leg, leg = desk.party("ai", "answers"), desk.party("caller", "caller", hold=2500)
    baton.call()
    both_hear(caller, ai, desk.let_them_talk(1))
    leg.finish(), ai_leg.finish()
    desk.stranger("stranger", "caller_refused", "127.0.0.9", baton.base + 8, status=403).finish()
    baton.wait("and the log names who it was", lambda: "sip-reject src=127.0.0.9 reason=unknown-peer" in baton.log(), 5)


def behind(desk, recipe, calls, rings, while_up):
    """A call from a PBX, and its extension takes it over; `rings` are the provisional answers of the extension, `while_up` plays what it does then."""
    baton = desk.serve(text_of=lambda baton: file_of(desk.root, recipe, "baton.toml", moves(baton)))
    voices = {role: desk.voice(role) for role in ("caller", "ai", "michael")}
    extension = Phone(baton.ports["trunk"], baton.target, baton.rtp["michael"])
    desk.at_end(extension.close)
    asked = extension.receive("OPTIONS")
    extension.send(extension.response(asked, "200 OK"))
    ai_leg, leg = desk.party("ai", "answers"), desk.party("caller", calls)
    call = baton.call()
    baton.wait("the trunk is up", lambda: the_trunk(baton)["state"] == "up")
    transfer = baton.transfer(call)
    invite = extension.receive("INVITE")
    for status, has_media in rings:
        extension.send(extension.response(invite, status, sdp=has_media))
    baton.transfer_in(transfer["id"], ("ringing",))
    extension.send(extension.response(invite, "200 OK", sdp=True))
    extension.receive("ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    voices["michael"].remote = ("127.0.0.1", int(invite.split("m=audio ")[1].split(" ")[0]))
    voices["michael"].press("1")
    expect(baton.transfer_over(transfer["id"])["outcome"] == "bridged", "the extension has the caller")
    span = desk.let_them_talk(1)
    expect(voices["caller"].hears(TONES["michael"], *span), "the caller hears the extension")
    while_up(extension, invite)
    extension.send(extension.request_in(invite, "BYE", 9, more='Reason: Q.850;cause=16;text="NORMAL_CLEARING"\r\n'))
    extension.receive("SIP/2.0 200")
    leg.finish(), ai_leg.finish()
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 5)
    return invite


@case("the recipe of Asterisk as the PBX, with what chan_pjsip sends: qualify, connected line, hold, a Q.850 reason", full_only=True)
def asterisk(desk):
    def while_up(extension, invite):
        for cseq, direction in ((2, "sendonly"), (3, "sendrecv")):
            extension.send(extension.request_in(invite, "INVITE", cseq, sdp=True, branch=f"z9hG4bKhold{cseq}").replace("a=sendrecv", f"a={direction}"))
            extension.receive("SIP/2.0 200")
            extension.send(extension.request_in(invite, "ACK", cseq, branch=f"z9hG4bKheld{cseq}"))

    asks = ('> INVITE sdp | Supported: 100rel, timer, replaces, norefersub, histinfo | Session-Expires: 1800 | Min-SE: 90 | P-Asserted-Identity: "Jamie" <sip:+15550123@127.0.0.1> | '
            'Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO, MESSAGE, REFER\n< 200\n> ACK\npause 700\n')
    invite = behind(desk, "asterisk", asks + "> INVITE sdp\n< 200\n> ACK\n< BYE\n> 200\n", [("100 Trying", False), ("183 Session Progress", True), ("180 Ringing", False)], while_up)
    expect("sip:211@" in invite.splitlines()[0], f"the extension is dialled: {invite.splitlines()[0]}")
    expect(field(invite, "X-Baton-Transfer"), "and told what the call is about")


@case("the recipe of FreeSWITCH as the PBX, with what mod_sofia sends: session timer, early media, UPDATE, a Q.850 reason", full_only=True)
def freeswitch(desk):
    def while_up(extension, invite):
        extension.send(extension.request_in(invite, "UPDATE", 2, more="Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 120\r\n"))
        answer = extension.receive("SIP/2.0 200")
        expect("UPDATE" in field(answer, "CSeq"), f"a refresh is answered: {field(answer, 'CSeq')}")

    asks = "> INVITE sdp | Supported: timer, path, replaces | Session-Expires: 1800;refresher=uas | Min-SE: 120 | Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, REFER, NOTIFY\n< 200\n> ACK\npause 700\n"
    invite = behind(desk, "freeswitch", asks + "> UPDATE\n< 200\n< BYE\n> 200\n", [("100 Trying", False), ("183 Session Progress", True)], while_up)
    expect("sip:1001@" in invite.splitlines()[0], f"the extension is dialled: {invite.splitlines()[0]}")


@case("the recipe of OpenAI Realtime, with another TLS peer in its place: called by sips:, its certificate is checked", full_only=True, needs=("sipp", "baresip", "openssl"))
def openai(desk):
    authority = Authority(desk.folder)
    authority.sign("agent", "IP:127.0.0.1")

    def text_of(baton):
        # baresip listens by TLS one port above that for UDP.
        ai = file_of(desk.root, "tls", "openai.toml", {"sip.api.openai.com": f"127.0.0.1:{baton.ports['ai'] + 7}"})
        before, rest = baton.usual.split("[[ai]]\n", 1)
        return before + ai + rest[rest.index("[[route]]"):]

    baton = desk.serve(text_of=text_of, listen_more=', "tls:TLS"', more=authority.configuration())
    more = (f"sip_certificate {authority.path('agent.both')}", f"sip_cafile {authority.roots}", "sip_verify_server yes")
    agent = Softphone(desk.folder, baton.ports["ai"] + 6, baton.rtp["ai"], TONES["ai"], transport="tls", more=more, user="proj_0123456789")
    desk.at_end(agent.close)
    agent.wait_for("baresip is ready")
    caller = desk.voice("caller")
    leg = desk.party("caller", "caller", hold=3500)
    baton.call()
    span = desk.let_them_talk(1.5)
    expect(caller.hears(TONES["ai"], *span), f"the caller hears the agent: {caller.level(TONES['ai'], *span):.0f} dBFS")
    leg.finish()
    agent.wait_for("terminated", 5)
