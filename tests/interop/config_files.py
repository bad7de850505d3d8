# SPDX-License-Identifier: Apache-2.0
"""OCI configuration files, and what Python's configparser makes of them, as Oracle's SDK and CLI use it.

`python tests/interop/config_files.py` writes fixtures/config-files.json, the table of src/config/ini.rs;
test_config_files.py says whether it is still what this Python finds.
"""

import configparser
import json
import random
from pathlib import Path

TABLE = Path(__file__).parents[2] / "fixtures" / "config-files.json"

KINDS = [
    "[DEFAULT]\nuser = u\nregion=r\n",
    "[DEFAULT] # mine\nuser = u\n",
    "[DEFAULT] ; mine ] and more\nuser = u\n",
    "[DEFAULT]\nuser : u\nregion:r\nkey_file = C:\\a=b:c\n",
    "\ufeff[DEFAULT]\nuser = u\n",
    "[DEFAULT]\r\nuser = u\r\n\r\n[LAB]\r\nregion = r\r\n",
    "[DEFAULT]\ruser = u\r[LAB]\rregion = r\r",
    "[DEFAULT]\npass_phrase = a#b ; c %(user)s %% $HOME\n",
    "[DEFAULT]\nuser = u # none of a comment\n",
    "# first\n; second\n\n[DEFAULT]\n  # indented\nuser = u\n",
    "[DEFAULT]\nkey_content = -----BEGIN-----\n  abc\n  def\n  -----END-----\nuser = u\n",
    "[DEFAULT]\nkey_content =\n  abc\n# a comment between\n  def\n\n  ghi\n\n\nuser = u\n",
    "[DEFAULT]\nuser = u\n\n\n[LAB]\n\n",
    "[DEFAULT]\n  user = u\n  region = r\n    more\n fingerprint = f\n",
    "[DEFAULT]\nuser = u\n [LAB]\n region = r\n",
    "  [DEFAULT]\nuser = u\n",
    "[DEFAULT]\nUser = u\nREGION = r\n\u00c4 = a\n",
    "[DEFAULT]\nuser = u\nuser = v\n",
    "[DEFAULT]\nuser = u\nUSER : v\n",
    "[LAB]\nuser = u\n[LAB]\nregion = r\n",
    "[DEFAULT]\nuser = u\n[LAB]\nregion = r\n[DEFAULT]\nregion = s\n",
    "[DEFAULT]\nuser = u\n[LAB]\n[DEFAULT]\nuser = v\n",
    "user = u\n[DEFAULT]\n",
    "[DEFAULT]\nnonsense\n",
    "[DEFAULT]\n= u\n",
    "[DEFAULT]\n: u\n",
    "[]\nuser = u\n",
    "[]]\nuser = u\n",
    "[LAB\nuser = u\n",
    "[LAB]\n[open = u\n",
    "[ LAB ]\nuser = u\n",
    "[LAB]\nempty =\nalso:\nuser = u\n",
    "[LAB]\na b = c d\n  \tx\t \n",
    "[LAB]\nuser == u\nregion := r\n",
    "[LAB]\nuser = u\\\n  v\n",
    "[LAB]\nuser = \"u\"\nregion = 'r'\n",
    "[LAB]\nuser\u00a0=\u00a0u\u3000\n\u2003x = y\n",
    "[LAB]\nuser = u\x1c\n\x1f\n\x0c\nregion = r\x0bs\n",
    "",
    "\n\n",
    "[LAB]",
    "[LAB]\nuser = u",
]

LINES = [
    "[DEFAULT]", "[LAB]", "[LAB] # c", "[OTHER]", " [IN]", "[]", "[x", "user = u", "user: v", "User=w", "  region = r",
    "region = s", "    more", "\tmore = than : that", "# c", "  ; c", "", "  ", "nonsense", "  nonsense", "= x", "a=b=c", "é = è",
    "key =", "key = [v]", "[a] b = c", "[a]b]", "x ; y = z", "x # y", "a%b = %(c)s", "\u00a0indented = x",
]  # fmt: skip


def read(text: str) -> dict[str, dict[str, str]] | None:
    """Every section's values, those that it inherits included; None where the file is refused."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        # As a file is read: universal newlines. A byte order mark is none of the text.
        parser.read_file(lines(text.removeprefix("\ufeff")))
    except configparser.Error:
        return None
    return {name: dict(section) for name, section in parser.items()}


def lines(text: str) -> list[str]:
    parts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def table() -> list[dict[str, object]]:
    chance = random.Random(11)
    mixed = []
    for _ in range(700):
        picked = chance.choices(LINES, k=chance.randint(1, 7))
        ends = chance.choices(["\n", "\r\n"], k=len(picked))
        begin = chance.choice(["", "[DEFAULT]\n", "[LAB]\n"])
        mixed.append(begin + "".join(line + end for line, end in zip(picked, ends, strict=True)))
    return [{"text": text, "sections": read(text)} for text in [*KINDS, *mixed]]


def written() -> str:
    rows = (json.dumps(row, ensure_ascii=True, sort_keys=True) for row in table())
    return "[\n" + ",\n".join(rows) + "\n]\n"


if __name__ == "__main__":
    TABLE.write_text(written())
