//! What the gateway writes of a transaction: the body of a notification and of the answer to Get Status.

use serde_json::{Map, Value, json};

use super::book::Notice;
use super::method::Method;
use super::order::Terms;
use super::signature::sign;
use super::transaction::{Returned, Status, Transaction};
use super::wib;

/// The merchant's id at the gateway.
pub const MERCHANT: &str = "G000000001";

/// Rupiah as the gateway writes them: `10000.00`.
pub fn money(rupiah: i64) -> String {
    format!("{rupiah}.00")
}

/// The body of a notification, signed.
pub fn notification(notice: &Notice, key: &str) -> Value {
    let Notice { terms, transaction } = notice;
    let code = transaction.notified_code();
    let order_id = notified_order(terms, transaction);
    let mut body = told(terms, transaction, &order_id, code, key);
    put(&mut body, "status_message", "midtrans payment notification");
    Value::Object(body)
}

/// The answer to Get Status.
pub fn status(terms: &Terms, transaction: &Transaction, key: &str) -> Value {
    let mut body = told(terms, transaction, &terms.order_id, transaction.status_code(), key);
    put(&mut body, "status_message", "Success, transaction is found");
    Value::Object(body)
}

/// The order's id as notifications have it: some providers put their own mark behind it.
pub fn notified_order(terms: &Terms, transaction: &Transaction) -> String {
    if transaction.method.hides_order() {
        format!("{}-{:013}", terms.order_id, transaction.serial)
    } else {
        terms.order_id.clone()
    }
}

fn put(body: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    body.insert(name.to_owned(), value.into());
}

fn told(terms: &Terms, transaction: &Transaction, order: &str, code: &str, key: &str) -> Map<String, Value> {
    let gross = money(transaction.gross());
    let mut body = Map::new();
    put(&mut body, "transaction_time", wib::text(transaction.at));
    put(&mut body, "transaction_status", status_name(transaction));
    put(&mut body, "transaction_id", transaction.id.clone());
    put(&mut body, "status_code", code);
    put(&mut body, "signature_key", sign(order, code, &gross, key));
    put(&mut body, "payment_type", transaction.method.payment_type());
    put(&mut body, "order_id", order);
    put(&mut body, "merchant_id", MERCHANT);
    put(&mut body, "gross_amount", gross);
    put(&mut body, "currency", "IDR");
    put(&mut body, "expiry_time", wib::text(transaction.expires_at));
    if let Some(fraud) = transaction.fraud {
        put(&mut body, "fraud_status", json!(fraud));
    }
    if let Some(at) = transaction.settled_at {
        put(&mut body, "settlement_time", wib::text(at));
    }
    for (name, value) in ["custom_field1", "custom_field2", "custom_field3"].into_iter().zip(&terms.custom) {
        if let Some(value) = value {
            put(&mut body, name, value.clone());
        }
    }
    if let Some(metadata) = metadata(terms, transaction) {
        put(&mut body, "metadata", metadata);
    }
    if !transaction.returned.is_empty() {
        put(&mut body, "refund_amount", money(transaction.returned_total()));
        put(&mut body, "refunds", transaction.returned.iter().map(returned).collect::<Vec<_>>());
    }
    method_fields(&mut body, transaction);
    body
}

fn status_name(transaction: &Transaction) -> String {
    let name = transaction.status.name();
    if transaction.uppercase && transaction.status == Status::Pending {
        return name.to_ascii_uppercase();
    }
    name.to_owned()
}

/// The merchant's own, and how the amount is made up where the customer pays the fee.
fn metadata(terms: &Terms, transaction: &Transaction) -> Option<Value> {
    if transaction.fee == 0 {
        return terms.metadata.clone();
    }
    let mut all = terms.metadata.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let info = json!({"gross_amount_info": {
        "original_amount": transaction.amount.to_string(),
        "gross_amount": transaction.gross().to_string(),
        "customer_imposed_payment_fee": transaction.fee.to_string(),
    }});
    put(&mut all, "extra_info", info);
    Some(Value::Object(all))
}

/// One refund or chargeback of the list, which has all so far.
pub fn returned(returned: &Returned) -> Value {
    let mut one = Map::new();
    put(&mut one, "refund_chargeback_id", returned.id);
    put(&mut one, "refund_amount", money(returned.amount));
    put(&mut one, "created_at", wib::text(returned.at));
    if let Some(reason) = &returned.reason {
        put(&mut one, "reason", reason.clone());
    }
    if let Some(key) = &returned.key {
        put(&mut one, "refund_key", key.clone());
    }
    if let Some(at) = returned.bank_confirmed_at {
        put(&mut one, "bank_confirmed_at", wib::text(at));
    }
    Value::Object(one)
}

/// What only some methods have.
fn method_fields(body: &mut Map<String, Value>, transaction: &Transaction) {
    let number = format!("{:016}", 8_800_000_000_000_000 + transaction.serial);
    match transaction.method {
        Method::CreditCard => card_fields(body, transaction),
        Method::PermataVa => put(body, "permata_va_number", number),
        Method::BcaVa | Method::BniVa | Method::BriVa | Method::CimbVa | Method::OtherVa => {
            let bank = transaction.method.name().trim_end_matches("_va");
            put(body, "va_numbers", json!([{"bank": bank, "va_number": number}]));
            let paid = transaction
                .settled_at
                .map(|at| json!({"paid_at": wib::text(at), "amount": money(transaction.gross())}));
            put(body, "payment_amounts", paid.into_iter().collect::<Vec<_>>());
        }
        Method::Echannel => {
            put(body, "biller_code", "70012");
            put(body, "bill_key", number);
        }
        Method::OtherQris => {
            put(body, "transaction_type", "off-us");
            put(body, "issuer", "dana");
            put(body, "acquirer", "gopay");
            put(body, "merchant_cross_reference_id", transaction.id.clone());
        }
        Method::Shopeepay => put(body, "shopeepay_reference_number", number),
        Method::Indomaret | Method::Alfamart => {
            put(body, "store", transaction.method.name());
            put(body, "payment_code", number);
            if transaction.settled_at.is_some() {
                put(body, "approval_code", format!("{:09}", transaction.serial));
            }
        }
        _ => {}
    }
}

fn card_fields(body: &mut Map<String, Value>, transaction: &Transaction) {
    put(body, "masked_card", "48111111-1114");
    put(body, "bank", "bni");
    put(body, "card_type", "credit");
    let denied = transaction.status == Status::Deny;
    put(body, "eci", "05");
    put(body, "channel_response_code", if denied { "05" } else { "00" });
    put(body, "channel_response_message", if denied { "Do not honour" } else { "Approved" });
    if !denied && transaction.status != Status::Pending {
        put(body, "approval_code", format!("{:013}", transaction.serial));
    }
}
