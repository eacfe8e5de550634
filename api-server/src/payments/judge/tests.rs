use super::*;
use proptest::prelude::*;

/// What every attempt here asks for.
const EXPECTED: i64 = 10_000;

fn rupiah(amount: i64) -> Rupiah {
    Rupiah::new(amount).unwrap()
}

fn seen(status: Status) -> Observed {
    let is_unpaid = matches!(status, Status::Deny | Status::Cancel | Status::Expire | Status::Failure);
    let status_code = match status {
        Status::Pending | Status::Authorize => "201",
        _ if is_unpaid => "202",
        _ => "200",
    };
    Observed {
        order_id: "tu-0198c6f00000700080000000000000ab".into(),
        transaction_id: "t-1".into(),
        status,
        fraud: Some(Fraud::Accept),
        gross: rupiah(EXPECTED),
        original: None,
        currency: "IDR".into(),
        payment_type: "bank_transfer".into(),
        status_code: status_code.into(),
        transaction_time: None,
        settled_at: None,
        expires_at: None,
        refunds: Vec::new(),
        refund_amount: None,
        issuer: None,
        bank: None,
        store: None,
        custom_field1: None,
    }
}

/// One with these refunds, all of them so far.
fn seen_refunded(status: Status, amounts: &[i64]) -> Observed {
    let refunds = amounts.iter().enumerate().map(|(at, amount)| Refund {
        key: format!("id:{at}"),
        amount: rupiah(*amount),
        is_chargeback: false,
    });
    Observed { refunds: refunds.collect(), ..seen(status) }
}

/// Judges one after the other, each by what the ones before left, and finds that each judged twice moves nothing more.
fn live(known: &Known, life: &[Observed]) -> (Known, Vec<Finding>) {
    let (mut known, mut findings) = (known.clone(), Vec::new());
    for seen in life {
        let verdict = judge(rupiah(EXPECTED), &known, seen);
        assert!(verdict.standing >= known.standing, "it moves up alone");
        assert!(known.credited.is_none() || verdict.credit.is_none(), "it is credited once");
        known = known.after(&verdict);
        assert!(known.taken_back <= known.credited.unwrap_or_default(), "no more is taken than was credited");
        let again = judge(rupiah(EXPECTED), &known, seen);
        assert!(!again.moves(&known), "{seen:?} again: {again:?}");
        findings.extend(verdict.findings);
    }
    (known, findings)
}

/// What is left of the credit.
fn net(known: &Known) -> i64 {
    known.credited.unwrap_or_default().get() - known.taken_back.get()
}

fn paid() -> Known {
    live(&Known::default(), &[seen(Status::Settlement)]).0
}

fn taken(verdict: &Verdict) -> Vec<(&str, i64, Kind)> {
    verdict.take_back.iter().map(|it| (it.key.as_str(), it.amount.get(), it.kind)).collect()
}

#[test]
fn what_is_pending_or_authorised_is_not_credited() {
    for status in [Status::Pending, Status::Authorize] {
        let verdict = judge(rupiah(EXPECTED), &Known::default(), &seen(status));
        assert!(!verdict.moves(&Known::default()) && verdict.findings.is_empty());
    }
}

#[test]
fn a_settlement_is_credited_once() {
    let (known, findings) = live(&Known::default(), &[seen(Status::Pending), seen(Status::Settlement)]);
    assert_eq!((known.standing, net(&known), findings), (Standing::Paid, EXPECTED, vec![]));
}

#[test]
fn a_settlement_without_a_word_on_fraud_is_credited() {
    let indomaret = Observed { fraud: None, ..seen(Status::Settlement) };
    assert_eq!(net(&live(&Known::default(), &[indomaret]).0), EXPECTED);
}

#[test]
fn a_captured_card_is_credited_when_nobody_thinks_of_fraud_and_not_again_when_it_settles() {
    let (known, findings) = live(&Known::default(), &[seen(Status::Capture), seen(Status::Settlement)]);
    assert_eq!((net(&known), findings), (EXPECTED, vec![]));
}

#[test]
fn a_captured_card_in_doubt_is_not_credited_until_it_settles() {
    let doubted =
        Observed { fraud: Some(Fraud::Challenge), status_code: "201".into(), ..seen(Status::Capture) };
    let (known, findings) = live(&Known::default(), &[doubted]);
    assert_eq!((known.standing, net(&known), findings), (Standing::Pending, 0, vec![]));
    assert_eq!(net(&live(&known, &[seen(Status::Settlement)]).0), EXPECTED);
}

#[test]
fn a_captured_card_without_a_word_on_fraud_is_not_credited() {
    let silent = Observed { fraud: None, ..seen(Status::Capture) };
    let (known, findings) = live(&Known::default(), &[silent]);
    assert_eq!((net(&known), findings), (0, vec![Finding::NotAccepted { fraud: None }]));
}

#[test]
fn a_settlement_that_is_thought_a_fraud_is_not_credited() {
    for fraud in [Fraud::Deny, Fraud::Challenge, Fraud::Unknown("maybe".into())] {
        let doubted = Observed { fraud: Some(fraud.clone()), ..seen(Status::Settlement) };
        let (known, findings) = live(&Known::default(), &[doubted]);
        assert_eq!((net(&known), findings), (0, vec![Finding::NotAccepted { fraud: Some(fraud) }]));
    }
}

#[test]
fn a_settlement_whose_code_is_not_200_is_not_credited_yet() {
    let odd = Observed { status_code: "202".into(), ..seen(Status::Settlement) };
    let (known, findings) = live(&Known::default(), &[odd]);
    assert_eq!((net(&known), findings), (0, vec![Finding::OtherCode { status_code: "202".into() }]));
    assert_eq!(net(&live(&known, &[seen(Status::Settlement)]).0), EXPECTED);
}

#[test]
fn another_currency_is_not_credited() {
    let dollars = Observed { currency: "USD".into(), ..seen(Status::Settlement) };
    let (known, findings) = live(&Known::default(), &[dollars]);
    assert_eq!((known.standing, net(&known)), (Standing::Paid, 0));
    assert_eq!(findings, [Finding::OtherCurrency { currency: "USD".into() }]);
}

#[test]
fn a_fee_that_the_gateway_adds_is_never_credited() {
    let (gross, original) = (rupiah(10_500), Some(rupiah(EXPECTED)));
    let with_fee = Observed { gross, original, ..seen(Status::Settlement) };
    let (known, findings) = live(&Known::default(), &[with_fee]);
    assert_eq!((net(&known), findings), (EXPECTED, vec![]));
}

#[test]
fn an_amount_that_is_not_ours_is_not_credited() {
    let wrongs = [
        (9_999, None),
        (1, None),
        (10_500, None),
        (10_500, Some(10_499)),
        (10_500, Some(10_500)),
        (EXPECTED, Some(9_500)),
        (9_000, Some(EXPECTED)),
    ];
    for (gross, original) in wrongs {
        let (gross, original) = (rupiah(gross), original.map(rupiah));
        let (known, findings) =
            live(&Known::default(), &[Observed { gross, original, ..seen(Status::Settlement) }]);
        assert_eq!((known.standing, known.credited), (Standing::Paid, None));
        assert_eq!(findings, [Finding::AmountDiffers { expected: rupiah(EXPECTED), gross, original }]);
    }
}

#[test]
fn what_ends_before_it_is_paid_is_unpaid() {
    for status in [Status::Deny, Status::Cancel, Status::Expire, Status::Failure] {
        let (known, findings) = live(&Known::default(), &[seen(Status::Pending), seen(status)]);
        assert_eq!((known.standing, net(&known), findings), (Standing::Unpaid, 0, vec![]));
    }
}

#[test]
fn what_is_settled_after_its_end_is_credited_and_told() {
    for status in [Status::Deny, Status::Cancel, Status::Expire, Status::Failure] {
        let (known, findings) = live(&Known::default(), &[seen(status), seen(Status::Settlement)]);
        assert_eq!((net(&known), findings), (EXPECTED, vec![Finding::LateSettlement]));
    }
}

#[test]
fn what_is_settled_after_we_closed_the_attempt_is_credited_and_told() {
    for closed in [Closed::Expired, Closed::Cancelled, Closed::Failed] {
        let known = Known { attempt_closed: Some(closed), ..Known::default() };
        let (known, findings) = live(&known, &[seen(Status::Settlement)]);
        assert_eq!((net(&known), findings), (EXPECTED, vec![Finding::LateSettlement]));
    }
}

#[test]
fn a_second_payment_of_an_attempt_is_credited_and_told() {
    let known = Known { attempt_is_paid_by_another: true, ..Known::default() };
    let (known, findings) = live(&known, &[seen(Status::Settlement)]);
    assert_eq!((net(&known), findings), (EXPECTED, vec![Finding::SecondPayment]));
}

#[test]
fn a_pending_that_comes_late_is_ignored() {
    let late = Observed { status: Status::read("PENDING"), ..seen(Status::Pending) };
    for known in [paid(), live(&paid(), &[seen(Status::Deny)]).0] {
        assert_eq!(live(&known, std::slice::from_ref(&late)), (known, vec![]));
    }
}

#[test]
fn an_expiry_that_comes_after_the_payment_moves_nothing_and_is_told() {
    for status in [Status::Expire, Status::Failure] {
        let (known, findings) = live(&paid(), &[seen(status.clone())]);
        assert_eq!((known, findings), (paid(), vec![Finding::EndedAfterPaid { status }]));
    }
}

#[test]
fn a_denial_after_the_settlement_takes_all_back() {
    let verdict = judge(rupiah(EXPECTED), &paid(), &seen(Status::Deny));
    assert_eq!(taken(&verdict), [("reversal", EXPECTED, Kind::Reversal)]);
    assert_eq!((verdict.standing, verdict.findings), (Standing::Reversed, vec![Finding::Reversed]));
}

#[test]
fn a_voided_capture_takes_all_back() {
    let (known, _) = live(&Known::default(), &[seen(Status::Capture)]);
    let verdict = judge(rupiah(EXPECTED), &known, &seen(Status::Cancel));
    assert_eq!(taken(&verdict), [("reversal", EXPECTED, Kind::Reversal)]);
}

#[test]
fn what_was_reversed_is_not_credited_again() {
    let (known, _) = live(&paid(), &[seen(Status::Deny)]);
    let (known, findings) = live(&known, &[seen(Status::Settlement)]);
    assert_eq!((net(&known), findings), (0, vec![Finding::PaidAfterReversal]));
}

#[test]
fn what_a_bank_gives_back_after_all_is_not_credited_and_told() {
    for (status, parts, left) in
        [(Status::Chargeback, &[][..], 0), (Status::PartialChargeback, &[3_000][..], EXPECTED - 3_000)]
    {
        let (known, _) = live(&paid(), &[seen_refunded(status, parts)]);
        let (known, findings) = live(&known, &[seen(Status::Settlement)]);
        assert_eq!((net(&known), findings), (left, vec![Finding::PaidAfterReversal]));
    }
}

#[test]
fn a_reversal_after_a_refund_takes_the_rest() {
    let (known, _) = live(&paid(), &[seen_refunded(Status::PartialRefund, &[3_000])]);
    let verdict = judge(rupiah(EXPECTED), &known, &seen(Status::Deny));
    assert_eq!(taken(&verdict), [("reversal", 7_000, Kind::Reversal)]);
}

#[test]
fn the_list_of_refunds_is_of_all_so_far_and_each_is_taken_once() {
    let first = judge(rupiah(EXPECTED), &paid(), &seen_refunded(Status::PartialRefund, &[3_000]));
    assert_eq!(taken(&first), [("id:0", 3_000, Kind::Refund)]);
    assert_eq!(first.standing, Standing::PartlyReversed);
    let known = paid().after(&first);
    let second = judge(rupiah(EXPECTED), &known, &seen_refunded(Status::PartialRefund, &[3_000, 2_000]));
    assert_eq!(taken(&second), [("id:1", 2_000, Kind::Refund)]);
    let known = known.after(&second);
    let last = judge(rupiah(EXPECTED), &known, &seen_refunded(Status::Refund, &[3_000, 2_000, 5_000]));
    assert_eq!(taken(&last), [("id:2", 5_000, Kind::Refund)]);
    assert_eq!((last.standing, last.findings), (Standing::Reversed, vec![]));
}

#[test]
fn both_notices_of_one_refund_are_one_even_if_they_name_it_otherwise() {
    let mut first = seen_refunded(Status::PartialRefund, &[3_000]);
    first.refunds[0].key = "key:a".into();
    let (known, findings) = live(&paid(), &[first, seen_refunded(Status::PartialRefund, &[3_000])]);
    assert_eq!((net(&known), findings), (7_000, vec![]));
}

#[test]
fn a_refund_without_a_list_is_the_sum_less_what_was_taken() {
    let sum = |amount| Observed { refund_amount: Some(rupiah(amount)), ..seen(Status::PartialRefund) };
    let first = judge(rupiah(EXPECTED), &paid(), &sum(3_000));
    assert_eq!(taken(&first), [("sum:3000", 3_000, Kind::Refund)]);
    let second = judge(rupiah(EXPECTED), &paid().after(&first), &sum(5_000));
    assert_eq!(taken(&second), [("sum:5000", 2_000, Kind::Refund)]);
}

#[test]
fn a_whole_refund_without_amounts_takes_all() {
    let verdict = judge(rupiah(EXPECTED), &paid(), &seen(Status::Refund));
    assert_eq!(taken(&verdict), [("sum:10000", EXPECTED, Kind::Refund)]);
    assert_eq!((verdict.standing, verdict.findings), (Standing::Reversed, vec![]));
}

#[test]
fn a_whole_refund_whose_amounts_are_less_takes_all_and_is_told() {
    let verdict = judge(rupiah(EXPECTED), &paid(), &seen_refunded(Status::Refund, &[4_000]));
    assert_eq!(taken(&verdict), [("id:0", 4_000, Kind::Refund), ("sum:10000", 6_000, Kind::Refund)]);
    assert_eq!(verdict.findings, [Finding::RefundFallsShort { refunded: rupiah(4_000) }]);
}

#[test]
fn a_part_refund_without_amounts_moves_nothing_and_is_told() {
    let (known, findings) = live(&paid(), &[seen(Status::PartialRefund)]);
    assert_eq!((known, findings), (paid(), vec![Finding::RefundUntold]));
    let (known, _) = live(&Known::default(), &[seen(Status::PartialRefund), seen(Status::Settlement)]);
    assert_eq!(known.credited, None, "nobody knows how much is left");
}

#[test]
fn a_refund_that_the_bank_denied_is_nothing() {
    let denied = Observed {
        status_code: "202".into(),
        refund_amount: Some(Rupiah::ZERO),
        refunds: seen_refunded(Status::Settlement, &[3_000]).refunds,
        ..seen(Status::Settlement)
    };
    assert_eq!(live(&paid(), &[denied]), (paid(), vec![]));
}

#[test]
fn no_more_is_taken_back_than_was_credited_when_the_fee_goes_back_too() {
    let with_fee = Observed {
        gross: rupiah(10_500),
        original: Some(rupiah(EXPECTED)),
        ..seen_refunded(Status::Refund, &[10_500])
    };
    let verdict = judge(rupiah(EXPECTED), &paid(), &with_fee);
    assert_eq!(taken(&verdict), [("id:0", EXPECTED, Kind::Refund)]);
    let expected = Finding::RefundExceeds { refunded: rupiah(10_500), expected: rupiah(EXPECTED) };
    assert_eq!(verdict.findings, [expected]);
    assert!(live(&paid(), &[with_fee.clone(), with_fee]).1.len() == 1, "it is told once");
}

#[test]
fn chargebacks_are_taken_back_as_such() {
    let mut some = seen_refunded(Status::PartialChargeback, &[3_000]);
    some.refunds[0].is_chargeback = true;
    let verdict = judge(rupiah(EXPECTED), &paid(), &some);
    assert_eq!(taken(&verdict), [("id:0", 3_000, Kind::Chargeback)]);
    let verdict = judge(rupiah(EXPECTED), &paid().after(&verdict), &seen(Status::Chargeback));
    assert_eq!(taken(&verdict), [("sum:10000", 7_000, Kind::Chargeback)]);
    assert_eq!(verdict.standing, Standing::Reversed);
}

#[test]
fn a_chargeback_after_a_refund_takes_the_rest() {
    let (known, _) = live(&paid(), &[seen_refunded(Status::PartialRefund, &[4_000])]);
    let verdict = judge(rupiah(EXPECTED), &known, &seen_refunded(Status::Chargeback, &[4_000]));
    assert_eq!(taken(&verdict), [("sum:10000", 6_000, Kind::Chargeback)]);
}

#[test]
fn of_what_was_refunded_before_it_was_credited_no_more_than_the_rest_is_credited() {
    let (known, findings) = live(&Known::default(), &[seen_refunded(Status::PartialRefund, &[3_000])]);
    assert_eq!((known.credited, known.taken_back), (Some(rupiah(7_000)), Rupiah::ZERO));
    assert_eq!(findings, [Finding::RefundedUncredited]);
    let more = seen_refunded(Status::PartialRefund, &[3_000, 2_000]);
    let verdict = judge(rupiah(EXPECTED), &known, &more);
    assert_eq!(taken(&verdict), [("id:1", 2_000, Kind::Refund)]);
    let (known, findings) = live(&known, &[seen(Status::Settlement), more]);
    assert_eq!((net(&known), findings), (5_000, vec![]));
}

#[test]
fn what_was_wholly_refunded_before_it_was_credited_is_never_credited() {
    for status in [Status::Refund, Status::Chargeback] {
        let (known, findings) = live(&Known::default(), &[seen(status), seen(Status::Settlement)]);
        assert_eq!((known.standing, known.credited), (Standing::Reversed, None));
        assert_eq!(findings, [Finding::RefundedUncredited]);
    }
}

#[test]
fn a_refund_of_what_was_not_credited_for_its_amount_takes_nothing_back() {
    let less = Observed { gross: rupiah(9_000), ..seen(Status::Settlement) };
    let refunded = Observed { gross: rupiah(9_000), ..seen_refunded(Status::PartialRefund, &[3_000]) };
    let (known, findings) = live(&Known::default(), &[less, refunded]);
    assert_eq!((known.credited, known.standing), (None, Standing::PartlyReversed));
    assert_eq!(findings.last(), Some(&Finding::RefundedUncredited));
}

#[test]
fn a_status_that_is_not_known_moves_nothing_and_is_told() {
    let odd = Observed { status: Status::read("on_hold"), ..seen(Status::Settlement) };
    for known in [Known::default(), paid()] {
        let told = vec![Finding::UnknownStatus { status: "on_hold".into() }];
        assert_eq!(live(&known, std::slice::from_ref(&odd)), (known, told));
    }
}

/// What the gateway tells of one transaction over its life, in the order in which it happened, and what it holds for us in the end.
#[derive(Clone, Debug)]
struct Life {
    told: Vec<Observed>,
    holds: i64,
}

impl Life {
    /// One that begins with `told`, whose money goes back in parts, and in the end perhaps all that is left.
    fn new(
        told: Vec<Observed>,
        fee: Option<i64>,
        parts: &[i64],
        end: Option<&Status>,
        is_listed: bool,
    ) -> Self {
        let gross = EXPECTED + fee.unwrap_or(0);
        let (mut told, mut gone) = (told, Vec::new());
        let mut tell = |status: Status, gone: &[i64]| {
            let refund_amount = Some(rupiah(gone.iter().sum()));
            let seen = seen_refunded(status, gone);
            let refunds = if is_listed { seen.refunds.clone() } else { Vec::new() };
            told.push(Observed { refunds, refund_amount, ..seen });
        };
        for part in parts {
            let left = gross - gone.iter().sum::<i64>();
            if *part < left {
                gone.push(*part);
                tell(Status::PartialRefund, &gone);
            }
        }
        if let Some(end) = end {
            gone.push(gross - gone.iter().sum::<i64>());
            tell(end.clone(), &gone);
        }
        let original = fee.map(|_| rupiah(EXPECTED));
        for seen in &mut told {
            (seen.gross, seen.original) = (rupiah(gross), original);
        }
        Self { told, holds: (EXPECTED - gone.iter().sum::<i64>()).max(0) }
    }
}

fn lives() -> impl Strategy<Value = Life> {
    let begins = prop_oneof![
        Just(vec![seen(Status::Pending), seen(Status::Settlement)]),
        Just(vec![seen(Status::Authorize), seen(Status::Capture), seen(Status::Settlement)]),
        Just(vec![seen(Status::Pending), seen(Status::Expire), seen(Status::Settlement)]),
        Just(vec![seen(Status::Failure), seen(Status::Settlement)]),
    ];
    let fee = proptest::option::of(1..3_000_i64);
    let parts = proptest::collection::vec(1..6_000_i64, 0..4);
    let ends = proptest::option::of(prop_oneof![Just(Status::Refund), Just(Status::Chargeback)]);
    (begins, fee, parts, ends, any::<bool>())
        .prop_map(|(told, fee, parts, end, is_listed)| Life::new(told, fee, &parts, end.as_ref(), is_listed))
}

/// A life as it may be observed: parts of it missing, twice, in any order; its last word is among them.
fn observed() -> impl Strategy<Value = (Vec<Observed>, i64)> {
    lives().prop_flat_map(|life| {
        let last = life.told.len() - 1;
        let picks = proptest::collection::vec(0..life.told.len(), 0..12);
        let all = picks.prop_map(move |picks| picks.into_iter().chain([last]).collect::<Vec<_>>());
        all.prop_shuffle()
            .prop_map(move |all| (all.iter().map(|at| life.told[*at].clone()).collect(), life.holds))
    })
}

fn ends_in_reversal() -> impl Strategy<Value = Vec<Observed>> {
    let card = vec![seen(Status::Authorize), seen(Status::Capture), seen(Status::Cancel)];
    let transfer = vec![seen(Status::Pending), seen(Status::Settlement), seen(Status::Deny)];
    let told = prop_oneof![Just(card), Just(transfer)];
    told.prop_flat_map(|told| {
        let last = told.len() - 1;
        proptest::collection::vec(0..told.len(), 0..12)
            .prop_map(move |picks| picks.into_iter().chain([last]).map(|at| told[at].clone()).collect())
    })
}

fn anything() -> impl Strategy<Value = Observed> {
    let status = prop_oneof![
        Just(Status::Pending),
        Just(Status::Authorize),
        Just(Status::Capture),
        Just(Status::Settlement),
        Just(Status::Deny),
        Just(Status::Cancel),
        Just(Status::Expire),
        Just(Status::Failure),
        Just(Status::Refund),
        Just(Status::PartialRefund),
        Just(Status::Chargeback),
        Just(Status::PartialChargeback),
        Just(Status::Unknown("odd".into())),
    ];
    let amounts = proptest::collection::vec(0..20_000_i64, 0..4);
    let fraud = prop_oneof![Just(None), Just(Some(Fraud::Accept)), Just(Some(Fraud::Challenge))];
    let gross = prop_oneof![4 => Just(EXPECTED), 1 => 0..20_000_i64];
    let told = proptest::option::of(0..20_000_i64);
    let code = prop_oneof![4 => Just("200"), 1 => Just("202")];
    (status, amounts, fraud, gross, told, code).prop_map(|(status, amounts, fraud, gross, told, code)| {
        Observed {
            fraud,
            gross: rupiah(gross),
            refund_amount: told.map(rupiah),
            status_code: code.into(),
            ..seen_refunded(status, &amounts)
        }
    })
}

proptest! {
    #[test]
    fn however_a_life_is_observed_what_is_left_is_what_the_gateway_holds((life, holds) in observed()) {
        let (known, _) = live(&Known::default(), &life);
        prop_assert_eq!(net(&known), holds, "{:?}", known);
    }

    /// Here the last word must come last: a denial is the same whether it came before a payment or after.
    #[test]
    fn a_reversal_leaves_nothing_once_it_is_the_last_word(life in ends_in_reversal()) {
        let (known, _) = live(&Known::default(), &life);
        prop_assert_eq!(net(&known), 0);
    }

    /// [`live`] asserts that it moves up alone, credits once, takes no more than was credited, and moves nothing twice.
    #[test]
    fn whatever_is_observed_the_rules_hold(
        life in proptest::collection::vec(anything(), 0..12),
        attempt_is_paid_by_another in any::<bool>(),
    ) {
        live(&Known { attempt_is_paid_by_another, ..Known::default() }, &life);
    }
}
