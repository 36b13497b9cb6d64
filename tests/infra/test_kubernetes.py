"""The manifests are what Kubernetes' own schema allows, and name only what is there."""

import re
from pathlib import Path

import pytest
import yaml
from kubernetes_schema import faults_of

from perennial.params.reading import load_params

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
KUSTOMIZATION = yaml.safe_load((INFRA / "kustomization.yaml").read_text(encoding="utf-8"))
FILES = [INFRA / name for name in KUSTOMIZATION["resources"]]
MANIFESTS = [
    each for path in FILES for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
CONTROLLERS = [each for each in MANIFESTS if "template" in each.get("spec", {})]
RESTRICTED = {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}


def pod_of(controller):
    return controller["spec"]["template"]["spec"]


def given(controller):
    """The names of the Secrets whose contents a pod has, and of the variables that it names."""
    (container,) = pod_of(controller)["containers"]
    sources = [each.get("secretRef", {}) for each in container.get("envFrom", [])]
    sources += [each.get("secret", {}) for each in pod_of(controller)["volumes"]]
    names = [each.get("name", each.get("secretName")) for each in sources]
    return {*filter(None, names)}, {each["name"] for each in container.get("env", [])}


def named(kind):
    return {each["metadata"]["name"]: each for each in MANIFESTS if each["kind"] == kind}


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_kubernetes_allows_each_manifest(manifest):
    assert faults_of(manifest) == []


def test_a_wrong_manifest_is_seen():
    deployment = yaml.safe_dump(named("Deployment")["search"])

    def broken(change):
        copy = yaml.safe_load(deployment)
        change(copy["spec"], pod_of(copy)["containers"][0])
        return [fault.removeprefix("Deployment.spec.") for fault in faults_of(copy)]

    assert broken(lambda spec, container: None) == []
    assert broken(lambda spec, container: spec.update(replica=3)) == ["replica: unknown"]
    assert broken(lambda spec, container: spec.update(replicas="3")) == ["replicas: '3' is no int"]
    assert len(broken(lambda spec, container: spec.pop("selector"))) == 1
    assert len(broken(lambda spec, container: container.pop("name"))) == 1
    assert len(broken(lambda spec, container: container["env"].append("A=b"))) == 1
    probe = "readinessProbe"
    assert len(broken(lambda spec, container: container[probe]["httpGet"].update(url="/"))) == 1


@pytest.mark.parametrize("controller", CONTROLLERS, ids=lambda each: each["metadata"]["name"])
def test_each_pod_is_nobody_special_and_says_how_it_is(controller):
    pod = pod_of(controller)
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    for volume in pod["volumes"]:
        assert volume.keys() - {"name"} <= RESTRICTED  # what the namespace's label allows
    claims = controller["spec"].get("volumeClaimTemplates", [])
    volumes = {each["name"] for each in pod["volumes"]} | {
        each["metadata"]["name"] for each in claims
    }
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert re.search(r":v?\d+\.\d+", container["image"])
        assert container["resources"]["limits"]["memory"]
        assert {each["name"] for each in container["volumeMounts"]} <= volumes
        if controller["kind"] != "Job":
            assert {"readinessProbe", "livenessProbe"} <= container.keys()
            ports = {each["containerPort"] for each in container["ports"]}
            for probe in ("readinessProbe", "livenessProbe"):
                assert container[probe].get("httpGet", {"port": max(ports)})["port"] in ports


def test_only_training_asks_for_a_gpu_and_only_where_one_is():
    asks = {}
    for controller in CONTROLLERS:
        (container,) = pod_of(controller)["containers"]
        if "nvidia.com/gpu" in container["resources"]["limits"]:
            asks[controller["metadata"]["name"]] = pod_of(controller)
    assert list(asks) == ["trainer"]
    assert asks["trainer"]["nodeSelector"] and asks["trainer"]["tolerations"]


def test_selectors_claims_maps_and_addresses_lead_somewhere():
    labels = {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
        for each in CONTROLLERS
    }
    said = yaml.safe_dump_all(MANIFESTS)
    for kind in ("Service", "PodDisruptionBudget"):
        for each in named(kind).values():
            selector = each["spec"]["selector"]
            assert selector.get("matchLabels", selector)["app.kubernetes.io/name"] in labels
    for budget in named("PodDisruptionBudget").values():
        assert "minAvailable" in budget["spec"] or budget["spec"]["maxUnavailable"] == 0
    maps = named("ConfigMap").keys() | {
        each["name"] for each in KUSTOMIZATION["configMapGenerator"]
    }
    assert set(re.findall(r"configMap:\n +name: (\S+)", said)) <= maps
    assert set(re.findall(r"configMapRef:\n +name: (\S+)", said)) <= maps
    assert set(re.findall(r"claimName: (\S+)", said)) == named("PersistentVolumeClaim").keys()
    settings = (INFRA / "kubernetes" / "settings.yaml").read_text(encoding="utf-8")
    secrets = set(re.findall(r"secret(?:Ref|KeyRef):\n(?: +key: \S+\n)? +name: (\S+)", said))
    secrets |= set(re.findall(r"secretName: (\S+)", said))
    assert secrets == set(re.findall(r"^#   (perennial-\S+) ", settings, re.MULTILINE))
    services = named("Service")
    for host, port in re.findall(r"(?:@|//)([a-z]+):(\d+)", said):
        if host not in ("127.0.0.1", "localhost"):
            assert services[host]["spec"]["ports"][0]["port"] == int(port), host
    for each in KUSTOMIZATION["configMapGenerator"]:
        assert all((INFRA / name).is_file() for name in each["files"])


def test_a_key_is_given_to_nobody_but_whom_it_is_for():
    secrets = {each["metadata"]["name"]: given(each)[0] for each in CONTROLLERS}

    def who_has(secret):
        return {name for name, names in secrets.items() if secret in names}

    assert who_has("perennial-signing") == {"search", "worker", "trainer"}
    assert who_has("perennial-pipeline") == {"worker", "trainer"}
    assert who_has("perennial-mlflow") == {"mlflow"}
    holders = {"search", "worker", "trainer", "mlflow", "store-init", "seaweedfs"}
    assert who_has("perennial-store") == holders
    receiver = named("Deployment")["receiver"]  # it listens to others
    expected = {"PREFECT_API_URL", "PERENNIAL_WEBHOOK_SECRETS_FILE"}
    assert given(receiver) == ({"perennial-webhooks"}, expected)
    assert "envFrom" not in pod_of(receiver)["containers"][0]

    def values_of(policy):
        return set(re.findall(r"- (\S+)$", yaml.safe_dump(policy["spec"]), re.MULTILINE))

    policies = named("NetworkPolicy")
    assert holders - {"seaweedfs"} <= values_of(policies["seaweedfs"])
    assert "receiver" not in values_of(policies["seaweedfs"])
    assert holders - {"seaweedfs"} <= values_of(policies["outwards"])  # where the bucket is real


def test_a_replica_that_answers_nobody_is_seen_and_one_that_ends_is_asked_no_more():
    search, deployment = named("Service")["search"]["spec"], named("Deployment")["search"]["spec"]
    assert search["clusterIP"] == "None" and search["publishNotReadyAddresses"]
    assert "publishNotReadyAddresses" not in named("Service")["search-balanced"]["spec"]
    assert "replicas" not in deployment  # the autoscaler's; applying it again would set it back
    pod = deployment["template"]["spec"]
    sleep = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    serve = load_params(ROOT / "params.yaml").serve
    drain = serve.unready_seconds + serve.drain_seconds
    assert sleep > 0 and sleep + drain < pod["terminationGracePeriodSeconds"]
    assert all(job["spec"]["ttlSecondsAfterFinished"] for job in named("Job").values())


def test_nobody_reaches_a_server_but_whom_a_policy_names():
    policies = named("NetworkPolicy")
    everybody = policies["nobody"]["spec"]
    assert everybody["podSelector"] == {} and "ingress" not in everybody
    labels = {each["metadata"]["name"] for each in CONTROLLERS}
    for name, service in named("Service").items():
        if name in ("grafana", "search-balanced"):  # a person's port-forward; the pods of search
            continue
        (rule,) = policies[name]["spec"]["ingress"]
        assert rule["ports"] == [{"port": service["spec"]["ports"][0]["port"]}]
        for source in rule["from"]:
            for term in source.get("podSelector", {}).get("matchExpressions", []):
                assert set(term["values"]) <= labels
