"""What alerts and dashboards ask for is what the service says of itself, name by name."""

import re

from prometheus_client.parser import text_string_to_metric_families
from watched import asked, grouped

from perennial.serving.http.keys import AccessKeys

PROMETHEUS_OWN = {"up", "ALERTS"}


def test_alerts_and_dashboards_ask_only_for_what_the_service_says(serve, roll_out, newer):
    key = "a-long-key-of-the-house"
    served = serve(keys=AccessKeys([key]))
    assert served.client.get("/metrics").status_code == 401
    roll_out(newer, share=0.0)
    served.searcher.refresh()
    served.client.headers["Authorization"] = f"Bearer {key}"
    served.search(["word7", "nothingthatisknown"])
    said: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(served.client.get("/metrics").text):
        for sample in family.samples:
            labels = said.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    wanted = {name: labels for name, labels in asked().items() if name not in PROMETHEUS_OWN}
    assert wanted.keys() <= said.keys()
    for name, labels in wanted.items():
        assert labels.keys() <= said[name].keys(), name
        for label in labels.keys() - {"channel", "status"}:
            assert labels[label] <= said[name][label], (name, label)
    statuses = wanted["perennial_errors_total"]["status"]
    assert all(re.fullmatch(r"[45](\d\d|\.\.)|candidate", each) for each in statuses)
    known = {label for labels in said.values() for label in labels}
    assert grouped() <= known | {"instance"}  # which Prometheus adds
    # What the service says and nobody looks at would be said for nothing.
    unseen = {name.removesuffix("_created") for name in said} - wanted.keys()
    assert {name for name in unseen if not name.endswith(("_bucket", "_count", "_sum"))} <= {
        "perennial_search_seconds",
        *(name.removesuffix("_total") for name in wanted),
    }
