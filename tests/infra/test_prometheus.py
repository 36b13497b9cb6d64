"""Alerts and dashboards: they parse, each alert has a runbook, and fires when it should."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from watched import ALERTS, DASHBOARDS, ROOT, panels, promtool, rules

from perennial.params.reading import load_params

PARAMS = load_params(ROOT / "params.yaml")
REQUESTS = 'perennial_search_seconds_count{step="total",channel="p",release="r"}'
WITHIN = 'perennial_search_seconds_bucket{step="total",le="0.2",channel="p",release="r"}'
QUERIES = 'perennial_queries_total{channel="p",release="r"}'
EMPTY = 'perennial_zero_results_total{channel="p",release="r"}'
FAILED = 'perennial_errors_total{channel="p",status="503"}'
UNKNOWN = 'perennial_errors_total{channel="p",status="401"}'
BROKEN = 'perennial_errors_total{channel="p",status="candidate"}'
FOLLOWS = 'perennial_follows_channel{channel="p",instance="%s"}'
CANDIDATE = 'perennial_release_age_seconds{channel="p",release="c",arm="candidate"}'
LOST = 'perennial_log_records_total{instance="a",fate="lost"}'
WAITING = 'perennial_log_waiting{instance="a"}'
FRESH = 'perennial_freshness_seconds{channel="p",release="r",arm="stable",instance="a"}'
FOUND = 'perennial_found_total{channel="p",found="%s"}'
UP = 'up{job="perennial",instance="a"}'
RECEIVER = 'up{job="receiver",instance="a"}'
WELL = {
    UP: "1x200",
    RECEIVER: "1x200",
    REQUESTS: "0+1000x200",
    WITHIN: "0+999x200",
    QUERIES: "0+1000x200",
    EMPTY: "0+10x200",
    FAILED: "0+0x200",
    UNKNOWN: "0+1x200",
    FOUND % "dense": "0+1000x200",
    FOUND % "lexical": "0+10x200",
    FOLLOWS % "a": "1x200",
    FOLLOWS % "b": "1x200",
    LOST: "0x200",
    WAITING: "100x200",
    FRESH: "7200+60x200",
}
BAD = [
    ({}, set()),
    ({FAILED: "0+0.3x200"}, set()),
    ({FAILED: "0+5x200"}, {"PerennialFailsSlow"}),
    ({FAILED: "0+20x200"}, {"PerennialFailsFast", "PerennialFailsSlow"}),
    ({FAILED: "0+20x200", REQUESTS: "", WITHIN: ""}, {"PerennialFailsFast", "PerennialFailsSlow"}),
    ({WITHIN: "0+800x200"}, {"PerennialSlowFast", "PerennialSlowSlow"}),
    ({UP: "0x200"}, {"PerennialDown"}),
    ({RECEIVER: "0x200"}, {"PerennialReceiverDown"}),
    ({FOLLOWS % "a": "0x200"}, {"PerennialReplicaBehind"}),
    ({FOLLOWS % "a": "0x200", FOLLOWS % "b": "0x200"}, {"PerennialStoreUnreachable"}),
    ({BROKEN: "0+1x200"}, {"PerennialCandidateFails"}),
    ({LOST: "0+1x200"}, {"PerennialLogLosesRecords"}),
    ({WAITING: "15000x200"}, {"PerennialLogWaits"}),
    ({FRESH: "200000+60x200"}, {"PerennialIndexStale"}),
    ({UNKNOWN: "0+300x200"}, {"PerennialKeysRefused"}),
    ({EMPTY: "0+100x200"}, {"PerennialEmptyAnswersRise"}),
    ({EMPTY: "0+100x200", QUERIES: "0+2x200"}, set()),  # too few people to tell
    ({FOUND % "lexical": "0+200x200"}, {"PerennialWordsAnswer"}),
]
# Every ten minutes for eight days: people find less each weekend, and it is no alarm.
WEEKS = [
    ("0+2000x1152", set()),
    ("0+100x1100 112000+2000x52", {"PerennialEmptyAnswersRise"}),
]


def scenario(series, interval, at, firing):
    """Firing are (alert, case); a case has the channel p… and the instances a… and b…."""
    found = 'label_replace(ALERTS{alertstate="firing"}, "case", "$1", "channel", "p(.+)")'
    found = f'label_replace({found}, "case", "$1", "instance", "[ab](.+)")'
    samples = [
        {"labels": f'{{alertname="{name}",case="{case}"}}', "value": 1} for name, case in firing
    ]
    expected = {"expr": f"group by (alertname, case) ({found})", "exp_samples": samples}
    return {
        "interval": interval,
        "input_series": [{"series": n, "values": v} for n, v in series.items() if v],
        "promql_expr_test": [expected | {"eval_time": at}],
    }


def numbered(series, case):
    """The series of one case: none shares a channel or an instance with another's."""
    found = {}
    for name, values in series.items():
        name = name.replace('channel="p"', f'channel="p{case}"')
        found[re.sub(r'instance="([ab])"', rf'instance="\g<1>{case}"', name)] = values
    return found


def run(folder, interval, scenarios, *, month=False):
    """Without the alert that looks back over a month of hours, except to test that one."""
    chosen = [
        rule for rule in rules("alert") if (rule["alert"] == "PerennialRolloutStuck") == month
    ]
    groups = [{"name": "all", "rules": [*rules("record"), *chosen]}]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": interval, "tests": scenarios}
    path = folder / f"{interval}.yaml"
    path.write_text(yaml.safe_dump(test), encoding="utf-8")
    command = [promtool(), "test", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_each_alert_fires_for_its_cause_alone(tmp_path):
    assert {n for _, firing in BAD for n in firing} | {"PerennialRolloutStuck"} == {
        rule["alert"] for rule in rules("alert")
    }
    series, firing = {}, []
    for case, (bad, alerts) in enumerate(BAD):
        series |= numbered(WELL | bad, case)
        firing += [(alert, case) for alert in alerts]
    nobody = scenario({WAITING: "0x200"}, "1m", "3h", [("PerennialDown", "")])
    nobody["promql_expr_test"][0]["exp_samples"][0]["labels"] = '{alertname="PerennialDown"}'
    run(tmp_path, "5m", [scenario(series, "1m", "3h", firing), nobody])


@pytest.mark.slow
def test_a_weekend_is_no_alarm_and_a_month_of_one_rollout_is(tmp_path):
    series, firing = {UP: "1x1152"}, []
    for case, (empty, alerts) in enumerate(WEEKS):
        series |= numbered({QUERIES: "0+10000x1152", EMPTY: empty}, case)
        firing += [(alert, case) for alert in alerts]
    run(tmp_path, "30m", [scenario(series, "10m", "190h", firing)])
    month = {UP: "1x800", **numbered({CANDIDATE: "0+3600x800"}, 1)}
    stuck = [("PerennialRolloutStuck", 1)]
    rollouts = [scenario(month, "1h", "700h", []), scenario(month, "1h", "760h", stuck)]
    run(tmp_path, "20h", rollouts, month=True)


def test_promtool_takes_the_rules_the_settings_and_every_query_of_a_dashboard(tmp_path):
    records = [{"record": f"panel:{i}", "expr": expr} for i, (_, expr) in enumerate(panels())]
    boards = tmp_path / "boards.yaml"
    boards.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": records}]}))
    settings = ROOT / "infra" / "prometheus" / "prometheus.yaml"
    for arguments in (
        ["rules", "--lint-fatal", str(ALERTS)],
        ["rules", "--lint-fatal", str(boards)],
        ["config", "--syntax-only", str(settings)],
    ):
        command = [promtool(), "check", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: rule["alert"])
def test_each_alert_says_what_is_wrong_and_has_a_runbook_that_names_it(rule):
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    runbook = ROOT / rule["annotations"]["runbook"]
    assert runbook.parent == ROOT / "infra" / "runbooks"
    assert rule["alert"] in runbook.read_text(encoding="utf-8")


def test_a_runbook_names_only_alerts_that_there_are():
    known = {rule["alert"] for rule in rules("alert")}
    for path in (ROOT / "infra" / "runbooks").glob("*.md"):
        named = set(re.findall(r"`(Perennial[A-Z]\w+)`", path.read_text(encoding="utf-8")))
        assert named <= known, path.name


def test_what_is_recorded_is_what_is_asked():
    recorded = {rule["record"] for rule in rules("record")}
    assert len(recorded) == len(rules("record"))
    expressions = [rule["expr"] for rule in rules("alert")] + [each for _, each in panels()]
    assert set(re.findall(r"\bchannel:\w+:\w+", " ".join(expressions))) == recorded


def test_the_bounds_of_alerts_are_those_of_params():
    text = {rule["alert"]: rule["expr"] for rule in rules("alert")}
    canary = PARAMS.canary
    hours = canary.shadow_max_hours + sum(step.max_hours for step in canary.steps)
    assert f"[{hours + 24:.0f}h:1h]" in text["PerennialRolloutStuck"]
    assert f"> {PARAMS.serve.log_queue // 2}" in text["PerennialLogWaits"]


def test_dashboards_have_names_of_their_own_and_one_data_source():
    provisioned = ROOT / "infra" / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    (source,) = yaml.safe_load(provisioned.read_text(encoding="utf-8"))["datasources"]
    boards = [yaml.safe_load(Path(path).read_text(encoding="utf-8")) for path in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len(boards) == 3
    for board in boards:
        used = {panel["datasource"]["uid"] for panel in board["panels"]}
        assert used == {source["uid"]}
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        linked = {link["url"].rpartition("/")[2] for link in board["links"]}
        assert linked == {other["uid"] for other in boards} - {board["uid"]}
