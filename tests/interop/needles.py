# SPDX-License-Identifier: Apache-2.0
"""Secrets in the forms in which an output may hold them, and a relay that sees what proofs were sent."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What is shorter stands in other texts by chance, some of its forms at least.
SHORTEST = 12


def forms(secret: str) -> dict[str, bytes]:
    """A secret as it is, and in each coding."""
    raw = secret.encode()
    text = {
        "as it is": secret,
        "hex": raw.hex(),
        "hex in upper case": raw.hex().upper(),
        "percent-coded": urllib.parse.quote(secret, safe=""),
        "percent-coded but for slashes": urllib.parse.quote(secret),
        "percent-coded as in a form": urllib.parse.quote_plus(secret),
        "percent-coded in lower case": re.sub("%..", lambda code: code[0].lower(), urllib.parse.quote(secret, safe="")),
        "in JSON": json.dumps(secret)[1:-1],
        "in JSON with slashes escaped": json.dumps(secret)[1:-1].replace("/", "\\/"),
        "in JSON as JavaScript writes it": json.dumps(secret)[1:-1].replace("+", "\\u002b").replace("=", "\\u003d"),
        "in HTML": secret.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;"),
        "in Python": repr(secret)[1:-1],
        "as numbers": ", ".join(map(str, raw)),
    }
    found = {form: value.encode() for form, value in text.items()}
    # As a part of a longer text it may begin at any of three places of a group.
    for before in range(3):
        coded = base64.b64encode(bytes(before) + raw)[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found[f"base64, {before} bytes before"] = coded
        found[f"base64 of URLs, {before} bytes before"] = coded.translate(bytes.maketrans(b"+/", b"-_"))
    return found


class Needles:
    """What no output may hold."""

    def __init__(self) -> None:
        self.known: list[tuple[str, bytes]] = []

    def add(self, what: str, secret: str) -> None:
        assert len(secret) >= SHORTEST, f"{what} is too short to be looked for"
        self.known += [(f"{what} ({form})", text) for form, text in forms(secret).items()]

    def add_key_or_token(self, what: str, text: str) -> None:
        """A private key in PEM, any line of which would be one too many, or a token, any part of which would be."""
        for line in text.splitlines():
            if not line.startswith("-") and ": " not in line:
                for part in line.strip().split("."):
                    if len(part) >= 20:
                        self.add(what, part)

    def add_files(self, folder: Path) -> None:
        """The keys and tokens of an emulator's folder."""
        for file in folder.iterdir():
            if file.is_file() and (file.name.endswith("key.pem") or "token" in file.name or file.name == "rpst"):
                self.add_key_or_token(file.name, file.read_text())

    def found_in(self, output: str | bytes) -> list[str]:
        data = output.encode(errors="surrogateescape") if isinstance(output, str) else output
        return [what for what, needle in self.known if needle in data]

    def check(self, what: str, output: str | bytes) -> None:
        """Fails with what was found, and with the place."""
        found = self.found_in(output)
        assert not found, f"{what} holds {found}: {output!r}"


class Relay:
    """A server of plain HTTP before another, and what was sent through it."""

    def __init__(self, endpoint: str) -> None:
        url = urllib.parse.urlsplit(endpoint)
        self._server = (url.hostname, url.port)
        self._sent: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self.endpoint = f"http://{self.address}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            back = threading.Thread(target=self._pass, args=(server, client, None), daemon=True)
            back.start()
            self._pass(client, server, self._sent)
            back.join()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, kept: list[bytes] | None) -> None:
        try:
            while data := source.recv(1 << 16):
                if kept is not None:
                    kept.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def proofs(self) -> set[str]:
        """Signatures, tokens and passwords in the headers that were sent. The bearer of instance metadata is known to all."""
        sent = b"".join(self._sent).decode(errors="replace")
        found = set()
        for name, value in re.findall(r"(?mi)^([a-z-]+): (.+?)\r?$", sent):
            if name.lower() in ("authorization", "proxy-authorization"):
                for pattern in (r'signature="([^"]+)', r'keyId="ST\$([^"]+)', r"Signature=(\w+)", r"Basic (\S+)", r"Bearer (\S+)"):
                    found.update(re.findall(pattern, value))
            if name.lower() in ("opc-obo-token", "x-amz-security-token"):
                found.add(value)
        return found - {"Oracle"}

    def close(self) -> None:
        self._listener.close()


@contextmanager
def relayed(endpoint: str) -> Iterator[Relay]:
    relay = Relay(endpoint)
    try:
        yield relay
    finally:
        relay.close()
