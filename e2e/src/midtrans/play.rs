//! Carrying out an [`Act`] on the book: which transaction it means, which steps it takes, and what is told.

use jiff::Timestamp;

use super::act::{Act, Verb};
use super::book::{Book, Notice, Picking};
use super::method::Method;
use super::transaction::{Fraud, Refused, Returned, Status, Step};

/// What the rules of the moment add to a pick.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// A fee at the customer's cost, in rupiah.
    pub fee: i64,
    /// Whether the pending state is written in capitals.
    pub uppercase: bool,
}

/// Asks the rules, once a method is picked.
pub type Forecast<'a> = &'a dyn Fn() -> Weather;

/// Carries it out. An act that is refused changes nothing.
pub fn play(
    book: &mut Book,
    act: &Act,
    weather: Forecast<'_>,
    now: Timestamp,
) -> Result<Vec<Notice>, Refused> {
    let step = match act.verb {
        Verb::Pay => return pay(book, act, weather, now),
        Verb::SecondPayment => return second_payment(book, act, weather, now),
        Verb::Pick => return opened(book, act, weather, now).map(|(_, notice)| notice.into_iter().collect()),
        Verb::Challenge => return card(book, act, weather, Step::Challenge, now),
        Verb::Authorize => return card(book, act, weather, Step::Authorize, now),
        Verb::Capture => return card(book, act, weather, Step::Capture, now),
        Verb::Refund | Verb::Chargeback => return give_back(book, act, now),
        Verb::HoldExpiry => {
            book.order_mut(&act.order_id)?.expiry_held = true;
            return Ok(Vec::new());
        }
        Verb::Settle => Step::Settle,
        Verb::Approve => Step::Approve,
        Verb::Deny => Step::Deny,
        Verb::Expire => Step::Expire,
        Verb::Cancel | Verb::Void => Step::Cancel,
        Verb::Fail => Step::Fail,
        Verb::Reverse => Step::Reverse,
        Verb::LateSettle => Step::LateSettle,
    };
    let id = meant(book, act, step)?;
    book.step(&id, step, act.forced, now).map(|notice| vec![notice])
}

/// The transaction that is meant: the latest that can take the step.
fn meant(book: &Book, act: &Act, step: Step) -> Result<String, Refused> {
    let order = book.order(&act.order_id).ok_or(Refused::Unknown)?;
    let named = |id: &str| act.transaction_id.as_deref().is_none_or(|wanted| wanted == id);
    let mut refused = Refused::Unknown;
    for transaction in order.transactions.iter().rev().filter(|transaction| named(&transaction.id)) {
        match transaction.after(step, act.forced) {
            Ok(_) => return Ok(transaction.id.clone()),
            Err(why) if refused == Refused::Unknown => refused = why,
            Err(_) => {}
        }
    }
    Err(refused)
}

fn picking(act: &Act, weather: Forecast<'_>, method: Method) -> Picking {
    let weather = weather();
    Picking { method, fee: act.fee.unwrap_or(weather.fee), uppercase: weather.uppercase, forced: act.forced }
}

/// The pending transaction of the method, or a new one with its notice.
fn opened(
    book: &mut Book,
    act: &Act,
    weather: Forecast<'_>,
    now: Timestamp,
) -> Result<(String, Option<Notice>), Refused> {
    let order = book.order(&act.order_id).ok_or(Refused::Unknown)?;
    let named = |id: &str| act.transaction_id.as_deref().is_none_or(|wanted| wanted == id);
    let open = order.transactions.iter().rev().find(|transaction| {
        let same = act.method.is_none_or(|method| method == transaction.method);
        same && named(&transaction.id) && transaction.after(Step::Settle, false).is_ok()
    });
    if let Some(open) = open {
        return Ok((open.id.clone(), None));
    }
    if let Some(named) = &act.transaction_id {
        let found = order.transactions.iter().find(|transaction| transaction.id == *named);
        return Err(found.map_or(Refused::Unknown, |found| Refused::State(found.status)));
    }
    let notice = book.pick(&act.order_id, picking(act, weather, act.method.unwrap_or(Method::BcaVa)), now)?;
    Ok((notice.transaction.id.clone(), Some(notice)))
}

fn pay(book: &mut Book, act: &Act, weather: Forecast<'_>, now: Timestamp) -> Result<Vec<Notice>, Refused> {
    let (id, notice) = opened(book, act, weather, now)?;
    paid(book, act, &id, notice, now)
}

/// The steps of a payment: a card is captured and then settles, everything else settles.
fn paid(
    book: &mut Book,
    act: &Act,
    id: &str,
    picked: Option<Notice>,
    now: Timestamp,
) -> Result<Vec<Notice>, Refused> {
    let mut notices = Vec::new();
    let (_, transaction) = book.find(id).ok_or(Refused::Unknown)?;
    let is_card = transaction.method == Method::CreditCard;
    let is_pending = transaction.status == Status::Pending;
    notices.extend(picked.filter(|_| !act.quiet && !is_card));
    // What was said of a charge when it was made is not said again when it settles.
    let word = act.fraud_status.filter(|_| is_pending);
    if let Some(word) = word {
        book.change(id, |transaction| {
            transaction.fraud = Some(word);
            Ok(())
        })?;
    }
    if is_card && is_pending {
        let step = if word == Some(Fraud::Challenge) { Step::Challenge } else { Step::Capture };
        notices.push(book.step(id, step, act.forced, now)?);
    }
    let doubted = is_card && word.is_some_and(|word| word != Fraud::Accept);
    if !(is_card && act.capture || doubted) {
        notices.push(book.step(id, Step::Settle, act.forced, now)?);
    }
    Ok(notices)
}

fn second_payment(
    book: &mut Book,
    act: &Act,
    weather: Forecast<'_>,
    now: Timestamp,
) -> Result<Vec<Notice>, Refused> {
    let order = book.order(&act.order_id).ok_or(Refused::Unknown)?;
    let former = order.transactions.last().map(|transaction| transaction.method);
    let method = act.method.or(former).unwrap_or(Method::BcaVa);
    let picked = book.pick(&act.order_id, Picking { forced: true, ..picking(act, weather, method) }, now)?;
    let id = picked.transaction.id.clone();
    paid(book, act, &id, Some(picked), now)
}

/// A step that begins with a card if nothing was picked.
fn card(
    book: &mut Book,
    act: &Act,
    weather: Forecast<'_>,
    step: Step,
    now: Timestamp,
) -> Result<Vec<Notice>, Refused> {
    let id = match meant(book, act, step) {
        Ok(id) => id,
        Err(Refused::Unknown) if act.transaction_id.is_none() => {
            let card = picking(act, weather, Method::CreditCard);
            book.pick(&act.order_id, card, now)?.transaction.id
        }
        Err(refused) => return Err(refused),
    };
    book.step(&id, step, act.forced, now).map(|notice| vec![notice])
}

/// Refunds or charges back. A refund is told twice: when it is made, and when the bank confirms it.
fn give_back(book: &mut Book, act: &Act, now: Timestamp) -> Result<Vec<Notice>, Refused> {
    let refund = act.verb == Verb::Refund;
    let step = |amount| if refund { Step::Refund(amount) } else { Step::Chargeback(amount) };
    let id = meant(book, act, step(act.amount.unwrap_or(1)))?;
    let left = book.find(&id).map(|(_, transaction)| transaction.left()).ok_or(Refused::Unknown)?;
    let serial = book.next_serial();
    let returned = Returned {
        id: serial,
        key: refund.then(|| format!("dashboard-{serial}")),
        amount: act.amount.unwrap_or(left),
        reason: None,
        at: now,
        bank_confirmed_at: None,
    };
    returning(book, &id, returned, now)
}

/// Gives money back and tells of it.
pub fn returning(
    book: &mut Book,
    id: &str,
    returned: Returned,
    now: Timestamp,
) -> Result<Vec<Notice>, Refused> {
    let confirmed = returned.key.is_some();
    let serial = returned.id;
    let mut notices = vec![book.change(id, |transaction| transaction.give_back(returned, now))?];
    if confirmed {
        notices.push(book.change(id, |transaction| {
            for one in transaction.returned.iter_mut().filter(|one| one.id == serial) {
                one.bank_confirmed_at = Some(now);
            }
            Ok(())
        })?);
    }
    Ok(notices)
}
