"""Program `tc` in a sandbox (the Linux namespaces of a network): asks the running network how to execute the command.

    python -ISB tc_client.py FOLDER ARGUMENTS     FOLDER has the network's socket, and the installed tc(8) as `real`

The program sends the arguments to the server in traffic_control. It prints the output that the server returns, or, if
the command is not about a shaped link, runs the installed tc(8). Scripts run tc often, to poll queues: for a fast start
the program imports hardly any modules.
"""

import _socket
import os
import sys

SOCKET, REAL = "socket", "real"
# The answer begins with one of these octets: run the installed program, or exit with the code that follows.
PASS, DONE = b"P", b"D"
PIECE_BYTES = 65536


def main(argv: list[str]) -> int:
    """Execute a tc command by the running network, or else by the installed tc(8); return the exit code.

    The installed tc(8) replaces this process.
    """
    folder, *words = argv
    answer = ask(f"{folder}/{SOCKET}", words)
    if not answer.startswith(DONE):
        os.execv(f"{folder}/{REAL}", ["tc", *words])
    code, output, errors = answer[1:].split(b"\0", 2)
    sys.stdout.buffer.write(output)
    sys.stdout.flush()
    sys.stderr.buffer.write(errors)
    return int(code)


def ask(place: str, words: list[str]) -> bytes:
    """Send a tc command to the network's server, and return its answer; empty if the network has ended."""
    answer = b""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(place)
        connection.sendall(b"".join(os.fsencode(word) + b"\0" for word in words))
        connection.shutdown(_socket.SHUT_WR)
        while piece := connection.recv(PIECE_BYTES):
            answer += piece
    except OSError:
        return b""
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
