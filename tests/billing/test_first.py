import re
def test_flow(app, api):
    admin = api.admin()
    policy = api.policy()
    made = api.post("/billing/prices", {"policy_id": str(policy), "amount": 5900, "currency": "usd", "interval": "one_time"}, by=admin)
    assert made.status_code == 201, made.json
    price = made.json["data"]
    assert price["currency"] == "USD" and price["name"] == "pro"
    print(api.get("/billing/pricing").json)
    p = api.person()
    r = api.post("/billing/checkout", {"items": [{"price_id": price["id"], "quantity": 2}]}, by=p)
    assert r.status_code == 201, r.json
    print(r.json, r.headers["Location"])
    url = r.json["data"]["checkout_url"]
    path = url.removeprefix(app.config["PUBLIC_URL"])
    page = api.client.get(path)
    print(page.text, page.headers)
    done = api.client.post(path + "/approve")
    print(done.status_code, done.headers)
    back = api.client.get(done.headers["Location"].removeprefix(app.config["PUBLIC_URL"]))
    print(back.text)
    assert "Thank you" in back.text
