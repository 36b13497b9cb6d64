"""What people ask, and what keys there are, is in no metric and in no line of a service's log."""

import logging

from perennial.serving.http.keys import AccessKeys

ADDRESS, KEY = "anna.planted@example.org", "a-planted-access-key"


def test_no_metric_and_no_line_of_the_log_holds_an_address_or_a_key(serve, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    served = serve(keys=AccessKeys([KEY]), events_key=KEY.encode())
    client = served.client
    client.headers["Authorization"] = f"Bearer {KEY}"
    (result,) = served.search(f"word3 {ADDRESS}", session_id=ADDRESS)
    click = {"request_id": result["request_id"], "doc_id": ADDRESS, "type": "click"}
    for path, body in (
        ("/search", {"query": ADDRESS * 20}),
        ("/search", {"query": ADDRESS, "k": ADDRESS}),
        ("/search", {"query": [ADDRESS, 3]}),
        ("/search", {ADDRESS: ADDRESS}),
        ("/events", {"events": [click]}),
        ("/events", {"events": [{"request_id": ADDRESS}]}),
        (f"/{ADDRESS}", {}),
    ):
        client.post(path, json=body)
    client.post("/search", content=ADDRESS)
    client.get(f"/{ADDRESS}", params={"query": ADDRESS})
    client.get("/metrics", headers={"Authorization": f"Bearer {ADDRESS}"})
    shown = client.get("/metrics").text + client.get("/releases").text
    assert "perennial_" in shown
    (request,) = served.logged("requests")
    assert ADDRESS in request["query"]  # the live log has it, and no one else
    said = "".join(capfd.readouterr())
    ours = [each for each in caplog.records if not each.name.startswith("http")]  # the client's
    said += "".join(each.getMessage() + (each.exc_text or "") for each in ours)
    for secret in (ADDRESS, "anna.planted", KEY):
        assert secret not in shown and secret not in said
