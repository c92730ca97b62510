"""Prowler's mutelist beside `cargo bench --bench coverage`: the same question, asked the same way.

Each of N exceptions speaks of one control and one subject; each finding asks whether it is silent. Both one control with N resources
and N checks with one resource each, because people write either. CPU time of one thread.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install prowler==5.46.0
    /tmp/peer/bin/python benches/peers/mutelist.py
"""

import sys
import time

from prowler.lib.mutelist.mutelist import Mutelist


class Rules(Mutelist):
    """A mutelist in memory."""

    def is_finding_muted(self) -> bool:
        raise NotImplementedError


def one_check(exceptions: int) -> dict:
    resources = [f"nhi-{n}$" for n in range(exceptions)]
    return {"rotation": {"Regions": ["*"], "Resources": resources}}


def many_checks(exceptions: int) -> dict:
    return {f"rotation-{n}": {"Regions": ["*"], "Resources": [f"nhi-{n}$"]} for n in range(exceptions)}


def measure(shape, exceptions: int, seconds: float) -> float:
    rules = Rules(mutelist_content={"Accounts": {"*": {"Checks": shape(exceptions)}}})
    check = "rotation" if shape is one_check else "rotation-%d"
    asked, muted, began = 0, 0, time.process_time()
    while time.process_time() - began < seconds:
        n = (asked * 7919) % (2 * exceptions)
        muted += rules.is_muted("1", check % n if "%" in check else check, "eu", f"nhi-{n}", "")
        asked += 1
    spent = time.process_time() - began
    if not 0 < muted < asked:
        sys.exit(f"the rules do not do what they should: {muted} of {asked} muted")
    return asked / spent


if __name__ == "__main__":
    for exceptions in (100, 1_000, 10_000):
        for shape in (one_check, many_checks):
            rate = measure(shape, exceptions, 4.0)
            print(f"{shape.__name__:12} {exceptions:6} exceptions: {rate:10.1f} findings per CPU second")
