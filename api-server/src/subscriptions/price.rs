//! What things cost: tax, and what part of a price has not been used. All that is rounded is rounded here.

use crate::{
    ledger::{Direction, House, Move, Purse},
    money::{Rupiah, TooMuch},
};
use crds::plan::Price;
use jiff::Timestamp;

/// Parts of a whole in which a rate is given: hundredths of a percent.
const WHOLE: i128 = 10_000;

/// A rate of tax in hundredths of a percent: 1100 are 11 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaxRate(pub u32);

/// What is paid for a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// All of it.
    pub total: Rupiah,
    /// The tax in it.
    pub tax: Rupiah,
}

/// What is paid at a price. Half a rupiah of tax and more is a rupiah.
///
/// # Errors
/// Beyond what is kept.
pub fn charge(price: &Price, rate: TaxRate) -> Result<Charge, TooMuch> {
    let (amount, rate) = (i128::from(price.amount), i128::from(rate.0));
    let of = if price.tax_inclusive { WHOLE + rate } else { WHOLE };
    let (net, tax) = (Rupiah::new(price.amount)?, rupiah(half_up(amount * rate, of))?);
    let total = if price.tax_inclusive { net } else { net.plus(tax)? };
    Ok(Charge { total, tax })
}

fn half_up(number: i128, by: i128) -> i128 {
    (2 * number + by) / (2 * by)
}

fn rupiah(amount: i128) -> Result<Rupiah, TooMuch> {
    Rupiah::new(i64::try_from(amount).map_err(|_| TooMuch)?)
}

/// What has not been used of a price at a time within its period, to the second; what is left of a rupiah is not given back. Before the
/// period nothing is used.
pub fn unused(price: Rupiah, start: Timestamp, end: Timestamp, now: Timestamp) -> Rupiah {
    let length = i128::from(end.as_second() - start.as_second());
    let left = i128::from(end.as_second() - now.as_second()).clamp(0, length.max(0));
    if length <= 0 {
        return Rupiah::ZERO;
    }
    rupiah(i128::from(price.get()) * left / length).unwrap_or(Rupiah::ZERO)
}

/// A refund goes back to where the price came from, in the same proportion; an odd rupiah is cash.
pub fn back(refund: Rupiah, cash: Rupiah, promotion: Rupiah) -> Vec<Move> {
    let paid = i128::from(cash.get()) + i128::from(promotion.get());
    let share = i128::from(refund.get()) * i128::from(promotion.get());
    let given = if paid == 0 { Rupiah::ZERO } else { rupiah(share / paid).unwrap_or(Rupiah::ZERO) };
    let part = |purse, amount| Move { purse, house: House::Refunds, direction: Direction::Credit, amount };
    let rest = refund.minus(given).unwrap_or(refund);
    let parts = [part(Purse::Promotion, given), part(Purse::Cash, rest)];
    parts.into_iter().filter(|one| one.amount.is_positive()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::plan::Period;
    use proptest::prelude::*;

    fn rp(amount: i64) -> Rupiah {
        Rupiah::new(amount).unwrap()
    }

    fn price(amount: i64, tax_inclusive: bool) -> Price {
        Price { amount, period: Period::Monthly, tax_inclusive }
    }

    #[test]
    fn tax_is_in_the_price_or_comes_on_top() {
        let paid = |amount, inclusive| charge(&price(amount, inclusive), TaxRate(1100)).unwrap();
        assert_eq!(paid(111_000, true), Charge { total: rp(111_000), tax: rp(11_000) });
        assert_eq!(paid(100_000, false), Charge { total: rp(111_000), tax: rp(11_000) });
        assert_eq!(paid(89_000, true).tax, rp(8_820), "8819.8");
        assert_eq!(paid(0, false), Charge { total: rp(0), tax: rp(0) });
        assert_eq!(charge(&price(50, false), TaxRate(0)).unwrap(), Charge { total: rp(50), tax: rp(0) });
    }

    #[test]
    fn what_was_not_used_is_counted_by_the_second() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let left = |now| unused(rp(89_000), at(1000), at(3000), at(now)).get();
        assert_eq!((left(0), left(1000), left(2000), left(3000), left(9999)), (89_000, 89_000, 44_500, 0, 0));
        assert_eq!(left(1001), 88_955, "88955.5");
    }

    proptest! {
        #[test]
        fn what_goes_back_comes_to_the_refund_and_to_no_more_than_was_paid(
            cash in 0i64..1_000_000, promotion in 0i64..1_000_000, part in 0i64..=1000
        ) {
            let refund = (cash + promotion) * part / 1000;
            let moves = back(rp(refund), rp(cash), rp(promotion));
            let of = |purse| moves.iter().filter(|one| one.purse == purse).map(|one| one.amount.get()).sum::<i64>();
            prop_assert_eq!(of(Purse::Cash) + of(Purse::Promotion), refund);
            prop_assert!(of(Purse::Promotion) <= promotion && of(Purse::Cash) <= cash, "{:?}", moves);
        }
    }
}
