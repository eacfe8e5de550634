//! Whether the books are right: every customer's account is the sum of its transfers, in an unbroken chain; all accounts together come to
//! nothing; every transaction that is done has its entry, and each entry its amount. All is read in one snapshot.

mod store;

use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use store::Sums;
pub(super) use store::{checkpoint, checkpoint_is_due};

/// How far back it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What came after the last checkpoint.
    Incremental,
    /// Everything, checkpoints too.
    Full,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A customer's account is not what its transfers come to, or their chain has a gap.
    AccountDiffers,
    /// A balance is below its floor.
    BelowFloor,
    /// The accounts of all customers and those of the house don't cancel out.
    TotalsDiffer,
    /// A checkpoint is not what the transfers up to it come to.
    CheckpointDiffers,
    /// An entry comes to another amount than its transaction.
    AmountDiffers,
    /// A transaction is done and has no entry.
    EntryMissing,
    /// There is an entry, and its transaction is not done.
    EntryTooMany,
}

impl Fault {
    /// Its code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountDiffers => "ACCOUNT_DIFFERS",
            Self::BelowFloor => "BELOW_FLOOR",
            Self::TotalsDiffer => "TOTALS_DIFFER",
            Self::CheckpointDiffers => "CHECKPOINT_DIFFERS",
            Self::AmountDiffers => "AMOUNT_DIFFERS",
            Self::EntryMissing => "ENTRY_MISSING",
            Self::EntryTooMany => "ENTRY_TOO_MANY",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub fault: Fault,
    /// With which account or transaction: `account 1000`, `TXMP-101`.
    pub subject: String,
    /// What it should be, in rupiah.
    pub expected: i128,
    /// What it is.
    pub found: i128,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How far back it looked; everything where there was no checkpoint.
    pub scope: Scope,
    /// How many transfers it read.
    pub transfers: u64,
    /// The last transfer of the checkpoint it began from.
    pub since: i64,
    /// What all customers have together, in rupiah.
    pub customers: i128,
    /// The house's accounts, in rupiah, in the order of [`super::House::ALL`].
    pub house: [i128; 5],
    /// What is wrong: at most a hundred of each kind.
    pub differences: Vec<Difference>,
}

/// Reads the books and says what is wrong with them. `bound` is how long one statement may take.
///
/// # Errors
/// As the database's.
pub async fn verify(db: &PgPool, scope: Scope, bound: Duration) -> Result<Report, sqlx::Error> {
    let mut tx = store::snapshot(db, bound).await?;
    let from = match scope {
        Scope::Full => None,
        Scope::Incremental => store::last_checkpoint(&mut tx).await?,
    };
    let since = from.as_ref().map_or(0, |one| one.up_to);
    let (read, of_transactions) = match &from {
        Some(one) => {
            (store::sums(&mut tx, since).await?, store::recent_transactions(&mut tx, since, one.at).await?)
        }
        None => everything(&mut tx).await?,
    };
    let mut differences = read.accounts;
    let mut house = from.as_ref().map_or([0; 5], |one| one.house);
    for (all, new) in house.iter_mut().zip(read.house) {
        *all += new;
    }
    let customers = store::customers(&mut tx).await?;
    let from_transfers = from.as_ref().map_or(0, |one| one.customers) + read.customers;
    if customers != from_transfers {
        differences.push(total("customers", from_transfers, customers));
    }
    let all = house.iter().sum::<i128>() + customers;
    if all != 0 {
        differences.push(total("all accounts", 0, all));
    }
    differences.extend(store::below_floor(&mut tx).await?);
    differences.extend(of_transactions);
    if from.is_none() {
        differences.extend(store::checkpoints(&mut tx, &house).await?);
    }
    tx.rollback().await?;
    let scope = if since == 0 { Scope::Full } else { scope };
    Ok(Report { scope, transfers: read.transfers, since, customers, house, differences })
}

/// All transfers, with the accounts that are wrong, and the transactions that are: each is looked for only where they don't agree altogether.
async fn everything(db: &mut PgConnection) -> Result<(Sums, Vec<Difference>), sqlx::Error> {
    let all = store::overview(db).await?;
    let mut read = all.sums;
    if !all.chains_agree {
        read = store::sums(db, 0).await?;
        read.accounts.extend(store::quiet_accounts(db).await?);
    }
    let of_transactions =
        if all.transactions_agree { Vec::new() } else { store::all_transactions(db).await? };
    Ok((read, of_transactions))
}

/// Whether a verification failed since a statement took longer than it may.
pub fn took_too_long(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("57014"))
}

fn total(subject: &str, expected: i128, found: i128) -> Difference {
    Difference { fault: Fault::TotalsDiffer, subject: subject.to_owned(), expected, found }
}
