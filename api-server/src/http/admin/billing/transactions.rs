//! `GET /admin/billing/transactions`, `GET /admin/billing/transactions/{id}`

use crate::{
    http::{
        App,
        auth::Administrator,
        pagination::{List, Page},
        problem::{self, Code, Problem, Result},
        wallet::view::{Named, TransactionView, number},
    },
    ledger::{Direction, Kind},
    money::Rupiah,
    wallet::{
        Status,
        transactions::{self, Account, Entry, Owner, Query, Sort, Transaction, Transfer},
    },
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which transactions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Which number they have, or what the owner's address or the description contains.
    search: Option<String>,
    /// Whose.
    user_id: Option<Uuid>,
    /// What the owner's address is or contains.
    email: Option<String>,
    /// Of what.
    #[serde(rename = "type")]
    kind: Option<Kind>,
    /// How they stand.
    status: Option<Status>,
    /// Into the wallet or out of it.
    direction: Option<Direction>,
    /// The one of that number: `TXMP-101`, or `101`.
    #[param(pattern = "^([Tt][Xx][Mm][Pp]-)?[0-9]{1,18}$", example = "TXMP-101")]
    number: Option<String>,
    /// Made then or later.
    created_after: Option<Timestamp>,
    /// Made before then.
    created_before: Option<Timestamp>,
    /// Of so much or more.
    amount_min: Option<i64>,
    /// Of so much or less.
    amount_max: Option<i64>,
    /// For which subscription.
    subscription_id: Option<Uuid>,
    /// For which app.
    service: Option<String>,
    /// How they were or are to be paid.
    method: Option<String>,
}

/// A transaction with its owner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnedTransaction)]
pub(super) struct OwnedView {
    /// Whose it is.
    user: OwnerView,
    /// The transaction.
    transaction: TransactionView,
}

/// Whose a transaction is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TransactionOwner)]
struct OwnerView {
    /// Their id.
    id: Uuid,
    /// Their address.
    #[schema(example = "ayu@example.com")]
    email: String,
    /// What they are called.
    #[schema(example = "Ayu Lestari")]
    name: String,
}

/// A transaction with its owner, and what it wrote into the books.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BookedTransaction)]
pub(super) struct BookedView {
    /// Whose it is.
    user: OwnerView,
    /// The transaction.
    transaction: TransactionView,
    /// What it wrote into the books; null where it is not done.
    #[schema(required = true)]
    entry: Option<EntryView>,
}

/// An entry of the books.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerEntry)]
struct EntryView {
    /// What it is the effect of, once.
    #[schema(example = "adjustment:0192a000-0000-7000-8000-000000000000")]
    key: String,
    /// When it was written.
    at: Timestamp,
    /// Its parts.
    transfers: Vec<TransferView>,
}

/// A part of an entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerTransfer)]
struct TransferView {
    /// Its number.
    id: i64,
    /// From which account.
    debit: AccountView,
    /// To which account.
    credit: AccountView,
    /// How much.
    amount: Rupiah,
    /// Which transfer of the customer's account it is.
    version: i64,
    /// What was in the customer's account afterwards.
    balance_after: Rupiah,
}

/// An account of the books.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerAccount)]
struct AccountView {
    /// Its id; below 1000 it is the house's.
    id: i64,
    /// What it is for.
    #[schema(example = "CASH")]
    kind: String,
}

impl From<Owner> for OwnerView {
    fn from(Owner { id, email, name }: Owner) -> Self {
        Self { id, email, name }
    }
}

impl From<Transaction> for OwnedView {
    fn from(transaction: Transaction) -> Self {
        Self { user: transaction.owner.clone().into(), transaction: transaction.into() }
    }
}

impl From<Account> for AccountView {
    fn from(Account { id, kind }: Account) -> Self {
        Self { id, kind }
    }
}

impl From<Entry> for EntryView {
    fn from(Entry { key, at, transfers }: Entry) -> Self {
        let view = |Transfer { id, debit, credit, amount, version, balance }: Transfer| TransferView {
            id,
            debit: debit.into(),
            credit: credit.into(),
            amount,
            version,
            balance_after: balance,
        };
        Self { key, at, transfers: transfers.into_iter().map(view).collect() }
    }
}

impl Filter {
    fn query(&self) -> Result<Query> {
        let Self {
            search,
            user_id,
            email,
            kind,
            status,
            direction,
            number: named,
            created_after,
            created_before,
            amount_min,
            amount_max,
            subscription_id,
            service,
            method,
        } = self;
        Ok(Query {
            number: number(named.as_deref())?,
            user_id: *user_id,
            kind: *kind,
            status: *status,
            direction: *direction,
            created_after: *created_after,
            created_before: *created_before,
            amount_min: *amount_min,
            amount_max: *amount_max,
            subscription_id: *subscription_id,
            service: service.clone(),
            method: method.clone(),
            email: email.clone(),
            search: search.clone(),
            ..Query::default()
        })
    }
}

/// Everybody's transactions by filters, sorted, a page at a time.
#[utoipa::path(
    get,
    path = "/billing/transactions",
    tag = "billing",
    security(("access_token" = [])),
    params(List<Filter, Sort>),
    responses(
        (status = 200, body = Page<OwnedView>),
    ),
)]
pub(super) async fn list(
    State(state): App,
    _admin: Administrator,
    list: List<Filter, Sort>,
) -> Result<Json<Page<OwnedView>>> {
    let query = Query {
        sort: list.sort,
        descending: list.reads_descending(),
        beyond: list.beyond().cloned(),
        limit: list.limit(),
        ..list.filter.query()?
    };
    let rows = transactions::list(&state.db, &query).await?;
    Ok(Json(list.page(rows, |row| (list.sort.value(row), row.id), None)))
}

/// A transaction with its owner, and what it wrote into the books.
#[utoipa::path(
    get,
    path = "/billing/transactions/{id}",
    tag = "billing",
    security(("access_token" = [])),
    params(("id" = String, Path, description = "The transaction's id, or its number: `TXMP-101`.")),
    responses(
        (status = 200, body = BookedView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such transaction."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    _admin: Administrator,
    Named(name): Named,
) -> Result<Json<BookedView>> {
    let found = transactions::find(&state.db, name, None).await?;
    let found = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    let entry = transactions::entry(&state.db, found.id).await?.map(Into::into);
    let OwnedView { user, transaction } = found.into();
    Ok(Json(BookedView { user, transaction, entry }))
}
