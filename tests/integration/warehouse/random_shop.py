"""Random shops: every event type, over days, delivered late, twice, out of order, under retried keys."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lake_writer import Event

START = datetime(2026, 11, 14, tzinfo=UTC)
PRODUCTS = ("p1", "p2", "p3")
TIES = {"cart_id", "order_id", "payment_id"}
Deliveries = dict[str, list[Event]]


def deliveries(seed: int, sessions: int = 60, days: int = 10) -> Deliveries:
    """Return what a shop sent, by the time at which it was received (one delivery per hour of receipt)."""
    shop = _Shop(random.Random(seed), days)
    for number in range(sessions):
        shop.visit(number)
    shop.catalogue()
    for number in range(sessions):
        shop.campaigns(number)
    for number in range(sessions // 4):
        shop.subscription(number)
    for _ in range(3 * sessions):
        shop.stock()
    for number in range(sessions // 2):
        shop.oversight(number)
    for number in range(sessions):
        shop.parcel(number)
    for number in range(sessions // 3):
        shop.device(number)
    return delivered(shop.rng, shop.events)


class _Shop:
    def __init__(self, rng: random.Random, days: int) -> None:
        self.rng = rng
        self.days = days
        self.events: list[Event] = []

    def add(
        self, moment: datetime, event_type: str, payload: dict[str, object], **envelope: str | None
    ) -> None:
        number = len(self.events)
        self.events.append(
            Event(
                event_id=f"e{self.rng.randrange(10**9):09d}-{number}",
                occurred_at=f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}",
                event_type=event_type,
                payload=payload,
                idempotency_key=f"k{number}" if self.rng.random() < 0.5 else None,
                **envelope,  # type: ignore[arg-type]
            )
        )

    def visit(self, number: int) -> None:
        """One session: it may cross midnight, end anywhere, and an order or refund may follow days later."""
        rng = self.rng
        moment = START + timedelta(seconds=rng.randrange(self.days * 86400))
        who = {
            "tenant_id": rng.choice(("t1", "t2")),
            "user_key": rng.choice((None, "u1", "u2", "u3", "u4")),
            "session_id": rng.choice((None, f"s{number}", f"s{number}", f"s{number}", f"s{number // 7}")),
        }
        currency = rng.choice(("EUR", "USD"))
        cart, order, payment = f"c{number}", f"o{number}", f"pay{number}"

        def later(seconds: int = 7200) -> datetime:
            nonlocal moment
            moment += timedelta(milliseconds=rng.randrange(seconds * 1000))
            return moment

        product = rng.choice(PRODUCTS)
        steps = rng.randrange(1, 9)
        if rng.random() < 0.7:
            results = rng.choice((0, 5))
            self.add(
                later(60),
                "SEARCH",
                {"search_id": f"q{number}", "query": "x", "results_count": results},
                **who,
            )
            clicked = {"search_id": f"q{number}", "product_id": product, "position": 1}
            self.add(later(60), "SEARCH_RESULT_CLICKED", clicked, **who)
        seen = {
            "product_id": product,
            "price": 3,
            "currency": currency,
            "channel": rng.choice((None, "web", "app")),
        }
        self.add(later(), "PRODUCT_VIEWED", seen, **who)
        if steps > 2:
            self.add(later(60), "CART_CREATED", {"cart_id": cart}, **who)
            line = {
                "cart_id": cart,
                "product_id": product,
                "quantity": 2,
                "unit_price": 1.5,
                "currency": currency,
            }
            self.add(
                later(), rng.choice(("CART_ITEM_ADDED", "CART_ITEM_ADDED", "CART_ITEM_REMOVED")), line, **who
            )
        if steps > 3:
            self.add(later(), "CHECKOUT_STARTED", {"cart_id": cart, "amount": 3, "currency": currency}, **who)
        if steps > 4:
            moment += timedelta(hours=rng.choice((0, 0, 24, 71, 73)))
            placed = {
                "order_id": order,
                "cart_id": cart,
                "amount": rng.randrange(10**6) / 10**4,
                "currency": currency,
                "promotion_code": rng.choice((None, "A", "B")),
            }
            items = [
                {"product_id": p, "quantity": rng.randrange(1, 4), "unit_price": 1.25}
                for p in rng.sample(PRODUCTS, rng.randrange(1, 3))
            ]
            for _ in range(rng.choice((1, 1, 1, 2))):
                self.add(later(), "ORDER_PLACED", placed | {"items": items}, **who, order_id=order)
        if steps > 5:
            paid = {"payment_id": payment, "order_id": order, "amount": 10, "currency": currency}
            paid |= {"gateway": rng.choice(("g1", "g2")), "method": "card"}
            for event_type in rng.sample(
                ("PAYMENT_FAILED", "PAYMENT_CAPTURED", "PAYMENT_CAPTURED"), rng.randrange(1, 4)
            ):
                answer = {
                    "latency_ms": rng.randrange(900),
                    "risk_score": rng.choice((None, 0.1, 0.3, 0.69, 0.7)),
                }
                self.add(later(), event_type, paid | answer, **who, order_id=order)
        if steps > 6:
            for refund in range(rng.randrange(1, 4)):
                moment += timedelta(hours=rng.choice((1, 20, 30)))
                back = {"refund_id": f"r{number}-{refund}", "payment_id": payment, "order_id": order}
                back |= {"amount": 5, "currency": currency, "reason": "late"}
                self.add(later(), "REFUND_ISSUED", back, tenant_id=who["tenant_id"], order_id=order)
        if steps > 7:
            claim = {
                "payment_id": payment,
                "order_id": order,
                "amount": 10,
                "currency": currency,
                "reason": "fraud",
            }
            self.add(later(), "CHARGEBACK_OPENED", claim, tenant_id=who["tenant_id"], order_id=order)
            self.add(later(), "ORDER_CANCELLED", {"order_id": order, "reason": "late"}, **who, order_id=order)

    def catalogue(self) -> None:
        for number in range(12):
            moment = START + timedelta(seconds=self.rng.randrange(self.days * 86400))
            state = {
                "product_id": self.rng.choice(PRODUCTS),
                "name": "n",
                "category": self.rng.choice(("a", "b")),
            }
            state |= {"brand": "b", "is_patch": False, "unit_cost": self.rng.choice((1, 2))}
            self.add(moment, "PRODUCT_UPSERTED", state, user_key=None)
            who = {"user_key": self.rng.choice(("u1", "u2"))}
            if number % 2:
                self.add(moment, "USER_REGISTERED", {"region": "r", "city": "c", "channel": "web"}, **who)
            else:
                decided = {"purpose": "marketing", "granted": self.rng.random() < 0.5}
                self.add(moment, "CONSENT_CHANGED", decided, **who)

    def oversight(self, number: int) -> None:
        """An access to personal data; a request for a copy, sent once or twice, and its answer within days."""
        rng = self.rng
        moment = START + timedelta(seconds=rng.randrange(self.days * 86400))
        tenant = {"tenant_id": rng.choice(("t1", "t2")), "user_key": None}
        access = {
            "actor": "a",
            "action": "read",
            "resource": "orders",
            "purpose": rng.choice(("support", "billing")),
        }
        self.add(
            moment, "COMPLIANCE_AUDIT", access | {"outcome": rng.choice(("allowed", "denied"))}, **tenant
        )
        request = {"request_id": f"g{number // 2}"}
        self.add(moment, "GDPR_EXPORT_REQUESTED", request, **tenant)
        if rng.random() < 0.7:
            answered = moment + timedelta(hours=rng.choice((1, 30, 100)))
            self.add(answered, "GDPR_EXPORT_COMPLETED", request, **tenant)

    def campaigns(self, number: int) -> None:
        """What is shown around a visit, and what comes of it up to two days later, before it or never."""
        rng = self.rng
        moment = START + timedelta(seconds=rng.randrange(self.days * 86400))
        who = {
            "tenant_id": rng.choice(("t1", "t2")),
            "session_id": rng.choice((None, f"s{number}", f"s{number // 7}")),
        }

        def within(hours: int) -> datetime:
            return moment + timedelta(hours=rng.randrange(-hours, hours), milliseconds=rng.randrange(1000))

        product = {"recommendation_id": f"r{number // 2}", "product_id": rng.choice(PRODUCTS), "position": 1}
        product |= {"campaign": rng.choice((None, "c1", "c2"))}
        for event_type in rng.sample(("SHOWN", "SHOWN", "CLICKED", "CLICKED"), rng.randrange(1, 5)):
            self.add(within(30), f"RECOMMENDATION_{event_type}", product, **who)
        clicked = {
            "search_id": f"q{number}",
            "product_id": rng.choice(PRODUCTS),
            "position": rng.randrange(1, 8),
        }
        self.add(within(30), "SEARCH_RESULT_CLICKED", clicked, **who)
        self.add(within(30), "PROMOTION_SHOWN", {"promotion_code": rng.choice(("A", "B"))}, **who)
        if number % 3 == 0:
            credit = {"affiliate_id": rng.choice(("f1", "f2")), "order_id": f"o{number}", "commission": 1.5}
            credit |= {"currency": rng.choice(("EUR", "USD"))}
            for _ in range(rng.choice((1, 2))):
                self.add(
                    within(60),
                    "AFFILIATE_ATTRIBUTED",
                    credit,
                    tenant_id=who["tenant_id"],
                    order_id=f"o{number}",
                )
            points = {"points": rng.randrange(1, 99), "campaign": rng.choice((None, "c1"))}
            self.add(within(30), f"LOYALTY_POINTS_{rng.choice(('EARNED', 'REDEEMED'))}", points, **who)

    def device(self, number: int) -> None:
        """A device that is activated, updated and prescribed at any time, before, while and after it is used."""
        rng = self.rng
        who = {
            "tenant_id": rng.choice(("t1", "t2")),
            "device_id": rng.choice((None, f"d{number // 2}", "d0")),
        }

        def within(days: int) -> datetime:
            return START + timedelta(seconds=rng.randrange(days * 86400))

        firmware = {"firmware_version": rng.choice(("1.0", "1.1"))}
        if rng.random() < 0.7:
            kind = {"device_type": rng.choice(("pump", "sensor")), "batch_id": rng.choice(("b1", "b2"))}
            self.add(within(self.days), "DEVICE_ACTIVATED", kind | firmware, **who)
        if rng.random() < 0.5:
            self.add(
                within(self.days), "FIRMWARE_UPDATED", {"from": "1.0", "to": rng.choice(("1.1", "2"))}, **who
            )
        for _ in range(rng.randrange(3)):
            first_day = within(self.days) + timedelta(days=rng.randrange(-20, 20))
            therapy = {"prescription_id": f"rx{number // 2}", "starts_on": f"{first_day:%Y-%m-%d}"}
            therapy |= {"prescribed_days": rng.choice((1, 5, 30))}
            self.add(within(self.days), "PRESCRIPTION_ASSIGNED", therapy, **who)
        for _ in range(rng.randrange(12)):
            moment = within(self.days)
            read = {"sensor": "s", "unit": "u", "value": rng.choice((1, 1.5, 2, 2.25, 40))}
            self.add(moment, "SENSOR_READING", read, **who)
            patch = {"patch_id": "p", "batch_id": "b1", "valid": rng.random() < 0.6, "wear_minutes": 60}
            self.add(moment + timedelta(hours=9), "PATCH_APPLIED", patch, **who)
            dose = {"dose_id": "d", "prescribed_mg": 1, "delivered_mg": 1, "success": rng.random() < 0.9}
            self.add(moment, "DOSE_DELIVERED", dose, **who)
        if rng.random() < 0.4:
            harm = {"severity": rng.choice((None, "mild", "fatal")), "code": "c", "batch_id": "b1"}
            self.add(within(self.days), "ADVERSE_EVENT_REPORTED", harm, **who)

    def subscription(self, number: int) -> None:
        """Over four months a subscription begins, renews, changes and ends in any order, some of it late."""
        rng = self.rng
        tenant = rng.choice(("t1", "t2"))
        currency = rng.choice(("EUR", "USD"))
        for _ in range(rng.randrange(1, 7)):
            moment = START + timedelta(seconds=rng.randrange(110 * 86400))
            plan = {"plan": rng.choice(("basic", "basic", "plus")), "period": rng.choice(("month", "year"))}
            terms = {"subscription_id": f"sub{number}", "amount": rng.choice((10, 299)), "currency": currency}
            event_type = rng.choice(("STARTED", "STARTED", "RENEWED", "CANCELLED", "CANCELLED"))
            self.add(moment, f"SUBSCRIPTION_{event_type}", plan | terms, tenant_id=tenant)

    def stock(self) -> None:
        """Goods move over a hundred days; what windows look back on is partly behind them, partly before."""
        rng = self.rng
        moment = START + timedelta(seconds=rng.randrange((self.days - 100) * 86400, self.days * 86400))
        house, other = rng.sample(("w1", "w2", "w3"), 2)
        batch = {"product_id": rng.choice(PRODUCTS), "batch_id": rng.choice(("b1", "b2", "b3"))}
        order = f"o{rng.randrange(60)}"
        kind, payload = rng.choice(
            (
                (
                    "STOCK_RECEIVED",
                    {"warehouse_id": house, "quantity": rng.randint(1, 90), "unit_cost": 3.3333},
                ),
                (
                    "STOCK_SHIPPED",
                    {"warehouse_id": house, "quantity": 9, "unit_cost": 3.1, "order_id": order},
                ),
                (
                    "STOCK_SHIPPED",
                    {"warehouse_id": house, "quantity": 2, "unit_cost": 2.5, "order_id": order},
                ),
                (
                    "STOCK_ADJUSTED",
                    {"warehouse_id": house, "delta": rng.randint(-5, 5), "reason": "shrinkage"},
                ),
                ("STOCK_ADJUSTED", {"warehouse_id": house, "delta": rng.randint(-5, 5), "reason": "return"}),
                ("STOCK_TRANSFERRED", {"from": house, "to": other, "quantity": rng.randint(1, 9)}),
                ("REORDER_THRESHOLD_SET", {"warehouse_id": house, "threshold": rng.randint(0, 40)}),
                ("BATCH_RECALLED", {"reason": "leak"} if rng.random() < 0.2 else {}),
            )
        )
        if payload:
            order_id = payload.get("order_id")
            tenant = rng.choice(("t1", "t2"))
            self.add(moment, kind, batch | payload, tenant_id=tenant, order_id=order_id, user_key=None)

    def parcel(self, number: int) -> None:
        """What becomes of a parcel, in any order, parts of it missing or told twice; items come back or do not."""
        rng = self.rng
        begun = START + timedelta(seconds=rng.randrange(self.days * 86400))
        tenant = rng.choice(("t1", "t2"))
        parcel, order = {"shipment_id": f"shp{number}"}, f"o{rng.randrange(60)}"

        def moment() -> datetime:
            return begun + timedelta(milliseconds=rng.randrange(5 * 86400 * 1000))

        def said(event_type: str, **fields: object) -> None:
            order_id = fields.get("order_id")
            self.add(
                moment(),
                event_type,
                {**parcel, **fields},
                tenant_id=tenant,
                user_key=None,
                order_id=str(order_id) if order_id else None,
            )

        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            place = {"region": rng.choice(("r1", "r2")), "city": "c", "warehouse_id": "w1", "carrier": "x"}
            said("SHIPMENT_CREATED", order_id=order, eta=f"{moment():%Y-%m-%dT%H:00:00Z}", **place)
        for _ in range(rng.randrange(3)):
            said("ETA_REVISED", eta=f"{moment():%Y-%m-%dT%H:00:00+02:00}")
        for attempt in range(rng.randrange(4)):
            said("DELIVERY_ATTEMPTED", attempt=attempt + 1, success=rng.random() < 0.5)
        for _ in range(rng.choice((0, 1, 1, 2))):
            said("SHIPMENT_DELIVERED", delivered_at=f"{moment():%Y-%m-%dT%H:%M:%SZ}")
        if rng.random() < 0.2:
            said("SHIPMENT_RETURNED_TO_ORIGIN", reason="refused")
        if rng.random() < 0.4:
            parcel = {}
            said("RETURN_RECEIVED", order_id=order, product_id="p1", quantity=rng.randrange(1, 3), reason="x")


def delivered(rng: random.Random, events: list[Event]) -> Deliveries:
    """Every event once, many up to two days late, some again, some under another id and time."""
    found: Deliveries = {}
    for number, event in enumerate(events):
        copies = [event]
        if rng.random() < 0.3:
            copies.append(event)
        if event.idempotency_key and rng.random() < 0.3:
            moment = datetime.fromisoformat(event.occurred_at) + timedelta(hours=rng.randrange(-30, 30))
            again = f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"
            copies.append(replace(event, event_id=f"retry-{number}", occurred_at=again))
        # What no session or cart ties to other dates comes very late: it restates its own date, long after the
        # dates whose events that date's carts and orders need were rebuilt.
        is_tied = event.session_id or TIES & event.payload.keys()
        slack = (1, 60, 3600, 86400, 2 * 86400) if is_tied else (3600, 10 * 86400)
        for copy in copies:
            lateness = timedelta(seconds=rng.choice(slack) * rng.random())
            received = datetime.fromisoformat(event.occurred_at) + lateness + timedelta(hours=31)
            found.setdefault(f"{received:%Y-%m-%d %H}:30", []).append(copy)
    return found
