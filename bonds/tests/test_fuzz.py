"""`make fuzz` can fail: a decoder that breaks its word ends it with 1 and the bytes that did it. One round of the real ones too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = "import os, sys\nfrom bonds.tests import fuzz\n"


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "FUZZ_SECONDS": "0", "FUZZ_SEED": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def fuzz_one(decoder: str, declared: str = "()"):
    """One round over one decoder, written as a Python expression of the bytes `d`."""
    target = f"fuzz.Target('mine', lambda d: {decoder}, {declared}, [bytes(8)])"
    return python("-c", f"{SETUP}sys.exit(fuzz.run([{target}], seconds=0, seed=1))")


def test_one_round_over_every_decoder_finds_nothing():
    done = python("-m", "bonds.tests.fuzz")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no fault" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("decoder", "declared", "said"),
    [
        ("{}[d]", "(ValueError,)", "KeyError"),
        ("int(d)", "()", "ValueError"),
        ("os.kill(os.getpid(), 9)", "(ValueError,)", "died of signal 9"),
        ("any(0 for _ in iter(int, 1))", "(ValueError,)", "no answer in 1.0 s"),
        ("bytes(2**40)", "(ValueError,)", "MemoryError"),
        ("fuzz._must(False, 'reads another value')", "(ValueError,)", "reads another value"),
        ("[].index(d)", "(LookupError,)", "ValueError"),
    ],
)
def test_a_decoder_that_breaks_its_word_is_found_and_told_how_to_meet_it_again(decoder, declared, said):
    done = fuzz_one(decoder, declared)
    assert done.returncode == 1
    assert said in done.stdout
    assert "reproduce: python -m bonds.tests.fuzz mine " in done.stdout


def test_a_declared_error_is_none():
    done = fuzz_one("{}[d]", "(KeyError,)")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].split() == ["all", "200", "tried,", "no", "fault"]


def test_one_input_can_be_tried_alone():
    assert python("-m", "bonds.tests.fuzz", "read_bool", "01").stdout == "accepted\n"
    refused = python("-m", "bonds.tests.fuzz", "read_bool", "02")
    assert (refused.returncode, refused.stdout) == (0, "refused as declared\n")
