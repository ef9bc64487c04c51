# SPDX-License-Identifier: Apache-2.0
"""far_end.py PORT - in a container: answers a UDP datagram "LENGTH SEGMENT" by LENGTH bytes that the kernel is to cut into
datagrams of SEGMENT bytes (0: it is one datagram), and a TCP caller by the bytes of `pattern(LONG)`."""
import socket
import struct
import sys
import threading

LONG = 300000
UDP_SEGMENT = 103


def pattern(length):
    return (b"".join(struct.pack("<I", i * 2654435761 & 0xFFFFFFFF) for i in range(length // 4 + 1)))[:length]


def main():
    port = int(sys.argv[1])
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", port))
    tcp = socket.create_server(("0.0.0.0", port))

    def serve():
        while True:
            caller, _ = tcp.accept()
            try:
                caller.sendall(pattern(LONG))
            except OSError:
                pass
            caller.close()
    threading.Thread(target=serve, daemon=True).start()
    while True:
        request, source = udp.recvfrom(2000)
        length, segment = map(int, request.split()[:2])
        udp.sendmsg([pattern(length)], [(socket.SOL_UDP, UDP_SEGMENT, struct.pack("=H", segment))] if segment else [],
                    0, source)


if __name__ == "__main__":
    main()
