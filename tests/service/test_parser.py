"""What is misspelt on the command line is refused where it stands, with what may be meant."""

from __future__ import annotations

import argparse
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.parser import Parser


def make_parser() -> Parser:
    parser = Parser(prog="bma")
    parser.add_argument("--debug", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    study = commands.add_parser("study")
    study.add_argument("--seeds", type=int)
    study.add_argument("--data", required=True)
    study.add_argument("names", nargs="*")
    return parser


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("study --data x --seed 3", "bma study: error: there is no option --seed; did you mean --seeds?"),
        ("study --dta=x", "bma study: error: there is no option --dta; did you mean --data?"),
        ("study --data x --zzz", "there is no option --zzz; bma study --help lists those that there are"),
        ("study --data x -q", "bma study: error: this is too much: -q"),
        ("study", "the following arguments are required: --data"),
        ("stdy --data x", "; did you mean study?"),
        ("zzz --data x", "bma: error: argument command: invalid choice: 'zzz'"),
        ("--dbug study --data x", "bma: error: there is no option --dbug; did you mean --debug?"),
    ],
)
def test_what_is_refused(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args(line.split())
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_value_may_look_like_an_option() -> None:
    parsed = make_parser().parse_args(["study", "--data=--x", "--", "--seed"])
    assert (parsed.data, parsed.names) == ("--x", ["--seed"])
    assert make_parser().parse_args(["study", "--data", "x", "--two words"]).names == ["--two words"]


WORDS = st.one_of(
    st.sampled_from(["--data", "--seeds", "--data=x", "3", "x", "--", "-1", "-"]),
    st.text(string.ascii_letters + "-= ", max_size=8),
)


@given(st.lists(WORDS, max_size=6))
def test_what_argparse_takes_is_taken(words: list[str]) -> None:
    """And nothing else."""
    plain = argparse.ArgumentParser(prog="bma", allow_abbrev=False, exit_on_error=False)
    study = plain.add_subparsers(dest="command", required=True).add_parser("study", allow_abbrev=False)
    for parser in (study,):
        parser.add_argument("--seeds", type=int)
        parser.add_argument("--data", required=True)
        parser.add_argument("names", nargs="*")

    def outcome(parser: argparse.ArgumentParser) -> object:
        try:
            return {key: value for key, value in vars(parser.parse_args(["study", *words])).items() if key != "debug"}
        except SystemExit as stopped:
            return stopped.code

    assert outcome(make_parser()) == outcome(plain)
