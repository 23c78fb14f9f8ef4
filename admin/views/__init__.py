"""The panel's pages, in the order of the menu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from admin.views.agreements import AgreementsView
from admin.views.audit import AuditView
from admin.views.choices import ChoicesView
from admin.views.customers import CustomersView
from admin.views.envelopes import EnvelopesView
from admin.views.factoring import FactoringView
from admin.views.find import FindView
from admin.views.inbound import InboundView
from admin.views.invoices import InvoicesView
from admin.views.jobs import JobsView
from admin.views.payments import PaymentsView
from admin.views.today import TodayView
from gateway.services.house import House

INDEX = TodayView

VIEWS: tuple[Callable[[House], Any], ...] = (
    InvoicesView,
    PaymentsView,
    CustomersView,
    AgreementsView,
    EnvelopesView,
    InboundView,
    JobsView,
    FactoringView,
    AuditView,
    ChoicesView,
    FindView,
)
