"""first schema

Revision: 0001, after .
"""

import sqlalchemy as sa
from alembic import op

import gateway.db.tables.base
from gateway.db.schema import create_id_source, drop_id_source, tune_storage


revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_id_source(op.get_bind())
    op.create_table('audit_event',
    sa.Column('creditor_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('number', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('action', sa.String(), nullable=False),
    sa.Column('object_type', sa.String(), nullable=False),
    sa.Column('object_id', sa.String(), nullable=False),
    sa.Column('facts', sa.JSON(), nullable=False),
    sa.Column('hash', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('creditor_id', 'number', name=op.f('pk_audit_event'))
    )
    op.create_table('blob',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_blob'))
    )
    op.create_table('claim',
    sa.Column('agreement_id', sa.BigInteger(), nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=False),
    sa.Column('claim_id', sa.String(), nullable=False),
    sa.Column('reminder_number', sa.String(), nullable=False),
    sa.Column('case_number', sa.String(), server_default='', nullable=False),
    sa.Column('agency_state', sa.String(), server_default='', nullable=False),
    sa.Column('agency_state_text', sa.String(), server_default='', nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('told_minor', sa.BigInteger(), nullable=False),
    sa.Column('agency_paid_minor', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('waits_for_money_since', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('first_sent_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.CheckConstraint("state in ('sealed', 'delivered', 'accepted', 'rejected', 'withdrawn', 'closed')", name=op.f('ck_claim_state')),
    sa.PrimaryKeyConstraint('agreement_id', 'entry_id', name=op.f('pk_claim')),
    sa.UniqueConstraint('agreement_id', 'claim_id', name=op.f('uq_claim_agreement_id_claim_id')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('claim', schema=None) as batch_op:
        batch_op.create_index('ix_claim_case_number', ['agreement_id', 'case_number'], unique=False, sqlite_where=sa.text("case_number <> ''"), postgresql_where=sa.text("case_number <> ''"))
        batch_op.create_index('ix_claim_waits_for_money_since', ['waits_for_money_since'], unique=False, sqlite_where=sa.text('waits_for_money_since is not null'), postgresql_where=sa.text('waits_for_money_since is not null'))

    op.create_table('creditor',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('organisation_number', sa.String(), nullable=False),
    sa.Column('country', sa.String(), nullable=False),
    sa.Column('currency', sa.String(), nullable=False),
    sa.Column('time_zone', sa.String(), nullable=False),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('next_reminder_number', sa.BigInteger(), nullable=False),
    sa.Column('payment_rules', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_creditor')),
    sa.UniqueConstraint('key', name=op.f('uq_creditor_key'))
    )
    op.create_table('file_progress',
    sa.Column('token', sa.String(), nullable=False),
    sa.Column('creditor_id', sa.BigInteger(), nullable=False),
    sa.Column('inbound_file_id', sa.BigInteger(), nullable=True),
    sa.Column('filename', sa.String(), nullable=False),
    sa.Column('stage', sa.String(), nullable=False),
    sa.Column('done', sa.BigInteger(), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('rows', sa.BigInteger(), nullable=False),
    sa.Column('started_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.CheckConstraint("stage in ('storing', 'reading', 'matching', 'posting')", name=op.f('ck_file_progress_stage')),
    sa.PrimaryKeyConstraint('token', name=op.f('pk_file_progress'))
    )
    op.create_table('heartbeat',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('facts', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_heartbeat'))
    )
    op.create_table('incoming_payment',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('told_again_in', sa.BigInteger(), nullable=True),
    sa.Column('creditor_id', sa.BigInteger(), nullable=False),
    sa.Column('agreement_id', sa.BigInteger(), nullable=True),
    sa.Column('label', sa.String(), nullable=False),
    sa.Column('posted_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('posted_by', sa.String(), nullable=False),
    sa.Column('file_id', sa.BigInteger(), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('principal_minor', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(), nullable=False),
    sa.Column('direction', sa.String(), nullable=False),
    sa.Column('is_reversal', sa.Boolean(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('posts', sa.Boolean(), nullable=False),
    sa.Column('why_not', sa.String(), nullable=False),
    sa.Column('reference', sa.String(), nullable=False),
    sa.Column('references', sa.JSON(), nullable=False),
    sa.Column('booking_date', sa.Date(), nullable=True),
    sa.Column('value_date', sa.Date(), nullable=True),
    sa.Column('payer_name', sa.String(), nullable=False),
    sa.Column('payer_account', sa.String(), nullable=False),
    sa.Column('payer_address', sa.String(), nullable=False),
    sa.Column('account', sa.String(), nullable=False),
    sa.Column('bank_reference', sa.String(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('claim_ref', sa.String(), nullable=False),
    sa.Column('case_number', sa.String(), nullable=False),
    sa.Column('invoice_number', sa.String(), nullable=False),
    sa.Column('reverses_key', sa.String(), nullable=False),
    sa.Column('charges_minor', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=True),
    sa.Column('suggested_entry_id', sa.BigInteger(), nullable=True),
    sa.Column('match_rule', sa.String(), nullable=False),
    sa.Column('difference', sa.String(), nullable=False),
    sa.Column('twin_id', sa.BigInteger(), nullable=True),
    sa.Column('evidence', sa.JSON(), nullable=True),
    sa.CheckConstraint("state in ('proposed', 'unmatched', 'posted', 'ignored')", name=op.f('ck_incoming_payment_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_incoming_payment')),
    sa.UniqueConstraint('file_id', 'position', name=op.f('uq_incoming_payment_file_id_position'))
    )
    with op.batch_alter_table('incoming_payment', schema=None) as batch_op:
        batch_op.create_index('ix_incoming_payment_announced', ['creditor_id', 'amount_minor'], unique=False, sqlite_where=sa.text("status <> 'BOOK' and twin_id is null"), postgresql_where=sa.text("status <> 'BOOK' and twin_id is null"))
        batch_op.create_index('ix_incoming_payment_creditor_id_reference', ['creditor_id', 'reference'], unique=False)
        batch_op.create_index('ix_incoming_payment_creditor_id_state_id', ['creditor_id', 'state', 'id'], unique=False)
        batch_op.create_index('ix_incoming_payment_entry_id', ['entry_id'], unique=False)
        batch_op.create_index('ix_incoming_payment_reverses_key', ['creditor_id', 'reverses_key'], unique=False, sqlite_where=sa.text("reverses_key <> ''"), postgresql_where=sa.text("reverses_key <> ''"))
        batch_op.create_index('ix_incoming_payment_without_reference', ['creditor_id', 'amount_minor'], unique=False, sqlite_where=sa.text("reference = ''"), postgresql_where=sa.text("reference = ''"))
        batch_op.create_index('uq_incoming_payment_key', ['creditor_id', 'key'], unique=True, sqlite_where=sa.text("key <> ''"), postgresql_where=sa.text("key <> ''"))

    op.create_table('ledger_entry',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('creditor_id', sa.BigInteger(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('external_id', sa.String(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('number', sa.String(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(), nullable=False),
    sa.Column('booked', sa.Date(), nullable=False),
    sa.Column('due', sa.Date(), nullable=True),
    sa.Column('payment_reference', sa.String(), nullable=False),
    sa.Column('order_number', sa.String(), nullable=False),
    sa.Column('order_status', sa.String(), nullable=False),
    sa.Column('invoiced_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('voucher_number', sa.String(), nullable=False),
    sa.Column('voucher_kind', sa.String(), nullable=False),
    sa.Column('line_number', sa.BigInteger(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('credits', sa.JSON(), nullable=False),
    sa.Column('credits_number', sa.String(), nullable=False),
    sa.Column('reverses', sa.String(), nullable=False),
    sa.Column('reversed_by_id', sa.BigInteger(), nullable=True),
    sa.Column('counter_account', sa.String(), nullable=False),
    sa.Column('is_bank', sa.Boolean(), nullable=False),
    sa.Column('bank_reference', sa.String(), nullable=False),
    sa.Column('paid_from_account', sa.String(), nullable=False),
    sa.Column('charge_kind', sa.String(), nullable=False),
    sa.Column('hold_code', sa.String(), nullable=False),
    sa.Column('document_form', sa.String(), nullable=False),
    sa.Column('group_id', sa.BigInteger(), nullable=False),
    sa.Column('link_ref', sa.String(), nullable=False),
    sa.Column('linked_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('open_minor', sa.BigInteger(), nullable=False),
    sa.Column('closed_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('origin', sa.String(), nullable=False),
    sa.Column('origin_agreement_id', sa.BigInteger(), nullable=True),
    sa.Column('payment_id', sa.BigInteger(), nullable=True),
    sa.Column('do_not_transfer', sa.Boolean(), nullable=False),
    sa.Column('do_not_transfer_by', sa.String(), nullable=False),
    sa.Column('do_not_transfer_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('judged_payment_by', sa.String(), nullable=False),
    sa.Column('reminder_number', sa.String(), nullable=False),
    sa.Column('reminder_date', sa.Date(), nullable=True),
    sa.Column('reminder_deadline', sa.Date(), nullable=True),
    sa.Column('received_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('content_hash', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_entry')),
    sa.UniqueConstraint('creditor_id', 'source', 'external_id', name=op.f('uq_ledger_entry_creditor_id_source_external_id'))
    )
    with op.batch_alter_table('ledger_entry', schema=None) as batch_op:
        batch_op.create_index('ix_ledger_entry_amount_minor', ['creditor_id', 'amount_minor'], unique=False, sqlite_where=sa.text("kind = 'invoice'"), postgresql_where=sa.text("kind = 'invoice'"))
        batch_op.create_index('ix_ledger_entry_creditor_id_kind_id', ['creditor_id', 'kind', 'id'], unique=False)
        batch_op.create_index('ix_ledger_entry_creditor_id_number', ['creditor_id', 'number'], unique=False, sqlite_where=sa.text("number <> ''"), postgresql_where=sa.text("number <> ''"))
        batch_op.create_index('ix_ledger_entry_credits_number', ['creditor_id', 'credits_number'], unique=False, sqlite_where=sa.text("credits_number <> ''"), postgresql_where=sa.text("credits_number <> ''"))
        batch_op.create_index('ix_ledger_entry_customer_id', ['customer_id'], unique=False)
        batch_op.create_index('ix_ledger_entry_group_id', ['group_id'], unique=False)
        batch_op.create_index('ix_ledger_entry_link_ref', ['creditor_id', 'link_ref'], unique=False, sqlite_where=sa.text("link_ref <> ''"), postgresql_where=sa.text("link_ref <> ''"))
        batch_op.create_index('ix_ledger_entry_payment_reference', ['creditor_id', 'payment_reference'], unique=False, sqlite_where=sa.text("kind = 'invoice' and payment_reference <> ''"), postgresql_where=sa.text("kind = 'invoice' and payment_reference <> ''"))
        batch_op.create_index('ix_ledger_entry_unlinked_credit', ['creditor_id', 'customer_id'], unique=False, sqlite_where=sa.text("group_id = id and kind in ('payment', 'credit_note')"), postgresql_where=sa.text("group_id = id and kind in ('payment', 'credit_note')"))
        batch_op.create_index('uq_ledger_entry_reminder_number', ['creditor_id', 'reminder_number'], unique=True, sqlite_where=sa.text("kind = 'invoice' and reminder_number <> ''"), postgresql_where=sa.text("kind = 'invoice' and reminder_number <> ''"))

    op.create_table('outbox',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('topic', sa.String(), nullable=False),
    sa.Column('ref_id', sa.BigInteger(), nullable=False),
    sa.Column('part', sa.String(), nullable=False),
    sa.Column('lane', sa.String(), nullable=False),
    sa.Column('repeatable', sa.Boolean(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('due_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('owner', sa.String(), nullable=False),
    sa.Column('lease_until', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('attempts', sa.BigInteger(), nullable=False),
    sa.Column('takeovers', sa.BigInteger(), nullable=False),
    sa.Column('finished_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('last_error', sa.String(), nullable=False),
    sa.CheckConstraint("lane in ('main', 'large')", name=op.f('ck_outbox_lane')),
    sa.CheckConstraint("state in ('pending', 'leased', 'done', 'failed', 'in_doubt', 'stopped')", name=op.f('ck_outbox_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_outbox')),
    sa.UniqueConstraint('topic', 'ref_id', 'part', name=op.f('uq_outbox_topic_ref_id_part'))
    )
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.create_index('ix_outbox_state_due_at', ['state', 'due_at'], unique=False)

    op.create_table('payment_part',
    sa.Column('payment_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('place', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('seen', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('payment_id', 'place', name=op.f('pk_payment_part'))
    )
    op.create_table('pending',
    sa.Column('agreement_id', sa.BigInteger(), nullable=False),
    sa.Column('group_id', sa.BigInteger(), nullable=False),
    sa.Column('queued_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('agreement_id', 'group_id', name=op.f('pk_pending')),
    sqlite_with_rowid=False
    )
    op.create_table('profile_confirmation',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('profile', sa.String(), nullable=False),
    sa.Column('content', sa.String(), nullable=False),
    sa.Column('document', sa.String(), nullable=False),
    sa.Column('document_version', sa.String(), nullable=False),
    sa.Column('document_date', sa.Date(), nullable=False),
    sa.Column('told_by', sa.String(), nullable=False),
    sa.Column('confirmed_by', sa.String(), nullable=False),
    sa.Column('confirmed_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('withdrawn_by', sa.String(), nullable=False),
    sa.Column('withdrawn_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_profile_confirmation'))
    )
    with op.batch_alter_table('profile_confirmation', schema=None) as batch_op:
        batch_op.create_index('ix_profile_confirmation_sha256', ['sha256'], unique=False)

    op.create_table('role',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_role')),
    sa.UniqueConstraint('name', name=op.f('uq_role_name'))
    )
    op.create_table('staged_payment',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('file_id', sa.BigInteger(), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('principal_minor', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(), nullable=False),
    sa.Column('direction', sa.String(), nullable=False),
    sa.Column('is_reversal', sa.Boolean(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('posts', sa.Boolean(), nullable=False),
    sa.Column('why_not', sa.String(), nullable=False),
    sa.Column('reference', sa.String(), nullable=False),
    sa.Column('references', sa.JSON(), nullable=False),
    sa.Column('booking_date', sa.Date(), nullable=True),
    sa.Column('value_date', sa.Date(), nullable=True),
    sa.Column('payer_name', sa.String(), nullable=False),
    sa.Column('payer_account', sa.String(), nullable=False),
    sa.Column('payer_address', sa.String(), nullable=False),
    sa.Column('account', sa.String(), nullable=False),
    sa.Column('bank_reference', sa.String(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('claim_ref', sa.String(), nullable=False),
    sa.Column('case_number', sa.String(), nullable=False),
    sa.Column('invoice_number', sa.String(), nullable=False),
    sa.Column('reverses_key', sa.String(), nullable=False),
    sa.Column('charges_minor', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=True),
    sa.Column('suggested_entry_id', sa.BigInteger(), nullable=True),
    sa.Column('match_rule', sa.String(), nullable=False),
    sa.Column('difference', sa.String(), nullable=False),
    sa.Column('twin_id', sa.BigInteger(), nullable=True),
    sa.Column('evidence', sa.JSON(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staged_payment')),
    sa.UniqueConstraint('file_id', 'position', name=op.f('uq_staged_payment_file_id_position'))
    )
    op.create_table('transfer_item',
    sa.Column('agreement_id', sa.BigInteger(), nullable=False),
    sa.Column('claim_entry_id', sa.BigInteger(), nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('run_id', sa.BigInteger(), nullable=False),
    sa.Column('envelope_id', sa.BigInteger(), nullable=True),
    sa.Column('item_id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('direction', sa.String(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('is_current', sa.Boolean(), server_default=sa.true(), nullable=False),
    sa.Column('state', sa.String(), server_default='sealed', nullable=False),
    sa.Column('answered_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('reason_code', sa.String(), server_default='', nullable=False),
    sa.Column('reason_text', sa.String(), server_default='', nullable=False),
    sa.CheckConstraint("state in ('sealed', 'accepted', 'rejected')", name=op.f('ck_transfer_item_state')),
    sa.PrimaryKeyConstraint('agreement_id', 'claim_entry_id', 'entry_id', 'version', name=op.f('pk_transfer_item')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('transfer_item', schema=None) as batch_op:
        batch_op.create_index('ix_transfer_item_envelope_id', ['envelope_id', 'item_id'], unique=False)
        batch_op.create_index('uq_transfer_item_current', ['agreement_id', 'entry_id'], unique=True, sqlite_where=sa.text('is_current'), postgresql_where=sa.text('is_current'))

    op.create_table('user_account',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('email', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('password', sa.String(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('fs_uniquifier', sa.String(), nullable=False),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('preferences', sa.JSON(), nullable=False),
    sa.Column('failed_logins', sa.BigInteger(), nullable=False),
    sa.Column('locked_until', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_user_account')),
    sa.UniqueConstraint('email', name=op.f('uq_user_account_email')),
    sa.UniqueConstraint('fs_uniquifier', name=op.f('uq_user_account_fs_uniquifier'))
    )
    op.create_table('agreement',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('creditor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('agency_key', sa.String(), nullable=False),
    sa.Column('display_name', sa.String(), nullable=False),
    sa.Column('service', sa.String(), nullable=False),
    sa.Column('client_number', sa.String(), nullable=False),
    sa.Column('market', sa.String(), nullable=False),
    sa.Column('currency', sa.String(), nullable=False),
    sa.Column('profile', sa.String(), nullable=False),
    sa.Column('environment', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('may_create_cases', sa.Boolean(), nullable=False),
    sa.Column('treated_as_factoring', sa.Boolean(), nullable=False),
    sa.Column('posts_automatically', sa.Boolean(), nullable=False),
    sa.Column('uses_voucher_inbox', sa.Boolean(), nullable=False),
    sa.Column('payment_account', sa.String(), nullable=False),
    sa.Column('agency_accounts', sa.JSON(), nullable=False),
    sa.Column('settings', sa.JSON(), nullable=False),
    sa.Column('payment_rules', sa.JSON(), nullable=False),
    sa.Column('transport', sa.JSON(), nullable=False),
    sa.Column('secrets_encrypted', sa.LargeBinary(), nullable=True),
    sa.Column('webhook_token_hash', sa.String(), nullable=True),
    sa.Column('transfer_time', sa.String(), nullable=False),
    sa.Column('fetch_minutes', sa.BigInteger(), nullable=False),
    sa.Column('next_run_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('next_fetch_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('last_business_date', sa.Date(), nullable=True),
    sa.Column('receipt_hours', sa.BigInteger(), nullable=False),
    sa.Column('fetched_until', sa.String(), nullable=False),
    sa.Column('startup_loaded_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('created_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.CheckConstraint("state in ('draft', 'active', 'ended')", name=op.f('ck_agreement_state')),
    sa.CheckConstraint('not (posts_automatically and uses_voucher_inbox)', name=op.f('ck_agreement_payments_to_one_place')),
    sa.ForeignKeyConstraint(['creditor_id'], ['creditor.id'], name=op.f('fk_agreement_creditor_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_agreement')),
    sa.UniqueConstraint('creditor_id', 'agency_key', 'client_number', 'service', name=op.f('uq_agreement_creditor_id_agency_key_client_number_service')),
    sa.UniqueConstraint('webhook_token_hash', name=op.f('uq_agreement_webhook_token_hash'))
    )
    with op.batch_alter_table('agreement', schema=None) as batch_op:
        batch_op.create_index('uq_agreement_one_creates_cases', ['creditor_id', 'currency'], unique=True, sqlite_where=sa.text("may_create_cases and state = 'active'"), postgresql_where=sa.text("may_create_cases and state = 'active'"))

    op.create_table('blob_chunk',
    sa.Column('blob_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['blob_id'], ['blob.id'], name=op.f('fk_blob_chunk_blob_id')),
    sa.PrimaryKeyConstraint('blob_id', 'number', name=op.f('pk_blob_chunk'))
    )
    op.create_table('customer',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('creditor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('external_id', sa.String(), nullable=False),
    sa.Column('customer_number', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=True),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('organisation_number', sa.String(), nullable=False),
    sa.Column('national_id_encrypted', sa.LargeBinary(), nullable=True),
    sa.Column('national_id_hash', sa.String(), nullable=True),
    sa.Column('address1', sa.String(), nullable=False),
    sa.Column('address2', sa.String(), nullable=False),
    sa.Column('postcode', sa.String(), nullable=False),
    sa.Column('city', sa.String(), nullable=False),
    sa.Column('country', sa.String(), nullable=False),
    sa.Column('email', sa.String(), nullable=False),
    sa.Column('phone', sa.String(), nullable=False),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('corrected', sa.JSON(), nullable=False),
    sa.Column('do_not_transfer', sa.Boolean(), nullable=False),
    sa.Column('do_not_transfer_by', sa.String(), nullable=False),
    sa.Column('do_not_transfer_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('content_hash', sa.String(), nullable=False),
    sa.Column('changed_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['creditor_id'], ['creditor.id'], name=op.f('fk_customer_creditor_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_customer')),
    sa.UniqueConstraint('creditor_id', 'source', 'external_id', name=op.f('uq_customer_creditor_id_source_external_id'))
    )
    with op.batch_alter_table('customer', schema=None) as batch_op:
        batch_op.create_index('ix_customer_creditor_id_customer_number', ['creditor_id', 'customer_number'], unique=False)
        batch_op.create_index('ix_customer_creditor_id_organisation_number', ['creditor_id', 'organisation_number'], unique=False)

    op.create_table('factoring_settings',
    sa.Column('creditor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('use_factoring', sa.Boolean(), nullable=False),
    sa.Column('customer_number', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('address', sa.String(), nullable=False),
    sa.Column('account_number', sa.String(), nullable=False),
    sa.Column('invoice_text', sa.String(), nullable=False),
    sa.Column('posting_mode', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['creditor_id'], ['creditor.id'], name=op.f('fk_factoring_settings_creditor_id')),
    sa.PrimaryKeyConstraint('creditor_id', name=op.f('pk_factoring_settings'))
    )
    op.create_table('ledger_document',
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('blob_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['blob_id'], ['blob.id'], name=op.f('fk_ledger_document_blob_id')),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entry.id'], name=op.f('fk_ledger_document_entry_id')),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_ledger_document'))
    )
    op.create_table('user_creditor',
    sa.Column('user_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('creditor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['creditor_id'], ['creditor.id'], name=op.f('fk_user_creditor_creditor_id')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_user_creditor_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'creditor_id', name=op.f('pk_user_creditor'))
    )
    op.create_table('user_role',
    sa.Column('user_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('role_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['role_id'], ['role.id'], name=op.f('fk_user_role_role_id')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_user_role_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'role_id', name=op.f('pk_user_role'))
    )
    op.create_table('api_key',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('creditor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('prefix', sa.String(), nullable=False),
    sa.Column('secret_hash', sa.String(), nullable=False),
    sa.Column('scopes', sa.JSON(), nullable=False),
    sa.Column('created_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('revoked_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_api_key_agreement_id')),
    sa.ForeignKeyConstraint(['creditor_id'], ['creditor.id'], name=op.f('fk_api_key_creditor_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_key')),
    sa.UniqueConstraint('prefix', name=op.f('uq_api_key_prefix'))
    )
    op.create_table('claim_instruction',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('item_id', sa.String(), nullable=False),
    sa.Column('action', sa.String(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('until', sa.Date(), nullable=True),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('wanted_by', sa.String(), nullable=False),
    sa.Column('wanted_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('envelope_id', sa.BigInteger(), nullable=True),
    sa.Column('answered_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('reason_code', sa.String(), nullable=False),
    sa.Column('reason_text', sa.String(), nullable=False),
    sa.CheckConstraint("state in ('wanted', 'sealed', 'accepted', 'rejected', 'cancelled', 'by_hand')", name=op.f('ck_claim_instruction_state')),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_claim_instruction_agreement_id')),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entry.id'], name=op.f('fk_claim_instruction_entry_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_claim_instruction')),
    sa.UniqueConstraint('item_id', name=op.f('uq_claim_instruction_item_id'))
    )
    with op.batch_alter_table('claim_instruction', schema=None) as batch_op:
        batch_op.create_index('ix_claim_instruction_agreement_id_entry_id', ['agreement_id', 'entry_id'], unique=False)

    op.create_table('counter',
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('last', sa.BigInteger(), nullable=False),
    sa.Column('cycle', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_counter_agreement_id')),
    sa.PrimaryKeyConstraint('agreement_id', 'kind', name=op.f('pk_counter'))
    )
    op.create_table('customer_check',
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('customer_version', sa.BigInteger(), nullable=False),
    sa.Column('is_blocking', sa.Boolean(), nullable=False),
    sa.Column('findings', sa.JSON(), nullable=False),
    sa.Column('checked_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_customer_check_agreement_id')),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_customer_check_customer_id')),
    sa.PrimaryKeyConstraint('agreement_id', 'customer_id', name=op.f('pk_customer_check'))
    )
    op.create_table('inbound_file',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('creditor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('filename', sa.String(), nullable=False),
    sa.Column('blob_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('received_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('format', sa.String(), nullable=False),
    sa.Column('transactions', sa.BigInteger(), nullable=False),
    sa.Column('totals', sa.JSON(), nullable=False),
    sa.Column('findings', sa.JSON(), nullable=False),
    sa.Column('finished_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('acknowledged_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.CheckConstraint("state in ('stored', 'reading', 'imported', 'quarantined', 'refused', 'set_aside')", name=op.f('ck_inbound_file_state')),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_inbound_file_agreement_id')),
    sa.ForeignKeyConstraint(['blob_id'], ['blob.id'], name=op.f('fk_inbound_file_blob_id')),
    sa.ForeignKeyConstraint(['creditor_id'], ['creditor.id'], name=op.f('fk_inbound_file_creditor_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_inbound_file')),
    sa.UniqueConstraint('agreement_id', 'sha256', name=op.f('uq_inbound_file_agreement_id_sha256'))
    )
    with op.batch_alter_table('inbound_file', schema=None) as batch_op:
        batch_op.create_index('ix_inbound_file_state_id', ['state', 'id'], unique=False)
        batch_op.create_index('uq_inbound_file_own_bank', ['creditor_id', 'sha256'], unique=True, sqlite_where=sa.text('agreement_id is null'), postgresql_where=sa.text('agreement_id is null'))

    op.create_table('mailbox_file',
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('stamp', sa.String(), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('fetched_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('proven_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_mailbox_file_agreement_id')),
    sa.PrimaryKeyConstraint('agreement_id', 'name', name=op.f('pk_mailbox_file'))
    )
    op.create_table('transfer_run',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('business_date', sa.Date(), nullable=False),
    sa.Column('cutoff', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('started_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('finished_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('invoices_sent', sa.BigInteger(), nullable=False),
    sa.Column('items_sent', sa.BigInteger(), nullable=False),
    sa.Column('held', sa.BigInteger(), nullable=False),
    sa.Column('excluded', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_transfer_run_agreement_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_transfer_run'))
    )
    with op.batch_alter_table('transfer_run', schema=None) as batch_op:
        batch_op.create_index('uq_transfer_run_evening', ['agreement_id', 'business_date'], unique=True, sqlite_where=sa.text("kind = 'evening'"), postgresql_where=sa.text("kind = 'evening'"))

    op.create_table('webhook_message',
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('message_id', sa.String(), nullable=False),
    sa.Column('inbound_file_id', sa.BigInteger(), nullable=False),
    sa.Column('received_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_webhook_message_agreement_id')),
    sa.PrimaryKeyConstraint('agreement_id', 'message_id', name=op.f('pk_webhook_message'))
    )
    op.create_table('envelope',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('run_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('sequence', sa.BigInteger(), nullable=False),
    sa.Column('cycle', sa.BigInteger(), nullable=False),
    sa.Column('file_id', sa.String(), nullable=False),
    sa.Column('filename', sa.String(), nullable=False),
    sa.Column('media_type', sa.String(), nullable=False),
    sa.Column('blob_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('claims', sa.BigInteger(), nullable=False),
    sa.Column('items', sa.BigInteger(), nullable=False),
    sa.Column('debit_minor', sa.BigInteger(), nullable=False),
    sa.Column('credit_minor', sa.BigInteger(), nullable=False),
    sa.Column('charge_minor', sa.BigInteger(), nullable=False),
    sa.Column('instructions', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(), nullable=False),
    sa.Column('delivery_order', sa.BigInteger(), nullable=False),
    sa.Column('factoring_agreement', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('sealed_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('delivered_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('remote_name', sa.String(), nullable=False),
    sa.Column('receipt_due_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('receipt_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.Column('last_error', sa.String(), nullable=False),
    sa.CheckConstraint("state in ('sealed', 'delivered', 'in_doubt', 'failed', 'accepted', 'partly', 'rejected')", name=op.f('ck_envelope_state')),
    sa.ForeignKeyConstraint(['agreement_id'], ['agreement.id'], name=op.f('fk_envelope_agreement_id')),
    sa.ForeignKeyConstraint(['blob_id'], ['blob.id'], name=op.f('fk_envelope_blob_id')),
    sa.ForeignKeyConstraint(['run_id'], ['transfer_run.id'], name=op.f('fk_envelope_run_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_envelope')),
    sa.UniqueConstraint('agreement_id', 'kind', 'sequence', 'cycle', name=op.f('uq_envelope_agreement_id_kind_sequence_cycle'))
    )
    op.create_table('inbound_arrival',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('inbound_file_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('filename', sa.String(), nullable=False),
    sa.Column('at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['inbound_file_id'], ['inbound_file.id'], name=op.f('fk_inbound_arrival_inbound_file_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_inbound_arrival'))
    )
    with op.batch_alter_table('inbound_arrival', schema=None) as batch_op:
        batch_op.create_index('ix_inbound_arrival_inbound_file_id', ['inbound_file_id'], unique=False)

    op.create_table('kept_answer',
    sa.Column('api_key_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('idempotency_key', sa.String(), nullable=False),
    sa.Column('fingerprint', sa.String(), nullable=False),
    sa.Column('claimed_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('status', sa.BigInteger(), nullable=True),
    sa.Column('body_encrypted', sa.LargeBinary(), nullable=True),
    sa.ForeignKeyConstraint(['api_key_id'], ['api_key.id'], name=op.f('fk_kept_answer_api_key_id')),
    sa.PrimaryKeyConstraint('api_key_id', 'idempotency_key', name=op.f('pk_kept_answer'))
    )
    with op.batch_alter_table('kept_answer', schema=None) as batch_op:
        batch_op.create_index('ix_kept_answer_claimed_at', ['claimed_at'], unique=False)

    op.create_table('run_hold',
    sa.Column('run_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=False),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('group_id', sa.BigInteger(), nullable=False),
    sa.Column('is_exclusion', sa.Boolean(), nullable=False),
    sa.Column('values', sa.JSON(), nullable=False),
    sa.Column('next_date', sa.Date(), nullable=True),
    sa.ForeignKeyConstraint(['run_id'], ['transfer_run.id'], name=op.f('fk_run_hold_run_id')),
    sa.PrimaryKeyConstraint('run_id', 'entry_id', 'code', name=op.f('pk_run_hold'))
    )
    op.create_table('agency_call',
    sa.Column('envelope_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('method', sa.String(), nullable=False),
    sa.Column('path', sa.String(), nullable=False),
    sa.Column('request', sa.LargeBinary(), nullable=False),
    sa.Column('request_mac', sa.String(), nullable=False),
    sa.Column('begun_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.Column('status', sa.BigInteger(), nullable=False),
    sa.Column('headers', sa.JSON(), nullable=False),
    sa.Column('answer', sa.LargeBinary(), nullable=False),
    sa.Column('answered_at', gateway.db.tables.base.Instant(timezone=True), nullable=True),
    sa.CheckConstraint("state in ('begun', 'answered', 'said')", name=op.f('ck_agency_call_state')),
    sa.ForeignKeyConstraint(['envelope_id'], ['envelope.id'], name=op.f('fk_agency_call_envelope_id')),
    sa.PrimaryKeyConstraint('envelope_id', 'key', name=op.f('pk_agency_call'))
    )
    op.create_table('case_answer',
    sa.Column('envelope_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('claim_id', sa.String(), nullable=False),
    sa.Column('answer', sa.JSON(), nullable=False),
    sa.Column('answered_at', gateway.db.tables.base.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['envelope_id'], ['envelope.id'], name=op.f('fk_case_answer_envelope_id')),
    sa.PrimaryKeyConstraint('envelope_id', 'claim_id', name=op.f('pk_case_answer'))
    )
    tune_storage(op.get_bind())


def downgrade() -> None:
    op.drop_table('case_answer')
    op.drop_table('agency_call')
    op.drop_table('run_hold')
    with op.batch_alter_table('kept_answer', schema=None) as batch_op:
        batch_op.drop_index('ix_kept_answer_claimed_at')

    op.drop_table('kept_answer')
    with op.batch_alter_table('inbound_arrival', schema=None) as batch_op:
        batch_op.drop_index('ix_inbound_arrival_inbound_file_id')

    op.drop_table('inbound_arrival')
    op.drop_table('envelope')
    op.drop_table('webhook_message')
    with op.batch_alter_table('transfer_run', schema=None) as batch_op:
        batch_op.drop_index('uq_transfer_run_evening', sqlite_where=sa.text("kind = 'evening'"), postgresql_where=sa.text("kind = 'evening'"))

    op.drop_table('transfer_run')
    op.drop_table('mailbox_file')
    with op.batch_alter_table('inbound_file', schema=None) as batch_op:
        batch_op.drop_index('uq_inbound_file_own_bank', sqlite_where=sa.text('agreement_id is null'), postgresql_where=sa.text('agreement_id is null'))
        batch_op.drop_index('ix_inbound_file_state_id')

    op.drop_table('inbound_file')
    op.drop_table('customer_check')
    op.drop_table('counter')
    with op.batch_alter_table('claim_instruction', schema=None) as batch_op:
        batch_op.drop_index('ix_claim_instruction_agreement_id_entry_id')

    op.drop_table('claim_instruction')
    op.drop_table('api_key')
    op.drop_table('user_role')
    op.drop_table('user_creditor')
    op.drop_table('ledger_document')
    op.drop_table('factoring_settings')
    with op.batch_alter_table('customer', schema=None) as batch_op:
        batch_op.drop_index('ix_customer_creditor_id_organisation_number')
        batch_op.drop_index('ix_customer_creditor_id_customer_number')

    op.drop_table('customer')
    op.drop_table('blob_chunk')
    with op.batch_alter_table('agreement', schema=None) as batch_op:
        batch_op.drop_index('uq_agreement_one_creates_cases', sqlite_where=sa.text("may_create_cases and state = 'active'"), postgresql_where=sa.text("may_create_cases and state = 'active'"))

    op.drop_table('agreement')
    op.drop_table('user_account')
    with op.batch_alter_table('transfer_item', schema=None) as batch_op:
        batch_op.drop_index('uq_transfer_item_current', sqlite_where=sa.text('is_current'), postgresql_where=sa.text('is_current'))
        batch_op.drop_index('ix_transfer_item_envelope_id')

    op.drop_table('transfer_item')
    op.drop_table('staged_payment')
    op.drop_table('role')
    with op.batch_alter_table('profile_confirmation', schema=None) as batch_op:
        batch_op.drop_index('ix_profile_confirmation_sha256')

    op.drop_table('profile_confirmation')
    op.drop_table('pending')
    op.drop_table('payment_part')
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.drop_index('ix_outbox_state_due_at')

    op.drop_table('outbox')
    with op.batch_alter_table('ledger_entry', schema=None) as batch_op:
        batch_op.drop_index('uq_ledger_entry_reminder_number', sqlite_where=sa.text("kind = 'invoice' and reminder_number <> ''"), postgresql_where=sa.text("kind = 'invoice' and reminder_number <> ''"))
        batch_op.drop_index('ix_ledger_entry_unlinked_credit', sqlite_where=sa.text("group_id = id and kind in ('payment', 'credit_note')"), postgresql_where=sa.text("group_id = id and kind in ('payment', 'credit_note')"))
        batch_op.drop_index('ix_ledger_entry_payment_reference', sqlite_where=sa.text("kind = 'invoice' and payment_reference <> ''"), postgresql_where=sa.text("kind = 'invoice' and payment_reference <> ''"))
        batch_op.drop_index('ix_ledger_entry_link_ref', sqlite_where=sa.text("link_ref <> ''"), postgresql_where=sa.text("link_ref <> ''"))
        batch_op.drop_index('ix_ledger_entry_group_id')
        batch_op.drop_index('ix_ledger_entry_customer_id')
        batch_op.drop_index('ix_ledger_entry_credits_number', sqlite_where=sa.text("credits_number <> ''"), postgresql_where=sa.text("credits_number <> ''"))
        batch_op.drop_index('ix_ledger_entry_creditor_id_number', sqlite_where=sa.text("number <> ''"), postgresql_where=sa.text("number <> ''"))
        batch_op.drop_index('ix_ledger_entry_creditor_id_kind_id')
        batch_op.drop_index('ix_ledger_entry_amount_minor', sqlite_where=sa.text("kind = 'invoice'"), postgresql_where=sa.text("kind = 'invoice'"))

    op.drop_table('ledger_entry')
    with op.batch_alter_table('incoming_payment', schema=None) as batch_op:
        batch_op.drop_index('uq_incoming_payment_key', sqlite_where=sa.text("key <> ''"), postgresql_where=sa.text("key <> ''"))
        batch_op.drop_index('ix_incoming_payment_without_reference', sqlite_where=sa.text("reference = ''"), postgresql_where=sa.text("reference = ''"))
        batch_op.drop_index('ix_incoming_payment_reverses_key', sqlite_where=sa.text("reverses_key <> ''"), postgresql_where=sa.text("reverses_key <> ''"))
        batch_op.drop_index('ix_incoming_payment_entry_id')
        batch_op.drop_index('ix_incoming_payment_creditor_id_state_id')
        batch_op.drop_index('ix_incoming_payment_creditor_id_reference')
        batch_op.drop_index('ix_incoming_payment_announced', sqlite_where=sa.text("status <> 'BOOK' and twin_id is null"), postgresql_where=sa.text("status <> 'BOOK' and twin_id is null"))

    op.drop_table('incoming_payment')
    op.drop_table('heartbeat')
    op.drop_table('file_progress')
    op.drop_table('creditor')
    with op.batch_alter_table('claim', schema=None) as batch_op:
        batch_op.drop_index('ix_claim_waits_for_money_since', sqlite_where=sa.text('waits_for_money_since is not null'), postgresql_where=sa.text('waits_for_money_since is not null'))
        batch_op.drop_index('ix_claim_case_number', sqlite_where=sa.text("case_number <> ''"), postgresql_where=sa.text("case_number <> ''"))

    op.drop_table('claim')
    op.drop_table('blob')
    op.drop_table('audit_event')
    drop_id_source(op.get_bind())
