# SPDX-License-Identifier: GPL-3.0-or-later
"""contrib/grafana and contrib/prometheus name metrics and labels that exist, and have the form their readers want."""

import json
import re

import pytest
import yaml

from harness import ROOT

DOCUMENT = (ROOT / "doc" / "metrics.md").read_text()
METRICS = {name: (kind, labels) for name, kind, labels in
           re.findall(r"^\| `(acme_delegate_\w+)` \| (\w+) \| .*? \| (.*?) ?\|$", DOCUMENT, re.M)}
DASHBOARD = json.loads((ROOT / "contrib" / "grafana" / "acme-delegate.json").read_text())
ALERTS = (ROOT / "contrib" / "prometheus" / "alerts.yml").read_text()
FROM_PROMETHEUS = {"instance", "job"}
GUIDE = (ROOT / "doc" / "monitoring.md").read_text()


def rules():
    """(name, expression) of each alert; the file is plain enough to be read line by line."""
    for part in re.split(r"^      - alert: ", ALERTS, flags=re.M)[1:]:
        name, _, rest = part.partition("\n")
        folded = re.search(r"^        expr: >-\n((?:          .*\n)+)", rest, re.M)
        one_line = re.search(r"^        expr: (?!>)(.+)$", rest, re.M)
        assert bool(folded) != bool(one_line), name
        yield name, " ".join(folded.group(1).split()) if folded else one_line.group(1), rest


def panels():
    return [p for p in DASHBOARD["panels"] if p["type"] != "row"]


EXPRESSIONS = [(name, expr) for name, expr, _ in rules()] + [
    (p["title"], t["expr"]) for p in panels() for t in p["targets"]]


def series_of(kind, name):
    return [name + end for end in ("_bucket", "_sum", "_count")] if kind == "histogram" else [name]


@pytest.mark.parametrize("name,expr", EXPRESSIONS)
def test_expressions_name_what_there_is(name, expr):
    known = {series: metric for metric, (kind, _) in METRICS.items() for series in series_of(kind, metric)}
    used = re.findall(r"\bacme_delegate_\w+", expr)
    assert used or expr.startswith("up{"), name
    labels = set()
    for series in used:
        assert series in known, series
        kind, listed = METRICS[known[series]]
        labels |= set(re.findall(r"`(\w+)`", listed.split("(")[0] + " ".join(re.findall(r"\), (`\w+`)", listed))))
        if kind == "counter":  # what only grows says nothing by itself
            assert re.search(rf"\b(rate|increase)\({series}[^)]*\[", expr), expr
    named = set(re.findall(r"by \(([^)]*)\)", expr) and ", ".join(re.findall(r"by \(([^)]*)\)", expr)).split(", "))
    named |= set(re.findall(r"[{,](\w+)=", expr))
    assert named <= labels | FROM_PROMETHEUS | {"le"}, (named, labels)
    for a, b in ("()", "[]", "{}"):
        assert expr.count(a) == expr.count(b), expr
    if "histogram_quantile" in expr:
        assert "by (le" in expr and "_bucket" in expr


def test_alerts_are_complete():
    names = [name for name, _, _ in rules()]
    assert len(set(names)) == len(names) >= 10
    for name, _, rest in rules():
        assert re.search(r"^          severity: (page|ticket)$", rest, re.M), name
        assert "summary:" in rest and "description:" in rest, name
        assert f"`{name}`" in GUIDE, "doc/monitoring.md says what to do about it"
    documented = set(re.findall(r"`(AcmeDelegate\w+)`", GUIDE))
    assert documented == set(names)


def test_alerts_have_the_form_that_prometheus_loads():
    (group,) = yaml.safe_load(ALERTS)["groups"]
    assert group["name"] and [r["alert"] for r in group["rules"]] == [name for name, _, _ in rules()]
    for r, (_, expr, _) in zip(group["rules"], rules()):
        assert set(r) <= {"alert", "expr", "for", "labels", "annotations"}
        assert r["expr"] == expr and re.fullmatch(r"\d+[smh]", r.get("for", "1m"))


def test_dashboard_has_the_form_that_grafana_imports():
    assert DASHBOARD["title"] and DASHBOARD["uid"] and DASHBOARD["id"] is None and DASHBOARD["schemaVersion"] >= 30
    ids = [p["id"] for p in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {v["name"] for v in DASHBOARD["templating"]["list"]}
    for variable in set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))):
        assert variable in variables or variable.startswith("__"), variable
    taken = set()
    for p in DASHBOARD["panels"]:
        g = p["gridPos"]
        assert g["x"] + g["w"] <= 24
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        assert not cells & taken, p["title"]
        taken |= cells
    for p in panels():
        assert p["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        refs = [t["refId"] for t in p["targets"]]
        assert refs and len(set(refs)) == len(refs)


def test_the_guide_names_what_there_is():
    for name in re.findall(r"`(acme_delegate_\w+)", GUIDE):
        assert name in METRICS, name
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", GUIDE):
        assert (ROOT / "doc" / target).exists(), target
