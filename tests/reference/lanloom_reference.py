# SPDX-License-Identifier: Apache-2.0
"""lanloom_reference.py - version 1 of the lanloom protocol once more, written from PROTOCOL.md alone and sharing nothing
with the program but that document. It computes datagrams from bytes and bytes from datagrams; sockets and times are the
caller's. Section numbers are those of PROTOCOL.md. Needs hashlib and python3-cryptography."""
import hashlib
import hmac
import ipaddress
import os
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

CHACHA, AES = 1, 2  # 2.7; the bits of an offer are 1 << suite - 1
NOISE_NAME = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"


class Refused(Exception):
    """What PROTOCOL.md says is dropped."""


def need(condition, why):
    if not condition:
        raise Refused(why)


def blake2b(bits, data, key=b""):
    return hashlib.blake2b(data, digest_size=bits // 8, key=key).digest()


def nonce(counter):
    return bytes(4) + struct.pack("<Q", counter)


# ---- 2.1 keys --------------------------------------------------------------------------------------------------------


class Key:
    """An X25519 key pair."""

    def __init__(self, private=None):
        self.secret = X25519PrivateKey.from_private_bytes(private) if private else X25519PrivateKey.generate()
        self.private = self.secret.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
        self.public = self.secret.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def dh(self, public):
        try:
            shared = self.secret.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:  # the library's word for 32 zero bytes
            raise Refused("DH") from error
        need(shared != bytes(32), "DH")
        return shared


class Network:
    def __init__(self, name, secret=None):
        self.id = blake2b(128, b"network-id" + name.encode())
        self.secret = secret
        self.gate = blake2b(256, b"gate", secret) if secret else self.id + self.id

    def psk(self, preshared_key=None):
        if preshared_key:
            return preshared_key
        return blake2b(256, b"psk", self.secret) if self.secret else bytes(32)

    def mac1(self, receiver, data):
        return blake2b(128, data, blake2b(256, b"mac1" + receiver, self.gate))


# ---- 2.5 Noise -------------------------------------------------------------------------------------------------------


class Noise:
    def __init__(self):
        self.h = self.ck = NOISE_NAME + bytes(64 - len(NOISE_NAME))
        self.key, self.n = b"", 0

    def hkdf(self, data):
        def mac(key, message):
            return hmac.new(key, message, hashlib.blake2b).digest()
        t = mac(self.ck, data)
        o1 = mac(t, b"\1")
        o2 = mac(t, o1 + b"\2")
        return o1, o2, mac(t, o2 + b"\3")

    def mix_hash(self, data):
        self.h = hashlib.blake2b(self.h + data).digest()

    def mix_key(self, data):
        self.ck, o2, _ = self.hkdf(data)
        self.key, self.n = o2[:32], 0

    def mix_key_and_hash(self, data):
        self.ck, o2, o3 = self.hkdf(data)
        self.mix_hash(o2)
        self.key, self.n = o3[:32], 0

    def encrypt(self, plain):
        sealed = ChaCha20Poly1305(self.key).encrypt(nonce(self.n), plain, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed):
        try:
            plain = ChaCha20Poly1305(self.key).decrypt(nonce(self.n), sealed, self.h)
        except InvalidTag as error:
            raise Refused("tag of the handshake") from error
        self.n += 1
        self.mix_hash(sealed)
        return plain

    def split(self):
        o1, o2, _ = self.hkdf(b"")
        return o1[:32], o2[:32]

    def copy(self):
        other = Noise()
        other.__dict__.update(self.__dict__)
        return other


# ---- 2.6 to 2.8 payloads ---------------------------------------------------------------------------------------------


class Stamps:
    """Each stamp is greater than the last."""

    def __init__(self):
        self.last = 0

    def next(self):
        seconds, ns = divmod(time.time_ns(), 10**9)
        now = max((2**62 + 10 + seconds) << 32 | ns & ~0xFFFFFF, self.last + 2**24)
        if now & 0xFFFFFFFF >= 10**9:
            now = (now >> 32) + 1 << 32
        self.last = now
        return now.to_bytes(12, "big")


def walk_tlvs(data):
    while data:
        need(len(data) >= 3, "TLV header")
        length = struct.unpack_from("<H", data, 1)[0]
        need(len(data) >= 3 + length, "TLV length")
        data = data[3 + length:]


def tlv(kind, value):
    return struct.pack("<BH", kind, len(value)) + value


def payload1(stamp, suites, mtu, boot, tlvs):
    return stamp + struct.pack("<BBHQH6x", suites, 0, mtu, boot, len(tlvs)) + tlvs


def parse_payload1(data):
    suites, zero, mtu, boot, length, rest = struct.unpack_from("<BBHQH6s", data, 12)
    need(zero == 0 and rest == bytes(6) and length == len(data) - 32, "payload 1")
    walk_tlvs(data[32:])
    return data[:12], suites, mtu, boot


def payload2(suite, mtu, index, boot, source, tlvs):
    address = ipaddress.ip_address(source[0])
    packed = address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
    return (struct.pack("<BBHIQ", suite, 0, mtu, index, boot) + packed + struct.pack(">H", source[1])
            + struct.pack("<H4x", len(tlvs)) + tlvs)


def parse_payload2(data):
    suite, zero, mtu, index, boot = struct.unpack_from("<BBHIQ", data)
    length, rest = struct.unpack_from("<H4s", data, 34)
    need(zero == 0 and rest == bytes(4) and length == len(data) - 40, "payload 2")
    walk_tlvs(data[40:])
    address = ipaddress.IPv6Address(data[16:32])
    return suite, mtu, index, boot, (str(address.ipv4_mapped or address), struct.unpack_from(">H", data, 32)[0])


# ---- 2.2 to 2.5 the two messages -------------------------------------------------------------------------------------


def random_index():
    return struct.unpack("<I", os.urandom(4))[0]


def start(network, head, responder):
    noise = Noise()
    noise.mix_hash(b"lanloom-v1" + network.id + head)
    noise.mix_hash(responder)
    return noise


def with_macs(network, receiver, data):
    return data + network.mac1(receiver, data) + bytes(16)


def check_outside(network, me, data, kind, smallest):
    need(smallest <= len(data) <= smallest + 1024, "length")
    need(data[:4] == bytes([kind, 1, 0, 0]), "type, version or reserved")
    need(hmac.compare_digest(network.mac1(me, data[:-32]), data[-32:-16]), "mac1")


class Initiator:
    """One attempt. `datagram` is to be sent; `finish` takes what comes back."""

    def __init__(self, network, me, peer, stamps, psk=None, suites=3, mtu=1500, boot=1, tlvs=b""):
        self.network, self.me, self.peer, self.suites = network, me, peer, suites
        self.psk = network.psk(psk)
        self.index, self.ephemeral = random_index(), Key()
        head = b"\1\1\0\0" + struct.pack("<I", self.index)
        self.noise = noise = start(network, head, peer)
        noise.mix_hash(self.ephemeral.public)
        noise.mix_key(self.ephemeral.public)
        noise.mix_key(self.ephemeral.dh(peer))
        static = noise.encrypt(me.public)
        noise.mix_key(me.dh(peer))
        sealed = noise.encrypt(payload1(stamps.next(), suites, mtu, boot, tlvs))
        self.datagram = with_macs(network, peer, head + self.ephemeral.public + static + sealed)

    def finish(self, data):
        check_outside(self.network, self.me.public, data, 2, 132)
        theirs, mine = struct.unpack_from("<II", data, 4)
        need(mine == self.index, "receiver_index")
        noise, e = self.noise.copy(), data[12:44]  # what does not verify leaves the handshake as it was
        noise.mix_hash(e)
        noise.mix_key(e)
        noise.mix_key(self.ephemeral.dh(e))
        noise.mix_key(self.me.dh(e))
        noise.mix_key_and_hash(self.psk)
        suite, mtu, index, boot, source = parse_payload2(noise.decrypt(data[44:-32]))
        need(index == theirs, "sender_index")
        need(suite in (CHACHA, AES) and self.suites >> suite - 1 & 1, "suite not offered")
        k1, k2 = noise.split()
        return Session(suite, noise.h, k1, k2, self.index, theirs, mtu, boot, source)


class Responder:
    """Answers initiations of `peers`: public key -> preshared key or None."""

    def __init__(self, network, me, peers, mtu=1500, boot=1):
        self.network, self.me, self.peers, self.mtu, self.boot = network, me, peers, mtu, boot
        self.accepted = {}

    def answer(self, data, source, suites=3, tlvs=b""):
        """The response, the session and the initiator's public key."""
        check_outside(self.network, self.me.public, data, 1, 168)
        theirs, e = struct.unpack_from("<I", data, 4)[0], data[8:40]
        noise = start(self.network, data[:8], self.me.public)
        noise.mix_hash(e)
        noise.mix_key(e)
        noise.mix_key(self.me.dh(e))
        peer = noise.decrypt(data[40:88])
        need(peer in self.peers, "unknown peer")
        noise.mix_key(self.me.dh(peer))
        stamp, offer, mtu, boot = parse_payload1(noise.decrypt(data[88:-32]))
        need(stamp > self.accepted.get(peer, b""), "stamp")
        common = offer & suites & 3
        need(common, "no common suite")
        suite = AES if common & 2 else CHACHA
        need(len(tlvs) <= len(data) - 168 + 36, "a response larger than its initiation")
        self.accepted[peer] = stamp
        index, ephemeral = random_index(), Key()
        noise.mix_hash(ephemeral.public)
        noise.mix_key(ephemeral.public)
        noise.mix_key(ephemeral.dh(e))
        noise.mix_key(ephemeral.dh(peer))
        noise.mix_key_and_hash(self.network.psk(self.peers[peer]))
        sealed = noise.encrypt(payload2(suite, self.mtu, index, self.boot, source, tlvs))
        k1, k2 = noise.split()
        session = Session(suite, noise.h, k2, k1, index, theirs, mtu, boot, source)
        head = b"\2\1\0\0" + struct.pack("<II", index, theirs)
        return with_macs(self.network, peer, head + ephemeral.public + sealed), session, peer


# ---- 2.9 and 3 data --------------------------------------------------------------------------------------------------


class Session:
    def __init__(self, suite, h, send, receive, index, theirs, mtu, boot, source):
        def transport(key):
            aead = AESGCM if suite == AES else ChaCha20Poly1305
            return aead(blake2b(256, b"lanloom-v1 transport" + bytes([suite]) + h, key))
        self.suite, self.mtu, self.boot, self.source = suite, mtu, boot, source
        self.sealer, self.opener = transport(send), transport(receive)
        self.index, self.theirs = index, theirs
        self.counter, self.window = 0, Window()

    def seal(self, plain):
        head = b"\4\1\0\0" + struct.pack("<IQ", self.theirs, self.counter)
        self.counter += 1
        return head + self.sealer.encrypt(nonce(self.counter - 1), plain, head)

    def open(self, data):
        """The counter and the record."""
        need(len(data) >= 32 and data[:4] == b"\4\1\0\0", "malformed")
        index, counter = struct.unpack_from("<IQ", data, 4)
        need(index == self.index, "receiver_index")
        need(counter < 2**60 and self.window.fresh(counter), "replayed")
        try:
            plain = self.opener.decrypt(nonce(counter), data[16:], data[:16])
        except InvalidTag as error:
            raise Refused("tag") from error
        self.window.set(counter)
        return counter, plain


class Window:
    """3.3, as a set."""

    USABLE = 8128

    def __init__(self):
        self.highest, self.seen = -1, set()

    def fresh(self, counter):
        return counter >= self.highest - self.USABLE and counter not in self.seen

    def set(self, counter):
        self.seen.add(counter)
        self.highest = max(self.highest, counter)
        if len(self.seen) > 4 * self.USABLE:
            self.seen = {c for c in self.seen if c >= self.highest - self.USABLE}


# ---- 4 records -------------------------------------------------------------------------------------------------------


def frames_record(*frames):
    return b"\x10" + b"".join(struct.pack("<H", len(f)) + f for f in frames)


def fragments(frame, room):
    """The records of kind 3 that carry a frame in plaintexts of `room` bytes."""
    size = room - 4
    count = -(-len(frame) // size)
    return [bytes([0x30, i, count, 0]) + frame[i * size:(i + 1) * size] for i in range(count)]


def ping(token, size=10):
    return b"\x40\1" + struct.pack("<Q", token) + bytes(size - 10)


def pong(record):
    return b"\x40\2" + record[2:10] + struct.pack("<H", len(record))


BYE = b"\x40\3"


class Records:
    """What the records of one session mean. `take` returns the frames they complete; control records go to `control` as
    (name, record), and `kinds` counts what came."""

    def __init__(self, mtu):
        self.longest = mtu + 22
        self.parts, self.trains, self.control, self.kinds = {}, {}, [], {}

    def take(self, counter, record):
        kind = record[0] >> 4 if record else 0
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if not record:
            return []
        need(kind in (1, 2, 3, 4), "kind")
        return (self.take_frames, self.take_train, self.take_fragment, self.take_control)[kind - 1](counter, record)

    def take_frames(self, _, record):
        need(record[0] == 0x10 and len(record) > 1, "kind 1")
        frames, at = [], 1
        while at < len(record):
            need(at + 2 <= len(record), "length of a frame")
            length = struct.unpack_from("<H", record, at)[0]
            need(14 <= length <= self.longest and at + 2 + length <= len(record), "length of a frame")
            frames.append(record[at + 2:at + 2 + length])
            at += 2 + length
        return frames

    def take_fragment(self, counter, record):
        need(record[0] == 0x30 and len(record) > 4, "kind 3")
        index, count, zero = record[1:4]
        need(2 <= count <= 64 and index < count and zero == 0 and index <= counter, "kind 3")
        parts = self.parts.setdefault((counter - index, count), {})
        parts[index] = record[4:]
        if len(parts) < count:
            return []
        del self.parts[counter - index, count]
        slices = [parts[i] for i in range(count)]
        need(all(len(s) == len(slices[0]) for s in slices[:-1]) and len(slices[-1]) <= len(slices[0]), "slices")
        frame = b"".join(slices)
        need(14 <= len(frame) <= self.longest, "length of a frame")
        return [frame]

    def take_train(self, counter, record):
        need(len(record) >= 4, "kind 2")
        k, n, header_length = record[1:4]
        need(k < n <= 128 and k <= counter and len(record) >= 4 + header_length, "kind 2")
        headers, payload = record[4:4 + header_length], record[4 + header_length:]
        gso = record[0] & 7
        layout = Layout(headers)
        need(layout.end == header_length, "headers")
        total = layout.stated - layout.l4_header
        need(gso in (0, 1, 4, 5), "gso")
        need(not record[0] & 8 or gso in (1, 4), "ecn")
        need({1: (4, 6), 4: (6, 6)}.get(gso, (layout.version, layout.protocol)) == (layout.version, layout.protocol)
             and (gso != 5 or layout.protocol == 17), "gso of other headers")
        if gso == 0:
            need(n == 1 and len(payload) >= total, "a single frame")
            return [complete(headers + payload[:total], layout) + payload[total:]]
        need(n >= 2 and payload, "a train")
        if k < n - 1:
            size = len(payload)
            need(n == -(-total // size), "count")
        else:
            size, rest = divmod(total - len(payload), n - 1)
            need(rest == 0 and size >= len(payload), "size of the segments")
        train = self.trains.setdefault((counter - k, record[0], n, headers, size), {})
        train[k] = payload
        if len(train) < n:
            return []
        del self.trains[counter - k, record[0], n, headers, size]
        return segments(headers, layout, [train[i] for i in range(n)], size)

    def take_control(self, _, record):
        need(record[0] == 0x40 and len(record) >= 2, "kind 4")
        name = {1: "ping", 2: "pong", 3: "bye", 4: "forget"}.get(record[1])
        good = {"ping": len(record) >= 10 and not any(record[10:]), "pong": len(record) == 12,
                "bye": len(record) == 2, "forget": len(record) == 2}.get(name)
        need(good, "control")
        self.control.append((name, record))
        return []


# ---- 4.2 the insides of a train --------------------------------------------------------------------------------------


def total(data):
    """The folded sum of 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    value = sum(struct.unpack(f">{len(data) // 2}H", data))
    while value > 0xFFFF:
        value = (value & 0xFFFF) + (value >> 16)
    return value


class Layout:
    """Where the headers of a TCP or UDP packet are."""

    def __init__(self, data):
        try:
            self.read(data)
        except (IndexError, struct.error) as error:
            raise Refused("headers are cut off") from error

    def read(self, data):
        self.ip, tags = 14, 0
        while data[self.ip - 2:self.ip] in (b"\x81\x00", b"\x88\xa8") and tags < 2:
            self.ip, tags = self.ip + 4, tags + 1
        ethertype = data[self.ip - 2:self.ip]
        if ethertype == b"\x08\x00":
            self.version, self.l4 = 4, self.ip + (data[self.ip] & 15) * 4
            need(data[self.ip] >> 4 == 4 and self.l4 >= self.ip + 20, "IPv4")
            length, _, fragment = struct.unpack_from(">HHH", data, self.ip + 2)
            need(fragment & 0x3FFF == 0, "IPv4 fragment")
            self.protocol, self.stated = data[self.ip + 9], length - (self.l4 - self.ip)
            self.addresses = data[self.ip + 12:self.ip + 20]
        else:
            need(ethertype == b"\x86\xdd" and data[self.ip] >> 4 == 6, "neither IPv4 nor IPv6")
            self.version, self.l4, self.protocol = 6, self.ip + 40, data[self.ip + 6]
            while self.protocol in (0, 43, 60):
                self.protocol, self.l4 = data[self.l4], self.l4 + 8 + data[self.l4 + 1] * 8
            self.stated = struct.unpack_from(">H", data, self.ip + 4)[0] - (self.l4 - self.ip - 40)
            self.addresses = data[self.ip + 8:self.ip + 40]
        need(self.protocol in (6, 17), "neither TCP nor UDP")
        self.l4_header = data[self.l4 + 12] >> 4 << 2 if self.protocol == 6 else 8
        self.checksum = self.l4 + (16 if self.protocol == 6 else 6)
        self.end = self.l4 + self.l4_header
        need(self.stated >= self.l4_header and self.end <= len(data), "lengths of the headers")

    def pseudo(self, length):
        return total(self.addresses + struct.pack(">II", self.protocol, length))


def complete(frame, layout):
    """Adds to the sum that the checksum field holds what is missing, and complements it."""
    frame = bytearray(frame)
    value = ~total(bytes(frame[layout.l4:])) & 0xFFFF
    if value == 0 and layout.protocol == 17:
        value = 0xFFFF
    struct.pack_into(">H", frame, layout.checksum, value)
    return bytes(frame)


def segments(headers, layout, payloads, size):
    """The packets that a super-frame stands for, as a host cuts them whose TAP takes none. Each sum grows out of the one
    that was sent, so a wrong one stays wrong."""
    frames, n = [], len(payloads)
    sent = struct.unpack_from(">H", headers, layout.checksum)[0]
    for k, payload in enumerate(payloads):
        frame = bytearray(headers)
        length = layout.l4_header + len(payload)
        if layout.version == 4:
            identification = struct.unpack_from(">H", frame, layout.ip + 4)[0]
            struct.pack_into(">HH", frame, layout.ip + 2, layout.l4 - layout.ip + length, identification + k & 0xFFFF)
            struct.pack_into(">H", frame, layout.ip + 10, 0)
            struct.pack_into(">H", frame, layout.ip + 10, ~total(bytes(frame[layout.ip:layout.l4])) & 0xFFFF)
        else:
            struct.pack_into(">H", frame, layout.ip + 4, layout.l4 - layout.ip - 40 + length)
        if layout.protocol == 6:
            sequence = struct.unpack_from(">I", frame, layout.l4 + 4)[0]
            struct.pack_into(">I", frame, layout.l4 + 4, sequence + k * size & 0xFFFFFFFF)
            if k < n - 1:
                frame[layout.l4 + 13] &= ~0x09  # FIN, PSH
            if k > 0:
                frame[layout.l4 + 13] &= ~0x80  # CWR
        else:
            struct.pack_into(">H", frame, layout.l4 + 4, length)
        difference = struct.pack(">HHH", sent, length, ~layout.stated & 0xFFFF)
        struct.pack_into(">H", frame, layout.checksum, total(difference))
        frames.append(complete(bytes(frame) + payload, layout))
    return frames
