"""Fuzzing of every payment reader: whatever the bytes, the answer is payments with totals, a quarantine or a refusal.

`targets` says what is fuzzed and how the same bytes are read twice, `judge` what must be true of any answer, `mutation`
how inputs are damaged, `campaign` runs them. ``python -m tests.fuzz`` runs long, `test_fuzz` a little in every test run.
"""
