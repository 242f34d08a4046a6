# SPDX-License-Identifier: GPL-3.0-or-later
"""Manual pages and completion: whole, clean, and what the shells make of them."""

import re
import shutil
import subprocess

import pytest

from harness import ROOT, run

MAKER = ROOT / "scripts/from-help"
DATE = "2026-11-28"


def made(what):
    import harness
    return subprocess.run([MAKER, what, harness.BINARY, DATE], check=True, capture_output=True, text=True, timeout=60).stdout


def commands():
    return re.findall(r"^  ([a-z]+) +\S", run("--help").stdout, re.M)


def options_of(command):
    """Every long option that a help text has anywhere."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", run(command, "--help").stdout))


def rendered(page):
    done = subprocess.run(["man", "-l", "--warnings", "-E", "ascii", str(page)], capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin:/bin", "MANWIDTH": "4000", "LC_ALL": "C", "MAN_KEEP_FORMATTING": "",
                               "MANROFFOPT": "-c"})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return re.sub(r".\x08", "", done.stdout)


@pytest.fixture(scope="module", params=["acme-delegate.8", "acme-delegate.conf.5"])
def page(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("man") / request.param
    path.write_text(made("man") if request.param.endswith("8") else run("config", "man").stdout)
    return path


def test_manual_pages_are_clean(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stdout == done.stderr == "", done.stdout
    assert rendered(page).count("\n") > 50
    for line in page.read_text().splitlines():
        assert line.isascii() and (not line.startswith(".") or re.match(r'\.(TH|SH|SS|PP|TP|B|BR|I|br|nf|fi)(\b|$)', line) or line.startswith('.\\" ')), line


def sample_keys():
    """Every key as "api.tls.mode" or "zones[].name", from the sample's indentation."""
    keys, above = set(), []
    for line in run("config", "sample").stdout.splitlines():
        found = re.match(r"( *)(- )?(?:# )?(- )?([a-z_]+):(?: |$)(.*)", line)
        if not found or (re.match(r" *# [a-z_]+: (?!\S)", line)):
            continue
        depth = len(found[1]) + (2 if found[2] or found[3] else 0)
        if line.lstrip().startswith("#") and not re.match(r" *# [a-z_]+: \S", line):
            continue
        above = [(d, k) for d, k in above if d < depth]
        if found[2]:
            above = [*above[:-1], (above[-1][0], above[-1][1] + "[]")] if not above[-1][1].endswith("[]") else above
        above.append((depth, found[4]))
        keys.add(".".join(k.removesuffix("[]") for _, k in above))
    return keys


def test_every_key_is_in_the_manual(page):
    if not page.name.endswith("5"):
        return
    text = page.read_text()
    told = {k.replace("[]", "") for k in re.findall(r"^\.TP\n\.B (\S+)$", text[text.index(".SH KEYS"):], re.M)}
    keys = {k for k in sample_keys() if k.split(".")[0] in ("zones", "dns", "api", "store", "user", "log", "admin", "metrics")}
    assert len(keys) > 40
    # Prose of the sample may look like a key ("files: TLS with ..."); those are words of no table.
    assert {k for k in keys if k not in told} <= {k for k in keys if k.split(".")[-1] in ("files", "off", "acme", "open", "token")}
    assert {"zones.nameservers.addresses", "api.tls.mode", "api.registration.per_day", "dns.rate_limit.unlimited",
            "store.path", "admin.token_file"} <= told
    assert told <= keys, "the manual has keys that the sample lacks"


def test_every_command_and_option_is_in_the_manual(page):
    if not page.name.endswith("8"):
        return
    text = rendered(page)
    for command in commands():
        (section,) = re.findall(rf"^   {command}\n(.*?)(?=^   [a-z]+\n|^[A-Z])", text, re.M | re.S)
        for option in options_of(command):
            assert option in section, (command, option)
        assert f"acme-delegate {command}" in section
    for promised in ("SIGHUP", "SIGTERM", "XDG_STATE_HOME", "/etc/acme-delegate/acme-delegate.yaml", "EXIT STATUS"):
        assert promised in text


# ---- completion


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    path = tmp_path_factory.mktemp("bash") / "acme-delegate"
    path.write_text(made("bash"))
    (path.parent / "a-file").write_text("")
    (path.parent / "a-folder").mkdir()

    def complete(*words):
        """What bash offers for the last word."""
        done = subprocess.run(
            ["bash", "--norc", "-c", '. ./acme-delegate; COMP_WORDS=(acme-delegate "$@"); COMP_CWORD=$#; _acme_delegate; '
             'printf "%s\\n" "${COMPREPLY[@]}"', "bash", *words], cwd=path.parent, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return set(done.stdout.split())

    return complete


def test_bash_completes_commands(bash):
    assert bash("") == {*commands(), "--help", "--version"}
    assert bash("re") == {"restore"}


def test_bash_completes_every_option(bash):
    """Of each command, what its help has; asked for as a person would, with its actions."""
    for command in commands():
        usage = run(command, "--help").stdout.split("\n\n")[0]
        actions = set(re.findall(rf"acme-delegate {command} (?:\[OPTION\.\.\.\] )?([a-z][a-z-]+)", usage))
        offered = bash(command, "--")
        for action in actions:
            assert action in bash(command, action[:2]), (command, action)
            offered |= bash(command, action, "--")
        text = run(command, "--help").stdout
        own = {o for o in options_of(command) if re.search(rf"^ {{2,6}}(-\w, )?{o}\b", text, re.M) or o in usage}
        assert own <= offered, (command, own - offered)


def test_bash_offers_what_goes_together(bash):
    assert "--force" not in bash("key", "rotate", "x", "--") and "--at-once" in bash("key", "rotate", "x", "--")
    assert "--at-once" not in bash("key", "revoke", "x", "--") and "--force" in bash("key", "revoke", "x", "--")
    assert bash("init", "--tls", "") == {"acme", "files", "proxy"}
    assert "posh-acme" in bash("delegate", "add", "--for", "p")
    assert bash("token", "add", "--quota", "") <= {""}


def test_bash_completes_files(bash):
    for words in (["serve", "-c", "a-"], ["config", "check", "a-"], ["restore", "a-"], ["backup", "a-"], ["import", "a-"],
                  ["status", "--config", "a-"]):
        assert bash(*words) == {"a-file", "a-folder"}, words
    assert bash("import", "--tmpdir", "a-") == {"a-folder"}
    assert "acme-dns" in bash("import", "acme")


def test_bash_offers_no_option_that_is_refused(bash):
    """Each offered option without its value is accepted or asks for its value; "unrecognized" would be a lie."""
    for words in (["delegate", "add"], ["delegate", "list"], ["key", "add"], ["key", "rotate"], ["key", "revoke"],
                  ["token", "add"], ["events"], ["import"], ["backup"], ["export"], ["serve"], ["init"]):
        for option in bash(*words, "--"):
            done = run(*words, option, "x", "x", "x", "x", "--help")
            assert "unrecognized" not in done.stderr, (words, option, done.stderr)


def test_zsh_completion_is_sound(tmp_path):
    path = tmp_path / "_acme-delegate"
    path.write_text(made("zsh"))
    assert shutil.which("zsh"), "run scripts/install-deps test"
    subprocess.run(["zsh", "-f", "-n", path], check=True, timeout=20)
    text = path.read_text()
    for command in commands():
        section = re.findall(rf"^\t{command}:[^)]*\)\n(.*?)^\t\t;;", text, re.M | re.S)
        assert section
        for option in options_of(command):
            # Others' options may be named in prose: --tls in that of --certificate is one of the command's own.
            assert any(option in part for part in section), (command, option)
