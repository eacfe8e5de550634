//! The books by themselves.

use super::Wrong;
use crate::money::books::{Account, Books, Link};

/// Whether each account's transfers are an unbroken chain that leads to its balance, and never below what it may hold; whether what is done
/// has its entry; and whether each key is there once.
pub fn balances(books: &Books) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut chains = books.links.chunk_by(|one, next| one.account == next.account).peekable();
    for account in &books.accounts {
        while let Some(stray) = chains.next_if(|chain| chain[0].account < account.id) {
            wrong.push(Wrong::Balance { account: stray[0].account, expected: sum(stray), found: 0 });
        }
        let own = chains.next_if(|chain| chain[0].account == account.id).unwrap_or_default();
        chain(account, own, &mut wrong);
    }
    for stray in chains {
        wrong.push(Wrong::Balance { account: stray[0].account, expected: sum(stray), found: 0 });
    }
    entries(books, &mut wrong);
    wrong
}

fn sum(chain: &[Link]) -> i64 {
    chain.iter().map(|link| link.delta).sum()
}

fn chain(account: &Account, links: &[Link], wrong: &mut Vec<Wrong>) {
    let (id, mut before) = (account.id, 0);
    for (link, version) in links.iter().zip(1..) {
        if link.version != version || link.balance != before + link.delta {
            wrong.push(Wrong::Chain { account: id, version });
            break;
        }
        if link.balance < 0 && link.delta < 0 && !link.takes_back {
            wrong.push(Wrong::Floor { account: id, version });
        }
        before = link.balance;
    }
    let expected = sum(links);
    if account.balance != expected {
        wrong.push(Wrong::Balance { account: id, expected, found: account.balance });
    }
    if usize::try_from(account.version).ok() != Some(links.len()) {
        wrong.push(Wrong::Chain { account: id, version: account.version });
    }
    if account.balance < account.floor || account.floor > 0 {
        wrong.push(Wrong::Floor { account: id, version: account.version });
    }
}

fn entries(books: &Books, wrong: &mut Vec<Wrong>) {
    let mut keys = std::collections::HashMap::<&str, usize>::new();
    for one in &books.transactions {
        let is_done = matches!(one.status.as_str(), "COMPLETED" | "REVERSED");
        let moved = one.cash + one.promotion;
        if is_done == one.key.is_empty() || moved != if is_done { one.amount } else { 0 } {
            wrong.push(Wrong::Half(format!("transaction {}", one.id)));
        }
        if !one.key.is_empty() {
            *keys.entry(&one.key).or_default() += 1;
        }
    }
    let twice = keys.into_iter().filter(|(_, times)| *times > 1);
    wrong.extend(twice.map(|(key, times)| Wrong::Twice(key.to_owned(), times)));
}
