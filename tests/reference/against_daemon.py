# SPDX-License-Identifier: Apache-2.0
"""against_daemon.py COMMAND DIRECTORY... - the reference as the other host of a daemon, over UDP. Prints `ok NAME` or
`not ok NAME: why`.

against_daemon.py configure DIRECTORY NETWORK COUNT   writes DIRECTORY/peers.toml, COUNT peers, and DIRECTORY/peers.json.
                                                      NETWORK: open, or secret (DIRECTORY/lan.secret)
against_daemon.py talk DIRECTORY DAEMON NETWORK       all that passes in a session, in both roles
against_daemon.py many DIRECTORY DAEMON ROLE COUNT    COUNT handshakes
against_daemon.py wait_for_bye DIRECTORY DAEMON       makes DIRECTORY/waiting and waits for the end of the daemon

DAEMON is the daemon's public key in base64. A container behind it, 10.5.0.11, runs far_end.py 7000.
"""
import base64
import json
import os
import select
import socket
import struct
import sys
import time

import far_end
import lanloom_reference as ll

DAEMON = ("192.168.50.6", 4780)
HERE = "192.168.50.5"
FAR = (socket.inet_aton("10.5.0.11"), 7000)
DEADLINE = 20  # seconds
SILENCE = 0.4  # seconds in which no answer comes
GOOD_MAC1 = (2,)  # what must not come: such a message may get a cookie reply under load (2.4)
BROADCAST = b"\xff" * 6


def b64(data):
    return base64.b64encode(data).decode()


def network_of(directory, name):
    secret = None
    if name == "secret":
        with open(f"{directory}/lan.secret", "rb") as f:
            secret = base64.b64decode(f.read())
    return ll.Network("lan", secret)


class Peer:
    """One host that the daemon knows. Peers of odd number have a preshared key, those of number 4n+2 and 4n+3 prefer
    AES; the second half has an endpoint, so the daemon calls them."""

    def __init__(self, record, daemon, network):
        self.number, self.called = record["number"], record["called"]
        self.key = ll.Key(base64.b64decode(record["private"]))
        self.psk = base64.b64decode(record["psk"]) if record["psk"] else None
        self.daemon, self.network, self.stamps = daemon, network, ll.Stamps()
        self.suite = ll.AES if self.number & 2 else ll.CHACHA
        self.boot = int.from_bytes(os.urandom(8), "little")
        self.responder = ll.Responder(network, self.key, {daemon: self.psk}, 1500, self.boot)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((HERE, 5000 + self.number if self.called else 0))
        self.socket.setblocking(False)
        self.mac = b"\x02\x11\x22\x33" + struct.pack(">H", self.number)
        self.ip = socket.inet_aton(f"10.5.{1 + self.number // 200}.{1 + self.number % 200}")
        self.session = self.records = self.waiting = self.far_mac = None
        self.places = []
        self.frames, self.refused = [], []

    # -- sessions --

    def initiation(self, **changes):
        arguments = {"psk": self.psk, "suites": 1 << self.suite - 1, "boot": self.boot, **changes}
        return ll.Initiator(arguments.pop("network", self.network), arguments.pop("me", self.key),
                            arguments.pop("peer", self.daemon), self.stamps, **arguments)

    def take_session(self, session, suite):
        ll.need(session.suite == suite, f"suite {session.suite} instead of {suite}")
        ll.need(session.mtu == 1500, f"MTU {session.mtu}")
        self.session, self.records = session, ll.Records(session.mtu)
        self.places = self.places[-2:] + [(session, self.records)]  # what was under way may still come (5.4)

    def call(self, **changes):
        """A session as initiator, confirmed by a ping and its pong."""
        self.join(**changes)
        self.confirm()

    def join(self, **changes):
        self.session = None
        attempt, response = self.answered(**changes)
        self.take_session(attempt.finish(response), self.suite)
        ll.need(self.session.source == self.socket_name(), f"address {self.session.source} in payload 2")
        self.send(b"")

    def be_called(self):
        """A session as responder, by any initiation that comes; the daemon confirms it by what it sends at once."""
        self.session = None
        until(lambda: self.turn() and self.session and self.records.kinds, "a session by the daemon's call",
              2 * DEADLINE)  # it calls every 15 s in the end
        self.ping()

    def turn(self):
        """Takes what has come. Always true, for conditions."""
        self.read(0.02)
        return True

    def read(self, seconds=0.0):
        if seconds:
            select.select([self.socket], [], [], seconds)
        came = []
        while True:
            try:
                came.append(self.socket.recvfrom(65536))
            except ConnectionRefusedError:
                continue
            except BlockingIOError:
                break
        calls = [one for one in came if one[0][0] == 1]
        for one in came:
            if one[0][0] != 1 or one is calls[-1]:  # the daemon called on while nobody looked: it awaits the last
                self.take(*one)

    def take(self, data, source):
        if data[0] == 1:
            self.waiting = None
            response, session, _ = self.responder.answer(data, DAEMON if source == DAEMON else source,
                                                         1 << self.suite - 1, ll.tlv(0, bytes(self.number % 20)))
            self.take_session(session, self.suite)
            for at in (12, 44, len(response) - 33):  # altered ones leave the handshake as it was
                bad = response[:at] + bytes([response[at] ^ 1]) + response[at + 1:-32]
                self.send_raw(ll.with_macs(self.network, self.daemon, bad))
            self.send_raw(response)
        elif data[0] == 4 and self.session:
            place = [p for p in self.places if data[4:8] == struct.pack("<I", p[0].index)] or self.places[-1:]
            session, records = place[0]
            try:
                counter, record = session.open(data)
                self.frames += records.take(counter, record)
            except ll.Refused as why:
                self.refused.append(str(why))
                return
            if record[:2] == b"\x40\1":
                self.send(ll.pong(record))
            self.answer_arp()

    def answer_arp(self):
        """The kernel at the other end may ask who we are at any time."""
        for frame in self.frames[:]:
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1":
                self.frames.remove(frame)
                if frame[38:42] == self.ip:
                    self.send(ll.frames_record(self.arp(2, frame[22:28], frame[28:32], frame[22:28])))

    def arp(self, operation, target, ip, destination):
        return (destination + self.mac + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x800, 6, 4, operation)
                + self.mac + self.ip + target + ip)

    # -- datagrams --

    def socket_name(self):
        return HERE, self.socket.getsockname()[1]

    def send_raw(self, data):
        self.socket.sendto(data, DAEMON)

    def send(self, record):
        datagram = self.session.seal(record)
        self.send_raw(datagram)
        return datagram

    def answered(self, **changes):
        """An attempt and its response. A daemon under load answers by a cookie reply (2.4): another try, when that is over."""
        deadline = time.monotonic() + 4 * DEADLINE
        while True:
            attempt = self.initiation(**changes)
            self.send_raw(attempt.datagram)
            answer = self.receive_raw(64, (2, 3))
            if answer[0] == 2:
                ll.need(len(answer) >= 132, "a short response")
                return attempt, answer
            ll.need(time.monotonic() < deadline, "nothing but cookie replies")
            time.sleep(1.1)

    def receive_raw(self, size, kinds):
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            select.select([self.socket], [], [], 0.1)
            try:
                data = self.socket.recv(65536)
            except (BlockingIOError, ConnectionRefusedError):
                continue
            if data[0] in kinds and len(data) >= size:
                return data
        raise ll.Refused(f"no datagram of type {kinds} within {DEADLINE} s")

    def silent(self, seconds=SILENCE, answers=(2, 3)):
        """No answer of these types comes, and no pong. Frames of the container may, and calls of the daemon that has some for us."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                continue
            try:
                data = self.socket.recv(65536)
            except ConnectionRefusedError:
                continue
            if data[0] in answers:
                return False
            if data[0] == 4 and self.session:
                before = len(self.records.control)
                self.take(data, DAEMON)
                if len(self.records.control) > before:
                    return False
        return True

    def ping(self, size=10):
        token = int.from_bytes(os.urandom(8), "little")
        self.send(ll.ping(token, size))
        wanted = ("pong", ll.pong(ll.ping(token, size)))
        until(lambda: self.turn() and wanted in self.records.control, f"the pong to a ping of {size} bytes")

    def confirm(self):
        """A ping before the session is confirmed gets no pong (4.4): a keepalive went first, and pings go on."""
        deadline, token = time.monotonic() + DEADLINE, 0
        while not any(name == "pong" for name, _ in self.records.control):
            ll.need(time.monotonic() < deadline, f"not within {DEADLINE} s: a pong under the new session")
            token += 1
            self.send(ll.ping(token))
            self.turn()
        good = [ll.pong(ll.ping(number)) for number in range(1, token + 1)]
        ll.need(all(record in good for name, record in self.records.control if name == "pong"), "a pong to no ping")

    # -- frames --

    def find(self, condition, what, seconds=DEADLINE):
        found = []

        def look():
            self.turn()
            for frame in self.frames[:]:
                if condition(frame):
                    found.append(frame)
                    self.frames.remove(frame)
                    return True
            return False
        until(look, what, seconds)
        return found[0]

    def ip_packet(self, protocol, payload):
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0) + self.ip + FAR[0]
        head = head[:10] + struct.pack(">H", ~ll.total(head) & 0xFFFF) + head[12:]
        return self.far_mac + self.mac + b"\x08\x00" + head + payload

    def echo(self, sequence, size=56):
        body = struct.pack(">HH", self.number, sequence) + far_end.pattern(size)
        return self.ip_packet(1, b"\x08\0" + struct.pack(">H", ~ll.total(b"\x08\0" + body) & 0xFFFF) + body)

    def is_reply(self, frame, sequence, size=56):
        return (frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 0 and frame[30:34] == self.ip
                and frame[38:42] == struct.pack(">HH", self.number, sequence) and frame[42:] == far_end.pattern(size)
                and ll.total(frame[34:]) == 0xFFFF and ll.total(frame[14:34]) == 0xFFFF)

    def layer4(self, protocol, header, payload=b""):
        """A TCP or UDP packet; `header` with zeros where the checksum goes."""
        packet = self.ip_packet(protocol, header + payload)
        layout = ll.Layout(packet)
        packet = bytearray(packet)
        struct.pack_into(">H", packet, layout.checksum, layout.pseudo(layout.stated))
        return ll.complete(bytes(packet), layout)

    def udp(self, payload):
        return self.layer4(17, struct.pack(">HHHH", 9000, FAR[1], 8 + len(payload), 0), payload)


def until(condition, what, seconds=DEADLINE):
    deadline = time.monotonic() + seconds
    while not condition():
        ll.need(time.monotonic() < deadline, f"not within {seconds} s: {what}")


def whole(frame):
    """The layout of a TCP or UDP packet whose checksums are both right."""
    layout = ll.Layout(frame)
    if layout.version == 4:
        ll.need(ll.total(frame[layout.ip:layout.l4]) == 0xFFFF, "checksum of the IP header")
    rest = frame[layout.l4:layout.l4 + layout.stated]
    ll.need(ll.total(struct.pack(">H", layout.pseudo(layout.stated)) + rest) == 0xFFFF, "checksum of layer 4")
    return layout


# ---- what passes in a session ----------------------------------------------------------------------------------------


def arp_and_echo(peer):
    peer.send(ll.frames_record(peer.arp(1, bytes(6), FAR[0], BROADCAST)))
    reply = peer.find(lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2" and f[28:32] == FAR[0], "an ARP reply")
    ll.need(reply[:6] == peer.mac and reply[38:42] == peer.ip, "an ARP reply to somebody else")
    peer.far_mac = reply[22:28]
    peer.send(ll.frames_record(peer.echo(1)))
    peer.find(lambda f: peer.is_reply(f, 1), "an echo reply")
    peer.send(ll.frames_record(peer.echo(2), peer.echo(3)))  # two in one record
    for sequence in (2, 3):
        peer.find(lambda f: peer.is_reply(f, sequence), f"echo reply {sequence}")


def fragments_both_ways(peer):
    frame = peer.echo(4, 1468)
    ll.need(len(frame) > 1440, "large")
    datagrams = [peer.session.seal(record) for record in ll.fragments(frame, 600)]  # three slices
    for datagram in reversed(datagrams):  # and the last comes first
        peer.send_raw(datagram)
    peer.find(lambda f: peer.is_reply(f, 4, 1468), "the echo reply to a frame that went in slices")
    ll.need(peer.records.kinds.get(3), "the reply did not come in slices")


def udp_train(peer):
    before = peer.records.kinds.get(2, 0)
    peer.send(ll.frames_record(peer.udp(b"20300 1000")))
    answer = b""
    while len(answer) < 20300:
        frame = peer.find(lambda f: f[12:14] == b"\x08\x00" and f[23] == 17 and f[36:38] == struct.pack(">H", 9000),
                          f"UDP beyond byte {len(answer)}")
        layout = whole(frame)
        answer += frame[layout.end:layout.l4 + layout.stated]
    ll.need(answer == far_end.pattern(20300), "what came by UDP is not what was sent")
    return peer.records.kinds.get(2, 0) - before


def tcp_stream(peer):
    """Just enough of TCP to be sent a lot."""
    before, port = peer.records.kinds.get(2, 0), 30000 + os.urandom(1)[0]
    mine, theirs, answer = 1000, 0, b""

    def say(flags, options=b""):
        head = struct.pack(">HHIIBBHHH", port, FAR[1], mine, theirs, 5 + len(options) // 4 << 4, flags, 65535, 0, 0)
        peer.send(ll.frames_record(peer.layer4(6, head + options)))

    def next_packet():
        frame = peer.find(lambda f: f[12:14] == b"\x08\x00" and f[23] == 6 and f[36:38] == struct.pack(">H", port),
                          f"TCP beyond byte {len(answer)}")
        layout = whole(frame)
        return frame, layout, struct.unpack_from(">I", frame, layout.l4 + 4)[0]

    say(0x02, b"\x02\x04\x05\xb4\x01\x03\x03\x07")  # MSS 1460, window × 128
    frame, layout, sequence = next_packet()
    ll.need(frame[layout.l4 + 13] == 0x12, "no SYN ACK")
    mine, theirs = mine + 1, sequence + 1 & 0xFFFFFFFF
    say(0x10)
    while True:
        frame, layout, sequence = next_packet()
        payload = frame[layout.end:layout.l4 + layout.stated]
        if sequence == theirs:
            answer += payload
            theirs = theirs + len(payload) & 0xFFFFFFFF
        if frame[layout.l4 + 13] & 1 and sequence + len(payload) & 0xFFFFFFFF == theirs:
            break
        say(0x10)
    theirs = theirs + 1 & 0xFFFFFFFF
    say(0x11)
    ll.need(answer == far_end.pattern(far_end.LONG), "what came by TCP is not what was sent")
    return peer.records.kinds.get(2, 0) - before


def trains(peer):
    ll.need(tcp_stream(peer), "TCP came without trains")
    udp_train(peer)


def replay(peer):
    """Each datagram twice, the older ones once more: every frame is delivered once."""
    datagrams = [peer.session.seal(ll.frames_record(peer.echo(sequence))) for sequence in range(100, 110)]
    for datagram in datagrams + datagrams[::-1] + datagrams:
        peer.send_raw(datagram)
    peer.ping()
    for sequence in range(100, 110):
        peer.find(lambda f: peer.is_reply(f, sequence), f"echo reply {sequence}")
    end = time.monotonic() + SILENCE
    while time.monotonic() < end:
        peer.turn()
    ll.need(not any(peer.is_reply(f, s) for f in peer.frames for s in range(100, 110)), "a second reply to one frame")


def altered(peer):
    """One bit of each part of a datagram, and nothing happens; then the genuine one is as good as ever."""
    good = peer.session.seal(ll.ping(77))
    for at in (0, 1, 2, 4, 8, 15, 16, 20, len(good) - 16, len(good) - 1):
        peer.send_raw(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
    peer.send_raw(good[:-1])
    peer.send_raw(good + b"\0")
    ll.need(peer.silent(), "an answer to an altered datagram")
    peer.send_raw(good)
    until(lambda: peer.turn() and ("pong", ll.pong(ll.ping(77))) in peer.records.control, "the pong to the genuine one")


def bye(peer):
    peer.send(ll.BYE)
    time.sleep(0.1)
    for _ in range(3):
        peer.send(ll.ping(78))
    ll.need(peer.silent(), "a pong after the bye")


def no_difference(peer):
    ll.need(not peer.refused, f"refused from the daemon: {peer.refused[:3]}")


def conversation(peer, start):
    steps = (start, arp_and_echo, lambda p: p.ping(1440), fragments_both_ways, trains, replay, no_difference, altered,
             bye)
    for step in steps:
        step(peer)


# ---- initiations that get no answer ----------------------------------------------------------------------------------


def unknown_key(peer):
    peer.send_raw(peer.initiation(me=ll.Key()).datagram)
    ll.need(peer.silent(answers=GOOD_MAC1), "an answer to an unknown key")


def wrong_receiver(peer):
    peer.send_raw(peer.initiation(peer=ll.Key().public).datagram)
    ll.need(peer.silent(), "an answer to an initiation for somebody else")


def wrong_network(peer):
    for network in (ll.Network("lan2", peer.network.secret), ll.Network("lan", bytes(31) + b"\1")):
        peer.send_raw(peer.initiation(network=network).datagram)
    ll.need(peer.silent(), "an answer to an initiation of another network")


def no_common_suite(peer):
    peer.send_raw(peer.initiation(suites=4).datagram)
    ll.need(peer.silent(answers=GOOD_MAC1), "an answer without a common suite")


def altered_initiation(peer):
    for tlvs in (b"", ll.tlv(0, bytes(9))):
        good = peer.initiation(tlvs=tlvs).datagram
        for at in [*range(0, 8), 8, 39, 40, 87, 88, 100, len(good) - 33, len(good) - 32, len(good) - 17]:
            bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
            peer.send_raw(bad)
            if 4 <= at < len(good) - 32:  # and with the mac1 that goes with it
                peer.send_raw(ll.with_macs(peer.network, peer.daemon, bad[:-32]))
        peer.send_raw(good[:-1])
        peer.send_raw(good + b"\0")
        ll.need(peer.silent(answers=GOOD_MAC1), "an answer to an altered initiation")


def same_stamp_twice(peer):
    attempt, response = peer.answered()
    attempt.finish(response)
    time.sleep(0.05)
    peer.send_raw(attempt.datagram)
    ll.need(peer.silent(answers=GOOD_MAC1), "an answer to a replayed initiation")


def padding_and_unknown_tlvs(peer):
    peer.call(tlvs=ll.tlv(0, bytes(5)) + ll.tlv(200, b"new") + ll.tlv(0, b""))


def broken_tlvs(peer):
    peer.session = None  # pongs of the call before may be under way
    peer.send_raw(peer.initiation(tlvs=b"\0\5\0abcd").datagram)
    ll.need(peer.silent(answers=GOOD_MAC1), "an answer to a TLV that overruns")


def wrong_preshared_key(peer):
    attempt, response = peer.answered(psk=bytes(31) + b"\2")
    try:
        attempt.finish(response)
    except ll.Refused:
        return
    raise ll.Refused("a response that verifies without the preshared key")


def both_suites_offered(peer):
    attempt, response = peer.answered(suites=3)
    peer.take_session(attempt.finish(response), ll.AES)
    peer.send(b"")
    peer.confirm()


REFUSALS = (unknown_key, wrong_receiver, wrong_network, no_common_suite, altered_initiation, same_stamp_twice,
            padding_and_unknown_tlvs, broken_tlvs, wrong_preshared_key, both_suites_offered)


# ---- commands --------------------------------------------------------------------------------------------------------


def configure(directory, network, count):
    with open(f"{directory}/peers.toml", "w", encoding="ascii") as toml:
        records = []
        for number in range(int(count)):
            key, psk, called = ll.Key(), b64(os.urandom(32)) if number & 1 else None, number >= int(count) // 2
            records.append({"number": number, "private": b64(key.private), "psk": psk, "called": called})
            toml.write(f'[[peer]]\nname = "r{number}"\npublic_key = "{b64(key.public)}"\n')
            if called:
                toml.write(f'endpoint = "{HERE}:{5000 + number}"\nkeepalive = 25\n')
            if psk:
                path = f"{directory}/r{number}.psk"
                with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                    f.write(psk + "\n")
                toml.write(f'preshared_key = "{path}"\n')
    with open(f"{directory}/peers.json", "w", encoding="ascii") as f:
        json.dump({"network": network, "peers": records}, f)


def peers_of(directory, daemon, called):
    with open(f"{directory}/peers.json", encoding="ascii") as f:
        stored = json.load(f)
    network = network_of(directory, stored["network"])
    return [Peer(r, base64.b64decode(daemon), network) for r in stored["peers"] if r["called"] == called]


failures = 0


def case(name, function, *arguments):
    global failures
    try:
        said = function(*arguments)
    except (ll.Refused, OSError) as why:
        failures += 1
        print(f"not ok {name}: {why}", flush=True)
        return
    print(f"ok {name}" + (f" ({said})" if said else ""), flush=True)


def talk(directory, daemon, network):
    called, callers = peers_of(directory, daemon, True), peers_of(directory, daemon, False)
    for peers, role, start in ((called, "responder", Peer.be_called), (callers, "initiator", Peer.call)):
        for peer in peers:
            suite = "aes" if peer.suite == ll.AES else "chacha"
            case(f"reference_{role}_{suite}_{network}{'_psk' if peer.psk else ''}", conversation, peer, start)
    for refusal in REFUSALS:
        time.sleep(0.05)  # else an initiation is refused for coming within 20 ms of the last
        case(f"reference_{refusal.__name__}_{network}", refusal, callers[-1])


def many(directory, daemon, role, count):
    count, peers, began = int(count), peers_of(directory, daemon, role == "responder"), time.monotonic()
    if role == "initiator":
        done = 0
        while done < count:
            round_began = time.monotonic()
            for peer in peers[:count - done]:
                peer.join()
            for peer in peers[:count - done]:
                peer.confirm()
                no_difference(peer)
            done += len(peers[:count - done])
            time.sleep(max(0, round_began + 0.05 - time.monotonic()))
    else:
        done = be_called_by(peers, count)
    ll.need(done >= count, f"{done} handshakes")
    return f"{done} handshakes, 0 differences, {time.monotonic() - began:.1f} s"


def be_called_by(peers, count):
    """The daemon calls again and again: after each handshake, which its keepalive and a pong confirm, comes our bye."""
    by_socket, done, deadline = {p.socket: p for p in peers}, 0, time.monotonic() + max(120, count / 5)
    token = b"12345678"
    while done < count:
        ll.need(time.monotonic() < deadline, f"{done} handshakes within the time")
        for ready in select.select(list(by_socket), [], [], 0.1)[0]:
            peer = by_socket[ready]
            peer.read()
            no_difference(peer)
            if not (peer.session and peer.records.kinds):
                continue
            if any(name == "pong" for name, _ in peer.records.control):
                ll.need(("pong", b"\x40\2" + token + b"\x0a\0") in peer.records.control, "another pong")
                done += 1
                peer.send(ll.BYE)
                peer.session = None
            elif peer.waiting is not peer.session:
                peer.waiting = peer.session
                peer.send(b"\x40\1" + token)
    return done


def wait_for_bye(directory, daemon):
    peer = peers_of(directory, daemon, False)[0]
    peer.call()
    with open(f"{directory}/waiting", "w", encoding="ascii"):
        pass
    until(lambda: peer.turn() and ("bye", ll.BYE) in peer.records.control, "a bye of the daemon that ends", 60)


def main():
    command, *arguments = sys.argv[1:]
    if command == "configure":
        configure(*arguments)
    elif command == "talk":
        talk(*arguments)
    elif command == "many":
        case(f"reference_{arguments[2]}_handshakes", many, *arguments)
    elif command == "wait_for_bye":
        case("reference_hears_the_bye_of_the_daemon", wait_for_bye, *arguments)
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
