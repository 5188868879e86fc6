from concurrent.futures import ThreadPoolExecutor

from tests.factories import code_of


def test_a_machine_takes_a_seat_and_keeps_it(api):
    license_ = api.license()
    first = api.post("/licenses/activate", {"key": license_.key, "fingerprint": "m1"})
    again = api.post("/licenses/activate", {"key": license_.key, "fingerprint": "m1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json["data"] == again.json["data"]


def test_two_hundred_activations_at_once_leave_exactly_the_limit(api):
    license_ = api.license(policy={"max_machines": 5})

    def activate(number: int) -> int:
        body = {"key": license_.key, "fingerprint": f"machine-{number}"}
        return api.post("/licenses/activate", body).status_code

    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(activate, range(200)))
    assert (codes.count(201), codes.count(409)) == (5, 195)
    admin = api.admin()
    assert api.get(f"/licenses/{license_.id}", by=admin).json["data"]["machine_count"] == 5
    assert api.get(f"/licenses/{license_.id}/machines", by=admin).json["pagination"]["total"] == 5


def test_one_machine_activating_many_times_at_once_takes_one_seat(api):
    license_ = api.license(policy={"max_machines": 2})
    body = {"key": license_.key, "fingerprint": "the-same"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.post("/licenses/activate", body), range(60)))
    codes = [answer.status_code for answer in answers]
    assert codes.count(201) == 1
    assert codes.count(200) == 59
    assert len({answer.json["data"]["id"] for answer in answers}) == 1
    assert api.get(f"/licenses/{license_.id}", by=api.admin()).json["data"]["machine_count"] == 1


def test_a_full_licence_refuses_with_its_limit(api):
    license_ = api.license(policy={"max_machines": 1})
    api.post("/licenses/activate", {"key": license_.key, "fingerprint": "m1"})
    refused = api.post("/licenses/activate", {"key": license_.key, "fingerprint": "m2"})
    assert (refused.status_code, code_of(refused)) == (409, "MACHINE_LIMIT_EXCEEDED")
    assert refused.json["error"]["params"] == {"max_machines": 1}
