"""Countries, states and towns as the shop numbers them; postcodes are real ones of their towns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class Country:
    """A country of the shop; `usd` is what one dollar is worth there and `tax` the rate on goods."""

    id: int
    name: str
    two: str
    three: str
    numeric: int
    currency: str
    usd: Decimal
    places: int
    tax: Decimal
    vat: bool

    def money(self, dollars: Decimal) -> Decimal:
        """Return an amount in this country's currency, rounded to its decimal places."""
        return self.round(dollars * self.usd)

    def round(self, amount: Decimal) -> Decimal:
        """Return the amount with as many decimal places as the currency has."""
        return amount.quantize(Decimal(1).scaleb(-self.places))


@dataclass(frozen=True, slots=True)
class Town:
    """A town with streets to live in; `state` is its state's id in the shop."""

    country: str
    name: str
    zip: str
    state: int | None
    streets: tuple[str, ...]


EUR: Final = Decimal("0.92")
COUNTRIES: Final = (
    Country(237, "United States of America", "US", "USA", 840, "USD", Decimal(1), 2, Decimal("0.0825"), vat=False),
    Country(82, "Germany", "DE", "DEU", 276, "EUR", EUR, 2, Decimal("0.19"), vat=True),
    Country(75, "France", "FR", "FRA", 250, "EUR", EUR, 2, Decimal("0.20"), vat=True),
    Country(209, "Spain", "ES", "ESP", 724, "EUR", EUR, 2, Decimal("0.21"), vat=True),
    Country(236, "United Kingdom", "GB", "GBR", 826, "GBP", Decimal("0.79"), 2, Decimal("0.20"), vat=True),
    Country(112, "Japan", "JP", "JPN", 392, "JPY", Decimal(151), 0, Decimal("0.10"), vat=False),
)
STATES: Final = (
    (40, 237, "California", "CA"),
    (46, 237, "Illinois", "IL"),
    (58, 237, "New York", "NY"),
    (67, 237, "Texas", "TX"),
    (71, 237, "Washington", "WA"),
    (120, 209, "Madrid", "M"),
    (121, 209, "Sevilla", "SE"),
    (130, 112, "Tokyo", "JP-13"),
    (131, 112, "Osaka", "JP-27"),
    (132, 112, "Kyoto", "JP-26"),
)
"""Id, country id, name and abbreviation."""

US_STREETS: Final = ("Market Street", "Lake Avenue", "N. Main St.", "Elm Blvd")
DE_STREETS: Final = ("Goethestraße", "Königsallee", "Am Großen Weg")
FR_STREETS: Final = ("rue de l'Église", "avenue Victor-Hugo")
GB_STREETS: Final = ("High Street", "King's Road", "Canal Walk")
TOWNS: Final = (
    Town("US", "New York", "10001", 58, US_STREETS),
    Town("US", "San Francisco", "94103", 40, US_STREETS),
    Town("US", "Austin", "78701", 67, US_STREETS),
    Town("US", "Chicago", "60601", 46, US_STREETS),
    Town("US", "Seattle", "98101", 71, US_STREETS),
    Town("DE", "Berlin", "10115", None, DE_STREETS),
    Town("DE", "München", "80331", None, DE_STREETS),
    Town("DE", "Köln", "50667", None, DE_STREETS),
    Town("FR", "Paris", "75001", None, FR_STREETS),
    Town("FR", "Lyon", "69002", None, FR_STREETS),
    Town("ES", "Madrid", "28013", 120, ("Calle Mayor", "Calle de Alcalá")),
    Town("ES", "Sevilla", "41001", 121, ("Calle Sierpes", "Calle Zaragoza")),
    Town("GB", "London", "SW1A 1AA", None, GB_STREETS),
    Town("GB", "Manchester", "M1 1AE", None, GB_STREETS),
    Town("GB", "Edinburgh", "EH1 1YZ", None, GB_STREETS),
    Town("JP", "Shibuya-ku", "150-0001", 130, ("Jingumae", "Sendagaya")),
    Town("JP", "Osaka-shi", "530-0001", 131, ("Umeda", "Kita-ku")),
    Town("JP", "Kyoto-shi", "600-8216", 132, ("Shimogyo-ku",)),
)
BY_CODE: Final = {country.two: country for country in COUNTRIES}
