# SPDX-License-Identifier: GPL-3.0-or-later
"""Zonemaster, the registries' own check of a delegation, looks at our zone from the root down: no errors, and of
warnings and notices only those listed here with their reason. No test case is switched off: what Zonemaster asks of
others (reverse names, the networks of addresses) is there, too."""

import ipaddress
import json
import subprocess
import sys

import internet
from internet import HOSTER, NS1, NS2, ZONE, harness, program, reverse_name

SECONDS = 120
FAILING = ("ERROR", "CRITICAL")

# tag -> why it may stand. Everything else of level NOTICE and above fails the run.
EXPECTED = {
    "NEITHER_DNSKEY_NOR_DS": "the zone is not signed yet",  # tag of engine 4.6, Debian 12
    "NOT_SIGNED": "the zone is not signed yet",
    "SOA_DEFAULT_TTL_MAXIMUM_VALUE_LOWER": "values come within seconds, so their absence may not be kept for longer",
}

# What an operator would write; null MX (RFC 7505) and SPF say that the zone takes and sends no mail.
RECORDS = ["@ 3600 A 91.198.174.20", '@ 3600 CAA 0 issue "letsencrypt.org"', "@ 3600 MX 0 .",
           '@ 3600 TXT "v=spf1 -all"']


def network_records():
    """What Zonemaster asks of its address-to-network service: 'AS | prefix | country | registry | date'."""
    records = []
    for number, address in enumerate([*NS1, *NS2, *HOSTER]):
        name, _, tree = reverse_name(address).rpartition(".arpa.")[0].rpartition(".")
        origin = "origin" if tree == "in-addr" else "origin6"
        network = ipaddress.ip_interface(f"{address}/{24 if tree == 'in-addr' else 48}").network
        text = f"{64496 + number // 2} | {network} | NL | ripencc | 2026-01-01"
        records.append(f'{name}.{origin}.asnlookup.zonemaster.net. 3600 TXT "{text}"')
    return records


def check(net):
    """[{level, testcase, tag, args}] of level NOTICE and above."""
    families = ["--no-ipv6"] if 6 not in harness.FAMILIES else []
    command = [program("zonemaster-cli", "zonemaster-cli"), "--hints", str(net.hints), "--level", "NOTICE", "--json",
               "--show-testcase", "--locale", "C", *families, ZONE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode or not done.stdout.strip():
        raise internet.JudgeError(f"zonemaster-cli failed: {(done.stderr or done.stdout).strip()[-500:]}")
    found = json.loads(done.stdout)
    return found["results"] if isinstance(found, dict) else found  # an array before version 6


def complaint(entry):
    """What makes the run fail, or None."""
    tag, level = entry["tag"], entry["level"]
    if level not in FAILING and tag in EXPECTED:
        print(f"   {level:8} {entry.get('testcase') or '':14} {tag}: {EXPECTED[tag]}")
        return None
    return f"{level} {entry.get('testcase')} {tag} {json.dumps(entry.get('args', {}), sort_keys=True)}"


def judge(net):
    print(f"Zonemaster looks at {ZONE}, over IPv{' and IPv'.join(map(str, harness.FAMILIES))}")
    server = net.acme_delegate(zone={"records": RECORDS}).start()
    net.parents([f"www.{internet.USERS}. 60 A 46.4.10.2"], network_records())
    found = check(net)
    server.stop()
    complaints = sorted({text for text in map(complaint, found) if text})
    if not complaints:
        print("   no error, no critical error, and nothing else that is not expected")
    return complaints


if __name__ == "__main__":
    sys.exit(internet.main(judge))
