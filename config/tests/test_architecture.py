"""ARCHITECTURE.md draws the state machines; the code is what they are. The two must say the same."""

import re

import pytest
from django.conf import settings

from bonds.models import PAYMENT_TRANSITIONS
from bonds.models.run import TRANSITIONS as RUN_TRANSITIONS
from jobs.states import TRANSITIONS as JOB_TRANSITIONS

DRAWN = {
    "job": {(source.value, t.target.value, t.name) for t in JOB_TRANSITIONS for source in t.sources},
    "run": {(source.value, target.value, "") for source, targets in RUN_TRANSITIONS.items() for target in targets},
    "payment": {
        (source.value, target.value, "") for source, targets in PAYMENT_TRANSITIONS.items() for target in targets
    },
}


@pytest.mark.parametrize("machine", DRAWN)
def test_the_diagram_shows_every_transition_of_the_code_and_no_other(machine):
    text = (settings.BASE_DIR / "ARCHITECTURE.md").read_text()
    found = re.search(rf"<!-- states:{machine} -->\n```mermaid\nstateDiagram-v2\n(.*?)```", text, re.S)
    assert found, f"no diagram of {machine}"
    arrows = re.findall(r"^\s*(\w+) --> (\w+)(?: : (\w+))?$", found.group(1), re.M)
    assert set(arrows) == DRAWN[machine]
