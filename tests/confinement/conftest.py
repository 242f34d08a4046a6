# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures and helpers of tests/scenario, also where only this folder is run."""

import importlib.util
import pathlib
import sys

SCENARIO = pathlib.Path(__file__).resolve().parents[1] / "scenario"
sys.path.insert(0, str(SCENARIO))
_spec = importlib.util.spec_from_file_location("scenario_conftest", SCENARIO / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
globals().update({name: item for name, item in vars(_module).items() if not name.startswith("__")})
