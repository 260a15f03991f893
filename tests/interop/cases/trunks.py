"""Trunks that want a registration, and phones that register with Baton."""

import json
import subprocess
import time

from lab.desk import TONES, expect
from lab.kamailio import Kamailio
from lab.phone import Phone, StreamPhone, WebSocketPhone, field
from lab.softphone import Softphone

from . import case
from .phones import hears_michael
from .secure import Authority
from .transfers import conversation

REGISTRAR = """\
children=2
auto_aliases=no
alias="carrier.example"
listen=udp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "siputils.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("auth", "nonce_expire", 300)
request_route {{
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("REGISTER")) {{
        if (!pv_auth_check("carrier.example", "secret", "0", "1")) {{
            auth_challenge("carrier.example", "1");
            exit;
        }}
        save("location");
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) t_relay(); else if (is_method("ACK") && t_check_trans()) t_relay();
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (is_method("INVITE") && lookup("location")) {{
        record_route();
        t_relay();
        exit;
    }}
    sl_send_reply("404", "Not Here");
}}
"""


def the_trunk(baton):
    return baton.get("/v1/trunks")["items"][0]


@case("Kamailio as the carrier's registrar: Baton registers with digest, is seen to, and takes it back", needs=("kamailio",))
def registers(desk):
    front = {}

    def text_of(baton):
        front["port"] = baton.base + 9
        trunk = f'username = "4711"\npassword = "secret"\nregister = true\nregistrar = "carrier.example"\noptions = "5s"\n'
        text = baton.usual.replace(f"sip:127.0.0.1:{baton.ports['trunk']}", f"sip:127.0.0.1:{front['port']}")
        desk.at_end(Kamailio(desk.folder, REGISTRAR.format(port=front["port"]), front["port"]).close)
        return text.replace('sources = ["127.0.0.1/32"]\n', f'sources = ["127.0.0.1/32"]\n{trunk}')

    baton = desk.serve(text_of=text_of)
    baton.wait("the trunk takes the registration", lambda: (the_trunk(baton)["registration"] or {}).get("state") == "registered", 10)
    baton.wait("and answers OPTIONS", lambda: the_trunk(baton)["state"] == "up", 10)
    trunk = the_trunk(baton)
    expect(trunk["addresses"][0]["address"] == f"udp:127.0.0.1:{front['port']}", f"at its address: {trunk}")
    metrics = baton.text("/metrics") if hasattr(baton, "text") else ""
    if metrics:
        expect('baton_trunk_registered{trunk="carrier"} 1' in metrics, "the gauge says so too")


@case("baresip registers with Baton, is rung where it is, and is away when it has gone", full_only=True, needs=("sipp", "baresip"))
def phone_registers(desk):
    def text_of(baton):
        old = f'uri = "sip:michael@127.0.0.1:{baton.ports["michael"]}"\n'
        expect(old in baton.usual, "the configuration has Michael's address")
        return baton.usual.replace(old, 'password = "secret"\ndigest = "md5"\n')

    baton = desk.serve(text_of=text_of)

    def michael():
        return next(ae for ae in baton.get("/v1/aes")["items"] if ae["id"] == "michael")

    expect((michael()["phone"], michael()["state"]) == ("gone", "away"), f"nobody has registered: {michael()}")
    account = "auth_user=michael;auth_pass=secret;regint=60"
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"], account=account, host=baton.target)
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    baton.wait("the phone has registered", lambda: michael()["phone"] == "registered" and michael()["state"] == "available", 15)
    voices = {role: desk.voice(role) for role in ("caller", "ai")}
    desk.party("ai", "answers")
    desk.party("caller", "caller", hold=12000)
    transfer = baton.transfer(baton.call())
    phone.accept(baton, transfer)
    hears_michael(desk, voices["caller"])
    phone.say("quit")
    baton.wait("it takes its registration back", lambda: michael()["phone"] == "gone", 10)


@case("a wrong password registers nobody, and the log says so", full_only=True, needs=("baresip",))
def wrong_password(desk):
    def text_of(baton):
        return baton.usual.replace(f'uri = "sip:michael@127.0.0.1:{baton.ports["michael"]}"\n', 'password = "secret"\ndigest = "md5"\n').replace('sources = ["127.0.0.1/32"]', 'sources = ["127.0.0.99/32"]')

    baton = desk.serve(text_of=text_of)
    account = "auth_user=michael;auth_pass=guess;regint=60"
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"], account=account, host=baton.target)
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    baton.wait("the refusal is in the log", lambda: "reason=wrong_password" in baton.log(), 20)
    time.sleep(0.2)
    expect(baton.get("/v1/aes")["items"][0]["phone"] == "gone", "nobody has registered")


@case("two phones of an AE register by SHA-256, ring together, and the one that is late is told where the call went", full_only=True)
def phones_ring_together(desk):
    def text_of(baton):
        old = f'uri = "sip:michael@127.0.0.1:{baton.ports["michael"]}"\n'
        expect(old in baton.usual, "the configuration has Michael's address")
        return baton.usual.replace(old, 'password = "secret"\ndigest = "sha-256"\n')

    baton, _, _, call = conversation(desk, text_of=text_of)
    phones = [Phone(port, baton.target, baton.rtp["michael"]) for port in (baton.ports["michael"], baton.base + 8)]
    for phone in phones:
        desk.at_end(phone.close)
        phone.register("michael", "secret", "baton.example")
    transfer = baton.transfer(call)
    invites = [phone.receive("INVITE") for phone in phones]
    expect(field(invites[0], "Call-ID") == field(invites[1], "Call-ID"), "it is one call")
    for phone, invite in zip(phones, invites):
        phone.send(phone.response(invite, "180 Ringing", tag=str(phone.port)))
    baton.transfer_in(transfer["id"], ("ringing",))
    phones[1].send(phones[1].response(invites[1], "200 OK", tag=str(phones[1].port), sdp=True))
    phones[1].receive("ACK")
    cancel = phones[0].receive("CANCEL")
    expect(field(cancel, "Reason") == 'SIP;cause=200;text="Call completed elsewhere"', f"it is told why: {field(cancel, 'Reason')}")
    phones[0].send(phones[0].response(cancel, "200 OK", tag=str(phones[0].port)))
    phones[0].send(phones[0].response(invites[0], "487 Request Terminated", tag=str(phones[0].port)))
    phones[0].receive("ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    baton.ask("POST", f"/v1/transfers/{transfer['id']}/accept", {})
    expect(baton.transfer_over(transfer["id"])["outcome"] == "bridged", "the one that answered has the caller")


@case("a phone of an AE with a lower q rings when the one with the higher has refused", full_only=True)
def phones_ring_in_turn(desk):
    def text_of(baton):
        return baton.usual.replace(f'uri = "sip:michael@127.0.0.1:{baton.ports["michael"]}"\n', 'password = "secret"\ndigest = "sha-256"\n')

    baton, _, _, call = conversation(desk, text_of=text_of)
    desk_phone, mobile = (Phone(port, baton.target, baton.rtp["michael"]) for port in (baton.ports["michael"], baton.base + 8))
    for phone, q in ((mobile, "0.5"), (desk_phone, "0.9")):
        desk.at_end(phone.close)
        phone.register("michael", "secret", "baton.example", q=q)
    transfer = baton.transfer(call)
    first = desk_phone.receive("INVITE")
    desk_phone.send(desk_phone.response(first, "180 Ringing", tag="desk"))
    baton.transfer_in(transfer["id"], ("ringing",))
    expect(not [text for text in mobile.got if text.startswith("INVITE")], "the other one is silent")
    desk_phone.send(desk_phone.response(first, "486 Busy Here", tag="desk"))
    desk_phone.receive("ACK")
    second = mobile.receive("INVITE")
    expect(field(second, "Call-ID") == field(first, "Call-ID"), "it is the same call")
    mobile.send(mobile.response(second, "200 OK", tag="mobile", sdp=True))
    mobile.receive("ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    baton.ask("POST", f"/v1/transfers/{transfer['id']}/accept", {})
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged" and len(done["attempts"]) == 1, f"one attempt, and the mobile has the caller: {done['attempts']}")


def rung_by_web_socket(desk, via, tls=None, **settings):
    """The AE is called by a WebSocket that is opened for that: the call goes on and ends by it."""
    baton, _, _, call = conversation(desk, **settings)
    phone = WebSocketPhone(baton.ports["michael"], baton.rtp["michael"], tls)
    desk.at_end(phone.close)
    transfer = baton.transfer(call)
    phone.accept()
    invite = phone.receive("INVITE")
    expect(field(invite, "Via").startswith(f"SIP/2.0/{via} ") and ";transport=ws>" in field(invite, "Contact"), f"by WebSocket: {invite[:400]!r}")
    phone.send(phone.response(invite, "180 Ringing"))
    phone.send(phone.response(invite, "200 OK", sdp=True))
    phone.receive("ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    baton.ask("POST", f"/v1/transfers/{transfer['id']}/accept", {})
    expect(baton.transfer_over(transfer["id"])["outcome"] == "bridged", "the transfer is bridged")
    contact = field(invite, "Contact").split("<")[1].split(">")[0]
    bye = phone.request("BYE", contact, field(invite, "To") + ";tag=phone", field(invite, "From"), field(invite, "Call-ID"), 2)
    phone.send(bye.replace("SIP/2.0/UDP", f"SIP/2.0/{via}"))
    phone.receive("SIP/2.0 200")


@case("an AE who is called by WebSocket: one is opened, the call and its end go by it", full_only=True)
def called_by_web_socket(desk):
    rung_by_web_socket(desk, "WS", michael_parameters=";transport=ws", listen_more=', "ws:TLS"')


@case("an AE who is called by WebSocket under TLS: the call and its end go by it", full_only=True, needs=("sipp", "openssl"))
def called_by_secure_web_socket(desk):
    authority = Authority(desk.folder)
    phone = authority.sign("phone", "IP:127.0.0.1")
    rung_by_web_socket(desk, "WSS", phone, listen_more=', "wss:TLS"', more=authority.configuration(), michael_parameters=";transport=ws",
                       text_of=lambda made: made.usual.replace("sip:michael@", "sips:michael@"))


def probe(desk, *words, config="baton.toml"):
    """`baton probe carrier` as a child, with the configuration of the daemon."""
    config = desk.path(config)
    child = subprocess.Popen([desk.binary, "probe", "carrier", "--config", config, "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             stdin=subprocess.DEVNULL)
    desk.at_end(child.kill)
    return child


@case("baton probe asks Kamailio what it can do, and says that nobody is there where nobody is", full_only=True, needs=("kamailio",))
def probe_asks(desk):
    baton = desk.serve()
    child = probe(desk)
    said, complaint = child.communicate(timeout=20)
    expect(child.returncode == 1 and json.loads(said)["options"] is None, f"nobody is there: {child.returncode} {said} {complaint}")
    desk.at_end(Kamailio(desk.folder, REGISTRAR.format(port=baton.ports["trunk"]), baton.ports["trunk"]).close)
    child = probe(desk)
    said, complaint = child.communicate(timeout=20)
    options = json.loads(said)["options"]
    expect(child.returncode == 0 and options["status"] == 200, f"Kamailio answers: {child.returncode} {said} {complaint}")
    expect("kamailio" in said.lower(), f"and says who it is: {said}")


@case("baton probe calls a number over a trunk: early media, what it answers, and whether it takes REFER", full_only=True, needs=())
def probe_calls(desk):
    baton = desk.serve()
    trunk = Phone(baton.ports["trunk"], baton.target, baton.rtp["michael"])
    desk.at_end(trunk.close)
    child = probe(desk, "--to", "+15550142", "--refer-to", "+15550143")
    for method in ("OPTIONS", "INVITE"):
        asked = trunk.receive(method, 20)
        # The probe has a socket of its own.
        trunk.target = field(asked, "Via").split(" ")[1].split(";")[0]
        if method == "INVITE":
            expect("+15550142@" in asked.splitlines()[0], f"the number is called: {asked.splitlines()[0]}")
            trunk.send(trunk.response(asked, "183 Session Progress", sdp=True))
        trunk.send(trunk.response(asked, "200 OK", sdp=method == "INVITE"))
    trunk.receive("ACK")
    refer = trunk.receive("REFER", 15)
    expect("+15550143" in field(refer, "Refer-To"), f"and asked to go on: {field(refer, 'Refer-To')}")
    trunk.send(trunk.response(refer, "405 Method Not Allowed"))
    trunk.send(trunk.response(trunk.receive("BYE", 15), "200 OK"))
    said, complaint = child.communicate(timeout=20)
    call = json.loads(said)["call"]
    expect(child.returncode == 0 and (call["status"], call["refer"]) == (200, 405), f"it tells what it learnt: {child.returncode} {said} {complaint}")


def by_stream(desk, baton, transport):
    """The configuration of the daemon, with a trunk that is called by this."""
    uri = f'uri = "sip:127.0.0.1:{baton.ports["trunk"]}'
    expect(baton.usual.count(uri) == 1, "there is one trunk")
    with open(desk.path(f"{transport}.toml"), "w", encoding="utf-8") as file:
        file.write(baton.usual.replace(uri, f"{uri};transport={transport}"))


@case("baton probe asks and calls a trunk by TCP and under TLS, and says why where no connection comes up", full_only=True, needs=("openssl",))
def probe_by_stream(desk):
    authority = Authority(desk.folder)
    baton = desk.serve(listen_more=', "tls:TLS"', more=authority.configuration())
    right, wrong = authority.sign("trunk", "IP:127.0.0.1"), authority.sign("wrong", "IP:192.0.2.1")
    for transport, shown in (("tcp", None), ("tls", right)):
        by_stream(desk, baton, transport)
        trunk = StreamPhone(baton.ports["trunk"], baton.rtp["michael"], shown)
        try:
            child = probe(desk, "--to", "+15550142", "--refer-to", "+15550143", config=f"{transport}.toml")
            trunk.accept()
            for method in ("OPTIONS", "INVITE"):
                asked = trunk.receive(method, 20)
                expect(f"SIP/2.0/{transport.upper()} " in field(asked, "Via"), f"by {transport}: {field(asked, 'Via')}")
                trunk.send(trunk.response(asked, "200 OK", sdp=method == "INVITE"))
            trunk.receive("ACK")
            trunk.send(trunk.response(trunk.receive("REFER", 15), "202 Accepted"))
            trunk.send(trunk.response(trunk.receive("BYE", 15), "200 OK"))
            said, complaint = child.communicate(timeout=20)
        finally:
            trunk.close()
        call = json.loads(said)["call"]
        expect(child.returncode == 0 and (call["status"], call["refer"]) == (200, 202), f"{transport}: {child.returncode} {said} {complaint}")
    child = probe(desk, config="tcp.toml")
    said, complaint = child.communicate(timeout=20)
    expect(child.returncode == 1 and "does not accept" in json.loads(said)["fault"], f"nobody listens: {child.returncode} {said} {complaint}")
    trunk = StreamPhone(baton.ports["trunk"], baton.rtp["michael"], wrong)
    desk.at_end(trunk.close)
    child = probe(desk, config="tls.toml")
    try:
        trunk.accept()
    except OSError:
        pass
    said, complaint = child.communicate(timeout=20)
    expect(child.returncode == 1 and "no TLS" in json.loads(said)["fault"], f"somebody else listens: {child.returncode} {said} {complaint}")
