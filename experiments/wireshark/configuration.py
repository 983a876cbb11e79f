"""Wireshark configuration of an experiment run: columns, colours, and a filter button per claim (wireshark(1)).

A claim is a statement about a protocol; its filter shows the frames that are evidence for its verdict.

Wireshark and tshark read the files instead of the user's own configuration if the environment variable
WIRESHARK_CONFIG_DIR names their folder. A filter selects frames by the comments that `captures` writes, and is thus the
same for every copy.
"""

from __future__ import annotations

from pathlib import Path

from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.results.result import Result

VARIABLE = "WIRESHARK_CONFIG_DIR"
COLUMNS = (
    ("No.", "%m"),
    ("Time", "%t"),
    ("Interface", "%Cus:frame.interface_name:0:R"),
    ("Source", "%s"),
    ("Destination", "%d"),
    ("Protocol", "%p"),
    ("Length", "%L"),
    ("Info", "%i"),
    ("Verdict", "%Cus:frame.comment:0:R"),
)
# Foreground and background, 16 bits a colour, by the verdict's word.
COLOURS = {
    "shown": ("[0,20000,10000]", "[57000,62500,60000]"),
    "failed": ("[40000,8000,6000]", "[64500,59000,58500]"),
    "undecided": ("[20000,22000,25000]", "[59800,60400,60800]"),
}


def write_configuration(folder: Path, result: Result, claims: dict[str, Claim]) -> Path:
    """Write Wireshark's configuration files into a folder, and return the folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = ",\n\t".join(f'"{title}", "{form}"' for title, form in COLUMNS)
    # Time since the first frame in ns; names from the capture alone, never from the network.
    preferences = (
        f"gui.column.format: \n\t{columns}\nnameres.network_name: TRUE\nnameres.dns_pkt_addr_resolution: FALSE\n"
        "nameres.use_external_name_resolver: FALSE\nnameres.mac_name: FALSE\n"
    )
    (folder / "preferences").write_text(preferences, encoding="utf-8")
    (folder / "recent").write_text("gui.time_format: RELATIVE\ngui.time_precision: AUTO\n", encoding="utf-8")
    colours = [f'@{word}@frame.comment contains ": {word}. "@{back}{front}' for word, (front, back) in COLOURS.items()]
    (folder / "colorfilters").write_text("\n".join(colours) + "\n", encoding="utf-8")
    buttons = [
        f'"TRUE",{_quoted(claim.id)},{_quoted(claim_filter(claim.id))},{_quoted(_statement(claims, claim.id))}'
        for claim in result.claims
        if claim.frames
    ]
    (folder / "dfilter_buttons").write_text("".join(f"{button}\n" for button in buttons), encoding="utf-8")
    return folder


def claim_filter(claim: str) -> str:
    """Return the Wireshark display filter that selects the frames cited by the evidence of a claim."""
    return f'frame.comment matches "^{claim}: "'


def _statement(claims: dict[str, Claim], claim: str) -> str:
    return claims[claim].statement if claim in claims else ""


def _quoted(text: str) -> str:
    """Quote a string for Wireshark's table files; quotation marks and backslashes become hexadecimal escapes."""
    return '"' + text.replace("\\", "\\x5c").replace('"', "\\x22").replace("\n", " ") + '"'
