"""SIPp scenarios as lines, one for each message; SIPp still plays them, from XML that is made here.

    < INVITE                      a request comes
    < 200                         a response comes; provisional ones before it may
    <? 200                        it may come
    > INVITE sdp | Name: value    a request goes out, with a description and further headers
    > 200 sdp tag=other           a response goes out, to the request that came last; `> 200 INVITE` to the last of that method
    > ACK same                    the ACK of a refusal; `> INVITE fresh` the first INVITE once more; `seq=1` with that CSeq
    pause 300                     milliseconds

Descriptions: `sdp`, `inactive`, `sendonly`, `zero` (held the old way, c=0.0.0.0). `once` after a message: it is not repeated by itself.
"""

PHRASES = {180: "Ringing", 181: "Call Is Being Forwarded", 183: "Session Progress", 200: "OK", 202: "Accepted", 302: "Moved Temporarily", 422: "Session Interval Too Small",
           486: "Busy Here", 487: "Request Terminated", 491: "Request Pending"}
KEPT = ("Via", "From", "To", "CSeq")
METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "NOTIFY", "REFER", "UPDATE", "INFO", "PRACK", "OPTIONS")
ME = "sip:+15550123@[local_ip]:[local_port]"


class Script:
    """Turns lines into a scenario. Whoever begins with a request that goes out is the caller."""

    def __init__(self, lines):
        self.lines = [line.strip() for line in lines.strip().splitlines() if line.strip()]
        self.is_caller = self.lines[0].startswith(">")
        self.out, self.kept, self.seq, self.requests = [], set(), 0, 0
        self.invite_branch, self.invite_seq, self.last, self.in_dialog = None, 0, None, self.is_caller
        self.first, self.versions, self.asked = None, 0, None

    def xml(self):
        for line in self.lines:
            mark, _, rest = line.partition(" ")
            if mark == "pause":
                self.out.append(f'<pause milliseconds="{rest}"/>')
            elif mark in ("<", "<?"):
                self.receive(rest.split()[0], mark == "<?")
            else:
                what, *headers = [part.strip() for part in rest.split("|")]
                words = what.split()
                (self.respond if words[0].isdigit() else self.request)(words, headers)
        names = ",".join(sorted(self.kept))
        reference = f'<Reference variables="{names}"/>' if names else ""
        steps = "\n".join(self.out)
        return f'<?xml version="1.0" encoding="UTF-8" ?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n<scenario name="script">\n{steps}\n{reference}\n</scenario>\n'

    def receive(self, what, may):
        optional = ' optional="true"' if may else ""
        if what.isdigit():
            if not may:
                self.out += [f'<recv response="{status}" optional="true"/>' for status in (100, 180, 181, 183) if status < int(what)]
            routes = ' rrs="true"' if self.asked == "INVITE" and int(what) < 300 else ""
            self.out.append(f'<recv response="{what}"{optional}{routes}/>')
            return
        name = what.lower() if what != "INVITE" or self.in_dialog else "first"
        if what == "INVITE" and name == "first":
            self.first = name
        eregs = "".join(f'<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="{name}{header}"/>' for header in KEPT)
        self.kept |= {f"{name}{header}" for header in KEPT}
        self.last = name
        routes = ' rrs="true"' if what == "INVITE" else ""
        self.out.append(f'<recv request="{what}"{optional}{routes}><action>{eregs}</action></recv>')

    def respond(self, words, headers):
        status, words = int(words[0]), words[1:]
        name = self.last
        for word in words:
            if word in METHODS:
                name = "first" if word == "INVITE" and self.first and f"invite{KEPT[0]}" not in self.kept else word.lower()
        tag = next((word[4:] for word in words if word.startswith("tag=")), "peer")
        own_tag = "" if self.in_dialog and name != "first" else f";tag=[pid]{tag}[call_number]"
        lines = [f"SIP/2.0 {status} {PHRASES.get(status, 'Whatever')}", f"Via:[${name}Via]", f"From:[${name}From]", f"To:[${name}To]{own_tag}", "Call-ID: [call_id]",
                 f"CSeq:[${name}CSeq]", *headers]
        if not any(header.startswith("Contact") for header in headers):
            lines.append("Contact: <sip:peer@[local_ip]:[local_port];transport=[transport]>")
        is_answer = name in ("first", "invite") and 200 <= status < 300
        if name == "first" and is_answer:
            self.in_dialog = True
        self.send(lines, words, is_answer)

    def request(self, words, headers):
        method, words = words[0], words[1:]
        self.requests += 1
        self.asked = method if method != "ACK" else self.asked
        if method not in ("ACK", "CANCEL"):
            self.seq += 1
        seq, branch = self.seq, f"z9hG4bK-[pid]-[call_number]-{self.requests}"
        if method == "INVITE":
            self.invite_branch, self.invite_seq = branch, seq
        elif method == "CANCEL" or method == "ACK" and "same" in words:
            branch, seq = self.invite_branch, self.invite_seq
        elif method == "ACK":
            seq = self.invite_seq
        is_first = self.is_caller and (method == "CANCEL" or method == "ACK" and "same" in words or method == "INVITE" and "fresh" in words or self.requests == 1)
        uri = "sip:${to}@[remote_ip]:[remote_port]" if is_first else "[next_url]"
        if self.is_caller:
            tag = "" if is_first and method != "ACK" else "[peer_tag_param]"
            ends = [f'From: "${{name}}" <{ME}>;tag=[pid]caller[call_number]', f"To: <sip:${{to}}@[remote_ip]:[remote_port]>{tag}"]
        else:
            ends = ["From:[$firstTo];tag=[pid]peer[call_number]", "To:[$firstFrom]"]
        seq = next((int(word[4:]) for word in words if word.startswith("seq=")), seq)
        lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}", *ends, "Call-ID: [call_id]", f"CSeq: {seq} {method}",
                 f"Contact: <{ME};transport=[transport]>", "Max-Forwards: 70", *headers]
        self.send(lines, words, method != "ACK")

    def send(self, lines, words, repeats):
        kind = next((word for word in words if word in ("sdp", "inactive", "sendonly", "zero")), None)
        lines += ["Content-Type: application/sdp", "Content-Length: [len]", ""] if kind else ["Content-Length: 0", ""]
        if kind:
            address = "0.0.0.0" if kind == "zero" else "127.0.0.1"
            direction = kind if kind in ("inactive", "sendonly") else "sendrecv"
            self.versions += lines[0].endswith("SIP/2.0")
            lines += ["v=0", f"o=- 203 {self.versions} IN IP4 127.0.0.1", "s=-", f"c=IN IP4 {address}", "t=0 0", "m=audio ${rtp} RTP/AVP ${formats}", "${codec_lines}", "a=ptime:20",
                      f"a={direction}"]
        text = "\n".join(f"      {line}" if line else "" for line in lines)
        retrans = ' retrans="500"' if repeats and "once" not in words else ""
        self.out.append(f"<send{retrans}>\n    <![CDATA[\n{text}\n    ]]>\n</send>")


def is_script(scenario):
    return "\n" in scenario


def xml(scenario):
    """The scenario of such lines."""
    return Script(scenario).xml()
