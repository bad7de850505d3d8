# SPDX-License-Identifier: Apache-2.0
"""The table that src/config/ini.rs is held to is what Python's configparser finds."""

import config_files


def test_the_table_is_what_python_reads():
    assert config_files.TABLE.read_text() == config_files.written(), "run tests/interop/config_files.py"


def test_a_file_is_read_as_its_text(tmp_path):
    """The table is of texts; Oracle's SDK reads files."""
    import oci.config

    file = tmp_path / "config"
    file.write_text("[DEFAULT] # mine\nuser : u\npass_phrase = a#b;c %x\n\n[LAB]\nfingerprint =\n  ab:c\n  d=ef\n")
    values = oci.config.from_file(str(file), "LAB")
    assert (values["user"], values["pass_phrase"], values["fingerprint"]) == ("u", "a#b;c %x", "\nab:c\nd=ef")
