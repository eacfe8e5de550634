//! What clients were told against our books.

use std::collections::{HashMap, HashSet};

use super::{Held, Wrong};
use crate::money::books::{Books, Transaction};
use crate::money::history::{Line, Told, What};

/// What people read of a top-up.
const TOP_UP: &str = "Top-up";

/// What is there, as far as nothing has been found that explains it.
struct There<'a> {
    adjustments: HashMap<&'a str, Vec<&'a Transaction>>,
    top_ups: HashMap<&'a str, &'a Transaction>,
    /// How many top-ups may be there of whom without anybody having been told.
    untold: HashMap<&'a str, usize>,
    /// What is expected in whose wallet: cash and promotion.
    wallets: HashMap<&'a str, (i64, i64)>,
    wrong: Vec<Wrong>,
}

/// Whether all that was acknowledged is there, once and as it was meant; nothing that was refused; what is unknown wholly or not at all;
/// nothing else; and whether each wallet comes to that, with what the gateway holds for its owner.
pub fn history(lines: &[Line], books: &Books, held: &Held) -> Vec<Wrong> {
    let mut there = There::of(books, held);
    for line in lines {
        match line.what {
            What::Credit | What::Debit | What::Promotion => there.adjustment(line),
            What::TopUp => there.top_up(line),
            What::Cancel | What::Pay | What::Refund | What::Read => {}
        }
    }
    cancelled(lines, books, &mut there.wrong);
    shown(lines, books, &mut there.wrong);
    there.rest();
    there.compare(books);
    there.wrong
}

impl<'a> There<'a> {
    fn of(books: &'a Books, held: &'a Held) -> Self {
        let (mut adjustments, mut top_ups) = (HashMap::<&str, Vec<_>>::new(), HashMap::new());
        for one in &books.transactions {
            match one.kind.as_str() {
                "ADJUSTMENT" | "PROMOTION" => {
                    adjustments.entry(one.description.as_str()).or_default().push(one);
                }
                "TOP_UP" if one.description == TOP_UP => drop(top_ups.insert(one.id.as_str(), one)),
                _ => {}
            }
        }
        let wallets = held.0.iter().map(|(user, cash)| (user.as_str(), (*cash, 0))).collect();
        Self { adjustments, top_ups, untold: HashMap::new(), wallets, wrong: Vec::new() }
    }

    fn adjustment(&mut self, line: &'a Line) {
        let Some((cash, promotion)) = line.what.moves(line.amount) else { return };
        let found = self.adjustments.remove(line.key.as_str()).unwrap_or_default();
        let key = || line.key.clone();
        let is_meant = match (&line.told, found.as_slice()) {
            (Told::Done(id), []) => {
                self.wrong.push(Wrong::Lost(format!("{} (transaction {id})", line.key)));
                true
            }
            (_, [_, _, ..]) => {
                self.wrong.push(Wrong::Twice(key(), found.len()));
                true
            }
            (Told::Refused(_), [_]) => {
                self.wrong.push(Wrong::Unmeant(key()));
                false
            }
            (told, [one]) => {
                if matches!(told, Told::Done(id) if *id != one.id) {
                    self.wrong.push(Wrong::Lost(key()));
                }
                if (one.cash, one.promotion) != (cash, promotion) || one.user != line.user {
                    let (expected, found) = (cash + promotion, one.cash + one.promotion);
                    self.wrong.push(Wrong::Differs { what: key(), expected, found });
                }
                true
            }
            (_, []) => false,
        };
        if is_meant {
            let wallet = self.wallets.entry(&line.user).or_default();
            *wallet = (wallet.0 + cash, wallet.1 + promotion);
        }
    }

    fn top_up(&mut self, line: &'a Line) {
        match &line.told {
            Told::Done(id) => match self.top_ups.remove(id.as_str()) {
                None => self.wrong.push(Wrong::Lost(line.key.clone())),
                Some(one) if one.amount != line.amount || one.user != line.user => {
                    let (what, expected, found) = (line.key.clone(), line.amount, one.amount);
                    self.wrong.push(Wrong::Differs { what, expected, found });
                }
                Some(_) => {}
            },
            Told::Unknown => *self.untold.entry(&line.user).or_default() += 1,
            Told::Refused(_) | Told::Holds(..) => {}
        }
    }

    /// What nobody was told of.
    fn rest(&mut self) {
        self.wrong.extend(self.adjustments.keys().map(|key| Wrong::Unmeant((*key).to_owned())));
        for one in self.top_ups.values() {
            match self.untold.get_mut(one.user.as_str()).filter(|left| **left > 0) {
                Some(left) => *left -= 1,
                None => self.wrong.push(Wrong::Unmeant(format!("top-up {}", one.id))),
            }
        }
    }

    fn compare(&mut self, books: &Books) {
        let mut found = HashMap::<&str, (i64, i64)>::new();
        for account in &books.accounts {
            let wallet = found.entry(account.user.as_str()).or_default();
            if account.is_cash { wallet.0 += account.balance } else { wallet.1 += account.balance }
        }
        let users: HashSet<&str> = found.keys().chain(self.wallets.keys()).copied().collect();
        for user in users {
            let of = |wallets: &HashMap<&str, (i64, i64)>| wallets.get(user).copied().unwrap_or_default();
            let (expected, found) = (of(&self.wallets), of(&found));
            for (expected, found) in [(expected.0, found.0), (expected.1, found.1)] {
                if expected != found {
                    self.wrong.push(Wrong::Wallet { user: user.to_owned(), expected, found });
                }
            }
        }
    }
}

/// What was called off is so, or was paid all the same.
fn cancelled(lines: &[Line], books: &Books, wrong: &mut Vec<Wrong>) {
    let standing: HashMap<&str, &str> =
        books.transactions.iter().map(|one| (one.id.as_str(), one.status.as_str())).collect();
    for line in lines.iter().filter(|line| line.what == What::Cancel) {
        let Told::Done(id) = &line.told else { continue };
        if matches!(standing.get(id.as_str()), None | Some(&("PENDING" | "EXPIRED" | "FAILED"))) {
            wrong.push(Wrong::Lost(line.key.clone()));
        }
    }
}

/// What a wallet was said to hold, it held at some time.
fn shown(lines: &[Line], books: &Books, wrong: &mut Vec<Wrong>) {
    let owners: HashMap<i64, (&str, bool)> =
        books.accounts.iter().map(|one| (one.id, (one.user.as_str(), one.is_cash))).collect();
    let held: HashSet<((&str, bool), i64)> =
        books.links.iter().filter_map(|link| Some((*owners.get(&link.account)?, link.balance))).collect();
    for line in lines {
        let Told::Holds(cash, promotion) = line.told else { continue };
        for (is_cash, shown) in [(true, cash), (false, promotion)] {
            if shown != 0 && !held.contains(&((line.user.as_str(), is_cash), shown)) {
                wrong.push(Wrong::Shown { user: line.user.clone(), shown });
            }
        }
    }
}
