# SPDX-License-Identifier: Apache-2.0
"""A TCP connection that goes on: `serve PORT` echoes lines, `call ADDRESS PORT` sends one every 50 ms and prints what
comes back, a line each. It ends with the connection."""
import socket
import sys
import time

if sys.argv[1] == "serve":
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", int(sys.argv[2])))
    listener.listen(1)
    connection, _ = listener.accept()
    while line := connection.recv(100):
        connection.sendall(line)
else:
    connection = socket.create_connection((sys.argv[2], int(sys.argv[3])))
    number = 0
    while True:
        number += 1
        connection.sendall(b"%d\n" % number)
        if not (line := connection.recv(100)):
            break
        print(line.decode(), end="", flush=True)
        time.sleep(0.05)
