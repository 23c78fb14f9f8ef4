"""Where the pages say that every field of the factors' fixed-width files stands, typed from the pages and from nothing else.

Each line of a table is a field: its first and last column counted from 1, what stands there in the golden file, its name.
``0*`` are zeros, nothing is blanks. Run by itself (``python -m tests.plugins.documented_positions``) it names every column of
our golden files that differs.
"""

import sys
from pathlib import Path

from tests.plugins.positions import of_file, page

CORPUS = Path(__file__).parents[1] / "corpus"

# --- SG Finans / Nordea Finance, "Elcon" K9409: factoring-sgfinans.md sections 2 and 3 ---------------------------------

_ITEM = """
1       | {code}      | F1 transaction code
2-5     | 4321        | F2 client number
6-14    | 000020417   | F3 debtor number
15-22   | {number}    | F4 invoice number
23-28   | {dated}     | F5 invoice date
29-34   | {due}       | F6 due date
35-45   | {amount}    | F7 amount
46-50   |             | F8 days, or the invoice credited
51-60   |             | F9 unused
61-75   |             | F10 order number
76-100  | {comment}   | F11 comment
101-104 |             | F12 salesperson
105-111 |             | F13 project
112-114 | NOK         | F14 currency
115-125 | 0*          | F15 currency amount
126-128 |             | F16 unused
"""
K9409_INVOICE = page(
    "K9409 invoice", 128, _ITEM, code="1", number="00061007", dated="261103", due="261117", amount="00009876543",
    comment="Servicebesøk, høst",
)  # fmt: skip
K9409_CREDIT_NOTE = page(
    "K9409 credit note", 128, _ITEM, code="9", number="00061012", dated="261120", due="261120", amount="00000123450",
    comment="Kreditnota til 61007",
)  # fmt: skip
K9409_CUSTOMER = page(
    "K9409 customer",
    254,
    """
1       | K                 | K1 control
2-5     | 9409              | K2 version
6-9     | 4321              | K3 client number
10-18   | 000020417         | K4 debtor number
19-29   | 99999998000       | K5 organisation number, zeros behind it
30-64   | Tindevik Verksted | K6 company
65-84   |                   | K7 first name
85-114  | Industriveien 4   | K8 postal address
115-118 | 6800              | K9 postcode
119-141 | FØRDE             | K10 post place
142-161 |                   | K11 contact
162-173 | 22334455          | K12 telephone
174-193 | NORGE             | K13 country name
194-195 | NO                | K14 country
196-198 | 578               | K15 country, numeric
199-209 |                   | K16 bank account
210-213 |                   | K17 district
214-248 |                   | K18 name 2
249-251 | NOK               | K19 currency
252-254 |                   | K20 unused
""",
)

# --- FactoNor: factoring-others.md section 2 ---------------------------------------------------------------------------

_FACTONOR = """
1-3    | 123       | client number
4-9    | 020417    | customer number
10-15  | {number}  | invoice number
16-21  | {dated}   | invoice date
22-27  | {due}     | due date
28-29  | 0*        | department
30-33  | 0*        | batch number
34-39  | 0*        | batch date
40-41  | {code}    | voucher code
42-52  | {amount}  | amount
53-68  | {kid}     | KID
69-74  | {number}  | reference
75-78  | 0*        | discount percent
79-84  | {due}     | discount due date
85-86  | NO        | country
87-89  | NOK       | currency
90-128 |           | filler
"""
FACTONOR_INVOICE = page(
    "FactoNor invoice", 128, _FACTONOR, code="21", number="061007", dated="261103", due="261117", amount="00009876543",
    kid="1230204170610073",
)  # fmt: skip
FACTONOR_CREDIT_NOTE = page(
    "FactoNor credit note", 128, _FACTONOR, code="22", number="061012", dated="261120", due="261120",
    amount="00000123450", kid="1230204170610123",
)  # fmt: skip

# --- FALL: factoring-fall.md sections 2 to 5 ---------------------------------------------------------------------------

_DIALECTS = {
    "nordea": {"app": "KRFL", "fin": "MR", "seller": "23456780"},
    "op": {"app": "LA01", "fin": "OP", "seller": "23456780"},
    "danske": {"app": "SAFA", "fin": "PR", "seller": "00000000023456780"},
    "aktia": {"app": "AKF1", "fin": "AF", "seller": "00000000023456780"},
}
_BATCH = """
1-4     | {app}    | application code
5       | 0        | record code
6-22    | {seller} | seller's business id
23-28   | 261123   | creation date
29-32   | 1730     | creation time
33-38   | 001234   | agreement number
39-41   | EUR      | currency
42-43   | {fin}    | financier
44-73   | Vuono Oy | sender's name
74-79   | 000012   | number of the transfer list
80-116  |          | filler
117-179 |          | filler
180-400 |          | filler
"""
_OWNER = {  # the customer's number, and its name and address, dialect by dialect
    "op": "12-21   | 81 | customer number",
    "": "12-17   | 000081 | customer number\n18-21   | | filler",
}
_BUYER = """
1-4     | {app}         | application code
5       | 1             | record code
6-11    | 001234        | agreement number
{owner}
22-31   | {id}          | business id
32-61   | {name}        | name
62-91   |               | name 2
92-111  | {street}      | street
112-131 | {town}        | postcode, blank, town
132-144 |               | filler
145-174 |               | filler
175-187 |               | filler
"""
_BUYER_ENDS = {
    "nordea": """188-200 |      | filler
201-202 | FI   | language
203-205 | EUR  | currency
206-209 | 1150 | late interest
210-212 | 0*   | zeros
213-218 | 0*   | zeros
219-228 |      | country, if foreign
229-400 |      | filler""",
    "op": """188-200 |      | filler
201-202 | FI   | language
203-205 | EUR  | currency
206-209 | 0*   | late interest, not used
210-212 | 0*   | zeros
213-218 | 0*   | zeros
219-221 | 001  | seller's contract id
222     | 0    | filler: one zero
223-400 |      | and blanks""",
    "danske": """188-200 |      | filler
201-202 | FI   | language
203-205 | EUR  | currency
206-209 | 1150 | late interest
210-212 | 0*   | zeros
213-218 | 0*   | zeros
219     | 0    | filler: one zero
220-400 |      | and blanks""",
    "aktia": """188-189 | FI   | language
190-192 | EUR  | currency
193-196 | 1150 | late interest
197-199 | 0*   | zeros
200-205 | 0*   | zeros
206-215 |      | country, if foreign
216-387 |      | filler
388-400 |      | filler""",
}
_INVOICE = """
1-4     | {app}      | application code
5       | 3          | record code
6-11    | 001234     | agreement number
{owner}
{numbered}
32-37   | {dated}    | invoice date
38-40   | EUR        | currency
41-46   | {dated}    | value date
47-48   | {code}     | type
49-60   | {amount}   | amount
61-66   | {due}      | due date
67-72   | 0*         | cash discount 1, date
73-78   | 0*         | discount 2, date
79-84   | 0*         | discount 3, date
85-90   | 0*         | discount 4, date
91-96   | {odd}      | discount 5, date
97-102  | {odd}      | discount 6, date
103-114 | 0*         | cash discount 1, amount
115-126 | 0*         | discount 2, amount
127-138 | 0*         | discount 3, amount
139-150 | 0*         | discount 4, amount
151-162 | {odd}      | discount 5, amount
163-174 | {odd}      | discount 6, amount
175     | 0          | discount 1, code
176     | 0          | discount 2, code
177     | 0          | discount 3, code
178     | 0          | discount 4, code
179     | {odd}      | discount 5, code
180     | {odd}      | discount 6, code
181-190 | 0*         | zeros
191-194 | 0*         | VAT, not transferred
{delivered}
281-310 |            | filler
311-323 | {zeros}    | zeros or blanks
324-353 |            | filler
354-359 | 0*         | zeros
{end}
"""
_DELIVERED = """195-224 | {name}     | delivery name
225-230 | 000081     | delivery customer number
231-240 | 0011223344 | delivery business id
241-260 | {street}   | delivery street
261-280 | {town}     | delivery postcode, blank, town"""
_NOT_DELIVERED = """195-224 |    | delivery name
225-230 | 0* | delivery customer number
231-240 | 0* | delivery business id
241-260 |    | delivery street
261-280 |    | delivery postcode, blank, town"""
_INVOICE_ENDS = {
    "nordea": """360-369 |             | delivery country, if foreign
370-372 | 0*          | zeros
373-392 | {reference} | reference number
393-400 |             | filler""",
    "op": """360-362 | 001 | seller's contract id
363-400 |     | filler""",
    "danske": "360-400 | | reserved",
    "aktia": """360-369 | | delivery country, if foreign
370-375 | | Aktia's own buyer number
376-400 | | filler""",
}
_TOTAL = """
1-4     | {app}         | application code
5       | 9             | record code
6-22    | {seller}      | seller's business id
23-28   | 261123        | creation date
29-32   | 1730          | creation time
33-38   | 000002        | number of invoices
39-44   | 000001        | number of debit invoices
45-57   | 0000000009990 | sum of debit invoices
58-63   | 000001        | number of credit invoices
64-76   | 0000000001000 | sum of credit invoices
77-82   | 0*            | further type, number
83-95   | 0*            | further type, sum
96-101  | 0*            | further type, number
102-114 | 0*            | further type, sum
115-127 | {zeros}       | zeros, or blanks
128-400 |               | filler
"""


def fall(dialect):
    """Return the records of the golden file of one dialect, in their order."""
    words = _DIALECTS[dialect] | {
        "owner": _OWNER.get(dialect, _OWNER[""]), "id": "0011223344" if dialect == "aktia" else "11223344",
        "name": "Kelloseppä Oy", "street": "Rantatie 5", "town": "00100 HELSINKI",
    }  # fmt: skip
    if dialect == "op":
        words |= {"name": "KELLOSEPPÄ OY", "street": "RANTATIE 5"}
    buyer = page(f"FALL {dialect} buyer", 400, f"{_BUYER.strip()}\n{_BUYER_ENDS[dialect]}".format(**words))
    total = page(f"FALL {dialect} total", 400, _TOTAL, **words, zeros="0*" if dialect == "nordea" else "")
    return (
        page(f"FALL {dialect} batch", 400, _BATCH, **words),
        buyer,
        _fall_invoice(dialect, words, "100031", code="01", amount="000000009990", dated="261115", due="261129",
                      reference="00000012340001000317"),
        buyer,
        _fall_invoice(dialect, words, "100032", code="02", amount="000000001000", dated="261120", due="261120",
                      reference="00000012340001000320"),
        total,
    )  # fmt: skip


def _fall_invoice(dialect, words, number, **more):
    table = _INVOICE.strip().replace("{end}", _INVOICE_ENDS[dialect])
    table = table.replace("{delivered}", _NOT_DELIVERED if dialect == "op" else _DELIVERED)
    numbered = f"22-31 | {number:0>10} | invoice number, ten digits"
    if dialect == "danske":
        numbered = f"22-30 | {number:0>9} | invoice number\n31 | | blank"
    odd, zeros = "" if dialect == "aktia" else "0*", "0*" if dialect in {"nordea", "danske"} else ""
    words = words | more | {"numbered": numbered, "odd": odd, "zeros": zeros}
    return page(f"FALL {dialect} invoice", 400, table.format(**words))


# --- Svea in Finland: factoring-others.md section 1 --------------------------------------------------------------------

SVEA_START = page(
    "Svea start",
    17,
    """
1-2   | 00       | type
3-9   | 7654321  | agreement number
10-17 | 20261123 | date
""",
)
_SVEA_INVOICE = """
1-2     | 01                  | type
3-9     | 7654321             | agreement number
10-19   | {number}            | invoice number
20-29   | 0000000081          | customer number
30-34   | 0*                  | district
35-74   | Kelloseppä Oy       | name
75-114  |                     | name 2
115-154 | Rantatie 5          | street
155-159 | 00100               | postcode
160-179 | HELSINKI            | town
180-189 | 0*                  | zeros
190-207 | 0409876543          | telephone
208-210 | FI                  | country
211-218 | {dated}             | invoice date
219-226 | {due}               | due date
227-258 | Our desk            | our reference
259-290 | {yours}             | your reference
291-322 | PO-5                | order number
323-333 | {amount}            | amount
334     | {sign}              | sign
335-345 | {tax}               | VAT amount
346     | {sign}              | sign
347-349 |                     | currency code
350-357 | 0*                  | currency
358-393 |                     | foreign address
394-396 | 0*                  | customer group
397     |                     | unused
398-400 | 0*                  | sales number
401-450 | ostot@kello.test    | e-mail
451-452 | 02                  | delivery
453-463 | 1122334-4           | business id
464-465 | FI                  | language
466-490 | 0*                  | OCR reference
491     |                     | invoice type
"""
SVEA_INVOICE = page(
    "Svea invoice", 491, _SVEA_INVOICE, number="0000100031", dated="20261115", due="20261129", yours="Works",
    amount="00000009990", tax="00000001933", sign="+",
)  # fmt: skip
SVEA_CREDIT_NOTE = page(
    "Svea credit note", 491, _SVEA_INVOICE, number="0000100032", dated="20261120", due="20261120", yours="",
    amount="00000001000", tax="00000000194", sign="-",
)  # fmt: skip
SVEA_ARTICLE = page(
    "Svea article row",
    143,
    """
1-2     | 11            | type
3-9     | 7654321       | agreement number
10-19   | 0000100031    | invoice number
20-22   | 0*            | zeros
23-32   | 0000000081    | customer number
33      | A             | row kind
34-48   | 0*            | zeros
49-57   | 000000300     | quantity
58      | +             | sign
59-98   | Kellon huolto | text
99-109  | 00000002686   | unit price without VAT
110-111 | 00            | discount percent
112-122 | 00000008057   | row amount
123     | +             | sign
124-127 | 2400          | VAT percent
128-138 | 00000001933   | VAT amount
139     | +             | sign
140-143 | kpl           | unit
""",
)
SVEA_TEXT = page(
    "Svea text row",
    143,
    """
1-2     | 11           | type
3-9     | 7654321      | agreement number
10-19   | 0000100031   | invoice number
20-22   | 0*           | zeros
23-32   | 0000000081   | customer number
33      | T            | row kind
34-48   |              | blanks
49-58   |              | blanks: quantity and sign
59-98   | Kolme kelloa | text
99-143  |              | blanks: all numbers, and the unit
""",
)
SVEA_END = page(
    "Svea end",
    39,
    """
1-2   | 99           | type
3-9   | 7654321      | agreement number
10-17 | 20261123     | date
18-26 | 000000002    | number of invoices
27-38 | 000000010990 | sum
39    | +            | sign
""",
)

# --- KTL return rows: factoring-fall.md section 6 ----------------------------------------------------------------------

KTL_BATCH = page(
    "KTL batch",
    90,
    """
1     | 0         | type
2-7   | 261207    | date
8-11  | 1946      | time
12-13 | 47        | bank
14-22 | 012345678 | service id
23    | 1         | currency code
24-90 |           | filler
""",
)
KTL_ROW = page(
    "KTL factoring row",
    90,
    """
1     | S                    | type
2-15  | 12345600000785       | account
16-21 | 261207               | booking date
22-27 | 261204               | payment date
28-43 | EXAMPLE000000002     | archive id
44-63 | 00000012340001000197 | reference number
64-75 | OSTAJA OY            | payer's name
76    | 1                    | currency code
77    | J                    | source of the name
78-87 | 0000124000           | amount
88    | 0                    | correction
89    | A                    | channel
90    | 0                    | return code
""",
)
KTL_TOTAL = page(
    "KTL total",
    90,
    """
1     | 9           | type
2-7   | 000002      | number of normal transactions
8-18  | 00000149000 | sum of normal transactions
19-24 | 000001      | number of corrections
25-35 | 00000004000 | sum of corrections
36-90 | {zeros}     | filler
""",
    zeros="0" * 17,
)

GOLDEN = {
    "factoring/Faktura.SGF": (K9409_INVOICE, K9409_CREDIT_NOTE),
    "factoring/Kunde.SGK": (K9409_CUSTOMER,),
    "factoring/FAKTURA.DAT": (FACTONOR_INVOICE, FACTONOR_CREDIT_NOTE),
    **{f"profiles/fall-{dialect}.txt": fall(dialect) for dialect in _DIALECTS},
    "profiles/svea-fi.txt": (SVEA_START, SVEA_INVOICE, SVEA_ARTICLE, SVEA_TEXT, SVEA_CREDIT_NOTE, SVEA_END),
}
"""Our golden files below `CORPUS`, and the records in each."""


if __name__ == "__main__":
    wrong = [
        f"{name}: {fault}" for name, pages in GOLDEN.items() for fault in of_file((CORPUS / name).read_bytes(), pages)
    ]
    sys.exit("\n".join(wrong) if wrong else 0)
