# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the judges are tested with pytest; the loops are run by `run`."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scenario")]
