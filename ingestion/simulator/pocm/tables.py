"""The simulated commerce world: tenants, catalogue, vocabulary and rates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tenant:
    """A provider that sells in the shop."""

    tenant_id: str
    code: str
    """Short prefix of the tenant's ids."""
    visits_per_day: int
    """Mean visits on an average weekday at scale 1."""
    users: int
    """Registered users before the first day, at scale 1."""
    currencies: tuple[tuple[str, float, float], ...]
    """(currency, share of visits, price level against the catalogue's euro prices)."""
    utc_offset_hours: int
    """Where the tenant's customers live, and how its ledger writes times."""
    regions: tuple[tuple[str, str], ...]
    """(region, city)."""
    gateways: tuple[tuple[str, float], ...]
    """(gateway, share of payments)."""
    methods: tuple[tuple[str, float], ...]
    products: tuple[str, ...]


@dataclass(frozen=True)
class Product:
    """An article of the catalogue; prices in euro."""

    product_id: str
    name: str
    category: str
    brand: str
    is_patch: bool
    price: float
    unit_cost: float


PRODUCTS = (
    Product("prd-cgm-patch", "Glucose patch 14 days", "sensor patches", "Glyra", True, 54.90, 21.4375),
    Product("prd-ecg-patch", "ECG patch 7 days", "sensor patches", "Corva", True, 89.00, 38.2),
    Product("prd-ins-pod", "Insulin pod, 5 pieces", "drug delivery", "Glyra", True, 129.50, 61.905),
    Product(
        "prd-pen-needle", "Pen needles 4 mm, 100 pieces", "drug delivery", "Fineline", False, 17.95, 4.1125
    ),
    Product("prd-bp-cuff", "Blood pressure cuff, upper arm", "monitors", "Corva", False, 64.00, 27.3),
    Product("prd-oximeter", "Fingertip oximeter", "monitors", "Oxibel", False, 39.90, 11.75),
    Product("prd-thermo", 'Ear thermometer "Quick"', "monitors", "Oxibel", False, 44.50, 14.2),
    Product("prd-scale", "Body composition scale", "monitors", "Leva", False, 79.90, 33.6),
    Product("prd-neb", "Mesh nebuliser", "respiratory", "Aeris", False, 149.00, 72.15),
    Product("prd-spacer", "Inhaler spacer, child", "respiratory", "Aeris", False, 12.40, 2.9),
    Product("prd-cpap-mask", "CPAP nasal mask, M", "respiratory", "Somna", False, 98.70, 41.05),
    Product("prd-cpap-hose", "Heated hose 1.8 m", "respiratory", "Somna", False, 36.20, 9.8),
    Product("prd-strip-50", "Test strips, 50 pieces", "consumables", "Glyra", False, 24.99, 7.3333),
    Product("prd-lancet", "Lancets 30G, 200 pieces", "consumables", "Fineline", False, 9.95, 1.85),
    Product("prd-adhesive", "Skin adhesive wipes", "consumables", "Fineline", False, 7.49, 1.1),
    Product("prd-charger", "Charging cradle", "accessories", "Leva", False, 29.00, 8.4),
)

PRODUCT_CHANGES = (
    ("prd-adhesive", {"category": "skin care"}),
    ("prd-cgm-patch", {"unit_cost": 20.815}),
    ("prd-charger", {"name": "Charging cradle, USB-C", "brand": "Leva Home"}),
)
"""Catalogue changes at the middle of the simulated period."""

WAREHOUSES = (("wh-1", 0), ("wh-2", 2))
"""(warehouse, index of its place in the tenant's regions)."""

TENANTS = (
    Tenant(
        tenant_id="alpenmed",
        code="alp",
        visits_per_day=640,
        users=1500,
        currencies=(("EUR", 0.78, 1.0), ("CHF", 0.22, 1.08)),
        utc_offset_hours=1,
        regions=(("Bayern", "München"), ("Tirol", "Innsbruck"), ("Zürich", "Zürich"), ("Bern", "Bern")),
        gateways=(("adyen", 0.55), ("stripe", 0.33), ("datatrans", 0.12)),
        methods=(("card", 0.52), ("invoice", 0.2), ("paypal", 0.2), ("sepa", 0.08)),
        products=tuple(product.product_id for product in PRODUCTS),
    ),
    Tenant(
        tenant_id="brightcare",
        code="brc",
        visits_per_day=230,
        users=420,
        currencies=(("USD", 1.0, 1.15),),
        utc_offset_hours=-5,
        regions=(("New York", "New York"), ("Massachusetts", "Boston"), ("Ohio", "Columbus")),
        gateways=(("stripe", 0.82), ("braintree", 0.18)),
        methods=(("card", 0.78), ("paypal", 0.14), ("hsa_card", 0.08)),
        products=tuple(product.product_id for product in PRODUCTS[:11]),
    ),
)

HOUR_WEIGHTS = (
    1,
    0.6,
    0.4,
    0.3,
    0.3,
    0.6,
    1.6,
    3,
    4.5,
    5.5,
    6,
    6.2,
    6,
    5.4,
    5.2,
    5.3,
    5.6,
    6,
    6.8,
    7.4,
    7.6,
    6.4,
    4.2,
    2.2,
)
"""Visits by local hour."""
WEEKDAY_WEIGHTS = (1.1, 1.08, 1.05, 1.0, 0.95, 0.82, 0.92)
"""Visits by weekday, Monday first."""

CHANNELS = (("web", 0.52), ("mobile", 0.44), ("kiosk", 0.04))
QUERIES = (
    "glucose patch", "cgm", "insulin pod", "blood pressure", "oximeter", "thermometer", "inhaler spacer",
    "cpap mask", "test strips 50", "lancets", "körperwaage", "nébuliseur",
    'needles 4mm 5/32"', "skin adhesive",
    "heated hose", "血糖",
)  # fmt: skip
LOGIN_METHODS = (("password", 0.6), ("passkey", 0.25), ("google", 0.15))
PURPOSES = ("analytics", "marketing", "health_data_processing")
TEMPLATES = ("order_confirmation", "back_in_stock", "reorder_reminder", "newsletter")
NOTIFICATION_CHANNELS = (("email", 0.6), ("push", 0.3), ("sms", 0.1))
PROMOTIONS = ("WELCOME10", "AUTUMN5", "CLINIC15")
AFFILIATES = ("aff-diabetesblog", "aff-sleepwell", "aff-cardioclub")
CANCEL_REASONS = ("changed_mind", "delivery_too_slow", "ordered_by_mistake", "payment_problem")
REFUND_REASONS = ("damaged", "wrong_item", "late_delivery", "goodwill", "order_cancelled")
CHARGEBACK_REASONS = ("fraud", "not_received", "not_as_described")
FAILURE_CODES = ("insufficient_funds", "do_not_honor", "expired_card", "3ds_failed", "gateway_timeout")
FIRST_NAMES = ("Anna", "Lukas", "Zoë", "Mehmet", "Ingrid", "Noah", "Chidi", "María", "Wei", "Siobhán")
LAST_NAMES = ("Huber", "Müller", "O'Neill", "Yilmaz", "Okafor", "Núñez", "Chen", "Smith", "Keller", "Rossi")

RATES = {
    "anonymous": 0.18,
    "new_user": 0.05,
    "login": 0.45,
    "login_failed": 0.08,
    "search": 0.38,
    "zero_results": 0.12,
    "click": 0.62,
    "view_after_click": 0.93,
    "cart_first": 0.04,
    "cart": 0.34,
    "bounce": 0.06,
    "switches_currency": 0.03,
    "adds_unviewed": 0.15,
    "removes_line": 0.12,
    "checkout": 0.6,
    "order": 0.85,
    "recovers_cart": 0.1,
    "headless_order": 0.012,
    "long_pause": 0.01,
    "promotion": 0.15,
    "affiliate": 0.08,
    "never_pays": 0.04,
    "attempt_fails": 0.11,
    "payment_without_session": 0.06,
    "purchase_alias": 0.2,
    "cancelled": 0.04,
    "refunded": 0.07,
    "refund_full": 0.55,
    "refund_partial": 0.3,
    "chargeback": 0.008,
    "consent": 0.03,
    "notified": 0.7,
    "opened": 0.4,
    "placed_again": 0.004,
}
"""Shares of whatever each step acts on: visits, views, carts, orders, payments."""
