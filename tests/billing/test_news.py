"""What buyers and their programs are told of orders and money."""

from tests.billing.shop import Shop


def told(heard, prefix):
    return {item.name: item for item in heard if item.name.startswith(prefix)}


def settled(api):
    while api.deliver():
        pass


def test_a_buyer_is_told_of_the_order_the_payment_and_the_licence(api, heard):
    shop, buyer = Shop(api), api.person()
    made = shop.checkout(buyer, shop.price())
    shop.decide(made, "approve")
    settled(api)
    orders, payments = told(heard, "order."), told(heard, "payment.")
    assert set(orders) == {"order.created", "order.paid"}
    assert {item.users for item in [*orders.values(), *payments.values()]} == {(buyer.id,)}
    assert orders["order.paid"].data == {
        "order_id": made["order_id"],
        "user_id": str(buyer.id),
        "status": "paid",
        "amount": 5900,
        "currency": "USD",
    }
    assert payments["payment.paid"].data["amount"] == 5900
    assert [item.users for item in heard if item.name in {"license.issued", "license.fulfilled"}] == [
        (buyer.id,)
    ]


def test_what_is_given_back_is_told_with_its_amount(api, heard):
    shop, buyer = Shop(api), api.person()
    made = shop.checkout(buyer, shop.price())
    shop.decide(made, "approve")
    settled(api)
    heard.clear()
    refund = {"reason": "Bought by mistake.", "amount": 1900}
    done = api.post(f"/billing/orders/{made['order_id']}/refund", refund, by=shop.admin)
    assert done.status_code in {200, 201, 202}, done.json
    settled(api)
    (item,) = told(heard, "payment.").values()
    assert (item.name, item.users) == ("payment.refunded", (buyer.id,))
    assert (item.data["amount"], item.data["currency"]) == (1900, "USD")
    assert item.data["refund_id"]


def test_a_subscription_is_told_with_its_period(api, heard):
    shop, buyer = Shop(api), api.person()
    made = shop.checkout(buyer, shop.price(interval="month"))
    shop.decide(made, "approve")
    settled(api)
    item = told(heard, "subscription.")["subscription.changed"]
    assert item.users == (buyer.id,)
    assert item.data["subscription_status"] == "active"
    assert item.data["current_period_end"].endswith("Z")
